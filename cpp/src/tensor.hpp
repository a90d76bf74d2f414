#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/kernel_table.hpp"

namespace lstmgen {

/// An array in the bytes of a file, which may lie anywhere.
struct Tensor {
    std::size_t rows = 1, columns = 0;  // a vector has one row
    kernels::WeightType type = kernels::WeightType::f32;
    const std::byte* data = nullptr;    // rows * columns values, C order
    const std::byte* scales = nullptr;  // of int8: (columns) floats

    std::size_t nbytes() const noexcept { return rows * columns * bytes_of(type); }
    /// Number i, which is a T.
    template <class T>
    T value(std::size_t i) const noexcept {
        T number;
        std::memcpy(&number, data + i * sizeof number, sizeof number);
        return number;
    }
    float scale(std::size_t column) const noexcept {
        float number;
        std::memcpy(&number, scales + column * sizeof number, sizeof number);
        return number;
    }
    static std::size_t bytes_of(kernels::WeightType type) noexcept {
        return type == kernels::WeightType::f32 ? 4 : type == kernels::WeightType::bf16 ? 2 : 1;
    }
};

/// Its numbers, one after the other.
std::vector<float> floats(const Tensor& tensor);

/// Whether none of them is infinite or NaN.
bool all_finite(const Tensor& tensor);

}  // namespace lstmgen
