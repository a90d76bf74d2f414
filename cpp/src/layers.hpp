// Layers with packed weights: what each does with the lanes, or rows, that it is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "activations.hpp"
#include "aligned.hpp"
#include "container.hpp"
#include "kernels/kernel_table.hpp"
#include "state.hpp"

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

/// What the lanes of a layer write. All but y and its stride only of recurrent layers.
struct Output {
    float* y = nullptr;  // (lanes, stride), as y_before and c
    std::size_t stride = 0;
    const float* y_before = nullptr;  // y of the step before
    float* c = nullptr;
    double* sums = nullptr;  // (lanes, sums_stride)
    std::size_t sums_stride = 0;

    /// The same from this lane on.
    Output from(std::size_t lane) const noexcept {
        return {y + lane * stride,
                stride,
                y_before ? y_before + lane * stride : nullptr,
                c ? c + lane * stride : nullptr,
                sums ? sums + lane * sums_stride : nullptr,
                sums_stride};
    }
};

/// A sequence or vector of several lanes: row t * lanes + lane is step t of a lane.
template <class T>
struct Sequence {
    T* x = nullptr;
    std::size_t stride = 0;  // from one row to the next
    std::size_t steps = 1;
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

class Layer {
public:
    explicit Layer(const LayerDescription& d)
        : inputs_(d.inputs), input_size_(d.input_size), shape_(d.shape), whole_(is_whole(d.type)) {}
    virtual ~Layer() = default;

    /// What it reads: 0 for the network's input, j + 1 for layer j.
    const std::vector<std::size_t>& inputs() const noexcept { return inputs_; }
    std::size_t input_size() const noexcept { return input_size_; }
    const Shape& shape() const noexcept { return shape_; }
    std::size_t outputs() const noexcept { return shape_.size; }
    /// Floats from one lane to the next in this layer's output.
    std::size_t stride() const noexcept { return round_up(outputs(), kernels::kPanel); }

    /// Whether step needs the state of the step before.
    virtual bool recurrent() const noexcept { return false; }
    /// Whether it needs all time steps at once: `rearrange` instead of `step`.
    bool whole() const noexcept { return whole_; }
    /// Whether the first input may be ids.
    virtual bool reads_ids() const noexcept { return false; }
    virtual std::size_t nbytes() const noexcept { return 0; }
    /// Floats of working memory that one step of so many lanes needs, whose inputs have at most this period, 1 or more.
    virtual std::size_t scratch_size(std::size_t /*lanes*/, std::size_t /*period*/) const noexcept { return 0; }
    /// Doubles of state a lane; the state of a lane that starts is all zeros.
    virtual std::size_t sums_size() const noexcept { return 0; }
    virtual bool has_c() const noexcept { return false; }

    /// Advances `lanes` lanes by one time step. `in` has an element for each of inputs().
    virtual void step(const kernels::KernelTable&, const Input* /*in*/, std::size_t /*lanes*/, const Output& /*out*/,
                      float* /*scratch*/) const {}

    /// The state of one lane, which a layer that is not recurrent lacks.
    void save(const Output& lane, StateWriter& out) const noexcept;
    void load(StateReader& in, const Output& lane) const;

    /// Floats a row of input_product; 0: there is none.
    virtual std::size_t product_size() const noexcept { return 0; }
    /// The part of a recurrent layer's step that depends on its first input only, for many steps at once.
    virtual void input_product(const kernels::KernelTable&, const Input&, std::size_t /*rows*/, float* /*z*/,
                               float* /*scratch*/) const {}

    virtual void rearrange(const Sequence<const float>& /*in*/, std::size_t /*lanes*/,
                           const Sequence<float>& /*out*/) const {}

private:
    std::vector<std::size_t> inputs_;
    std::size_t input_size_;
    Shape shape_;
    bool whole_;
};

std::unique_ptr<Layer> make_layer(const LayerDescription& d);

}  // namespace lstmgen
