#include "container.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <variant>

#include "crc32.hpp"
#include "message.hpp"

namespace lstmgen {

using kernels::WeightType;

namespace {

constexpr std::uint64_t kMaxKeys = 4096, kMaxName = 63, kMaxString = 1 << 16, kMaxCard = 1 << 20;
constexpr std::uint64_t kMaxLayers = 256, kMaxSize = 1 << 20, kMaxMatrix = std::uint64_t{2} * kMaxFloats;
constexpr std::uint64_t kMaxSteps = 1 << 16;
constexpr std::size_t kMaxSelfTest = 64;
constexpr std::size_t kIdentifying = 1 << 16;  // bytes of each tensor
constexpr std::uint32_t kF32 = 0, kBf16 = 30, kI8 = 24;

// In the order of LayerType.
constexpr std::string_view kTypes[] = {"embedding", "lstm",        "gru",        "simple_rnn",     "dense",
                                       "affine",    "layer_norm",  "activation", "prelu",          "rectifier",
                                       "mask",      "concatenate", "add",        "subtract",       "multiply",
                                       "average",   "maximum",     "minimum",    "attention_pool", "average_pool",
                                       "max_pool",  "reverse",     "reshape",    "repeat",         "transpose"};
static_assert(std::size(kTypes) == static_cast<std::size_t>(LayerType::transpose) + 1);

// ---- Bytes ----------------------------------------------------------------------------------------------------------

[[noreturn]] void fail(Parts parts) { lstmgen::fail(ErrorCode::format, parts); }

bool valid_utf8(std::string_view s) {
    for (std::size_t i = 0; i < s.size();) {
        const auto byte = [&](std::size_t j) { return static_cast<unsigned char>(s[j]); };
        const unsigned char c = byte(i);
        const std::size_t n = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
        if (n == 0 || s.size() - i < n || c == 0) return false;
        std::uint32_t code = n == 1 ? c : c & (0x7f >> n);
        for (std::size_t j = 1; j < n; ++j) {
            if (byte(i + j) >> 6 != 2) return false;
            code = code << 6 | (byte(i + j) & 0x3f);
        }
        const std::uint32_t least = n == 1 ? 0 : n == 2 ? 0x80 : n == 3 ? 0x800 : 0x10000;
        if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
        i += n;
    }
    return true;
}

// There is less than what is asked for. Of the head of a longer file there may be more.
struct Ended : Error {
    using Error::Error;
};

[[noreturn]] void ended(Parts parts) { throw Ended(ErrorCode::format, message(parts)); }

// Reads forward; every read is checked against the end.
class Cursor {
public:
    Cursor(const std::byte* data, std::size_t size) : data_(data), size_(size) {}

    std::size_t position() const { return position_; }
    std::size_t left() const { return size_ - position_; }

    const std::byte* take(std::uint64_t n, const char* what) {
        if (n > left()) ended({"the file ends inside ", what, " at byte ", size_});
        const std::byte* const p = data_ + position_;
        position_ += static_cast<std::size_t>(n);
        return p;
    }

    template <class T>
    T number(const char* what) {
        const std::byte* const p = take(sizeof(T), what);
        std::uint64_t bits = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i) bits |= std::to_integer<std::uint64_t>(p[i]) << 8 * i;
        if constexpr (sizeof(T) == 4) {
            const auto narrow = static_cast<std::uint32_t>(bits);
            T value;
            std::memcpy(&value, &narrow, sizeof value);
            return value;
        } else {
            T value;
            std::memcpy(&value, &bits, sizeof value);
            return value;
        }
    }

    std::string_view string(std::uint64_t limit, const char* what) {
        const auto length = number<std::uint64_t>(what);
        if (length > limit) fail({what, ": expected at most ", limit, " bytes, found ", length});
        const std::string_view text(reinterpret_cast<const char*>(take(length, what)),
                                    static_cast<std::size_t>(length));
        if (!valid_utf8(text)) fail({what, ": not UTF-8 without U+0000"});
        return text;
    }

private:
    const std::byte* data_;
    std::size_t size_;
    std::size_t position_ = 0;
};

// ---- Keys -----------------------------------------------------------------------------------------------------------

// A value as it stands in the file. Arrays are counted and their size is checked, but they are copied only when they
// are asked for.
struct Array {
    std::uint32_t type;
    std::uint64_t count;
    const std::byte* data;
    std::size_t nbytes;
};
using Value = std::variant<std::uint32_t, float, double, bool, std::string_view, Array>;

enum ValueType : std::uint32_t {
    type_u32 = 4,
    type_f32 = 6,
    type_bool = 7,
    type_string = 8,
    type_array = 9,
    type_f64 = 12
};

Array read_array(Cursor& in) {
    Array array{};
    array.type = in.number<std::uint32_t>("an array");
    array.count = in.number<std::uint64_t>("an array");
    const std::size_t begin = in.position();
    if (array.type == type_string) {
        if (array.count > kMaxSize) fail({"an array of strings: expected at most ", kMaxSize, ", found ", array.count});
        array.data = in.take(0, "an array");
        for (std::uint64_t i = 0; i < array.count; ++i) in.string(kMaxString, "an element of an array");
    } else {
        const std::uint64_t size = array.type == type_u32 || array.type == type_f32 ? 4
                                   : array.type == type_f64                         ? 8
                                                                                    : 0;
        if (size == 0) fail({"an array of the unknown type ", array.type});
        if (array.count > in.left() / size) ended({"the file ends inside an array of ", array.count});
        array.data = in.take(array.count * size, "an array");
    }
    array.nbytes = in.position() - begin;
    return array;
}

class Keys {
public:
    Keys(Cursor& in, std::uint64_t count) {
        if (count > kMaxKeys) fail({"number of keys: expected at most ", kMaxKeys, ", found ", count});
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::string_view key = in.string(kMaxName, "a key");
            if (key.empty()) fail({"a key has no name"});
            const auto type = in.number<std::uint32_t>("a key");
            if (!values_.emplace(key, read_value(in, key, type)).second)
                fail({"key ", Part::quoted(key), " appears twice"});
        }
    }

