// Weights in the order in which the kernels read them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "aligned.hpp"
#include "container.hpp"
#include "kernels/kernel_table.hpp"
#include "lanes.hpp"
#include "tensor.hpp"

namespace lstmgen {

/// What a matrix is multiplied with.
struct Use {
    bool exact = false;  // what it is multiplied with is not rounded to bf16
    bool whole = false;  // all panels are multiplied at once
    bool input = false;  // it is multiplied with the network's input
};

/// A matrix of Keras, (rows, columns), in the layout of the kernels, with a bias for each column.
class PackedMatrix {
public:
    /// Makes a matrix of zeros. The columns of `matrix` are `gates` groups of equal size, of which
    /// `count` are taken, from `first` on. Each is padded to a multiple of 16 columns, and the
    /// groups alternate by blocks of 16.
    PackedMatrix(const kernels::KernelTable& kernels, const Tensor& matrix, std::size_t gates, std::size_t first,
                 std::size_t count, Use use = {});
    PackedMatrix(const kernels::KernelTable& kernels, const Tensor& matrix, std::size_t gates, Use use = {})
        : PackedMatrix(kernels, matrix, gates, 0, gates, use) {}

    /// Puts in `n` rows, as a file has them, from `row` on, a multiple of 4. Rows come in their
    /// order; `finish` follows the last one.
    void put(std::size_t row, std::size_t n, const std::byte* bytes);
    /// Ends the rows. `scales` (columns) are those of int8, else empty.
    void finish(const std::vector<float>& scales);
    void set_bias(const std::vector<float>& bias) { set_columns(bias, bias_); }

    /// Gives back a row as the file had it: the taken gates, in their place in a row of all gates.
    void get(std::size_t row, std::byte* bytes) const;
    std::vector<float> scales() const { return columns(scales_); }
    std::vector<float> bias_values() const { return columns(bias_); }

    kernels::WeightType type() const noexcept { return type_; }
    std::size_t rows() const noexcept { return rows_; }
    std::size_t row_bytes() const noexcept { return units_ * gates_ * Tensor::bytes_of(type_); }
    std::size_t panels() const noexcept { return panels_; }
    std::size_t padded_columns() const noexcept { return panels_ * kernels::kPanel; }
    const float* bias() const noexcept { return bias_.data(); }
    /// The matrix for the kernels that it was made for.
    kernels::Matrix view(const kernels::KernelTable& kernels) const noexcept {
        kernels::RoundedProduct rounded{};
        if (rounds_) rounded = type_ == kernels::WeightType::int8 ? kernels.int8 : kernels.bf16;
        return {weights_.data(), rows_,          panels_,        type_,          layout_,
                rounded,         scales_.data(), starts_.data(), keeps_integers_};
    }
    std::size_t nbytes() const noexcept {
        return weights_.nbytes() + scales_.nbytes() + starts_.nbytes() + bias_.nbytes();
    }
    /// Floats of memory that the product of so many rows needs.
    std::size_t rounded_size(std::size_t rows) const noexcept {
        return rounds_ ? kernels::rounded_size(rows_, rows) : 0;
    }
    std::size_t scratch_size(std::size_t lanes) const noexcept { return rounded_size(std::min(lanes, kApplyRows)); }

    /// z (lanes, padded_columns) = bias + input . matrix, for any number of lanes. `scratch`:
    /// scratch_size(lanes).
    void apply(const kernels::KernelTable& kernels, const Input& input, std::size_t lanes, float* z,
               std::size_t z_stride, float* scratch) const;

private:
    static constexpr std::size_t kApplyRows = 64;  // that are multiplied at once

    template <std::size_t I, class T>  // T has as many bytes as a number of the matrix; I rows are interleaved
    void put_rows(std::size_t row, std::size_t n, const std::byte* bytes);
    void set_columns(const std::vector<float>& values, AlignedBuffer<float>& columns);
    std::vector<float> columns(const AlignedBuffer<float>& packed) const;

    kernels::WeightType type_;
    kernels::Layout layout_;
    bool rounds_, keeps_integers_;
    std::size_t rows_, units_, gates_, first_, count_, panels_;
    AlignedBuffer<std::byte> weights_;
    AlignedBuffer<float> scales_, bias_;
    AlignedBuffer<std::int32_t> starts_;
};

/// The next matrix of a file, into one or more that take different gates of it.
void read_matrix(Container& file, std::initializer_list<PackedMatrix*> matrices);
void write_matrix(ArrayWriter& file, std::initializer_list<const PackedMatrix*> matrices);

/// Column j of gate g of a layer with `gates` gates is this column of the packed matrix.
inline std::size_t packed_column(std::size_t g, std::size_t j, std::size_t gates) noexcept {
    return (j / kernels::kPanel * gates + g) * kernels::kPanel + j % kernels::kPanel;
}

}  // namespace lstmgen
