// A fused multiply-add for instruction sets without one.
#pragma once

#include <cstdint>
#include <cstring>

namespace lstmgen::kernels {
namespace {

template <class To, class From>
inline To bit_cast(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

// Returns a * b + c with one rounding. The product of two floats is exact in double. The sum is
// rounded to odd in double (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums",
// 2008). Then the rounding to float gives the same as a single rounding.
inline float fused(float a, float b, float c) {
    const double product = static_cast<double>(a) * b;
    const double addend = c;
    const double sum = product + addend;
    const double back = sum - product;
    const double error = (product - (sum - back)) + (addend - back);
    const auto bits = bit_cast<std::int64_t>(sum);
    // For infinities the error is NaN, so they pass through.
    const std::int64_t inexact = (error > 0.0) | (error < 0.0);
    const std::int64_t away = (error > 0.0) == (sum > 0.0) ? 1 : -1;
    return static_cast<float>(bit_cast<double>(bits + (inexact & ~bits & 1) * away));
}

}  // namespace
}  // namespace lstmgen::kernels
