// What a network is: its layers, their inputs and shapes, and their arrays. The container fills
// this in from a file and checks it. The rest of the library relies on it.
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

// The limits of a file (docs/format.md, section 5).
constexpr std::uint32_t kMaxSize = 1 << 20;   // numbers in one step of any value, elements, ids
constexpr std::uint32_t kMaxSteps = 1 << 16;  // time steps of any value, elements of a prime
constexpr std::size_t kMaxLayers = 256;
constexpr std::size_t kMaxInputs = 64;  // of one layer

/// Returns whether an element enters as one number.
constexpr bool is_number(Encoding encoding) { return encoding == Encoding::scaled || encoding == Encoding::raw; }

/// Returns whether the elements of a file are its inputs. For other networks they are the outputs,
/// but the outputs of a classifier or predictor are not elements.
inline bool counts_inputs(const ModelInfo& info) { return info.predictor || !info.labels.empty(); }
/// Returns the number of elements of a vocabulary: n in docs/format.md, section 3.
inline std::size_t element_count(const ModelInfo& info) { return counts_inputs(info) ? info.input_size : info.outputs; }
/// Returns the limit of ids that may enter. An embedding may have more ids than there are elements.
inline std::size_t id_limit(const ModelInfo& info) { return is_number(info.encoding) ? info.outputs : info.input_size; }

/// The shape of a layer's value for one lane: (size), or (steps, size) if it is a sequence.
struct Shape {
    std::size_t size = 0;
    bool sequence = true;
    std::size_t steps = 0;  // time steps of a sequence; 0: as many as the network's input has

    /// Returns the time steps of the value if the network's input has `input_steps`. A vector
    /// counts as one step.
    std::size_t steps_for(std::size_t input_steps) const noexcept {
        return !sequence ? 1 : steps > 0 ? steps : input_steps;
    }
};

/// An array of a layer, as the file stores it.
struct ArrayDescription {
    std::string_view name;  // such as "kernel"; static, from the row of the layer type
    Tensor tensor;          // its shape and type
    bool matrix = false;    // the scales of the columns follow a matrix of int8
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
    std::vector<std::size_t> sources;      // (inputs): 0 is the network's input, j + 1 is layer j
    std::vector<std::size_t> input_sizes;  // (inputs), numbers in a step of each
    std::size_t input_size = 0;            // of the first input; number of ids for an embedding
    Shape shape;                           // of its value
    ArrayList arrays;
    // Whether it reads numbers of the network's input. They may need more bits than bf16 has.
    bool raw = false;

    // The values of keys. The row of a type in the schema names those that it has.
    std::size_t units = 0, steps = 0;
    Activation activation = Activation::linear, recurrent_activation = Activation::sigmoid;
    bool return_sequences = false, reset_after = false;
    double epsilon = 0.0, value = 0.0;
    double negative_slope = 0.0, threshold = 0.0, max_value = 0.0;
};

/// An input in a file, and the output that the network must give for it.
struct SelfTest {
    std::vector<std::uint32_t> ids;  // (steps), unless the network reads features
    std::vector<float> features;     // (steps, input_size), if it does
    std::size_t steps = 0;
    std::vector<double> output;  // (outputs)
    double tolerance = 0.0;      // the greatest difference allowed
};

}  // namespace lstmgen
