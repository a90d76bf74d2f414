// The arrays of a file, and conversions of their numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/kernel_table.hpp"

namespace lstmgen {

/// The shape and type of an array of a file: (rows, columns), row after row.
struct Tensor {
    std::size_t rows = 1, columns = 0;  // a vector has one row
    kernels::WeightType type = kernels::WeightType::f32;

    std::size_t row_bytes() const noexcept { return columns * bytes_of(type); }
    std::size_t nbytes() const noexcept { return rows * row_bytes(); }
    static std::size_t bytes_of(kernels::WeightType type) noexcept {
        return type == kernels::WeightType::f32 ? 4 : type == kernels::WeightType::bf16 ? 2 : 1;
    }
};

/// to (n) = the n numbers of this type at `from`. Numbers of int8 are not multiplied with scales.
void to_floats(const std::byte* from, kernels::WeightType type, std::size_t n, float* to);

/// Makes the numbers below kernels::kLeastBf16 zero, among the n numbers of bf16 at `numbers`.
void drop_least(std::byte* numbers, std::size_t n);

/// Makes those of x (n) zero whose magnitude is below `least`.
void drop_below(float least, float* x, std::size_t n);
/// Makes the subnormal numbers of x (n) zero.
inline void drop_subnormal(float* x, std::size_t n) { drop_below(0x1p-126f, x, n); }

/// Returns whether one of the n numbers of this type at `from` is subnormal.
bool any_subnormal(const std::byte* from, kernels::WeightType type, std::size_t n);
/// Makes the subnormal numbers zero, among the n numbers of this type at `numbers`.
void drop_subnormal(std::byte* numbers, kernels::WeightType type, std::size_t n);

/// Returns whether none of the n numbers of this type at `from` is infinite or NaN.
bool all_finite(const std::byte* from, kernels::WeightType type, std::size_t n);

}  // namespace lstmgen