    // Names are those below this from now on.
    void enter(std::string prefix) { prefix_ = std::move(prefix); }

    bool has(std::string_view name) const { return values_.count(full(name)) != 0; }

    [[noreturn]] void refuse(std::string_view name, Parts why) const { fail({"key ", full(name), message(why)}); }

    // Each key is taken at most once: what is left at the end is unknown.
    template <class T>
    T take(std::string_view name) {
        const auto at = values_.find(full(name));
        if (at == values_.end()) refuse(name, {" is missing"});
        const T* const value = std::get_if<T>(&at->second);
        if (!value) refuse(name, {" has a value of the wrong type"});
        const T result = *value;
        values_.erase(at);
        return result;
    }

    std::string optional_string(std::string_view name) {
        return has(name) ? std::string(take<std::string_view>(name)) : std::string();
    }

    // A u32 in [low, high].
    std::size_t size(std::string_view name, std::uint64_t low, std::uint64_t high) {
        const auto value = take<std::uint32_t>(name);
        if (value < low || value > high) refuse(name, {": expected ", low, " to ", high, ", found ", value});
        return value;
    }

    template <class T>
    std::vector<T> numbers(std::string_view name, std::uint32_t type, std::uint64_t limit) {
        const Array array = take_array(name, type, limit);
        Cursor in(array.data, array.nbytes);
        std::vector<T> values(static_cast<std::size_t>(array.count));
        for (T& value : values) value = in.number<T>("an array");
        return values;
    }

    std::vector<std::string> strings(std::string_view name, std::size_t count, const char* what) {
        const Array array = take_array(name, type_string, kMaxSize);
        if (array.count != count)
            fail({"size of ", full(name), ": expected ", count, " (the ", what, "), found ", array.count});
        Cursor in(array.data, array.nbytes);
        std::vector<std::string> values(static_cast<std::size_t>(array.count));
        for (std::string& value : values) value = in.string(kMaxString, "an element of an array");
        return values;
    }

    void check_all_taken() const {
        if (!values_.empty()) fail({"unknown key ", Part::quoted(values_.begin()->first)});
    }

    // A u32, or nothing, of a key that is taken later.
    std::optional<std::uint32_t> peek(std::string_view name) const {
        const auto at = values_.find(name);
        const auto* const value = at == values_.end() ? nullptr : std::get_if<std::uint32_t>(&at->second);
        return value ? std::optional(*value) : std::nullopt;
    }

    // Where the checksum's four bytes are.
    std::size_t checksum_at = 0;

private:
    Value read_value(Cursor& in, std::string_view key, std::uint32_t type) {
        switch (type) {
            case type_u32:
                if (key == "lstmgen.checksum") checksum_at = in.position();
                return in.number<std::uint32_t>("a key");
            case type_f32: return in.number<float>("a key");
            case type_f64: return in.number<double>("a key");
            case type_bool: {
                const auto byte = std::to_integer<unsigned>(*in.take(1, "a key"));
                if (byte > 1) fail({"key ", Part::quoted(key), ": expected false or true (0 or 1), found ", byte});
                return byte == 1;
            }
            case type_string: return in.string(key == "lstmgen.card" ? kMaxCard : kMaxString, "a key's value");
            case type_array: return read_array(in);
            default: fail({"key ", Part::quoted(key), " has the unknown type ", type});
        }
    }

    Array take_array(std::string_view name, std::uint32_t type, std::uint64_t limit) {
        const auto array = take<Array>(name);
        if (array.type != type) refuse(name, {" has elements of the wrong type"});
        if (array.count > limit) refuse(name, {": expected at most ", limit, " elements, found ", array.count});
        return array;
    }

    std::string full(std::string_view name) const { return message({prefix_, name}); }

    std::string prefix_;
    std::map<std::string_view, Value> values_;  // names are the file's bytes
};

// An array in the order of the file.
struct Stored {
    std::string name;
    Tensor tensor;
    bool scales;  // of the columns of the one before it
};

// ---- Layers ---------------------------------------------------------------------------------------------------------

struct TensorSpec {
    const char* name;
    std::size_t rows, columns;
    bool matrix;
    std::size_t layer = 0;
};

Activation take_activation(Keys& keys, std::string_view key) {
    const auto name = keys.take<std::string_view>(key);
    Activation activation;
    if (!parse_activation(name, activation)) keys.refuse(key, {": unknown activation ", Part::quoted(name)});
    return activation;
}

LayerType take_type(Keys& keys, std::string_view key) {
    const auto name = keys.take<std::string_view>(key);
    for (std::size_t i = 0; i < std::size(kTypes); ++i)
        if (name == kTypes[i]) return static_cast<LayerType>(i);
    keys.refuse(key, {": unknown layer type ", Part::quoted(name)});
}

std::string take_layer_name(Keys& keys, std::string_view key) {
    const auto name = keys.take<std::string_view>(key);
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    };
    if (name.empty() || name.size() > 40 || !std::all_of(name.begin(), name.end(), allowed))
        keys.refuse(key, {": expected 1 to 40 of A-Z a-z 0-9 _ -, found ", Part::quoted(name)});
    return std::string(name);
}

