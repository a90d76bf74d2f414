// What a layer type is: one row of a table for each. The container reads keys, arrays and shapes by
// the row, and the network makes the layer by it. docs/format.md, section 4, says the same in
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

/// The rows or columns of an array: a size of the layer, times a number of gates.
struct ArraySize {
    std::size_t LayerDescription::* of;
    std::size_t gates = 1;
};

/// An array of a layer. A vector has no rows. `only_if`: the array is there if this flag is set.
struct LayerArray {
    const char* name;
    ArraySize rows, columns;
    bool LayerDescription::* only_if = nullptr;

    constexpr bool matrix() const { return rows.of != nullptr; }
};

/// What tells types apart, besides their keys, arrays and shapes. Bits of LayerType::traits.
namespace trait {
enum Trait : unsigned {
    recurrent = 1,      ///< it carries a state from step to step; every network has such a layer
    pooling = 2,        ///< it makes one vector of all steps, and carries what it has seen
    has_cell = 4,       ///< its state has a second part as large as its output: c of an LSTM
    whole = 8,          ///< it needs all time steps at once
    merge = 16,         ///< its inputs are all alike; else a second input is a mask
    embeds = 32,        ///< it reads ids, and nothing but the network's input
    compares_ids = 64,  ///< it may read ids
    activates = 128,    ///< its activation is the last thing that it does
};
}

/// What the first input of a layer must be.
enum class Reads : unsigned char { any, sequence, vector };

using LayerMaker = std::unique_ptr<Layer>(const LayerDescription&, LayerArrays&);

/// What the shape of a layer's value depends on: the layer, and the shapes of its inputs.
/// `fixed_steps` becomes true if the answer holds for `window` steps only.
struct ShapeQuestion {
    const LayerDescription& layer;
    const std::vector<Shape>& given;
    std::size_t window;
    bool& fixed_steps;
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
    /// Whether its state is carried from step to step.
    constexpr bool stateful() const { return traits & (trait::recurrent | trait::pooling); }
    /// Whether its first input is multiplied with a matrix. Then ids can stand for one-hot vectors.
    bool multiplies() const;
    bool has_key(std::string_view key) const;
};

/// The row of this name; nullptr: there is none.
const LayerType* find_layer_type(std::string_view name);

/// Reads the keys of the layer, whose type is set.
void take_layer_keys(gguf::Keys& keys, LayerDescription& layer);

/// Works out what the layer gives from what it reads, one Shape for each input. Sets `shape`,
/// `input_sizes`, `input_size` and `arrays` (of matrices with numbers of the type `matrices`). Sets
/// `fixed_steps` if all this holds for `window` steps only.
void describe_layer(LayerDescription& layer, const std::vector<Shape>& given, kernels::WeightType matrices,
                    std::size_t window, bool& fixed_steps);

}  // namespace lstmgen
