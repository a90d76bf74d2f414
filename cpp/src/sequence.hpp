// Complete sequences, many steps at a time: what predict runs, and generators of networks that need
// whole windows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "aligned.hpp"
#include "network.hpp"

namespace lstmgen {

class SequenceEvaluator {
public:
    /// For up to `lanes` sequences at once, up to `steps` time steps a call, of ids or of
    /// `features`. Throws Error if they take over 4 GiB. The network must outlive the evaluator.
    /// Nothing allocates after construction. `exact`: what matrices of bf16 are multiplied with is
    /// not rounded.
    SequenceEvaluator(const Network& network, std::size_t lanes, std::size_t steps, bool features, bool exact = false);

    /// Floats of working memory that it takes. A double, since the greatest sizes do not fit 64
    /// bits.
    static double size(const Network& network, std::size_t lanes, std::size_t steps, bool features);

    /// Back to the zero state, for so many sequences.
    void reset(std::size_t lanes);

    /// The next steps of these: lane i reads ids[i * stride + t], or input_size features at x + i *
    /// stride + t * input_size. The state is carried from call to call; but a network with
    /// info().whole takes all steps in one call. `last`: what only the output needs is worked out,
    /// too.
    void run(const std::uint32_t* ids, std::size_t stride, std::size_t steps, bool last, Read what);
    void run(const float* x, std::size_t stride, std::size_t steps, bool last, Read what);

    /// Time steps of the output of the last call.
    std::size_t output_steps() const noexcept { return steps_of(network_.layers().back()->shape()); }
    /// y (outputs) = step `t` of a lane's output, as asked for in the last call.
    void read(std::size_t lane, std::size_t t, float* y) const;

private:
    struct Buffers {
        AlignedBuffer<float> y, c;  // y: before the first step, then for each step
        AlignedBuffer<double> sums;
    };

    std::size_t steps_of(const Shape& shape) const noexcept { return shape.steps_for(steps_); }
    void run_layers(std::size_t steps, bool last, Read what);
    void run_recurrent(std::size_t i);
    void rearrange(std::size_t i);
    /// What a layer reads as its k-th input.
    Input input(const Layer& layer, std::size_t k) const;
    const float* value(std::size_t i) const noexcept;

    const Network& network_;
    kernels::KernelTable kernels_;
    std::vector<Buffers> buffers_;
    bool features_;
    std::vector<std::uint32_t> ids_;  // input of the call: row t * lanes + lane
    AlignedBuffer<float> numbers_;
    AlignedBuffer<float> scratch_, product_;
    std::size_t lanes_ = 0;
    std::size_t steps_ = 0;  // this and the next: of the last call
    Read what_ = Read::output;
};

}  // namespace lstmgen