std::vector<std::size_t> take_inputs(Keys& keys, std::string_view key, std::size_t i) {
    if (!keys.has(key)) return {i};
    const auto numbers = keys.numbers<std::uint32_t>(key, type_u32, kMaxInputs);
    for (const std::uint32_t n : numbers)
        if (n > i) keys.refuse(key, {": expected layers before this one, at most ", i, ", found ", n});
    return {numbers.begin(), numbers.end()};
}

double take_finite(Keys& keys, std::string_view key) {
    const auto value = keys.take<double>(key);
    if (!(std::abs(value) <= std::numeric_limits<float>::max())) keys.refuse(key, {": not a finite float32"});
    return value;
}

std::string describe(const Shape& shape) {
    if (!shape.sequence) return message({"a vector of ", shape.size});
    if (shape.steps == 0) return message({shape.size, " a step"});
    return message({shape.size, " a step, ", shape.steps, " steps"});
}

// Works out what a layer gives from what it reads. `fixed_steps` is set if that holds for `window` steps only.
class ShapeRule {
public:
    ShapeRule(const LayerDescription& layer, const std::vector<Shape>& given, std::size_t window, bool& fixed_steps)
        : layer_(layer), given_(given), window_(window), fixed_steps_(fixed_steps) {}

    // `units` and `steps` are those of the layer's keys, 0 if it has none.
    Shape apply(std::size_t units, std::size_t steps) {
        const LayerType type = layer_.type;
        check_count();
        if (is_merge(type)) return merged();
        const Shape& in = given_[0];
        if (given_.size() == 2 && (given_[1].size != 1 || !same_steps(given_[1], in)))
            refuse({"the mask: expected a sequence of 1 a step like the first input, found ", describe(given_[1])});
        const bool needs_sequence = is_recurrent(type) || is_pooling(type) || type == LayerType::embedding ||
                                    type == LayerType::mask || type == LayerType::reverse ||
                                    type == LayerType::transpose;
        if (needs_sequence && !in.sequence) refuse({"expected a sequence as input, found ", describe(in)});
        if (is_pooling(type)) return {in.size, false, 0};
        if (is_recurrent(type)) return layer_.return_sequences ? Shape{units, true, in.steps} : Shape{units, false, 0};
        switch (type) {
            case LayerType::mask: return {1, true, in.steps};
            case LayerType::transpose: return transposed();
            case LayerType::reshape: return reshaped(units, steps);
            case LayerType::repeat:
                if (in.sequence) refuse({"expected a vector as input, found ", describe(in)});
                return {in.size, true, steps};
            default: return {units ? units : in.size, in.sequence, in.steps};
        }
    }

private:
    [[noreturn]] void refuse(Parts parts) const { fail({"layer ", layer_.name, ": ", message(parts)}); }

    static bool same_steps(const Shape& a, const Shape& b) { return a.sequence == b.sequence && a.steps == b.steps; }

    void check_count() const {
        const LayerType type = layer_.type;
        const bool masked = is_recurrent(type) || type == LayerType::attention_pool || type == LayerType::average_pool;
        const std::size_t least = type == LayerType::subtract ? 2 : 1;
        const std::size_t most = least == 2 ? 2 : is_merge(type) ? kMaxInputs : masked ? 2 : 1;
        if (given_.size() < least || given_.size() > most)
            refuse({"number of inputs: expected ", least, " to ", most, ", found ", given_.size()});
    }

    Shape merged() {
        Shape out = given_[0];
        for (std::size_t i = 1; i < given_.size(); ++i) {
            const Shape& in = given_[i];
            const bool fixes = window_ > 0 && in.sequence && out.sequence && in.steps != out.steps &&
                               (in.steps ? in.steps : window_) == (out.steps ? out.steps : window_);
            if (!fixes && !same_steps(in, out))
                refuse({"expected inputs with the same steps, found ", describe(given_[0]), " and ", describe(in)});
            fixed_steps_ = fixed_steps_ || fixes;
            if (layer_.type == LayerType::concatenate) {
                out.size += in.size;  // each at most kMaxSize
            } else {
                if (in.size != out.size && in.size != 1 && out.size != 1)
                    refuse({"expected inputs of the same size, found ", describe(given_[0]), " and ", describe(in)});
                out.size = std::max(out.size, in.size);
            }
        }
        return checked(out);
    }

    std::size_t fixed(std::size_t steps) {
        if (steps > 0) return steps;
        if (window_ == 0) refuse({"expected a network with a fixed number of steps (lstmgen.window above 0)"});
        fixed_steps_ = true;
        return window_;
    }

    Shape transposed() {
        const Shape& in = given_[0];
        return checked({fixed(in.steps), true, in.size});
    }

    Shape reshaped(std::size_t units, std::size_t steps) {
        const Shape& in = given_[0];
        const std::uint64_t count = std::uint64_t{in.size} * (in.sequence ? fixed(in.steps) : 1);
        const Shape out{units, steps > 0, steps};
        if (units * std::max<std::uint64_t>(1, steps) != count)
            refuse({"the new shape: expected ", count, " numbers, found ", describe(out)});
        return out;
    }

    Shape checked(const Shape& out) const {
        if (out.size > kMaxSize || out.steps > kMaxSteps) refuse({"its output exceeds the limits: ", describe(out)});
        return out;
    }

    const LayerDescription& layer_;
    const std::vector<Shape>& given_;
    std::size_t window_;
    bool& fixed_steps_;
};

// A text that is there more than once, with data() == nullptr if there is none.
std::string_view repeated(const std::vector<std::string>& texts) {
    const std::vector<std::uint32_t> order = order_of(texts);
    for (std::size_t i = 1; i < order.size(); ++i)
        if (texts[order[i]] == texts[order[i - 1]]) return texts[order[i]];
    return {};
}

