// What layers read, and where they write.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lstmgen {

/// What the lanes of a layer read as one of its inputs: ids, or rows of numbers. Each lane has a
/// row of its own, or the lanes take `period` rows in turns: lane i then reads row (first + i) %
/// period.
struct Input {
    const std::uint32_t* ids = nullptr;
    const float* x = nullptr;
    std::size_t stride = 0;
    std::size_t period = 0;  // 0: a row for each lane
    std::size_t first = 0;
    const float* product = nullptr;  // (lanes, product_stride): Layer::input_product, if it is known
    std::size_t product_stride = 0;

    std::size_t row(std::size_t lane) const noexcept { return period > 0 ? (first + lane) % period : lane; }
    /// The numbers that a lane reads.
    const float* numbers(std::size_t lane) const noexcept { return x + row(lane) * stride; }

    /// What one lane reads.
    Input only(std::size_t lane) const noexcept {
        return {ids ? ids + row(lane) * stride : nullptr, x ? numbers(lane) : nullptr};
    }
    /// The same, from this lane on.
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

/// What the lanes of a layer write. Layers without state have y and its stride alone.
struct Output {
    float* y = nullptr;  // (lanes, stride), as y_before and c
    std::size_t stride = 0;
    const float* y_before = nullptr;  // (lanes, stride): y of the step before
    float* c = nullptr;
    double* sums = nullptr;  // (lanes, sums_stride)
    std::size_t sums_stride = 0;

    /// The same, from this lane on.
    Output from(std::size_t lane) const noexcept {
        return {y + lane * stride,
                stride,
                y_before ? y_before + lane * stride : nullptr,
                c ? c + lane * stride : nullptr,
                sums ? sums + lane * sums_stride : nullptr,
                sums_stride};
    }
};

/// The same for reading. Layers without state have y and its stride alone.
struct ConstOutput {
    const float* y = nullptr;  // (lanes, stride), as c
    std::size_t stride = 0;
    const float* c = nullptr;
    const double* sums = nullptr;  // (lanes, sums_stride)
    std::size_t sums_stride = 0;
};

/// Sequences or vectors of several lanes. Row t * lanes + lane is step t of a lane.
template <class T>
struct Sequence {
    T* x = nullptr;
    std::size_t stride = 0;  // from one row to the next
    std::size_t steps = 1;
};

}  // namespace lstmgen
