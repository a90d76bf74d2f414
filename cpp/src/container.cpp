#include "container.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "asking.hpp"
#include "crc32.hpp"
#include "gguf.hpp"
#include "layer_schema.hpp"
#include "message.hpp"
#include "sorting.hpp"

namespace lstmgen {

using gguf::Cursor;
using gguf::Keys;
using kernels::WeightType;

namespace {

constexpr std::uint64_t kMaxText = 1 << 20;                          // bytes
constexpr std::uint64_t kMaxMatrix = std::uint64_t{2} * kMaxFloats;  // numbers
constexpr std::size_t kMaxSelfTest = 64;                             // steps
constexpr std::size_t kIdentifying = 1 << 16;  // bytes of each tensor in the identity of a network

// ---- Layers -------------------------------------------------------------------------------------

const LayerType* take_type(Keys& keys) {
    const auto name = keys.string("type");
    const LayerType* const type = find_layer_type(name);
    if (!type) keys.fail_at("type", {": unknown layer type ", Part::quoted(name)});
    return type;
}

std::string take_layer_name(Keys& keys) {
    const auto name = keys.string("name");
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    };
    if (name.empty() || name.size() > 40 || !std::all_of(name.begin(), name.end(), allowed))
        keys.fail_at("name", {": expected 1 to 40 of A-Z a-z 0-9 _ -, found ", Part::quoted(name)});
    return std::string(name);
}

std::vector<std::size_t> take_sources(Keys& keys, std::size_t i) {
    if (!keys.has("inputs")) return {i};
    const auto numbers = keys.u32s("inputs", kMaxInputs);
    for (const std::uint32_t n : numbers)
        if (n > i) keys.fail_at("inputs", {": expected layers before this one, at most %, found %", i, n});
    return {numbers.begin(), numbers.end()};
}

// Reads the keys of layer i. Computes the shape of its value and the arrays that it needs.
void take_layer(Keys& keys, std::size_t i, WeightType matrices, ModelInfo& info,
                std::vector<LayerDescription>& layers) {
    keys.enter(message({"lstmgen.layer.%.", i}));
    LayerDescription& layer = layers[i];
    layer.type = take_type(keys);
    layer.name = take_layer_name(keys);
    layer.sources = take_sources(keys, i);
    take_layer_keys(keys, layer);

    std::vector<Shape> given;
    for (const std::size_t j : layer.sources) {
        given.push_back(j == 0 ? Shape{info.input_size, true, 0} : layers[j - 1].shape);
        if (j > 0 && layer.type->has(trait::recurrent) && layers[j - 1].type->has(trait::recurrent) &&
            !given.back().sequence)
            fail_format({"layer %: return_sequences must be true before another recurrent layer", layers[j - 1].name});
    }
    describe_layer(layer, given, matrices, info.window, info.fixed_steps);
}

// ---- Tensors ------------------------------------------------------------------------------------

// An array of the file.
struct Stored {
    std::string name;
    Tensor tensor;
    bool scales;  // it holds the scales of the columns of the matrix before it
};

std::uint32_t code_of(WeightType type) { return type == WeightType::f32 ? 0 : type == WeightType::bf16 ? 30 : 24; }

void take_tensor(Cursor& in, std::string name, const Tensor& tensor, bool vector, bool scales, std::uint64_t& offset,
                 std::vector<Stored>& stored) {
    gguf::take_tensor(in, name, vector, tensor.rows, tensor.columns, code_of(tensor.type), offset);
    if (std::uint64_t{tensor.rows} * tensor.columns > kMaxMatrix)
        fail_format({"tensor %: expected at most % numbers, found more", name, kMaxMatrix});
    offset += round_up(tensor.nbytes(), kAlignment);  // no overflow: at most 1024 * 2^33
    stored.push_back({std::move(name), tensor, scales});
}

// Reads the records of a layer's tensors, and of the scales that follow matrices of int8.
void take_tensors(Cursor& in, const LayerDescription& layer, std::uint64_t& offset, std::vector<Stored>& stored) {
    for (const ArrayDescription& array : layer.arrays) {
        const std::string name = message({"%.%", layer.name, array.name});
        take_tensor(in, name, array.tensor, !array.matrix, false, offset, stored);
        if (array.tensor.type == WeightType::int8)
            take_tensor(in, message({"%_scale", name}), {1, array.tensor.columns, WeightType::f32}, true, true, offset,
                        stored);
    }
}

// ---- The whole ----------------------------------------------------------------------------------

// Returns a text that occurs more than once. Its data() is null if there is none.
std::string_view repeated(const std::vector<std::string>& texts) {
    const std::vector<std::uint32_t> order = order_of(texts);
    for (std::size_t i = 1; i < order.size(); ++i)
        if (texts[order[i]] == texts[order[i - 1]]) return texts[order[i]];
    return {};
}

Encoding take_encoding(Keys& keys) {
    const auto name = keys.string("lstmgen.encoding");
    if (name == "onehot") return Encoding::onehot;
    if (name == "index") return Encoding::index;
    if (name == "scaled") return Encoding::scaled;
    if (name == "features") return Encoding::features;
    if (name == "raw") return Encoding::raw;
    fail_format({"key lstmgen.encoding: expected onehot, index, scaled, raw or features, found ", Part::quoted(name)});
}

void take_facts(Keys& keys, ModelInfo& info) {
    info.name = keys.optional_string("general.name");
    info.description = keys.optional_string("general.description");
    info.author = keys.optional_string("general.author");
    info.license = keys.optional_string("general.license");
    info.source_url = keys.optional_string("general.source.url");
    info.card = keys.optional_string("lstmgen.card");
    info.grammar = keys.optional_string("lstmgen.grammar");
    info.keras_version = keys.string("lstmgen.keras_version");
}

void check_embeddings(const ModelInfo& info, const std::vector<LayerDescription>& layers) {
    const bool index = info.encoding == Encoding::index;
    bool found = false;
    for (const LayerDescription& layer : layers) {
        const bool embedding = layer.type->has(trait::embeds);
        found = found || embedding;
        if (embedding && layer.sources[0] != 0)
            fail_format({"layer %: an embedding must read the network's input", layer.name});
        if (embedding && index && layer.input_size != info.input_size)
            fail_format(
                {"input size: expected % (input_dim of %), found %", layer.input_size, layer.name, info.input_size});
    }
    if (found != index) fail_format({"the encoding index and an embedding need each other"});
    for (const LayerDescription& layer : layers)
        for (const std::size_t j : layer.sources)
            if (index && j == 0 && !layer.type->has(trait::embeds) && !layer.type->has(trait::compares_ids))
                fail_format({"layer %: only embeddings and masks may read ids", layer.name});
}

// Returns the name in errors of a network whose outputs are not elements; null for other networks.
const char* kind_of(const ModelInfo& info, bool labels) {
    return labels ? "a network with labels" : info.predictor ? "a predictor" : nullptr;
}

// Checks the outputs of a classifier or predictor. Their elements are the inputs, so the outputs
// need not agree with the inputs.
void check_outputs(const ModelInfo& info, bool labels) {
    if (labels && info.predictor) fail_format({"key lstmgen.predictor: a network with labels is a classifier"});
    if (labels && info.outputs < 2) fail_format({"outputs of a network with labels: expected at least 2, found 1"});
    if (labels && info.output_sequence)
        fail_format({"a network with labels must give one output, not one at each step"});
    if (is_number(info.encoding))
        fail_format(
            {"% cannot have the encoding %", kind_of(info, labels), info.encoding == Encoding::raw ? "raw" : "scaled"});
}

void check_encoding(const ModelInfo& info, const std::vector<LayerDescription>& layers, bool labels) {
    const std::size_t size = info.input_size, outputs = info.outputs;
    check_embeddings(info, layers);
    if (kind_of(info, labels)) return check_outputs(info, labels);
    switch (info.encoding) {
        case Encoding::onehot:
            if (size != outputs)
                fail_format({"input size of a onehot network: expected % (its outputs), found %", outputs, size});
            break;
        case Encoding::index:
            if (size < outputs)
                fail_format({"ids of the embedding: expected at least the outputs, %, found %", outputs, size});
            break;
        case Encoding::scaled:
        case Encoding::raw:
            if (size != 1)
                fail_format({"input size of a % network: expected 1, found %",
                             info.encoding == Encoding::raw ? "raw" : "scaled", size});
            break;
        case Encoding::features: break;
    }
}

void take_input_values(Keys& keys, ModelInfo& info) {
    constexpr std::string_view key = "lstmgen.input_values";
    if (!keys.has(key)) return;
    if (info.encoding != Encoding::raw) keys.fail_at(key, {": only the encoding raw takes it"});
    info.input_values = keys.f32s(key, kMaxSize);
    if (info.input_values.size() != info.outputs)
        keys.fail_at(key, {": expected % numbers (the outputs), found %", info.outputs, info.input_values.size()});
    for (const float value : info.input_values)
        if (!std::isfinite(value)) keys.fail_at(key, {": expected finite numbers, found one that is not finite"});
}

void take_zero_padding(Keys& keys, ModelInfo& info) {
    constexpr std::string_view key = "lstmgen.zero_padding";
    info.zero_padding = keys.flag(key);
    if (!info.zero_padding) return;
    if (info.encoding == Encoding::index || info.encoding == Encoding::features)
        keys.fail_at(key, {": only the encodings onehot, scaled and raw take it"});
    if (info.window == 0) keys.fail_at(key, {": it needs a window (lstmgen.window above 0)"});
    if (keys.has("lstmgen.padding"))
        keys.fail_at(key, {": a window is filled with lstmgen.padding or zeros, not both"});
}

void check_layers(const std::vector<LayerDescription>& layers) {
    std::vector<std::string> names;
    bool recurrent = false;
    std::vector<unsigned char> read(layers.size() + 1);
    for (const LayerDescription& layer : layers) {
        names.push_back(layer.name);
        recurrent = recurrent || layer.type->has(trait::recurrent);
        for (const std::size_t j : layer.sources) read[j] = true;
    }
    if (const auto name = repeated(names); name.data()) fail_format({"two layers have the name ", name});
    if (!recurrent) fail_format({"the network has no recurrent layer"});
    for (std::size_t i = 0; i + 1 < layers.size(); ++i)
        if (!read[i + 1]) fail_format({"layer %: no layer reads its output", layers[i].name});
}

void take_labels(Keys& keys, ModelInfo& info) {
    if (!keys.has("lstmgen.labels")) return;
    info.labels = keys.strings("lstmgen.labels", info.outputs, "outputs");
    for (const std::string& label : info.labels)
        if (label.empty()) fail_format({"a label is empty"});
    if (const auto label = repeated(info.labels); label.data())
        fail_format({"the label % appears twice", Part::quoted(label)});
}

// Throws Error if a classifier or predictor has keys that only other networks may have.
void check_no_elements(const Keys& keys, const ModelInfo& info) {
    const char* const kind = kind_of(info, !info.labels.empty());
    if (!kind) return;
    for (const char* const key : {"lstmgen.vocabulary", "lstmgen.padding"})
        if (info.encoding == Encoding::features && keys.has(key))
            keys.fail_at(key, {": % that reads features has no elements", kind});
    if (keys.has("lstmgen.prime")) fail_format({"key lstmgen.prime: % does not generate", kind});
}

// Returns the byte that an element of the kind "bytes" names: <0x01> to <0xFF>.
std::string named_byte(std::string_view name) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    if (name.size() == 6 && name.substr(0, 3) == "<0x" && name[5] == '>') {
        const std::size_t high = digits.find(name[3]), low = digits.find(name[4]);
        if (high != digits.npos && low != digits.npos && high + low > 0)
            return std::string(1, static_cast<char>(static_cast<unsigned char>(16 * high + low)));
    }
    fail_format({"an element of the vocabulary: expected a byte, <0x01> to <0xFF>, found ", Part::quoted(name)});
}