bool has_units(LayerType type) {
    return type == LayerType::embedding || is_recurrent(type) || type == LayerType::dense || type == LayerType::reshape;
}

// Reads the keys of layer i. Returns what tensors it demands.
std::vector<TensorSpec> take_layer(Keys& keys, std::size_t i, ModelInfo& info, std::vector<LayerDescription>& layers) {
    keys.enter(message({"lstmgen.layer.", i, "."}));
    LayerDescription& layer = layers[i];
    layer.type = take_type(keys, "type");
    layer.name = take_layer_name(keys, "name");
    layer.inputs = take_inputs(keys, "inputs", i);
    const LayerType type = layer.type;

    std::size_t units = 0, steps = 0;
    if (has_units(type)) units = keys.size("units", 1, kMaxSize);
    if (type == LayerType::embedding) layer.input_size = keys.size("input_dim", 1, kMaxSize);
    if (is_recurrent(type) || type == LayerType::dense || type == LayerType::activation)
        layer.activation = take_activation(keys, "activation");
    if (type == LayerType::lstm || type == LayerType::gru)
        layer.recurrent_activation = take_activation(keys, "recurrent_activation");
    if (is_recurrent(type)) layer.return_sequences = keys.take<bool>("return_sequences");
    if (type == LayerType::gru) layer.reset_after = keys.take<bool>("reset_after");
    if (type == LayerType::layer_norm || type == LayerType::attention_pool)
        layer.epsilon = take_finite(keys, "epsilon");
    if (type == LayerType::mask) layer.value = take_finite(keys, "value");
    if (type == LayerType::rectifier) {
        layer.negative_slope = take_finite(keys, "negative_slope");
        layer.threshold = take_finite(keys, "threshold");
        layer.max_value = take_finite(keys, "max_value");
    }
    if (type == LayerType::reshape || type == LayerType::repeat)
        steps = keys.size("steps", type == LayerType::repeat ? 1 : 0, kMaxSteps);

    std::vector<Shape> given;
    for (const std::size_t j : layer.inputs) {
        given.push_back(j == 0 ? Shape{info.input_size, true, 0} : layers[j - 1].shape);
        layer.input_sizes.push_back(given.back().size);
        if (j > 0 && is_recurrent(type) && is_recurrent(layers[j - 1].type) && !given.back().sequence)
            fail({"layer ", layers[j - 1].name, ": return_sequences must be true before another recurrent layer"});
    }
    layer.shape = ShapeRule(layer, given, info.window, info.fixed_steps).apply(units, steps);

    const std::size_t in = given[0].size;
    if (type != LayerType::embedding) layer.input_size = in;
    const auto recurrent = [&](std::size_t gates) -> std::vector<TensorSpec> {
        return {{"kernel", in, gates * units, true},
                {"recurrent_kernel", units, gates * units, true},
                {"bias", 1, gates * units, false}};
    };
    switch (type) {
        case LayerType::embedding: return {{"embeddings", layer.input_size, units, true}};
        case LayerType::lstm: return recurrent(4);
        case LayerType::gru: {
            auto specs = recurrent(3);
            if (layer.reset_after) specs.push_back({"recurrent_bias", 1, 3 * units, false});
            return specs;
        }
        case LayerType::simple_rnn: return recurrent(1);
        case LayerType::dense: return {{"kernel", in, units, true}, {"bias", 1, units, false}};
        case LayerType::affine:
        case LayerType::layer_norm: return {{"scale", 1, in, false}, {"offset", 1, in, false}};
        case LayerType::prelu: return {{"alpha", 1, in, false}};
        case LayerType::attention_pool: return {{"weights", 1, in, false}};
        default: return {};
    }
}

std::string shape_text(const std::vector<std::uint64_t>& dims) {  // in Keras's order
    return dims.size() == 1 ? message({"(", dims[0], ",)"}) : message({"(", dims[1], ", ", dims[0], ")"});
}

// Reads one record of the tensor table and compares it with what the layers demand.
Tensor take_tensor(Cursor& in, const std::string& want, const TensorSpec& spec, WeightType type,
                   std::uint64_t& offset) {
    const std::string_view name = in.string(kMaxName, "a tensor's name");
    if (name != want) fail({"tensor: expected ", want, ", found ", Part::quoted(name)});
    const auto n_dims = in.number<std::uint32_t>("a tensor's record");
    if (n_dims < 1 || n_dims > 2) fail({"tensor ", want, ": expected 1 or 2 dimensions, found ", n_dims});
    std::vector<std::uint64_t> dims(n_dims);
    for (auto& d : dims) d = in.number<std::uint64_t>("a tensor's record");
    const std::vector<std::uint64_t> want_dims =
        spec.matrix ? std::vector<std::uint64_t>{spec.columns, spec.rows} : std::vector<std::uint64_t>{spec.columns};
    if (dims != want_dims) fail({"tensor ", want, ": expected ", shape_text(want_dims), ", found ", shape_text(dims)});
    if (std::uint64_t{spec.rows} * spec.columns > kMaxMatrix)
        fail({"tensor ", want, " has more than ", kMaxMatrix, " numbers"});

    Tensor tensor;
    tensor.rows = spec.rows;
    tensor.columns = spec.columns;
    tensor.type = type;
    const auto code = in.number<std::uint32_t>("a tensor's record");
    const std::uint32_t want_code = type == WeightType::f32 ? kF32 : type == WeightType::bf16 ? kBf16 : kI8;
    if (code != want_code) fail({"type of tensor ", want, ": expected ", want_code, ", found ", code});
    const auto found = in.number<std::uint64_t>("a tensor's record");
    if (found != offset) fail({"offset of tensor ", want, ": expected ", offset, ", found ", found});
    offset += round_up(tensor.nbytes(), kAlignment);  // at most 1024 * 2^33: no overflow
    return tensor;
}

