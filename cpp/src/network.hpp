// A checked description -> layers with packed weights. Immutable: shared by all sessions and threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "activations.hpp"
#include "aligned.hpp"
#include "container.hpp"
#include "kernels/kernel_table.hpp"
#include "lstmgen/lstmgen.hpp"

namespace lstmgen {

/// What the lanes of a layer read: ids, or rows of numbers. A stride of 0 means that all lanes read the same.
struct Input {
    const std::uint32_t* ids = nullptr;
    const float* x = nullptr;
    std::size_t stride = 0;
};

/// What the lanes of a layer write: (lanes, stride) each; c and y_before only of recurrent layers.
struct Output {
    float* y = nullptr;
    const float* y_before = nullptr;  // y of the step before
    float* c = nullptr;
    std::size_t stride = 0;
};

/// A matrix of Keras, (rows, columns), as the kernels want it, with an offset a column (the bias).
class PackedMatrix {
public:
    /// `gates` column groups of equal size are interleaved by blocks of 16, each padded to a multiple of 16.
    PackedMatrix(const Tensor& matrix, const Tensor* bias, std::size_t gates);

    std::size_t panels() const noexcept { return panels_; }
    std::size_t padded_columns() const noexcept { return panels_ * kernels::kPanel; }
    const float* bias() const noexcept { return bias_.data(); }
    kernels::Matrix view() const noexcept;
    std::size_t nbytes() const noexcept { return f32_.nbytes() + bf16_.nbytes() + bias_.nbytes(); }

    /// z (lanes, padded_columns) = bias + input . matrix
    void apply(const kernels::KernelTable& kernels, const Input& input, std::size_t lanes, float* z,
               std::size_t z_stride) const;

private:
    std::size_t rows_, panels_;
    AlignedBuffer<float> f32_;  // one of these two
    AlignedBuffer<std::uint16_t> bf16_;
    AlignedBuffer<float> bias_;
};

class Layer {
public:
    Layer(std::size_t inputs, std::size_t outputs) : inputs_(inputs), outputs_(outputs) {}
    virtual ~Layer() = default;

    std::size_t inputs() const noexcept { return inputs_; }
    std::size_t outputs() const noexcept { return outputs_; }
    /// Floats from one lane to the next in this layer's output.
    std::size_t stride() const noexcept { return round_up(outputs_, kernels::kPanel); }

    virtual bool recurrent() const noexcept { return false; }
    virtual bool reads_ids() const noexcept { return false; }
    virtual std::size_t nbytes() const noexcept { return 0; }
    /// Floats of working memory that one step needs.
    virtual std::size_t scratch_size() const noexcept { return 0; }

    /// Advances `lanes` lanes by one time step.
    virtual void step(const kernels::KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                      float* scratch) const = 0;

private:
    std::size_t inputs_, outputs_;
};

class Network {
public:
    explicit Network(Container container);

    const ModelInfo& info() const noexcept { return info_; }
    const kernels::KernelTable& kernels() const noexcept { return kernels_; }
    const std::vector<std::unique_ptr<Layer>>& layers() const noexcept { return layers_; }
    /// Layers before this one are recurrent or come before a recurrent one; those from here on see only finished lanes.
    std::size_t body_end() const noexcept { return body_end_; }
    /// Whether the last layer is a softmax, so that what enters it are logits.
    bool softmax_head() const noexcept { return softmax_head_; }

private:
    ModelInfo info_;
    const kernels::KernelTable& kernels_;
    std::vector<std::unique_ptr<Layer>> layers_;
    std::size_t body_end_ = 0;
    bool softmax_head_ = false;
};

}  // namespace lstmgen
