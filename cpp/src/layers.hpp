// Layers: what each does with the lanes, or rows, that it is given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "activations.hpp"
#include "container.hpp"
#include "kernels/kernel_table.hpp"
#include "lanes.hpp"
#include "state.hpp"

namespace lstmgen {

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
    std::size_t saved_size() const noexcept;  // bytes
    void save(const Output& lane, StateWriter& out) const noexcept;
    void load(StateReader& in, const Output& lane) const;

    /// Floats a row of input_product; 0: there is none.
    virtual std::size_t product_size() const noexcept { return 0; }
    /// The part of a recurrent layer's step that depends on its first input only, for many steps at once.
    virtual void input_product(const kernels::KernelTable&, const Input&, std::size_t /*rows*/, float* /*z*/,
                               float* /*scratch*/) const {}

    /// Writes the arrays that it was made of.
    virtual void write(ArrayWriter&) const {}

    virtual void rearrange(const Sequence<const float>& /*in*/, std::size_t /*lanes*/,
                           const Sequence<float>& /*out*/) const {}

private:
    std::vector<std::size_t> inputs_;
    std::size_t input_size_;
    Shape shape_;
    bool whole_;
};

/// Reads the layer's arrays, the next ones of the file.
std::unique_ptr<Layer> make_layer(const kernels::KernelTable& kernels, const LayerDescription& d, Container& file);

}  // namespace lstmgen