// The same for a layer's tensor, and the scales of its columns behind it, where it has some.
void take_tensors(Cursor& in, const std::string& layer, const TensorSpec& spec, WeightType matrices,
                  std::uint64_t& offset, std::vector<Stored>& stored) {
    const std::string name = message({layer, ".", spec.name});
    const WeightType type = spec.matrix ? matrices : WeightType::f32;
    stored.push_back({name, take_tensor(in, name, spec, type, offset), false});
    if (type == WeightType::int8) {
        const std::string scales = message({name, "_scale"});
        stored.push_back(
            {scales, take_tensor(in, scales, {"", 1, spec.columns, false}, WeightType::f32, offset), true});
    }
}

// ---- The whole ------------------------------------------------------------------------------------------------------

Encoding take_encoding(Keys& keys) {
    const auto name = keys.take<std::string_view>("lstmgen.encoding");
    if (name == "onehot") return Encoding::onehot;
    if (name == "index") return Encoding::index;
    if (name == "scaled") return Encoding::scaled;
    if (name == "features") return Encoding::features;
    if (name == "raw") return Encoding::raw;
    fail({"key lstmgen.encoding: expected onehot, index, scaled, raw or features, found ", Part::quoted(name)});
}

void take_facts(Keys& keys, ModelInfo& info) {
    info.name = keys.optional_string("general.name");
    info.description = keys.optional_string("general.description");
    info.author = keys.optional_string("general.author");
    info.license = keys.optional_string("general.license");
    info.source_url = keys.optional_string("general.source.url");
    info.card = keys.optional_string("lstmgen.card");
    info.keras_version = keys.take<std::string_view>("lstmgen.keras_version");
}

void check_embeddings(const ModelInfo& info, const std::vector<LayerDescription>& layers) {
    const bool index = info.encoding == Encoding::index;
    bool found = false;
    for (const LayerDescription& layer : layers) {
        const bool embedding = layer.type == LayerType::embedding;
        found = found || embedding;
        if (embedding && layer.inputs[0] != 0)
            fail({"layer ", layer.name, ": an embedding must read the network's input"});
        if (embedding && index && layer.input_size != info.input_size)
            fail({"input size: expected ", layer.input_size, " (input_dim of ", layer.name, "), found ",
                  info.input_size});
    }
    if (found != index) fail({"the encoding index and an embedding need each other"});
    for (const LayerDescription& layer : layers)
        for (const std::size_t j : layer.inputs)
            if (index && j == 0 && layer.type != LayerType::embedding && layer.type != LayerType::mask)
                fail({"layer ", layer.name, ": only embeddings and masks may read ids"});
}

// A key that says something by being there.
bool take_flag(Keys& keys, std::string_view name) {
    if (!keys.has(name)) return false;
    if (!keys.take<bool>(name)) keys.refuse(name, {": expected true, or no such key"});
    return true;
}

// What networks whose outputs are no elements are called in errors; nothing for those that may generate.
const char* kind_of(const ModelInfo& info, bool labels) {
    return labels ? "a network with labels" : info.predictor ? "a predictor" : nullptr;
}

// What the labels of a classifier and the key of a predictor demand; their elements are those that enter, so nothing
// else ties inputs to outputs.
void check_outputs(const ModelInfo& info, bool labels) {
    if (labels && info.predictor) fail({"key lstmgen.predictor: a network with labels is a classifier"});
    if (labels && info.outputs < 2) fail({"outputs of a network with labels: expected at least 2, found 1"});
    if (labels && info.output_sequence) fail({"a network with labels must give one output, not one at each step"});
    if (is_number(info.encoding))
        fail({kind_of(info, labels), " cannot have the encoding ", info.encoding == Encoding::raw ? "raw" : "scaled"});
}

void check_encoding(const ModelInfo& info, const std::vector<LayerDescription>& layers, bool labels) {
    const std::size_t size = info.input_size, outputs = info.outputs;
    check_embeddings(info, layers);
    if (kind_of(info, labels)) return check_outputs(info, labels);
    switch (info.encoding) {
        case Encoding::onehot:
            if (size != outputs)
                fail({"input size of a onehot network: expected ", outputs, " (its outputs), found ", size});
            break;
        case Encoding::index:
            if (size < outputs)
                fail({"ids of the embedding: expected at least the outputs, ", outputs, ", found ", size});
            break;
        case Encoding::scaled:
        case Encoding::raw:
            if (size != 1)
                fail({"input size of a ", info.encoding == Encoding::raw ? "raw" : "scaled",
                      " network: expected 1, found ", size});
            break;
        case Encoding::features: break;
    }
}

void take_input_values(Keys& keys, ModelInfo& info) {
    constexpr std::string_view key = "lstmgen.input_values";
    if (!keys.has(key)) return;
    if (info.encoding != Encoding::raw) keys.refuse(key, {": only the encoding raw takes it"});
    info.input_values = keys.numbers<float>(key, type_f32, kMaxSize);
    if (info.input_values.size() != info.outputs)
        keys.refuse(key, {": expected ", info.outputs, " numbers (the outputs), found ", info.input_values.size()});
    for (const float value : info.input_values)
        if (!std::isfinite(value)) keys.refuse(key, {": not finite"});
}

void take_zero_padding(Keys& keys, ModelInfo& info) {
    constexpr std::string_view key = "lstmgen.zero_padding";
    info.zero_padding = take_flag(keys, key);
    if (!info.zero_padding) return;
    if (info.encoding == Encoding::index || info.encoding == Encoding::features)
        keys.refuse(key, {": only the encodings onehot, scaled and raw take it"});
    if (info.window == 0) keys.refuse(key, {": it needs a window (lstmgen.window above 0)"});
    if (keys.has("lstmgen.padding")) keys.refuse(key, {": a window is filled with lstmgen.padding or zeros, not both"});
}

