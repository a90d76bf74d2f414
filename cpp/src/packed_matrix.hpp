// Matrices of weights in the order in which the kernels read them.
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

/// How a matrix is used.
struct Use {
    bool exact = false;  // the rows that it is multiplied with are not rounded to bf16
    bool whole = false;  // all panels are multiplied at once
    bool input = false;  // it is multiplied with the network's input
};

/// A matrix of Keras (rows, gates * units), or `count` gates of it, in the layout of the kernels.
/// It has a bias for each column. In packed order the columns are (blocks, count, 16): each block
/// has 16 units of each gate, and zeros pad the last one.
class PackedMatrix {
public:
    /// Makes a matrix of zeros. `matrix` has the shape and type in the file. Its columns are
    /// `gates` groups of equal size. This matrix takes `count` of them, from `first` on.
    PackedMatrix(const kernels::KernelTable& kernels, const Tensor& matrix, std::size_t gates, std::size_t first,
                 std::size_t count, Use use = {});
    PackedMatrix(const kernels::KernelTable& kernels, const Tensor& matrix, std::size_t gates, Use use = {})
        : PackedMatrix(kernels, matrix, gates, 0, gates, use) {}

    /// Puts in the rows `bytes` (n, row_bytes()), as a file has them, from `row` on, a multiple of
    /// 4. Rows come in order. `finish` follows the last one.
    void put(std::size_t row, std::size_t n, const std::byte* bytes);
    /// Ends the rows. `scales` (gates * units) are those of int8; else it is empty.
    void finish(const std::vector<float>& scales);
    /// Sets the bias (gates * units), which was zero.
    void set_bias(const std::vector<float>& bias) { set_columns(bias, bias_); }

    /// Writes the gates of this matrix to their place in `bytes` (row_bytes()), a row of all gates
    /// as the file has it.
    void get(std::size_t row, std::byte* bytes) const;
    /// Returns the scales (count * units), in the order of Keras.
    std::vector<float> scales() const { return columns(scales_); }
    /// Returns the bias (count * units), in the order of Keras.
    std::vector<float> bias_values() const { return columns(bias_); }

    kernels::WeightType type() const noexcept { return type_; }
    std::size_t rows() const noexcept { return rows_; }
    std::size_t row_bytes() const noexcept { return units_ * gates_ * Tensor::bytes_of(type_); }
    std::size_t panels() const noexcept { return panels_; }
    std::size_t padded_columns() const noexcept { return panels_ * kernels::kPanel; }
    /// Returns the bias (padded_columns), in packed order.
    const float* bias() const noexcept { return bias_.data(); }
    /// Returns the matrix for the kernels that it was made for.
    kernels::Matrix view(const kernels::KernelTable& kernels) const noexcept {
        kernels::RoundedProduct rounded{};
        if (rounds_) rounded = type_ == kernels::WeightType::int8 ? kernels.int8 : kernels.bf16;
        return {weights_.data(), rows_,          panels_,        type_,          layout_,
                rounded,         scales_.data(), starts_.data(), keeps_integers_};
    }
    std::size_t nbytes() const noexcept {
        return weights_.nbytes() + scales_.nbytes() + starts_.nbytes() + bias_.nbytes();
    }
    /// Returns the floats of memory for rounding `rows` rows that it is multiplied with.
    std::size_t rounded_size(std::size_t rows) const noexcept {
        return rounds_ ? kernels::rounded_size(rows_, rows) : 0;
    }
    /// Returns the floats of working memory that `apply` needs.
    std::size_t scratch_size(std::size_t lanes) const noexcept { return rounded_size(std::min(lanes, kApplyRows)); }

    /// z (lanes, z_stride) = bias + input . matrix. Its first padded_columns columns are in packed
    /// order. `scratch` has scratch_size(lanes) floats.
    void apply(const kernels::KernelTable& kernels, const Input& input, std::size_t lanes, float* z,
               std::size_t z_stride, float* scratch) const;

private:
    static constexpr std::size_t kApplyRows = 64;  // rows that are rounded and multiplied at once

    // Does the work of `put` for `bytes` (n, bytes of a row). T has as many bytes as a number of
    // the matrix. I rows are interleaved.
    template <std::size_t I, class T>
    void put_rows(std::size_t row, std::size_t n, const std::byte* bytes);
    // Puts values (gates * units) into columns (padded_columns), in packed order.
    void set_columns(const std::vector<float>& values, AlignedBuffer<float>& columns);
    // Returns numbers in packed order (padded_columns) in the order of Keras: (count * units).
    std::vector<float> columns(const AlignedBuffer<float>& packed) const;

    kernels::WeightType type_;
    kernels::Layout layout_;
    bool rounds_, keeps_integers_;
    std::size_t rows_, units_, gates_, first_, count_, panels_;
    AlignedBuffer<std::byte> weights_;    // (rows, padded_columns) numbers in the order of layout_
    AlignedBuffer<float> scales_;         // (padded_columns) for int8, else empty; packed order
    AlignedBuffer<float> bias_;           // (padded_columns), in packed order
    AlignedBuffer<std::int32_t> starts_;  // (chains, padded_columns), Matrix::starts; else empty
};

/// Reads the next matrix of a file into one or more matrices, which take different gates of it.
void read_matrix(Container& file, std::initializer_list<PackedMatrix*> matrices);
/// Appends one matrix to a file. `matrices` have all its gates.
void write_matrix(ArrayWriter& file, std::initializer_list<const PackedMatrix*> matrices);

/// Returns the column of a packed matrix for unit j of gate g, of `gates` gates.
inline std::size_t packed_column(std::size_t g, std::size_t j, std::size_t gates) noexcept {
    return (j / kernels::kPanel * gates + g) * kernels::kPanel + j % kernels::kPanel;
}

}  // namespace lstmgen
