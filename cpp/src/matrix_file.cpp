// Reads packed matrices from a file and writes them. The packing itself is in packed_matrix.cpp.
#include <cstring>

#include "packed_matrix.hpp"

namespace lstmgen {

using kernels::WeightType;

void read_matrix(Container& file, std::initializer_list<PackedMatrix*> matrices) {
    const auto put = [&](std::size_t row, std::size_t n, const std::byte* bytes) {
        for (PackedMatrix* const matrix : matrices) matrix->put(row, n, bytes);
    };
    file.rows(RowSink(put));
    std::vector<float> scales;  // (columns) of the matrix in the file
    if ((*matrices.begin())->type() == WeightType::int8) scales = file.floats();
    for (PackedMatrix* const matrix : matrices) matrix->finish(scales);
}

void PackedMatrix::get(std::size_t row, std::byte* bytes) const {
    const std::size_t size = Tensor::bytes_of(type_), interleaved = layout_.interleaved_rows;
    for (std::size_t i = 0; i < count_ * units_; ++i) {
        const std::size_t packed = packed_column(i / units_, i % units_, count_);
        const kernels::Place place = kernels::place_of(packed / kernels::kPanel, layout_, rows_, panels_);
        const std::size_t at =
            place.at + row / interleaved * place.step + packed % kernels::kPanel * interleaved + row % interleaved;
        std::memcpy(bytes + (first_ * units_ + i) * size, weights_.data() + at * size, size);
    }
}

// Returns the numbers (count * units) of the gates in this matrix, in the order of Keras.
std::vector<float> PackedMatrix::columns(const AlignedBuffer<float>& packed) const {
    std::vector<float> values(count_ * units_);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = packed[packed_column(i / units_, i % units_, count_)];
    return values;
}

void write_matrix(ArrayWriter& file, std::initializer_list<const PackedMatrix*> matrices) {
    const PackedMatrix& first = **matrices.begin();
    std::vector<std::byte> row(first.row_bytes());  // a row of all gates
    for (std::size_t k = 0; k < first.rows(); ++k) {
        for (const PackedMatrix* const matrix : matrices) matrix->get(k, row.data());
        if (k == 0)
            file.array(row.data(), row.size());
        else
            file.more(row.data(), row.size());
    }
    if (first.type() != WeightType::int8) return;
    file.array(nullptr, 0);
    for (const PackedMatrix* const matrix : matrices) {
        const std::vector<float> scales = matrix->scales();
        file.more(scales.data(), scales.size() * sizeof(float));
    }
}

}  // namespace lstmgen
