// What a network is: its layers, what they read and give, and the arrays that they are made of. The
// container fills this in from a file and checks it; the rest of the library believes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "activations.hpp"
#include "lstmgen/lstmgen.hpp"
#include "tensor.hpp"

namespace lstmgen {

struct LayerType;  // layer_schema.hpp

// The greatest numbers that a file may hold (docs/format.md, section 5).
constexpr std::uint32_t kMaxSize = 1 << 20;   // numbers of one step of any value, elements, ids
constexpr std::uint32_t kMaxSteps = 1 << 16;  // time steps of any value, elements of a prime
constexpr std::size_t kMaxLayers = 256;
constexpr std::size_t kMaxInputs = 64;  // of one layer

/// Whether an element enters as one number.
constexpr bool is_number(Encoding encoding) { return encoding == Encoding::scaled || encoding == Encoding::raw; }

/// Whether the ids of a file count inputs. Outputs of a classifier or predictor are no elements.
inline bool counts_inputs(const ModelInfo& info) { return info.predictor || !info.labels.empty(); }
/// Elements of the vocabulary, if there is one: n of docs/format.md, section 3.
inline std::size_t element_count(const ModelInfo& info) { return counts_inputs(info) ? info.input_size : info.outputs; }
/// Ids that may enter are below it. An embedding may have more ids than there are elements.
inline std::size_t id_limit(const ModelInfo& info) { return is_number(info.encoding) ? info.outputs : info.input_size; }

/// The value of a layer: `size` numbers, once (a vector) or at each step.
struct Shape {
    std::size_t size = 0;
    bool sequence = true;
    std::size_t steps = 0;  // time steps of a sequence; 0: as many as the network's input has

    /// Time steps of the value when the network's input has `input_steps`. A vector counts as one
    /// step.
    std::size_t steps_for(std::size_t input_steps) const noexcept {
        return !sequence ? 1 : steps > 0 ? steps : input_steps;
    }
};

/// An array of a layer, as the file stores it.
struct ArrayDescription {
    std::string_view name;  // such as "kernel"; of a layer type, so that it lives for ever
    Tensor tensor;
    bool matrix = false;  // a matrix of int8 is followed by the scales of its columns
};

/// The arrays of one layer, in the order of the file.
struct ArrayList {
    static constexpr std::size_t kMost = 4;

    void add(const ArrayDescription& array) { items[count++] = array; }
    const ArrayDescription* begin() const noexcept { return items; }
    const ArrayDescription* end() const noexcept { return items + count; }

    ArrayDescription items[kMost];
    std::size_t count = 0;
};

struct LayerDescription {
    const LayerType* type = nullptr;
    std::string name;
    std::vector<std::size_t> sources;  // 0: the network's input, j + 1: layer j
    std::vector<std::size_t> input_sizes;
    std::size_t input_size = 0;  // of the first input; the number of ids for an embedding
    Shape shape;
    ArrayList arrays;
    bool raw = false;  // it reads numbers of the network's input, which may need more bits than bf16 has

    // The values of keys. A type's row of the schema names those that it has.
    std::size_t units = 0, steps = 0;
    Activation activation = Activation::linear, recurrent_activation = Activation::sigmoid;
    bool return_sequences = false, reset_after = false;
    double epsilon = 0.0, value = 0.0;
    double negative_slope = 0.0, threshold = 0.0, max_value = 0.0;
};

/// What a file says that its network gives for some input.
struct SelfTest {
    std::vector<std::uint32_t> ids;  // (steps), or
    std::vector<float> features;     // (steps, input_size)
    std::size_t steps = 0;
    std::vector<double> output;  // (outputs)
    double tolerance = 0.0;
};

}  // namespace lstmgen