void take_vocabulary(Keys& keys, ModelInfo& info) {
    const std::size_t count = element_count(info);
    if (keys.has("lstmgen.padding"))
        info.padding = static_cast<std::uint32_t>(keys.size("lstmgen.padding", 0, count - 1));
    if (keys.has("lstmgen.vocabulary")) {
        info.vocabulary = keys.strings("lstmgen.vocabulary", count, counts_inputs(info) ? "inputs" : "outputs");
        info.vocabulary_kind = keys.string("lstmgen.vocabulary_kind");
        if (info.vocabulary_kind != "text" && info.vocabulary_kind != "tokens" && info.vocabulary_kind != "bytes")
            fail_format({"key lstmgen.vocabulary_kind: expected text, tokens or bytes, found ",
                         Part::quoted(info.vocabulary_kind)});
        if (const auto element = repeated(info.vocabulary); element.data())
            fail_format({"the vocabulary has the element % twice", Part::quoted(element)});
        for (std::size_t id = 0; id < info.vocabulary.size(); ++id)
            if (info.vocabulary[id].empty() && id != info.padding)
                fail_format({"the vocabulary has an empty element that is no padding"});
        if (info.vocabulary_kind == "bytes")
            for (std::string& element : info.vocabulary)
                if (!element.empty()) element = named_byte(element);
    }
    if (keys.has("lstmgen.prime")) {
        info.prime = keys.u32s("lstmgen.prime", kMaxSteps);
        for (const std::uint32_t id : info.prime)
            if (id >= info.outputs)
                fail_format({"an id of lstmgen.prime: expected below %, found %", info.outputs, id});
    }
}

