// A graph of layers, made from a checked description. It is immutable, and all sessions and threads
// share it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "layers/layer.hpp"
#include "lstmgen/lstmgen.hpp"

namespace lstmgen {

/// Stands for no element in place of an id. A vector of zeros enters for it.
constexpr std::uint32_t kNoElement = kernels::kNoRow;

/// What is read from a network.
enum class Read {
    output,  ///< its output, as Keras gives it
    logits,  ///< ln of the output up to a constant
};

class Network {
public:
    /// Reads the arrays of the file. `test` becomes the self-test, which the caller runs. The
    /// network runs with `kernels`. Long work of it asks `keep_going`.
    Network(Container& file, SelfTest& test, const kernels::KernelTable& kernels, Continue keep_going);

    const ModelInfo& info() const noexcept { return info_; }
    const kernels::KernelTable& kernels() const noexcept { return kernels_; }
    const Continue& keep_going() const noexcept { return keep_going_; }
    /// Returns the layers. Each comes after those that it reads. The last gives the output.
    const std::vector<std::unique_ptr<Layer>>& layers() const noexcept { return layers_; }
    /// Returns the indices of the layers with state, and of the layers that these read, directly or
    /// through others.
    const std::vector<std::size_t>& body() const noexcept { return body_; }
    /// Returns the indices of the other layers. They run only when the output is read.
    const std::vector<std::size_t>& tail() const noexcept { return tail_; }
    /// Returns whether layer i has state, or reads a layer with state, directly or through others.
    bool after_recurrent(std::size_t i) const noexcept { return after_recurrent_[i]; }

    /// Returns whether the k-th input of a layer, which is the network's input, is read as ids.
    bool reads_ids(const Layer& layer, std::size_t k) const noexcept;
    /// Returns whether `encode` must turn ids into numbers.
    bool needs_encoding() const noexcept { return needs_encoding_; }
    /// row (input_size) = the numbers that enter for an element, or for kNoElement.
    void encode(std::uint32_t id, float* row) const;

    /// Returns the bytes of a file of this network.
    std::string file() const;

    /// Returns the layer whose output `finish` takes.
    std::size_t output_layer(Read what) const noexcept;
    /// y (outputs) = the output or the logits, from `row` (outputs) of that layer.
    void finish(const float* row, Read what, float* y) const;

private:
    /// What the last layer gives: a softmax, logits, or other numbers that are taken for
    /// probabilities.
    enum class OutputKind { softmax, logits, other };

    /// Sets body_, tail_ and after_recurrent_.
    void split_layers();

    ModelInfo info_;
    const kernels::KernelTable& kernels_;
    Continue keep_going_;
    std::vector<std::unique_ptr<Layer>> layers_;  // (layers)
    std::vector<std::size_t> body_, tail_;        // (layers of each), their numbers
    std::vector<unsigned char> after_recurrent_;  // (layers)
    std::string file_prefix_;                     // bytes of the file before its arrays
    std::size_t checksum_at_ = 0;                 // position of the checksum in them
    bool needs_encoding_ = false;
    OutputKind output_kind_ = OutputKind::other;
};

}  // namespace lstmgen
