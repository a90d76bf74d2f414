// Weights as the kernels want them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "aligned.hpp"
#include "kernels/kernel_table.hpp"
#include "tensor.hpp"

namespace lstmgen {

/// What the lanes of a layer read from one of its inputs: ids, or rows of numbers; a row for each lane, or `period`
/// rows that they take in turns: lane i reads row (first + i) % period.
struct Input {
    const std::uint32_t* ids = nullptr;
    const float* x = nullptr;
    std::size_t stride = 0;
    std::size_t period = 0;  // 0: a row for each lane
    std::size_t first = 0;
    const float* product = nullptr;  // (lanes, product_stride): Layer::input_product, where it is known already
    std::size_t product_stride = 0;

    std::size_t row(std::size_t lane) const noexcept { return period > 0 ? (first + lane) % period : lane; }
    /// The numbers that a lane reads.
    const float* numbers(std::size_t lane) const noexcept { return x + row(lane) * stride; }

    /// What one lane reads.
    Input only(std::size_t lane) const noexcept {
        return {ids ? ids + row(lane) * stride : nullptr, x ? numbers(lane) : nullptr};
    }
    /// The same from this lane on.
    Input from(std::size_t lane) const noexcept {
        Input rest = *this;
        if (period > 0) {
            rest.first += lane;
        } else {
            rest.ids = ids ? ids + lane * stride : nullptr;
            rest.x = x ? x + lane * stride : nullptr;
        }
        rest.product = product ? product + lane * product_stride : nullptr;
        return rest;
    }
};

/// A matrix of Keras, (rows, columns), as the kernels want it, with an offset a column (the bias).
class PackedMatrix {
public:
    /// `gates` column groups of equal size, of which `count` from `first` on are taken, are interleaved by blocks of
    /// 16, each padded to a multiple of 16.
    PackedMatrix(const Tensor& matrix, const Tensor* bias, std::size_t gates, std::size_t first, std::size_t count);
    PackedMatrix(const Tensor& matrix, const Tensor* bias, std::size_t gates)
        : PackedMatrix(matrix, bias, gates, 0, gates) {}

    std::size_t panels() const noexcept { return panels_; }
    std::size_t padded_columns() const noexcept { return panels_ * kernels::kPanel; }
    const float* bias() const noexcept { return bias_.data(); }
    kernels::Matrix view() const noexcept { return {weights_.data(), rows_, type_, scales_.data()}; }
    std::size_t nbytes() const noexcept { return weights_.nbytes() + scales_.nbytes() + bias_.nbytes(); }
    /// Floats of memory that the product of so many rows needs.
    std::size_t rounded_size(std::size_t rows) const noexcept { return kernels::rounded_size(type_, rows_, rows); }
    std::size_t scratch_size() const noexcept { return rounded_size(kApplyRows); }

    /// z (lanes, padded_columns) = bias + input . matrix, for any number of lanes. `scratch`: scratch_size().
    void apply(const kernels::KernelTable& kernels, const Input& input, std::size_t lanes, float* z,
               std::size_t z_stride, float* scratch) const;

private:
    static constexpr std::size_t kApplyRows = 64;  // that are multiplied at once

    kernels::WeightType type_;
    std::size_t rows_, panels_;
    AlignedBuffer<std::byte> weights_;
    AlignedBuffer<float> scales_, bias_;
};

/// Column j of gate g of a layer with `gates` gates is this column of the packed matrix.
inline std::size_t packed_column(std::size_t g, std::size_t j, std::size_t gates) noexcept {
    return (j / kernels::kPanel * gates + g) * kernels::kPanel + j % kernels::kPanel;
}

}  // namespace lstmgen