SelfTest take_self_test(Keys& keys, const ModelInfo& info) {
    SelfTest test;
    const std::uint64_t most = std::max(kMaxSelfTest, info.window);
    if (info.encoding == Encoding::features) {
        test.features = keys.f32s("lstmgen.selftest.features", most * info.input_size);
        if (test.features.empty() || test.features.size() % info.input_size != 0)
            fail_format({"key lstmgen.selftest.features: expected whole steps of % numbers, found % numbers",
                         info.input_size, test.features.size()});
        for (const float x : test.features)
            if (!std::isfinite(x))
                fail_format({"key lstmgen.selftest.features: expected finite numbers, found one that is not finite"});
    } else {
        test.ids = keys.u32s("lstmgen.selftest.ids", most);
        if (test.ids.empty()) fail_format({"key lstmgen.selftest.ids: expected at least one id, found none"});
        for (const std::uint32_t id : test.ids)
            if (id >= element_count(info))
                fail_format({"an id of lstmgen.selftest.ids: expected below %, found %", element_count(info), id});
    }
    test.steps = info.encoding == Encoding::features ? test.features.size() / info.input_size : test.ids.size();
    if (info.fixed_steps && test.steps != info.window)
        fail_format({"steps of the self-test: expected % (the network takes no other number), found %", info.window,
                     test.steps});
    test.output = keys.f64s("lstmgen.selftest.output", kMaxSize);
    if (test.output.size() != info.outputs)
        fail_format({"key lstmgen.selftest.output: expected % numbers, found %", info.outputs, test.output.size()});
    test.tolerance = keys.f64("lstmgen.selftest.tolerance");
    if (!(test.tolerance > 0.0) || !std::isfinite(test.tolerance))
        fail_format({"key lstmgen.selftest.tolerance: expected a finite number above 0, found ", test.tolerance});
    return test;
}

