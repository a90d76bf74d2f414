#include "packed_matrix.hpp"

#include <algorithm>
#include <cstring>

#include "kept.hpp"

namespace lstmgen {

using kernels::KernelTable;
using kernels::kPanel;
using kernels::Layout;
using kernels::WeightType;

namespace {

// Interleaves the last rows of a matrix, or a panel with fewer columns. Column j of the `rows` rows
// of n numbers at `from` goes to `to` (n, interleaved), of which the first `rows` of a column are
// written. A number has `size` bytes.
LSTMGEN_NOINLINE void interleave_last(const std::byte* from, std::size_t row_bytes, std::size_t rows, std::size_t n,
                                      std::size_t size, std::size_t interleaved, std::byte* to) {
    for (std::size_t j = 0; j < n; ++j)
        for (std::size_t i = 0; i < rows; ++i)
            std::memcpy(to + (j * interleaved + i) * size, from + i * row_bytes + j * size, size);
}

}  // namespace

LSTMGEN_KEPT PackedMatrix::PackedMatrix(const KernelTable& kernels, const Tensor& matrix, std::size_t gates,
                                        std::size_t first, std::size_t count, Use use)
    : type_(matrix.type),
      layout_(kernels.layouts[static_cast<std::size_t>(type_)]),
      rounds_(type_ == WeightType::int8 || (type_ == WeightType::bf16 && !use.exact)),
      keeps_integers_(use.input),
      rows_(matrix.rows),
      units_(matrix.columns / gates),
      gates_(gates),
      first_(first),
      count_(count),
      panels_(count * round_up(units_, kPanel) / kPanel),
      weights_(round_up(rows_, layout_.interleaved_rows) * padded_columns() * Tensor::bytes_of(type_)),
      scales_(type_ == WeightType::int8 ? padded_columns() : 0),
      bias_(padded_columns()),
      starts_(layout_.quads() ? (rows_ + kernels::kIntChain - 1) / kernels::kIntChain * padded_columns() : 0) {
    // Three adjacent panels fit a block of a GRU, which has three. They also divide some matrices
    // that four do not divide.
    const bool gru = count == kernels::kGruGates, threes_fit = use.whole && panels_ % 4 > 0 && panels_ % 3 == 0;
    if (layout_.adjacent_panels > 3 && (gru || threes_fit)) layout_.adjacent_panels = 3;
}

template <std::size_t I, class T>
void PackedMatrix::put_rows(std::size_t row, std::size_t n, const std::byte* bytes) {
    const std::size_t row_bytes = units_ * gates_ * sizeof(T);
    for (std::size_t g = 0; g < count_; ++g)
        for (std::size_t j = 0; j < units_; j += kPanel) {
            const std::size_t columns = std::min(kPanel, units_ - j);
            const std::byte* from = bytes + ((first_ + g) * units_ + j) * sizeof(T);
            const kernels::Place place =
                kernels::place_of(packed_column(g, j, count_) / kPanel, layout_, rows_, panels_);
            std::byte* to = weights_.data() + (place.at + row / I * place.step) * sizeof(T);
            for (std::size_t k = 0; k < n; k += I, from += I * row_bytes, to += place.step * sizeof(T)) {
                if (columns < kPanel || k + I > n) {
                    interleave_last(from, row_bytes, std::min(I, n - k), columns, sizeof(T), I, to);
                    continue;
                }
                T one[I][kPanel], interleaved[kPanel * I];  // (rows, columns) and (columns, rows)
                for (std::size_t i = 0; i < I; ++i) std::memcpy(one[i], from + i * row_bytes, sizeof one[i]);
                for (std::size_t c = 0; c < kPanel; ++c)
                    for (std::size_t i = 0; i < I; ++i) interleaved[c * I + i] = one[i][c];
                std::memcpy(to, interleaved, sizeof interleaved);
            }
        }
}

LSTMGEN_KEPT void PackedMatrix::put(std::size_t row, std::size_t n, const std::byte* bytes) {
    switch (type_) {
        case WeightType::f32: return put_rows<1, float>(row, n, bytes);
        case WeightType::bf16: return put_rows<2, std::uint16_t>(row, n, bytes);
        case WeightType::int8:
            if (layout_.quads()) return put_rows<4, std::int8_t>(row, n, bytes);
            return put_rows<2, std::int8_t>(row, n, bytes);
    }
}

LSTMGEN_KEPT void PackedMatrix::finish(const std::vector<float>& scales) {
    if (type_ == WeightType::bf16 && rounds_) drop_least(weights_.data(), weights_.size() / sizeof(std::uint16_t));
    if (type_ == WeightType::int8) set_columns(scales, scales_);
    for (std::size_t p = 0; starts_.size() > 0 && p < panels_; ++p) {
        const kernels::Place place = kernels::place_of(p, layout_, rows_, panels_);
        const auto* row = reinterpret_cast<const std::int8_t*>(weights_.data()) + place.at;
        for (std::size_t k = 0; k < rows_; k += layout_.interleaved_rows, row += place.step)
            for (std::size_t j = 0; j < kPanel; ++j) {
                const int sum = row[4 * j] + row[4 * j + 1] + row[4 * j + 2] + row[4 * j + 3];
                auto& start = starts_[k / kernels::kIntChain * padded_columns() + p * kPanel + j];
                start = static_cast<std::int32_t>(static_cast<std::uint32_t>(start) - std::uint32_t(sum) * 32768u);
            }
    }
}

LSTMGEN_KEPT void PackedMatrix::set_columns(const std::vector<float>& values, AlignedBuffer<float>& columns) {
    for (std::size_t i = 0; i < count_ * units_; ++i)
        columns[packed_column(i / units_, i % units_, count_)] = values[first_ * units_ + i];
}

LSTMGEN_KEPT void PackedMatrix::apply(const kernels::KernelTable& kernels, const Input& input, std::size_t lanes,
                                      float* z, std::size_t z_stride, float* scratch) const {
    for (std::size_t i = 0; i < lanes; ++i) std::copy_n(bias_.data(), bias_.size(), z + i * z_stride);
    if (input.ids) return kernels.gather(view(kernels), panels_, input.ids, input.stride, lanes, z, z_stride);
    const std::size_t rows = rounds_ ? kApplyRows : lanes;
    for (std::size_t i = 0; i < lanes; i += rows)
        kernels.gemm(view(kernels), panels_, input.x + i * input.stride, input.stride, std::min(rows, lanes - i),
                     z + i * z_stride, z_stride, scratch);
}

}  // namespace lstmgen
