// Compares the multiply-add of vectors with `fused`, whose steps are those of a proof. The fmaf of
// Emscripten's C library rounds twice.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>

#include "kernels/vec_simd128.hpp"

using namespace lstmgen::kernels;

int main() {
    std::mt19937_64 random(1);
    const auto bits = [](std::uint32_t x) { return bit_cast<float>(x); };
    // A float whose significand has few bits, so that sums lie between two floats, of a magnitude
    // 2^(low - 127) to 2^(high - 127).
    const auto number = [&](std::uint32_t low, std::uint32_t high) {
        const std::uint64_t r = random();
        const std::uint32_t exponent = low + std::uint32_t(r >> 40) % (high - low + 1);
        std::uint32_t fraction = std::uint32_t(r) & 0x7fffff;
        if (r >> 32 & 1) fraction &= 0x7fffffu << (r >> 33) % 23;
        if (r >> 34 & 1) fraction |= 0x7fffffu >> (r >> 35) % 23;
        return bits(std::uint32_t(r >> 39 & 1) << 31 | exponent << 23 | (fraction & 0x7fffff));
    };
    long wrong = 0, subnormal = 0, between = 0;
    for (long i = 0; i < 4'000'000; ++i) {
        float a[4], b[4], c[4], z[4];
        for (int j = 0; j < 4; ++j) {
            switch (random() % 4) {
                case 0:  // of any magnitude
                    a[j] = number(0, 254), b[j] = number(0, 254), c[j] = number(0, 254);
                    break;
                case 1:  // results that are subnormal or the least normal
                    a[j] = number(50, 76), b[j] = number(50, 76), c[j] = number(0, 2);
                    break;
                case 2:  // an addend whose last bit is that of the product's first, or near it
                    a[j] = number(120, 127), b[j] = number(100, 104), c[j] = number(120, 127);
                    break;
                default:  // sums that cancel
                    a[j] = number(120, 127), b[j] = number(120, 127);
                    c[j] = -a[j] * b[j];
            }
        }
        store(z, fma(load(a), load(b), load(c)));
        for (int j = 0; j < 4; ++j) {
            const float want = fused(a[j], b[j], c[j]);
            subnormal += std::fpclassify(want) == FP_SUBNORMAL;
            between += float(double(a[j]) * b[j] + c[j]) != want;
            if (bit_cast<std::uint32_t>(want) != bit_cast<std::uint32_t>(z[j]) &&
                !(std::isnan(want) && std::isnan(z[j])))
                if (++wrong < 5) std::printf("%a * %a + %a: expected %a, found %a\n", a[j], b[j], c[j], want, z[j]);
        }
    }
    std::printf("%ld wrong, %d %d\n", wrong, subnormal > 100000, between > 1000);
}