WeightType take_file_type(Keys& keys) {
    switch (const auto code = keys.u32("general.file_type")) {
        case 0: return WeightType::f32;
        case 32: return WeightType::bf16;
        case 24: return WeightType::int8;
        default: fail_format({"key general.file_type: expected 0, 24 or 32, found ", code});
    }
}

// Runs f. Puts the name of the file before its errors.
template <class F>
auto named(const std::string& name, F f) {
    try {
        return f();
    } catch (const Error& error) {
        if (error.code() != ErrorCode::format) throw;
        fail_format({"%: %", name, error.what()});
    }
}

// Returns the checksum of data (size). The four bytes at checksum_at, which hold it, count as zero.
Crc32 begin_checksum(const std::byte* data, std::size_t size, std::size_t checksum_at) {
    constexpr std::byte zeros[4] = {};
    Crc32 crc;
    crc.update(data, checksum_at);
    crc.update(zeros, sizeof zeros);
    crc.update(data + checksum_at + sizeof zeros, size - checksum_at - sizeof zeros);
    return crc;
}

constexpr std::size_t kPiece = 1 << 16;  // bytes that are read at once
constexpr double kWorkPerByte = 16;      // to write a byte of a packed matrix, in multiply-adds

class File final : public Container {
public:
    File(std::unique_ptr<Source> source, std::string name, const Continue& keep_going);
    void rows(RowSink sink) override;
    std::vector<float> floats(std::vector<float>* scales) override;
    std::string file_prefix() const override;
    SelfTest finish() override;

private:
    void parse(Cursor& in);
    void check_end(std::uint64_t begin) const;
    void identify(const Keys& keys);
    void check_scales(const std::byte* scales, std::size_t n, const std::string& tensor) const;