void check_layers(const std::vector<LayerDescription>& layers) {
    std::vector<std::string> names;
    bool recurrent = false;
    std::vector<unsigned char> read(layers.size() + 1);
    for (const LayerDescription& layer : layers) {
        names.push_back(layer.name);
        recurrent = recurrent || is_recurrent(layer.type);
        for (const std::size_t j : layer.inputs) read[j] = true;
    }
    if (const auto name = repeated(names); name.data()) fail({"two layers have the name ", name});
    if (!recurrent) fail({"the network has no recurrent layer"});
    for (std::size_t i = 0; i + 1 < layers.size(); ++i)
        if (!read[i + 1]) fail({"layer ", layers[i].name, ": no layer reads its output"});
}

void take_labels(Keys& keys, ModelInfo& info) {
    if (!keys.has("lstmgen.labels")) return;
    info.labels = keys.strings("lstmgen.labels", info.outputs, "outputs");
    for (const std::string& label : info.labels)
        if (label.empty()) fail({"a label is empty"});
    if (const auto label = repeated(info.labels); label.data())
        fail({"the label ", Part::quoted(label), " appears twice"});
}

// Keys of what networks whose outputs are no elements lack.
void check_no_elements(const Keys& keys, const ModelInfo& info) {
    const char* const kind = kind_of(info, !info.labels.empty());
    if (!kind) return;
    for (const char* const key : {"lstmgen.vocabulary", "lstmgen.padding"})
        if (info.encoding == Encoding::features && keys.has(key))
            keys.refuse(key, {": ", kind, " that reads features has no elements"});
    if (keys.has("lstmgen.prime")) fail({"key lstmgen.prime: ", kind, " does not generate"});
}

// Elements that the ids of the file stand for: docs/format.md, section 3.
bool counts_inputs(const ModelInfo& info) { return info.predictor || !info.labels.empty(); }
std::size_t element_count(const ModelInfo& info) { return counts_inputs(info) ? info.input_size : info.outputs; }

// The byte that an element of the kind "bytes" names: <0x01> to <0xFF>.
std::string named_byte(std::string_view name) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    if (name.size() == 6 && name.substr(0, 3) == "<0x" && name[5] == '>') {
        const std::size_t high = digits.find(name[3]), low = digits.find(name[4]);
        if (high != digits.npos && low != digits.npos && high + low > 0)
            return std::string(1, static_cast<char>(static_cast<unsigned char>(16 * high + low)));
    }
    fail({"an element of the vocabulary: expected a byte, <0x01> to <0xFF>, found ", Part::quoted(name)});
}

void take_vocabulary(Keys& keys, ModelInfo& info) {
    const std::size_t count = element_count(info);
    if (keys.has("lstmgen.padding"))
        info.padding = static_cast<std::uint32_t>(keys.size("lstmgen.padding", 0, count - 1));
    if (keys.has("lstmgen.vocabulary")) {
        info.vocabulary = keys.strings("lstmgen.vocabulary", count, counts_inputs(info) ? "inputs" : "outputs");
        info.vocabulary_kind = keys.take<std::string_view>("lstmgen.vocabulary_kind");
        if (info.vocabulary_kind != "text" && info.vocabulary_kind != "tokens" && info.vocabulary_kind != "bytes")
            fail({"key lstmgen.vocabulary_kind: expected text, tokens or bytes, found ",
                  Part::quoted(info.vocabulary_kind)});
        if (const auto element = repeated(info.vocabulary); element.data())
            fail({"the vocabulary has the element ", Part::quoted(element), " twice"});
        for (std::size_t id = 0; id < info.vocabulary.size(); ++id)
            if (info.vocabulary[id].empty() && id != info.padding)
                fail({"the vocabulary has an empty element that is no padding"});
        if (info.vocabulary_kind == "bytes")
            for (std::string& element : info.vocabulary)
                if (!element.empty()) element = named_byte(element);
    }
    if (keys.has("lstmgen.prime")) {
        info.prime = keys.numbers<std::uint32_t>("lstmgen.prime", type_u32, kMaxSteps);
        for (const std::uint32_t id : info.prime)
            if (id >= info.outputs) fail({"an id of lstmgen.prime: expected below ", info.outputs, ", found ", id});
    }
}

SelfTest take_self_test(Keys& keys, const ModelInfo& info) {
    SelfTest test;
    const std::uint64_t most = std::max(kMaxSelfTest, info.window);
    if (info.encoding == Encoding::features) {
        test.features = keys.numbers<float>("lstmgen.selftest.features", type_f32, most * info.input_size);
        if (test.features.empty() || test.features.size() % info.input_size != 0)
            fail({"key lstmgen.selftest.features: not a multiple of the input size"});
        for (const float x : test.features)
            if (!std::isfinite(x)) fail({"key lstmgen.selftest.features: not finite"});
    } else {
        test.ids = keys.numbers<std::uint32_t>("lstmgen.selftest.ids", type_u32, most);
        if (test.ids.empty()) fail({"key lstmgen.selftest.ids is empty"});
        for (const std::uint32_t id : test.ids)
            if (id >= element_count(info)) fail({"key lstmgen.selftest.ids: an id is out of range"});
    }
    test.steps = info.encoding == Encoding::features ? test.features.size() / info.input_size : test.ids.size();
    if (info.fixed_steps && test.steps != info.window)
        fail({"steps of the self-test: expected ", info.window, " (the network takes no other number), found ",
              test.steps});
    test.output = keys.numbers<double>("lstmgen.selftest.output", type_f64, kMaxSize);
    if (test.output.size() != info.outputs)
        fail({"key lstmgen.selftest.output: expected ", info.outputs, " numbers, found ", test.output.size()});
    test.tolerance = keys.take<double>("lstmgen.selftest.tolerance");
    if (!(test.tolerance > 0.0) || !std::isfinite(test.tolerance))
        fail({"key lstmgen.selftest.tolerance: not a positive number"});
    return test;
}

