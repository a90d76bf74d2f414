#include "layer_schema.hpp"

#include <algorithm>

#include "message.hpp"

namespace lstmgen {

// These are defined in layers/, beside the classes that they make.
LayerMaker make_embedding, make_lstm, make_gru, make_simple_rnn, make_dense, make_affine, make_layer_norm,
    make_activation, make_prelu, make_rectifier, make_mask, make_concatenate, make_add, make_subtract, make_multiply,
    make_average, make_maximum, make_minimum, make_attention_pool, make_average_pool, make_max_pool, make_reverse,
    make_reshape, make_repeat, make_transpose;

namespace {

// Returns a shape in words, for messages.
std::string describe(const Shape& shape) {
    if (!shape.sequence) return message({"a vector of ", shape.size});
    if (shape.steps == 0) return message({"% a step", shape.size});
    return message({"% a step, % steps", shape.size, shape.steps});
}

bool same_steps(const Shape& a, const Shape& b) { return a.sequence == b.sequence && a.steps == b.steps; }

[[noreturn]] void fail(const ShapeQuestion& q, Parts parts) {
    fail_format({"layer %: %", q.layer.name, message(parts)});
}

// Returns `out`. Throws Error if it exceeds the limits.
Shape checked(const ShapeQuestion& q, const Shape& out) {
    if (out.size > kMaxSize || out.steps > kMaxSteps) fail(q, {"its output exceeds the limits: ", describe(out)});
    return out;
}

// Returns `steps`, or the window if `steps` is 0, which then fixes the steps of the network.
std::size_t known_steps(const ShapeQuestion& q, std::size_t steps) {
    if (steps > 0) return steps;
    if (q.window == 0) fail(q, {"expected a network with a fixed number of steps (lstmgen.window above 0)"});
    q.fixed_steps = true;
    return q.window;
}

// Returns the shape that `add` makes of all inputs, one after the other. `add` returns false if the
// sizes do not fit. Steps that agree only for the window fix the steps of the network.
Shape merge_shapes(const ShapeQuestion& q, bool (*add)(Shape& out, const Shape& in)) {
    Shape out = q.given[0];
    for (std::size_t i = 1; i < q.given.size(); ++i) {
        const Shape& in = q.given[i];
        const bool fixes = q.window > 0 && in.sequence && out.sequence && in.steps != out.steps &&
                           in.steps_for(q.window) == out.steps_for(q.window);
        if (!fixes && !same_steps(in, out))
            fail(q, {"expected inputs with the same steps, found % and %", describe(q.given[0]), describe(in)});
        q.fixed_steps = q.fixed_steps || fixes;
        if (!add(out, in))
            fail(q, {"expected inputs of the same size, found % and %", describe(q.given[0]), describe(in)});
    }
    return checked(q, out);
}

// The functions that rows of the schema name. Each returns the shape of a layer's value.

Shape same(const ShapeQuestion& q) { return q.given[0]; }

Shape units(const ShapeQuestion& q) { return {q.layer.units, q.given[0].sequence, q.given[0].steps}; }

Shape states(const ShapeQuestion& q) {
    if (!q.layer.return_sequences) return {q.layer.units, false, 0};
    return {q.layer.units, true, q.given[0].steps};
}

Shape one_vector(const ShapeQuestion& q) { return {q.given[0].size, false, 0}; }

Shape one_number(const ShapeQuestion& q) { return {1, true, q.given[0].steps}; }

Shape repetition(const ShapeQuestion& q) { return {q.given[0].size, true, q.layer.steps}; }

Shape transposition(const ShapeQuestion& q) {
    return checked(q, {known_steps(q, q.given[0].steps), true, q.given[0].size});
}

Shape new_shape(const ShapeQuestion& q) {
    const Shape& in = q.given[0];
    const std::uint64_t count = std::uint64_t{in.size} * (in.sequence ? known_steps(q, in.steps) : 1);
    const Shape out{q.layer.units, q.layer.steps > 0, q.layer.steps};
    if (std::uint64_t{out.size} * std::max<std::uint64_t>(1, out.steps) != count)
        fail(q, {"the new shape: expected % numbers, found %", count, describe(out)});
    return out;
}

Shape all_sizes(const ShapeQuestion& q) {
    return merge_shapes(q, [](Shape& out, const Shape& in) {
        out.size += in.size;  // no overflow: each is at most kMaxSize
        return true;
    });
}

Shape greatest_size(const ShapeQuestion& q) {
    return merge_shapes(q, [](Shape& out, const Shape& in) {
        const bool fits = in.size == out.size || in.size == 1 || out.size == 1;
        out.size = std::max(out.size, in.size);
        return fits;
    });
}

// Throws Error unless the inputs are as the row of the layer's type says.
void check_inputs(const ShapeQuestion& q) {
    const LayerType& type = *q.layer.type;
    const std::vector<Shape>& given = q.given;
    if (given.size() < type.least_inputs || given.size() > type.most_inputs)
        fail(q, {"number of inputs: expected % to %, found %", type.least_inputs, type.most_inputs, given.size()});
    if (!type.has(trait::merge) && given.size() == 2 && (given[1].size != 1 || !same_steps(given[1], given[0])))
        fail(q, {"the mask: expected a sequence of 1 a step like the first input, found ", describe(given[1])});
    if (type.reads != Reads::any && given[0].sequence != (type.reads == Reads::sequence))
        fail(q, {"expected a % as input, found %", type.reads == Reads::sequence ? "sequence" : "vector",
                 describe(given[0])});
}

using D = LayerDescription;

constexpr ArraySize kNone{nullptr, 1}, kIn{&D::input_size, 1}, kUnits{&D::units, 1};
constexpr ArraySize kThreeGates{&D::units, 3}, kFourGates{&D::units, 4};
constexpr LayerKey kUnitsKey{"units", &D::units, 1, kMaxSize};
constexpr LayerKey kActivationKey{"activation", &D::activation};
constexpr LayerKey kRecurrentActivationKey{"recurrent_activation", &D::recurrent_activation};
constexpr LayerKey kReturnSequencesKey{"return_sequences", &D::return_sequences};
constexpr LayerKey kEpsilonKey{"epsilon", &D::epsilon};
constexpr auto kSequence = Reads::sequence, kVector = Reads::vector, kAny = Reads::any;

// The columns are name, traits, least and most inputs, kind of the first input, function of the
// shape, keys, arrays, function that makes the layer.
constexpr LayerType kTypes[] = {
    {"embedding",
     trait::embeds,
     1,
     1,
     kSequence,
     units,
     {kUnitsKey, {"input_dim", &D::input_size, 1, kMaxSize}},
     {{"embeddings", kIn, kUnits}},
     make_embedding},
    {"lstm",
     trait::recurrent | trait::has_cell,
     1,
     2,
     kSequence,
     states,
     {kUnitsKey, kActivationKey, kRecurrentActivationKey, kReturnSequencesKey},
     {{"kernel", kIn, kFourGates}, {"recurrent_kernel", kUnits, kFourGates}, {"bias", kNone, kFourGates}},
     make_lstm},
    {"gru",
     trait::recurrent,
     1,
     2,
     kSequence,
     states,
     {kUnitsKey, kActivationKey, kRecurrentActivationKey, kReturnSequencesKey, {"reset_after", &D::reset_after}},
     {{"kernel", kIn, kThreeGates},
      {"recurrent_kernel", kUnits, kThreeGates},
      {"bias", kNone, kThreeGates},
      {"recurrent_bias", kNone, kThreeGates, &D::reset_after}},
     make_gru},
    {"simple_rnn",
     trait::recurrent,
     1,
     2,
     kSequence,
     states,
     {kUnitsKey, kActivationKey, kReturnSequencesKey},
     {{"kernel", kIn, kUnits}, {"recurrent_kernel", kUnits, kUnits}, {"bias", kNone, kUnits}},
     make_simple_rnn},
    {"dense",
     trait::activates,
     1,
     1,
     kAny,
     units,
     {kUnitsKey, kActivationKey},
     {{"kernel", kIn, kUnits}, {"bias", kNone, kUnits}},
     make_dense},
    {"affine", 0, 1, 1, kAny, same, {}, {{"scale", kNone, kIn}, {"offset", kNone, kIn}}, make_affine},
    {"layer_norm",
     0,
     1,
     1,
     kAny,
     same,
     {kEpsilonKey},
     {{"scale", kNone, kIn}, {"offset", kNone, kIn}},
     make_layer_norm},
    {"activation", trait::activates, 1, 1, kAny, same, {kActivationKey}, {}, make_activation},
    {"prelu", 0, 1, 1, kAny, same, {}, {{"alpha", kNone, kIn}}, make_prelu},
    {"rectifier",
     0,
     1,
     1,
     kAny,
     same,
     {{"negative_slope", &D::negative_slope}, {"threshold", &D::threshold}, {"max_value", &D::max_value}},
     {},
     make_rectifier},
    {"mask", trait::compares_ids, 1, 1, kSequence, one_number, {{"value", &D::value}}, {}, make_mask},
    {"concatenate", trait::merge, 1, kMaxInputs, kAny, all_sizes, {}, {}, make_concatenate},
    {"add", trait::merge, 1, kMaxInputs, kAny, greatest_size, {}, {}, make_add},
    {"subtract", trait::merge, 2, 2, kAny, greatest_size, {}, {}, make_subtract},
    {"multiply", trait::merge, 1, kMaxInputs, kAny, greatest_size, {}, {}, make_multiply},
    {"average", trait::merge, 1, kMaxInputs, kAny, greatest_size, {}, {}, make_average},
    {"maximum", trait::merge, 1, kMaxInputs, kAny, greatest_size, {}, {}, make_maximum},
    {"minimum", trait::merge, 1, kMaxInputs, kAny, greatest_size, {}, {}, make_minimum},
    {"attention_pool",
     trait::pooling,
     1,
     2,
     kSequence,
     one_vector,
     {kEpsilonKey},
     {{"weights", kNone, kIn}},
     make_attention_pool},
    {"average_pool", trait::pooling, 1, 2, kSequence, one_vector, {}, {}, make_average_pool},
    {"max_pool", trait::pooling, 1, 1, kSequence, one_vector, {}, {}, make_max_pool},
    {"reverse", trait::whole, 1, 1, kSequence, same, {}, {}, make_reverse},
    {"reshape", trait::whole, 1, 1, kAny, new_shape, {kUnitsKey, {"steps", &D::steps, 0, kMaxSteps}}, {}, make_reshape},
    {"repeat", trait::whole, 1, 1, kVector, repetition, {{"steps", &D::steps, 1, kMaxSteps}}, {}, make_repeat},
    {"transpose", trait::whole, 1, 1, kSequence, transposition, {}, {}, make_transpose},
};

constexpr bool arrays_fit() {
    for (const LayerType& type : kTypes)
        if (type.arrays.size() > ArrayList::kMost) return false;
    return true;
}
static_assert(arrays_fit());

}  // namespace

bool LayerType::multiplies() const { return arrays.size() > 0 && arrays.begin()->matrix(); }

bool LayerType::has_key(std::string_view key) const {
    return std::any_of(keys.begin(), keys.end(), [&](const LayerKey& each) { return each.name == key; });
}

const LayerType* find_layer_type(std::string_view name) {
    for (const LayerType& type : kTypes)
        if (name == type.name) return &type;
    return nullptr;
}

void take_layer_keys(gguf::Keys& keys, LayerDescription& layer) {
    for (const LayerKey& key : layer.type->keys) switch (key.kind) {
            case LayerKey::Kind::size: layer.*key.size = keys.size(key.name, key.low, key.high); break;
            case LayerKey::Kind::activation: {
                const auto name = keys.string(key.name);
                if (!parse_activation(name, layer.*key.activation))
                    keys.fail_at(key.name, {": unknown activation ", Part::quoted(name)});
                break;
            }
            case LayerKey::Kind::flag: layer.*key.flag = keys.boolean(key.name); break;
            case LayerKey::Kind::number: layer.*key.number = keys.finite(key.name); break;
        }
}

void describe_layer(LayerDescription& layer, const std::vector<Shape>& given, kernels::WeightType matrices,
                    std::size_t window, bool& fixed_steps) {
    for (const Shape& shape : given) layer.input_sizes.push_back(shape.size);
    const ShapeQuestion question{layer, given, window, fixed_steps};
    check_inputs(question);
    layer.shape = layer.type->gives(question);
    if (!layer.type->has(trait::embeds)) layer.input_size = given[0].size;
    const auto count = [&](const ArraySize& size) { return size.of ? size.gates * layer.*size.of : 1; };
    for (const LayerArray& array : layer.type->arrays)
        if (!array.only_if || layer.*array.only_if)
            layer.arrays.add(
                {array.name,
                 {count(array.rows), count(array.columns), array.matrix() ? matrices : kernels::WeightType::f32},
                 array.matrix()});
}

}  // namespace lstmgen
