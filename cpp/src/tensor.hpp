#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/kernel_table.hpp"

namespace lstmgen {

/// An array of a file.
struct Tensor {
    std::size_t rows = 1, columns = 0;  // a vector has one row
    kernels::WeightType type = kernels::WeightType::f32;

    std::size_t row_bytes() const noexcept { return columns * bytes_of(type); }
    std::size_t nbytes() const noexcept { return rows * row_bytes(); }
    static std::size_t bytes_of(kernels::WeightType type) noexcept {
        return type == kernels::WeightType::f32 ? 4 : type == kernels::WeightType::bf16 ? 2 : 1;
    }
};

/// to[0..n) = the numbers of this type at `from`; of int8 without their scales.
void to_floats(const std::byte* from, kernels::WeightType type, std::size_t n, float* to);

/// Of n numbers of bf16 those that count as zero (kernels::kLeastBf16) become zero.
void drop_least(std::byte* numbers, std::size_t n);

/// Whether none of them is infinite or NaN.
bool all_finite(const std::byte* from, kernels::WeightType type, std::size_t n);

}  // namespace lstmgen
