// The primitives for any processor: 4 floats in a vector, and a fused multiply-add without the
// instruction for it.
#pragma once

#include <cstring>

#include "fused.hpp"
#include "kernel_table.hpp"

namespace lstmgen::kernels {
namespace {

struct Vec {
    float v[4];
};
constexpr std::size_t kWidth = 4, kTileRows = 2, kTilePanels = 1, kRowPanels = 1;
constexpr bool kCommonPair = false;
constexpr bool kQuadsAndPairs = false;

template <class F>
inline Vec each(F f) {
    return {{f(0), f(1), f(2), f(3)}};
}

inline Vec load(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
inline Vec load_low(const std::uint16_t* p) {
    return each([p](int i) { return bit_cast<float>(static_cast<std::uint32_t>(p[2 * i]) << 16); });
}
inline Vec load_high(const std::uint16_t* p) {
    return each([p](int i) { return bit_cast<float>(static_cast<std::uint32_t>(p[2 * i + 1]) << 16); });
}
inline void store(float* p, Vec a) {
    for (std::size_t i = 0; i < kWidth; ++i) p[i] = a.v[i];
}
inline void prefetch(const void*) {}
inline Vec set(float x) { return {{x, x, x, x}}; }
// Returns whether the sum needs `fused`. Rounding to double and then to float can differ from one
// rounding only if the sum in double lies exactly between two floats, or is a subnormal float.
inline bool needs_odd(double sum) {
    const auto bits = bit_cast<std::uint64_t>(sum);
    const std::uint64_t exponent = bits >> 52 & 0x7ff;
    return ((bits & 0x1fffffff) == 0x10000000) | (exponent < 1023 - 126);
}

inline Vec fma(Vec a, Vec b, Vec c) {
    double sum[kWidth];
    bool slow = false;
    for (std::size_t i = 0; i < kWidth; ++i) {
        sum[i] = static_cast<double>(a.v[i]) * b.v[i] + c.v[i];
        slow |= needs_odd(sum[i]);
    }
    if (slow) return each([&](int i) { return fused(a.v[i], b.v[i], c.v[i]); });
    return each([&](int i) { return static_cast<float>(sum[i]); });
}
inline Vec mul(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] * b.v[i]; });
}
inline Vec add(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] + b.v[i]; });
}
inline Vec sub(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] - b.v[i]; });
}
inline Vec div(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] / b.v[i]; });
}
inline Vec min(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vec max(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Vec pow2_bits(Vec a) {
    return each([&](int i) { return bit_cast<float>(bit_cast<std::uint32_t>(a.v[i]) << 23); });
}

struct Ints {
    std::int32_t v[kWidth];
};
struct Pairs {
    std::int32_t v[kWidth][2];
};
inline Ints zero_ints() { return {}; }
inline Pairs load_pairs(const std::int8_t* p) { return {{{p[0], p[1]}, {p[2], p[3]}, {p[4], p[5]}, {p[6], p[7]}}}; }
inline Pairs set_pair(std::int32_t pair) {
    std::int16_t p[2];
    std::memcpy(p, &pair, sizeof p);
    return {{{p[0], p[1]}, {p[0], p[1]}, {p[0], p[1]}, {p[0], p[1]}}};
}
inline Ints add_dot(Ints sum, const Pairs& a, const Pairs& b) {
    for (std::size_t i = 0; i < kWidth; ++i) sum.v[i] += a.v[i][0] * b.v[i][0] + a.v[i][1] * b.v[i][1];
    return sum;
}
inline Vec to_floats(Ints a) {
    return each([&](int i) { return static_cast<float>(a.v[i]); });
}

}  // namespace
}  // namespace lstmgen::kernels
