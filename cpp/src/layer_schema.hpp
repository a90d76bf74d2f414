// The table of layer types, with one row for each. The container reads keys, arrays and shapes by
// the row, and the network makes the layer by it. Section 4 of docs/format.md says the same in
// words.
//
// A new type needs a row in layer_schema.cpp, and a class in layers/ with the function that makes
// it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <vector>

#include "description.hpp"
#include "gguf.hpp"

namespace lstmgen {

class Layer;
class LayerArrays;

/// A key of a layer, and the member that its value goes into.
struct LayerKey {
    enum class Kind : unsigned char { size, activation, flag, number };

    constexpr LayerKey(const char* key, std::size_t LayerDescription::* to, std::uint32_t least, std::uint32_t greatest)
        : name(key), kind(Kind::size), size(to), low(least), high(greatest) {}
    constexpr LayerKey(const char* key, Activation LayerDescription::* to)
        : name(key), kind(Kind::activation), activation(to) {}
    constexpr LayerKey(const char* key, bool LayerDescription::* to) : name(key), kind(Kind::flag), flag(to) {}
    constexpr LayerKey(const char* key, double LayerDescription::* to) : name(key), kind(Kind::number), number(to) {}

    const char* name;
    Kind kind;
    union {
        std::size_t LayerDescription::* size;  // in [low, high]
        Activation LayerDescription::* activation;
        bool LayerDescription::* flag;
        double LayerDescription::* number;  // finite
    };
    std::uint32_t low = 0, high = 0;
};

/// The rows or columns of an array: a size of the layer times a number of gates. A null `of` is the
/// one row of a vector.
struct ArraySize {
    std::size_t LayerDescription::* of;
    std::size_t gates = 1;
};

/// An array of a layer: (rows, columns), or (columns) for a vector.
struct LayerArray {
    const char* name;
    ArraySize rows, columns;
    bool LayerDescription::* only_if = nullptr;  // the array exists only if this flag is set

    constexpr bool matrix() const { return rows.of != nullptr; }
};

/// Properties of types, besides their keys, arrays and shapes: bits of LayerType::traits.
namespace trait {
enum Trait : unsigned {
    recurrent = 1,      ///< it carries a state from step to step; every network has such a layer
    pooling = 2,        ///< it makes one vector of all steps, and carries a summary of them
    has_cell = 4,       ///< its state has a second part as large as its output: c of an LSTM
    whole = 8,          ///< it needs all time steps at once
    merge = 16,         ///< all its inputs have the same role; without it, a second input is a mask
    embeds = 32,        ///< it reads ids, and only from the network's input
    compares_ids = 64,  ///< it may read ids
    activates = 128,    ///< the activation is its last operation
};
}

/// The kind of value that the first input of a layer must be.
enum class Reads : unsigned char { any, sequence, vector };

using LayerMaker = std::unique_ptr<Layer>(const LayerDescription&, LayerArrays&);

/// All that the shape of a layer's value depends on.
struct ShapeQuestion {
    const LayerDescription& layer;
    const std::vector<Shape>& given;  // (inputs)
    std::size_t window;               // time steps of the network's input; 0: not fixed
    bool& fixed_steps;                // becomes true if the answer holds only for `window` steps
};

/// A row of the schema.
struct LayerType {
    const char* name;
    std::uint8_t traits;
    std::uint8_t least_inputs, most_inputs;
    Reads reads;
    Shape (*gives)(const ShapeQuestion&);
    std::initializer_list<LayerKey> keys;
    std::initializer_list<LayerArray> arrays;
    LayerMaker* make;

    constexpr bool has(trait::Trait trait) const { return traits & trait; }
    /// Returns whether its state is carried from step to step.
    constexpr bool stateful() const { return traits & (trait::recurrent | trait::pooling); }
    /// Returns whether it multiplies its first input with a matrix. Then ids can stand for one-hot
    /// vectors.
    bool multiplies() const;
    bool has_key(std::string_view key) const;
};

/// Returns the row of this name, or null.
const LayerType* find_layer_type(std::string_view name);

/// Reads the keys of a layer. Its type is set before.
void take_layer_keys(gguf::Keys& keys, LayerDescription& layer);

/// Sets `shape`, `input_sizes`, `input_size` and `arrays` of a layer from the shapes `given` of its
/// inputs. Its matrices have numbers of the type `matrices`. Sets `fixed_steps` if this holds only
/// for `window` steps.
void describe_layer(LayerDescription& layer, const std::vector<Shape>& given, kernels::WeightType matrices,
                    std::size_t window, bool& fixed_steps);

}  // namespace lstmgen
