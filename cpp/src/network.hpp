// A checked description -> a graph of layers. Immutable: shared by all sessions and threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "layers/layer.hpp"
#include "lstmgen/lstmgen.hpp"

namespace lstmgen {

/// What stands for no element among ids: a vector of zeros enters for it.
constexpr std::uint32_t kNoElement = kernels::kNoRow;

enum class Read {
    output,  ///< what the network puts out
    logits,  ///< numbers whose softmax is proportional to the output; the output itself is normalised so
};

class Network {
public:
    /// Reads the arrays of the file, and what is to be checked. The kernels are those that will run
    /// it.
    Network(Container& file, SelfTest& test, const kernels::KernelTable& kernels);

    const ModelInfo& info() const noexcept { return info_; }
    const kernels::KernelTable& kernels() const noexcept { return kernels_; }
    /// Each after those that it reads; the last gives the output.
    const std::vector<std::unique_ptr<Layer>>& layers() const noexcept { return layers_; }
    /// Indices of the layers that are recurrent or are read, by way of others, by a recurrent one.
    const std::vector<std::size_t>& body() const noexcept { return body_; }
    /// Indices of the others, which matter only when the output is read.
    const std::vector<std::size_t>& tail() const noexcept { return tail_; }
    /// Whether layer i reads, by way of others, a recurrent one, or is one.
    bool after_recurrent(std::size_t i) const noexcept { return after_recurrent_[i]; }

    /// Whether the k-th input of a layer, which is the network's, is read as ids.
    bool reads_ids(const Layer& layer, std::size_t k) const noexcept;
    /// Whether ids must be turned into numbers, by `encode`.
    bool needs_encoding() const noexcept { return needs_encoding_; }
    /// row (input_size) = the numbers that stand for an element, or for kNoElement.
    void encode(std::uint32_t id, float* row) const;

    /// The bytes of the file that it was read from.
    std::string file() const;

    /// The layer whose output `finish` takes.
    std::size_t output_layer(Read what) const noexcept;
    /// y (outputs) = what is asked for, from a row of that layer.
    void finish(const float* row, Read what, float* y) const;

private:
    enum class OutputKind { softmax, logits, other };

    void split_layers();

    ModelInfo info_;
    const kernels::KernelTable& kernels_;
    std::vector<std::unique_ptr<Layer>> layers_;
    std::vector<std::size_t> body_, tail_;
    std::vector<unsigned char> after_recurrent_;
    std::string file_prefix_;
    std::size_t checksum_at_ = 0;
    bool needs_encoding_ = false;
    OutputKind output_kind_ = OutputKind::other;
};

}  // namespace lstmgen
