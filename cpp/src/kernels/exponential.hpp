// e^x in double, without a branch, so that loops over it are vectorised. Multiplications and
// additions are not fused, so the result has the same bits on every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernel_table.hpp"

namespace lstmgen {
namespace {

constexpr double kLeastExponent = -708.0;  // e^x of a lower x is 0

// Returns e^x for kLeastExponent < x <= 709.
inline double exp_of(double x) {
    // x = n ln 2 + r with |r| <= ln 2 / 2. The series of e^r to r^13 is exact to 1e-18. Adding 1.5
    // * 2^52 rounds to an integer, which is then in the lowest bits.
    constexpr double magic = 6755399441055744.0;
    const double shifted = x * 1.4426950408889634 + magic;
    const double n = shifted - magic;
    const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    double q = 1.0 / 6227020800.0;
    q = q * r + 1.0 / 479001600.0;
    q = q * r + 1.0 / 39916800.0;
    q = q * r + 1.0 / 3628800.0;
    q = q * r + 1.0 / 362880.0;
    q = q * r + 1.0 / 40320.0;
    q = q * r + 1.0 / 5040.0;
    q = q * r + 1.0 / 720.0;
    q = q * r + 1.0 / 120.0;
    q = q * r + 1.0 / 24.0;
    q = q * r + 1.0 / 6.0;
    q = q * r + 0.5;
    const double e = 1.0 + (r + r * r * q);
    std::uint64_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52;
    double scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return e * scale;
}

// Numbers that fill whole vectors.
#ifdef __AVX512F__
constexpr std::size_t kTogether = 8;
#else
constexpr std::size_t kTogether = 4;
#endif

// x (kTogether) = e^x. It is no part of its caller, which would copy it for the last numbers.
LSTMGEN_NOINLINE void exp_together(double* x) {
    for (std::size_t i = 0; i < kTogether; ++i) {
        const double e = exp_of(x[i] > kLeastExponent ? x[i] : kLeastExponent);
        x[i] = e * (x[i] > kLeastExponent ? 1.0 : 0.0);  // without a branch
    }
}

// x (n) = e^x. Each x is at most 709, and not NaN. Returns the sum of the results from the first to
// the last. The additions wait for each other, but the next powers do not wait for them.
inline double exp_all(double* x, std::size_t n) {
    double sum = 0.0;
    for (; n >= kTogether; n -= kTogether, x += kTogether) {
        exp_together(x);
        for (std::size_t i = 0; i < kTogether; ++i) sum += x[i];
    }
    if (n == 0) return sum;
    double last[kTogether] = {};
    std::memcpy(last, x, n * sizeof(double));
    exp_together(last);
    std::memcpy(x, last, n * sizeof(double));
    for (std::size_t i = 0; i < n; ++i) sum += x[i];
    return sum;
}

}  // namespace
}  // namespace lstmgen