std::uint64_t take_header(Cursor& in, const char* magic, std::uint64_t& n_tensors) {
    if (in.left() < 4 || std::memcmp(in.take(4, "the magic"), magic, 4) != 0)
        fail({"not a GGUF file (no magic 'GGUF' at its start)"});
    const auto version = in.number<std::uint32_t>("the header");
    if (version != 3) fail({"GGUF version: expected 3, little-endian, found ", version});
    n_tensors = in.number<std::uint64_t>("the header");
    return in.number<std::uint64_t>("the header");
}

WeightType take_file_type(Keys& keys) {
    switch (const auto code = keys.take<std::uint32_t>("general.file_type")) {
        case 0: return WeightType::f32;
        case 32: return WeightType::bf16;
        case 24: return WeightType::int8;
        default: fail({"key general.file_type: expected 0, 24 or 32, found ", code});
    }
}

// Runs f; what it refuses in the file names the file.
template <class F>
auto named(const std::string& name, F f) {
    try {
        return f();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::format) throw;
        lstmgen::fail(ErrorCode::format, {name, ": ", error.what()});
    }
}

// Of bytes whose checksum, four of them, counts as zero.
Crc32 begin_checksum(const std::byte* data, std::size_t size, std::size_t checksum_at) {
    constexpr std::byte zeros[4] = {};
    Crc32 crc;
    crc.update(data, checksum_at);
    crc.update(zeros, sizeof zeros);
    crc.update(data + checksum_at + sizeof zeros, size - checksum_at - sizeof zeros);
    return crc;
}

constexpr std::size_t kPiece = 1 << 16;  // bytes that are read at once

class File final : public Container {
public:
    File(std::unique_ptr<Source> source, std::string name);
    const Tensor& next() const override { return stored_[next_].tensor; }
    void rows(Take take) override;
    std::vector<float> floats(std::vector<float>* scales) override;
    std::string head() const override;
    SelfTest finish() override;

private:
    void parse(std::size_t size);

    std::string name_;
    std::unique_ptr<Source> source_;
    std::optional<Keys> keys_;
    std::uint32_t checksum_ = 0;
    std::vector<Stored> stored_;
    std::size_t head_size_ = 0;
    std::size_t next_ = 0;        // of the arrays
    std::uint64_t position_ = 0;  // in the file
    Crc32 crc_, identity_;
    std::string not_finite_;  // the first array with a number that is not
};

File::File(std::unique_ptr<Source> source, std::string name) : name_(std::move(name)), source_(std::move(source)) {
    named(name_, [this] {
        const std::uint64_t size = source_->size();
        if (size > kMaxFile) fail({"size of the file: expected at most ", kMaxBytes, ", found ", size, " bytes"});
        // How long the head is, only its end says.
        for (std::uint64_t n = std::min<std::uint64_t>(size, kPiece);; n = 8 * n < size ? 4 * n : size) try {
                return parse(static_cast<std::size_t>(n));
            } catch (const Ended&) {
                if (n == size) throw;
            }
    });
}

void File::parse(std::size_t size) {
    const std::byte* const data = source_->head(size);
    info = {};
    layers.clear();
    stored_.clear();
    Cursor in(data, size);
    std::uint64_t n_tensors = 0;
    const std::uint64_t n_keys = take_header(in, "GGUF", n_tensors);
    Keys& keys = keys_.emplace(in, n_keys);

    const auto architecture = keys.take<std::string_view>("general.architecture");
    if (architecture != "lstmgen")
        fail({"key general.architecture: expected lstmgen, found ", Part::quoted(architecture)});
    const auto format = keys.take<std::uint32_t>("lstmgen.format");
    if (format != 1) fail({"key lstmgen.format: expected 1 (a newer lstmgen may read it), found ", format});
    keys.size("general.alignment", kAlignment, kAlignment);
    const WeightType matrices = take_file_type(keys);
    info.dtype = matrices == WeightType::f32 ? "f32" : matrices == WeightType::bf16 ? "bf16" : "int8";
    checksum_ = keys.take<std::uint32_t>("lstmgen.checksum");
    take_facts(keys, info);

    info.encoding = take_encoding(keys);
    info.input_size = keys.size("lstmgen.input_size", 1, kMaxSize);
    info.window = keys.size("lstmgen.window", 0, kMaxSteps);
    layers.resize(keys.size("lstmgen.layer_count", 1, kMaxLayers));
    std::vector<TensorSpec> specs;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        for (TensorSpec spec : take_layer(keys, i, info, layers)) {
            spec.layer = i;
            specs.push_back(spec);
        }
        info.whole = info.whole || is_whole(layers[i].type);
    }
    keys.enter("");
    const Shape& output = layers.back().shape;
    info.outputs = output.size;
    info.output_sequence = output.sequence;
    info.output_steps = output.steps;
    check_layers(layers);
    info.predictor = take_flag(keys, "lstmgen.predictor");
    check_encoding(info, layers, keys.has("lstmgen.labels"));
    take_input_values(keys, info);
    take_zero_padding(keys, info);

    std::size_t count = 0;
    for (const TensorSpec& spec : specs) count += spec.matrix && matrices == WeightType::int8 ? 2 : 1;
    if (n_tensors != count) fail({"number of tensors: expected ", count, ", found ", n_tensors});
    std::uint64_t offset = 0;
    for (const TensorSpec& spec : specs) take_tensors(in, layers[spec.layer].name, spec, matrices, offset, stored_);

    // Memory in proportion to the sizes of layers is taken only if the file is as large as they demand.
    std::uint64_t end = in.position();
    for (const Stored& each : stored_) end = (end + kAlignment - 1) / kAlignment * kAlignment + each.tensor.nbytes();
    if (end > source_->size()) fail({"the file ends inside the tensors at byte ", source_->size()});
    if (end < source_->size()) fail({"the file goes on after its last tensor, for ", source_->size() - end, " bytes"});

    checksum_at = keys.checksum_at;
    crc_ = begin_checksum(data, in.position(), checksum_at);
    position_ = head_size_ = in.position();
    source_->begin(in.position());

    const auto identify = [&](std::uint64_t n) { identity_.update(reinterpret_cast<const std::byte*>(&n), sizeof n); };
    const auto padding = keys.peek("lstmgen.padding");
    identify(info.input_size);
    identify(info.outputs);
    identify(info.window);
    identify(padding ? *padding : ~std::uint64_t{0});
    // What the first files did not have counts only where it is.
    if (info.zero_padding) identify(~std::uint64_t{1});
    if (info.encoding == Encoding::raw) {
        identify(~std::uint64_t{2});
        identity_.update(reinterpret_cast<const std::byte*>(info.input_values.data()),
                         info.input_values.size() * sizeof(float));
    }
}

