#include "portable_math.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "kept.hpp"
#include "kernels/exponential.hpp"

namespace lstmgen {

LSTMGEN_KEPT double exp_portable(double x) {
    if (!(x > kLeastExponent)) return x != x ? x : 0.0;
    return x > 709.0 ? HUGE_VAL : exp_of(x);
}

LSTMGEN_KEPT double exp_portable(double* x, std::size_t n) {
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) sum += x[i] = exp_portable(x[i]);
    return sum;
}

LSTMGEN_KEPT double log_portable(double x) {
    if (!(x > 0.0)) return x == 0.0 ? -HUGE_VAL : NAN;
    if (x == HUGE_VAL) return x;
    double n = 0.0;
    if (x < 0x1p-1022) {  // subnormal
        x *= 0x1p54;
        n = -54.0;
    }
    // x = 2^n m with m in [sqrt(1/2), sqrt(2)). ln m = 2 atanh(s) with s = (m - 1) / (m + 1), |s| <
    // 0.172. The series of atanh to s^21 is exact to 1e-18.
    std::uint64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    // 0x3ff0000000000000 has the bits of 1, 0x3fe6a09e667f3bcd those of sqrt(1/2).
    const std::uint64_t shifted = bits + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd);
    n += static_cast<double>(static_cast<std::int64_t>(shifted >> 52) - 1023);
    bits = (shifted & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd;
    double m;
    std::memcpy(&m, &bits, sizeof m);
    const double f = m - 1.0, s = f / (2.0 + f), z = s * s;
    double q = 2.0 / 21.0;
    for (const double c :
         {2.0 / 19.0, 2.0 / 17.0, 2.0 / 15.0, 2.0 / 13.0, 2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0})
        q = q * z + c;
    // Since 2 s = f - s f, ln m = f - (f^2 / 2 - s (f^2 / 2 + q z)). Its greatest part, f, is
    // exact.
    const double half = 0.5 * f * f;
    const double low = n * 1.90821492927058770002e-10;  // n ln 2, in two parts
    return n * 6.93147180369123816490e-01 - ((half - (s * (half + q * z) + low)) - f);
}

}  // namespace lstmgen
