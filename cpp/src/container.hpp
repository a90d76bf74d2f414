// The file: GGUF bytes -> checked description. The only code that touches untrusted bytes (but for states, state.hpp);
// docs/format.md is its specification.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "activations.hpp"
#include "aligned.hpp"
#include "lstmgen/lstmgen.hpp"
#include "tensor.hpp"

namespace lstmgen {

enum class LayerType {
    embedding,
    lstm,
    gru,
    simple_rnn,
    dense,
    affine,
    layer_norm,
    activation,
    prelu,
    rectifier,
    mask,
    concatenate,
    add,
    subtract,
    multiply,
    average,
    maximum,
    minimum,
    attention_pool,
    average_pool,
    max_pool,
    reverse,
    reshape,
    repeat,
    transpose,
};

std::string_view layer_type_name(LayerType type);

constexpr bool is_recurrent(LayerType t) { return t >= LayerType::lstm && t <= LayerType::simple_rnn; }
constexpr bool is_merge(LayerType t) { return t >= LayerType::concatenate && t <= LayerType::minimum; }
constexpr bool is_pooling(LayerType t) { return t >= LayerType::attention_pool && t <= LayerType::max_pool; }
/// Whether a layer of this type needs all time steps at once.
constexpr bool is_whole(LayerType t) { return t >= LayerType::reverse; }

constexpr std::size_t kMaxInputs = 64;  // of one layer

/// What a layer puts out: `size` numbers, once (a vector) or at each step.
struct Shape {
    std::size_t size = 0;
    bool sequence = true;
    std::size_t steps = 0;  // of a sequence; 0: as many as the network's input has
};

struct LayerDescription {
    LayerType type{};
    std::string name;
    std::vector<std::size_t> inputs;  // 0: the network's input, j + 1: layer j
    std::vector<std::size_t> input_sizes;
    std::size_t input_size = 0;  // of the first of them; the number of ids for an embedding
    Shape shape;
    Activation activation = Activation::linear, recurrent_activation = Activation::sigmoid;
    bool return_sequences = false, reset_after = false;
    bool raw = false;  // it reads numbers of the network's input, which may need more bits than bf16 has
    double epsilon = 0.0, value = 0.0;
    double negative_slope = 0.0, threshold = 0.0, max_value = 0.0;
    std::vector<Tensor> tensors;  // in the order of the specification
};

struct SelfTest {
    std::vector<std::uint32_t> ids;
    std::vector<float> features;
    std::size_t steps = 0;
    std::vector<double> output;
    double tolerance = 0.0;
};

/// Everything in a model file. The tensors point into `bytes`, or into the memory that was read, which must live as
/// long.
struct Container {
    ModelInfo info;
    std::vector<LayerDescription> layers;
    SelfTest self_test;
    AlignedBuffer<std::byte> bytes;  // of a file that was read from a path
};

/// Both throw Error: code io if the file cannot be read, code format if anything in it breaks the specification.
Container read_container(const std::string& path);
Container read_container(const void* data, std::size_t size, const std::string& name);

}  // namespace lstmgen