    std::string name_;
    std::unique_ptr<Source> source_;
    const Continue& keep_going_;
    std::optional<Keys> keys_;
    std::uint32_t checksum_ = 0;
    std::vector<Stored> stored_;   // all arrays, in the order of the file
    std::size_t prefix_size_ = 0;  // bytes before the arrays
    std::size_t next_ = 0;         // index of the next array
    std::uint64_t position_ = 0;   // bytes of the file that were read
    Crc32 crc_, identity_;         // of the file, and of what identifies the network
    std::string not_finite_;       // name of the first array with a number that is not finite
};

File::File(std::unique_ptr<Source> source, std::string name, const Continue& keep_going)
    : name_(std::move(name)), source_(std::move(source)), keep_going_(keep_going) {
    named(name_, [this] {
        const std::uint64_t size = source_->size();
        if (size > kMaxFile) fail_format({"size of the file: expected at most %, found % bytes", kMaxBytes, size});
        // The size of the prefix is known only at its end. So a prefix of 64 KiB is tried, then
        // larger ones.
        for (std::uint64_t n = std::min<std::uint64_t>(size, kPiece);; n = 8 * n < size ? 4 * n : size) {
            ask(keep_going_);
            Cursor in(source_->prefix(static_cast<std::size_t>(n)), static_cast<std::size_t>(n), &keep_going_);
            try {
                return parse(in);
            } catch (const Error&) {
                if (!in.ended() || n == size) throw;
            }
        }
    });
}

void File::parse(Cursor& in) {
    info = {};
    layers.clear();
    stored_.clear();
    const gguf::Header header = gguf::take_header(in);
    const std::initializer_list<std::string_view> long_texts = {"lstmgen.card", "lstmgen.grammar"};
    Keys& keys = keys_.emplace(in, header.keys, long_texts, kMaxText);

    const auto architecture = keys.string("general.architecture");
    if (architecture != "lstmgen")
        fail_format({"key general.architecture: expected lstmgen, found ", Part::quoted(architecture)});
    const auto format = keys.u32("lstmgen.format");
    if (format != 1) fail_format({"key lstmgen.format: expected 1 (a newer lstmgen may read it), found ", format});
    keys.size("general.alignment", kAlignment, kAlignment);
    const WeightType matrices = take_file_type(keys);
    info.dtype = matrices == WeightType::f32 ? "f32" : matrices == WeightType::bf16 ? "bf16" : "int8";
    checksum_at = keys.position_of("lstmgen.checksum");
    checksum_ = keys.u32("lstmgen.checksum");
    take_facts(keys, info);

    info.encoding = take_encoding(keys);
    info.input_size = keys.size("lstmgen.input_size", 1, kMaxSize);
    info.window = keys.size("lstmgen.window", 0, kMaxSteps);
    layers.resize(keys.size("lstmgen.layer_count", 1, kMaxLayers));
    for (std::size_t i = 0; i < layers.size(); ++i) {
        take_layer(keys, i, matrices, info, layers);
        info.whole = info.whole || layers[i].type->has(trait::whole);
    }
    keys.enter("");
    const Shape& output = layers.back().shape;
    info.outputs = output.size;
    info.output_sequence = output.sequence;
    info.output_steps = output.steps;
    check_layers(layers);
    info.predictor = keys.flag("lstmgen.predictor");
    check_encoding(info, layers, keys.has("lstmgen.labels"));
    take_input_values(keys, info);
    take_zero_padding(keys, info);

    std::size_t count = 0;
    for (const LayerDescription& layer : layers)
        for (const ArrayDescription& array : layer.arrays) count += array.tensor.type == WeightType::int8 ? 2 : 1;
    if (header.tensors != count) fail_format({"number of tensors: expected %, found %", count, header.tensors});
    std::uint64_t offset = 0;
    for (const LayerDescription& layer : layers) take_tensors(in, layer, offset, stored_);

    // From here on memory is taken in proportion to the sizes of layers. Before that, the file must
    // be as large as these sizes demand.
    check_end(in.position());
    crc_ = begin_checksum(source_->prefix(in.position()), in.position(), checksum_at);
    position_ = prefix_size_ = in.position();
    source_->begin(in.position());
    identify(keys);
}

