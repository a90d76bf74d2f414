// Evaluates complete sequences, many steps at a time. predict uses it, and so do generators of
// networks that need whole windows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "aligned.hpp"
#include "asking.hpp"
#include "network.hpp"

namespace lstmgen {

/// Each lane holds one sequence. Values of all steps have the shape (steps, lanes, numbers): the
/// row of a lane at a step is step * lanes + lane.
class SequenceEvaluator {
public:
    /// Makes an evaluator for up to `lanes` sequences at once and up to `steps` time steps in a
    /// call, of features if `features`, else of ids. `exact` means that numbers are not rounded
    /// before they are multiplied with matrices of bf16. Throws Error if the memory exceeds
    /// kMaxBytes. The network and `keep_going`, which `run` asks, must outlive the evaluator.
    /// Nothing allocates after construction.
    SequenceEvaluator(const Network& network, std::size_t lanes, std::size_t steps, bool features,
                      const Continue& keep_going, bool exact = false);

    /// Returns the floats of working memory that an evaluator takes. It is a double, since the
    /// greatest sizes do not fit 64 bits.
    static double size(const Network& network, std::size_t lanes, std::size_t steps, bool features);
    /// Returns about how many multiply-adds `steps` steps of one lane take.
    static double work(const Network& network, std::size_t steps);

    /// Returns about how many multiply-adds were done or begun, if there is a `keep_going`.
    double done() const noexcept { return asking_.done(); }

    /// Returns to the zero state, for `lanes` sequences from now on.
    void reset(std::size_t lanes);

    /// Runs the next steps of all lanes. Lane i reads `ids` (lanes, stride), of which the first
    /// `steps` columns count. The state is carried from call to call, except that a network with
    /// info().whole takes all steps in one call. Layers that only the output needs are run if
    /// `last`.
    void run(const std::uint32_t* ids, std::size_t stride, std::size_t steps, bool last, Read what);
    /// Does the same with `x` (lanes, stride), of which the first steps * input_size columns count:
    /// (steps, input_size) for each lane.
    void run(const float* x, std::size_t stride, std::size_t steps, bool last, Read what);

    /// Returns the time steps of the output of the last call.
    std::size_t output_steps() const noexcept { return steps_of(network_.layers().back()->shape()); }
    /// y (outputs) = step `t` of a lane's output, of the kind that the last call asked for.
    void read(std::size_t lane, std::size_t t, float* y) const;

private:
    /// The numbers of one layer.
    struct Buffers {
        AlignedBuffer<float> y;      // (slabs, lanes, stride); see slabs in sequence.cpp
        AlignedBuffer<float> c;      // (lanes, stride), if the layer has a cell
        AlignedBuffer<double> sums;  // (lanes, sums_size)
    };

    std::size_t steps_of(const Shape& shape) const noexcept { return shape.steps_for(steps_); }
    void run_layers(std::size_t steps, bool last, Read what);
    void run_recurrent(std::size_t i);
    void rearrange(std::size_t i);
    /// Returns the k-th input of a layer, from the first step on.
    Input input(const Layer& layer, std::size_t k) const;
    /// Returns the output of layer i: (steps, lanes, stride).
    const float* value(std::size_t i) const noexcept;

    const Network& network_;
    kernels::KernelTable kernels_;
    std::vector<Buffers> buffers_;  // (layers)
    bool features_;
    Asking asking_;
    std::vector<std::uint32_t> ids_;  // (steps, lanes), the input of the call; empty with features
    AlignedBuffer<float> numbers_;    // (steps, lanes, input_size), if a layer reads numbers
    AlignedBuffer<float> scratch_;    // (scratch_size), working memory of one layer's step
    AlignedBuffer<float> product_;    // (rows up to kProductRows, product_size of a layer)
    std::size_t lanes_ = 0;           // since the last reset
    std::size_t steps_ = 0;           // of the last call, as what_
    Read what_ = Read::output;
};

}  // namespace lstmgen
