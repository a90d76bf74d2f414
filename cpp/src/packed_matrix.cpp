#include "packed_matrix.hpp"

#include <algorithm>
#include <cstring>

namespace lstmgen {

using kernels::kPanel;
using kernels::WeightType;

namespace {

// Rows `first` and `second` (nullptr: zeros), of n numbers, side by side.
template <class T>
inline void interleave(const std::byte* first, const std::byte* second, std::size_t n, std::byte* to) {
    T a[kPanel] = {}, b[kPanel] = {}, pairs[2 * kPanel];
    std::memcpy(a, first, n * sizeof(T));
    if (second) std::memcpy(b, second, n * sizeof(T));
    for (std::size_t i = 0; i < kPanel; ++i) {
        pairs[2 * i] = a[i];
        pairs[2 * i + 1] = b[i];
    }
    std::memcpy(to, pairs, sizeof pairs);
}

// T has as many bytes as a number of the matrix.
template <class T>
AlignedBuffer<std::byte> pack(const Tensor& matrix, std::size_t units, std::size_t first, std::size_t count,
                              std::size_t panels) {
    const std::size_t rows = kernels::packed_rows(matrix.type, matrix.rows), row_bytes = kPanel * sizeof(T);
    AlignedBuffer<std::byte> packed(panels * rows * row_bytes);
    for (std::size_t g = 0; g < count; ++g)
        for (std::size_t j = 0; j < units; j += kPanel) {
            const std::size_t n = std::min(kPanel, units - j), column = (first + g) * units + j;
            const auto row = [&](std::size_t k) { return matrix.data + (k * matrix.columns + column) * sizeof(T); };
            std::byte* to = packed.data() + packed_column(g, j, count) * rows * sizeof(T);
            for (std::size_t k = 0; k < matrix.rows;) {
                if constexpr (sizeof(T) == sizeof(float)) {
                    std::memcpy(to, row(k), n * sizeof(T));
                    to += row_bytes;
                    k += 1;
                } else {
                    const std::byte* const second = k + 1 < matrix.rows ? row(k + 1) : nullptr;
                    if (n == kPanel && second)
                        interleave<T>(row(k), second, kPanel, to);  // sizes that the compiler knows
                    else
                        interleave<T>(row(k), second, n, to);
                    to += 2 * row_bytes;
                    k += 2;
                }
            }
        }
    return packed;
}

// Weights of bf16 below kLeastBf16 become zero.
void drop_least(AlignedBuffer<std::byte>& weights) {
    std::uint32_t least;
    std::memcpy(&least, &kernels::kLeastBf16, sizeof least);
    for (std::size_t i = 0; i < weights.size(); i += sizeof(std::uint16_t)) {
        std::uint16_t bits;
        std::memcpy(&bits, weights.data() + i, sizeof bits);
        if (std::uint32_t{bits & 0x7fffu} < least >> 16) bits = 0;
        std::memcpy(weights.data() + i, &bits, sizeof bits);
    }
}

}  // namespace

PackedMatrix::PackedMatrix(const Tensor& matrix, const Tensor* bias, std::size_t gates, std::size_t first,
                           std::size_t count, bool exact)
    : type_(matrix.type),
      rounds_(type_ == WeightType::int8 || (type_ == WeightType::bf16 && !exact)),
      rows_(matrix.rows),
      panels_(count * round_up(matrix.columns / gates, kPanel) / kPanel),
      scales_(type_ == WeightType::int8 ? padded_columns() : 0),
      bias_(padded_columns()) {
    const std::size_t units = matrix.columns / gates;
    switch (type_) {
        case WeightType::f32: weights_ = pack<float>(matrix, units, first, count, panels_); break;
        case WeightType::bf16: weights_ = pack<std::uint16_t>(matrix, units, first, count, panels_); break;
        case WeightType::int8: weights_ = pack<std::int8_t>(matrix, units, first, count, panels_); break;
    }
    if (type_ == WeightType::bf16 && rounds_) drop_least(weights_);
    for (std::size_t i = 0; i < count * units; ++i) {
        const std::size_t to = packed_column(i / units, i % units, count), from = first * units + i;
        if (bias) bias_[to] = bias->value<float>(from);
        if (type_ == WeightType::int8) scales_[to] = matrix.scale(from);
    }
}

void PackedMatrix::apply(const kernels::KernelTable& kernels, const Input& input, std::size_t lanes, float* z,
                         std::size_t z_stride, float* scratch) const {
    for (std::size_t i = 0; i < lanes; ++i) std::copy_n(bias_.data(), bias_.size(), z + i * z_stride);
    if (input.ids) return kernels.gather(view(kernels), panels_, input.ids, input.stride, lanes, z, z_stride);
    const std::size_t rows = rounds_ ? kApplyRows : lanes;
    for (std::size_t i = 0; i < lanes; i += rows)
        kernels.gemm(view(kernels), panels_, input.x + i * input.stride, input.stride, std::min(rows, lanes - i),
                     z + i * z_stride, z_stride, scratch);
}

}  // namespace lstmgen