// Throws Error unless the file ends with the last of its tensors, which begin at byte `begin`.
void File::check_end(std::uint64_t begin) const {
    std::uint64_t end = begin;
    for (const Stored& each : stored_) end = (end + kAlignment - 1) / kAlignment * kAlignment + each.tensor.nbytes();
    if (end > source_->size()) fail_format({"the file ends inside the tensors at byte ", source_->size()});
    if (end < source_->size())
        fail_format({"the file goes on after its last tensor, for % bytes", source_->size() - end});
}

// Adds to identity_ what identifies the network beside its tensors.
void File::identify(const Keys& keys) {
    const auto add = [&](std::uint64_t n) { identity_.update(reinterpret_cast<const std::byte*>(&n), sizeof n); };
    const auto padding = keys.peek("lstmgen.padding");
    add(info.input_size);
    add(info.outputs);
    add(info.window);
    add(padding ? *padding : ~std::uint64_t{0});
    // Newer keys count only if the file has them, so that old files keep their identity.
    if (info.zero_padding) add(~std::uint64_t{1});
    if (info.encoding == Encoding::raw) {
        add(~std::uint64_t{2});
        identity_.update(reinterpret_cast<const std::byte*>(info.input_values.data()),
                         info.input_values.size() * sizeof(float));
    }
}

// Throws Error unless each scale times each integer of int8 is a finite float.
void File::check_scales(const std::byte* scales, std::size_t n, const std::string& tensor) const {
    constexpr float most = std::numeric_limits<float>::max() / 128.0f;
    std::vector<float> numbers(n);
    to_floats(scales, WeightType::f32, n, numbers.data());
    for (std::size_t i = 0; i < n; ++i)
        if (std::isfinite(numbers[i]) && std::abs(numbers[i]) > most)
            fail_format({"%: tensor %: expected scales of at most %, found % in column %", name_, tensor, double{most},
                         double{numbers[i]}, i});
}

void File::rows(RowSink sink) {
    const Stored& stored = stored_[next_++];
    const Tensor& tensor = stored.tensor;
    named(name_, [&] {
        const std::size_t padding = static_cast<std::size_t>((kAlignment - position_ % kAlignment) % kAlignment);
        const std::byte* const between = source_->next(padding);
        if (std::any_of(between, between + padding, [](std::byte b) { return b != std::byte{0}; }))
            fail_format({"padding: expected zeros, found other bytes"});
        crc_.update(between, padding);
        position_ += padding + tensor.nbytes();
    });
    const std::uint64_t size = tensor.nbytes();
    if (!stored.scales) identity_.update(reinterpret_cast<const std::byte*>(&size), sizeof size);
    std::size_t identifying = stored.scales ? 0 : std::min(tensor.nbytes(), kIdentifying);
    const std::size_t most = std::max<std::size_t>(4, kPiece / tensor.row_bytes() / 4 * 4);
    bool finite = true;
    std::vector<std::byte> without_subnormal;
    for (std::size_t row = 0, n; row < tensor.rows; row += n) {
        ask(keep_going_);
        n = std::min(most, tensor.rows - row);
        const std::size_t bytes = n * tensor.row_bytes();
        const std::byte* piece = source_->next(bytes);
        crc_.update(piece, bytes);
        if (any_subnormal(piece, tensor.type, n * tensor.columns)) {
            without_subnormal.assign(piece, piece + bytes);
            drop_subnormal(without_subnormal.data(), tensor.type, n * tensor.columns);
            piece = without_subnormal.data();
        }
        const std::size_t hashed = std::min(bytes, identifying);
        if (hashed > 0 && tensor.type == WeightType::bf16) {  // as Model::bytes gives them
            std::vector<std::byte> numbers(piece, piece + hashed);
            drop_least(numbers.data(), hashed / sizeof(std::uint16_t));
            identity_.update(numbers.data(), hashed);
        } else {
            identity_.update(piece, hashed);
        }
        identifying -= hashed;
        finite = finite && all_finite(piece, tensor.type, n * tensor.columns);
        if (stored.scales) check_scales(piece, tensor.columns, stored.name);
        sink(row, n, piece);
    }
    if (!finite && not_finite_.empty()) not_finite_ = stored.name;
}