void File::rows(Take take) {
    const Stored& stored = stored_[next_++];
    const Tensor& tensor = stored.tensor;
    named(name_, [&] {
        const std::size_t padding = static_cast<std::size_t>((kAlignment - position_ % kAlignment) % kAlignment);
        const std::byte* const between = source_->next(padding);
        if (std::any_of(between, between + padding, [](std::byte b) { return b != std::byte{0}; }))
            fail({"padding that is not zero"});
        crc_.update(between, padding);
        position_ += padding + tensor.nbytes();
    });
    const std::uint64_t size = tensor.nbytes();
    if (!stored.scales) identity_.update(reinterpret_cast<const std::byte*>(&size), sizeof size);
    std::size_t identifying = stored.scales ? 0 : std::min(tensor.nbytes(), kIdentifying);
    const std::size_t most = std::max<std::size_t>(4, kPiece / tensor.row_bytes() / 4 * 4);
    bool finite = true;
    for (std::size_t row = 0, n; row < tensor.rows; row += n) {
        n = std::min(most, tensor.rows - row);
        const std::size_t bytes = n * tensor.row_bytes();
        const std::byte* const piece = source_->next(bytes);
        crc_.update(piece, bytes);
        const std::size_t some = std::min(bytes, identifying);
        if (some > 0 && tensor.type == WeightType::bf16) {  // as a model gives them again
            std::vector<std::byte> numbers(piece, piece + some);
            drop_least(numbers.data(), some / sizeof(std::uint16_t));
            identity_.update(numbers.data(), some);
        } else {
            identity_.update(piece, some);
        }
        identifying -= some;
        finite = finite && all_finite(piece, tensor.type, n * tensor.columns);
        take(row, n, piece);
    }
    if (!finite && not_finite_.empty()) not_finite_ = stored.name;
}

std::vector<float> File::floats(std::vector<float>* scales) {
    const Tensor tensor = stored_[next_].tensor;
    std::vector<float> values(tensor.rows * tensor.columns);
    const auto take = [&](std::size_t row, std::size_t n, const std::byte* bytes) {
        to_floats(bytes, tensor.type, n * tensor.columns, values.data() + row * tensor.columns);
    };
    rows(Take(take));
    if (tensor.type == WeightType::int8) {
        const std::vector<float> columns = floats(nullptr);
        for (std::size_t i = 0; i < values.size(); ++i) values[i] *= columns[i % tensor.columns];
        if (scales) *scales = columns;
    }
    return values;
}

std::string File::head() const { return {reinterpret_cast<const char*>(source_->head(head_size_)), head_size_}; }

SelfTest File::finish() {
    return named(name_, [this] {
        Keys& keys = *keys_;
        if (crc_.value() != checksum_) fail({"the checksum is wrong: the file is damaged"});
        take_labels(keys, info);
        check_no_elements(keys, info);
        take_vocabulary(keys, info);
        SelfTest test = take_self_test(keys, info);
        keys.check_all_taken();
        // What tells a network from others. Not of the self-test, whose numbers differ from machine to machine.
        info.identity = identity_.value();
        if (!not_finite_.empty()) fail({"tensor ", not_finite_, " has a value that is not finite"});
        return test;
    });
}

}  // namespace

std::string_view layer_type_name(LayerType type) { return kTypes[static_cast<std::size_t>(type)]; }

void set_checksum(std::string& file, std::size_t checksum_at) {
    const Crc32 crc = begin_checksum(reinterpret_cast<const std::byte*>(file.data()), file.size(), checksum_at);
    for (std::size_t i = 0; i < 4; ++i) file[checksum_at + i] = static_cast<char>(crc.value() >> 8 * i & 255);
}

std::vector<std::uint32_t> order_of(const std::vector<std::string>& texts) {
    std::vector<std::uint32_t> order(texts.size());
    for (std::uint32_t id = 0; id < order.size(); ++id) order[id] = id;
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return texts[a] < texts[b]; });
    return order;
}

std::unique_ptr<Container> open_container(std::unique_ptr<Source> source, std::string name) {
    return std::make_unique<File>(std::move(source), std::move(name));
}

}  // namespace lstmgen
