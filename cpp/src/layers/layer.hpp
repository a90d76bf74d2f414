// The base class of all layers. A layer computes its value for several lanes at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "activations.hpp"
#include "description.hpp"
#include "kernels/kernel_table.hpp"
#include "lanes.hpp"
#include "layer_schema.hpp"
#include "layers/layer_arrays.hpp"
#include "state.hpp"

namespace lstmgen {

class Layer {
public:
    /// The function of a layer that needs all time steps. It turns the whole sequence of each lane
    /// into another one.
    using Rearrange = void(const Layer& layer, const Sequence<const float>& in, std::size_t lanes,
                           const Sequence<float>& out);

    explicit Layer(const LayerDescription& d, Rearrange* rearrange = nullptr);
    virtual ~Layer();

    /// Returns the values that it reads: 0 is the network's input, j + 1 is layer j.
    const std::vector<std::size_t>& sources() const noexcept { return sources_; }
    std::size_t input_size() const noexcept { return input_size_; }
    const Shape& shape() const noexcept { return shape_; }
    std::size_t outputs() const noexcept { return shape_.size; }
    /// Returns the floats from one lane to the next in this layer's output.
    std::size_t stride() const noexcept { return round_up(outputs(), kernels::kPanel); }
    /// Returns about how many multiply-adds one step of one lane takes. Other operations, which
    /// may be functions in double, count as 16.
    double work() const noexcept { return work_; }
    /// Returns the bytes of the weights in memory.
    std::size_t nbytes() const noexcept { return nbytes_; }

    /// Returns whether a step needs the state of the step before.
    bool stateful() const noexcept { return type_.stateful(); }
    /// Returns whether it needs all time steps at once. Then it has `rearrange` instead of `step`.
    bool whole() const noexcept { return type_.has(trait::whole); }
    /// Returns whether the first input may be ids.
    bool reads_ids() const noexcept { return type_.multiplies(); }
    /// Returns whether the state has the second part c (stride).
    bool has_cell() const noexcept { return type_.has(trait::has_cell); }
    /// Returns the doubles of state of one lane, besides y and c. A new state is all zeros.
    std::size_t sums_size() const noexcept { return sums_size_; }

    /// Returns the floats of working memory that one step of `lanes` lanes needs. `period`, at
    /// least 1, is the greatest period of the inputs.
    virtual std::size_t scratch_size(std::size_t lanes, std::size_t period) const noexcept;

    /// Advances `lanes` lanes by one time step. `in` has an element for each of sources().
    /// `scratch` has scratch_size(lanes, period) floats.
    virtual void step(const kernels::KernelTable& kernels, const Input* in, std::size_t lanes, const Output& out,
                      float* scratch) const;

    /// Returns the floats of one row of input_product; 0: the layer has none.
    std::size_t product_size() const noexcept { return product_size_; }
    /// Computes the part of a recurrent layer's step that depends only on its first input, for many
    /// steps at once: z (rows, product_size), in packed order. `scratch` is that of a step of
    /// `rows` lanes.
    virtual void input_product(const kernels::KernelTable& kernels, const Input& in, std::size_t rows, float* z,
                               float* scratch) const;

    /// Turns the sequences `in` into `out`, in a layer with whole().
    void rearrange(const Sequence<const float>& in, std::size_t lanes, const Sequence<float>& out) const {
        rearrange_(*this, in, lanes, out);
    }

    /// Writes the arrays of the layer as the file had them.
    virtual void write(ArrayWriter& file) const;

    /// Returns the bytes that `save` writes.
    std::size_t saved_size() const noexcept;
    /// Saves the state of one lane. A layer that is not stateful saves nothing.
    void save(const ConstOutput& lane, StateWriter& out) const noexcept;
    void load(StateReader& in, const Output& lane) const;

protected:
    std::size_t nbytes_ = 0;
    std::size_t sums_size_ = 0;
    std::size_t product_size_ = 0;

private:
    const LayerType& type_;
    Rearrange* rearrange_;
    std::vector<std::size_t> sources_;  // (inputs): 0 is the network's input, j + 1 is layer j
    std::size_t input_size_;
    Shape shape_;
    double work_;
};

}  // namespace lstmgen
