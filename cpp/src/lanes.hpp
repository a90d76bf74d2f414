// The buffers that a layer reads and writes in one step.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lstmgen {

/// One input of a layer, for all lanes: ids, or rows of numbers. One of `ids` and `x` is null. Each
/// lane has its own row, or the lanes take `period` rows in turns: then lane i reads row (first +
/// i) % period.
struct Input {
    const std::uint32_t* ids = nullptr;  // (lanes or period, stride), of which column 0 counts
    const float* x = nullptr;            // (lanes or period, stride), input_size columns count
    std::size_t stride = 0;
    std::size_t period = 0;  // 0: a row for each lane
    std::size_t first = 0;
    const float* product = nullptr;  // (lanes, product_stride): Layer::input_product, or null
    std::size_t product_stride = 0;

    /// Returns the row that a lane reads.
    std::size_t row(std::size_t lane) const noexcept { return period > 0 ? (first + lane) % period : lane; }
    /// Returns the numbers (input_size) that a lane reads.
    const float* numbers(std::size_t lane) const noexcept { return x + row(lane) * stride; }

    /// Returns the input of one lane.
    Input only(std::size_t lane) const noexcept {
        return {ids ? ids + row(lane) * stride : nullptr, x ? numbers(lane) : nullptr};
    }
    /// Returns the input of the lanes from this one on.
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

/// Where the lanes of a layer write. Layers without state have only y and its stride. The stride is
/// that of Layer: the outputs, rounded up to a multiple of 16.
struct Output {
    float* y = nullptr;  // (lanes, stride)
    std::size_t stride = 0;
    const float* y_before = nullptr;  // (lanes, stride): y of the step before
    float* c = nullptr;               // (lanes, stride), or null: the cell
    double* sums = nullptr;           // (lanes, sums_stride): the state of pooling
    std::size_t sums_stride = 0;

    /// Returns the output of the lanes from this one on.
    Output from(std::size_t lane) const noexcept {
        return {y + lane * stride,
                stride,
                y_before ? y_before + lane * stride : nullptr,
                c ? c + lane * stride : nullptr,
                sums ? sums + lane * sums_stride : nullptr,
                sums_stride};
    }
};

/// An Output that is only read. Layers without state have only y and its stride.
struct ConstOutput {
    const float* y = nullptr;  // (lanes, stride)
    std::size_t stride = 0;
    const float* c = nullptr;      // (lanes, stride), or null
    const double* sums = nullptr;  // (lanes, sums_stride)
    std::size_t sums_stride = 0;
};

/// Whole sequences of several lanes, or one vector for each.
template <class T>
struct Sequence {
    T* x = nullptr;  // (steps, lanes, stride)
    std::size_t stride = 0;
    std::size_t steps = 1;  // 1 for vectors
};

}  // namespace lstmgen