std::vector<float> File::floats(std::vector<float>* scales) {
    const Tensor tensor = stored_[next_].tensor;
    std::vector<float> values(tensor.rows * tensor.columns);
    const auto take = [&](std::size_t row, std::size_t n, const std::byte* bytes) {
        to_floats(bytes, tensor.type, n * tensor.columns, values.data() + row * tensor.columns);
    };
    rows(RowSink(take));
    if (tensor.type == WeightType::int8) {
        const std::vector<float> columns = floats(nullptr);
        for (std::size_t i = 0; !scales && i < values.size(); ++i) values[i] *= columns[i % tensor.columns];
        if (scales) *scales = columns;
    }
    return values;
}

std::string File::file_prefix() const {
    return {reinterpret_cast<const char*>(source_->prefix(prefix_size_)), prefix_size_};
}

SelfTest File::finish() {
    return named(name_, [this] {
        Keys& keys = *keys_;
        if (crc_.value() != checksum_) fail_format({"the checksum is wrong: the file is damaged"});
        take_labels(keys, info);
        check_no_elements(keys, info);
        take_vocabulary(keys, info);
        SelfTest test = take_self_test(keys, info);
        keys.check_all_taken();
        // The identity leaves out the self-test, whose numbers differ from machine to machine.
        info.identity = identity_.value();
        if (!not_finite_.empty()) fail_format({"tensor % has a value that is not finite", not_finite_});
        return test;
    });
}

}  // namespace

void ArrayWriter::array(const void* data, std::size_t nbytes) {
    ask(keep_going_);
    file_.resize(round_up(file_.size(), kAlignment));
    more(data, nbytes);
}

void ArrayWriter::more(const void* data, std::size_t nbytes) {
    asking_.before(static_cast<double>(nbytes) * kWorkPerByte);
    if (nbytes > 0) file_.append(static_cast<const char*>(data), nbytes);
}

void ArrayWriter::floats(const std::vector<float>& numbers) { array(numbers.data(), numbers.size() * sizeof(float)); }

void set_checksum(std::string& file, std::size_t checksum_at, const Continue& keep_going) {
    const auto* const data = reinterpret_cast<const std::byte*>(file.data());
    std::size_t at = checksum_at + 4;
    Crc32 crc = begin_checksum(data, at, checksum_at);
    Asking asking(keep_going);
    for (std::size_t n; at < file.size(); at += n) {
        n = std::min(file.size() - at, kPiece);
        asking.before(static_cast<double>(n));
        crc.update(data + at, n);
    }
    for (std::size_t i = 0; i < 4; ++i) file[checksum_at + i] = static_cast<char>(crc.value() >> 8 * i & 255);
}

std::vector<std::uint32_t> order_of(const std::vector<std::string>& texts) {
    std::vector<std::uint32_t> order(texts.size());
    for (std::uint32_t id = 0; id < order.size(); ++id) order[id] = id;
    sort_ids(order, [&](std::uint32_t a, std::uint32_t b) { return texts[a] < texts[b]; });
    return order;
}

std::unique_ptr<Container> open_container(std::unique_ptr<Source> source, std::string name,
                                          const Continue& keep_going) {
    return std::make_unique<File>(std::move(source), std::move(name), keep_going);
}

}  // namespace lstmgen
