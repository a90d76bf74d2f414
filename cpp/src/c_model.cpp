// The functions of the C API that work on models: loading, facts, text to ids, whole sequences,
// many sequences.
#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aligned.hpp"
#include "c_errors.hpp"
#include "c_handles.hpp"
#include "c_structs.hpp"
#include "checks.hpp"
#include "lstmgen/lstmgen.h"
#include "lstmgen/lstmgen.hpp"
#include "message.hpp"

#ifdef LSTMGEN_BUILD_VERSION
static_assert(std::string_view(LSTMGEN_VERSION_STRING) == LSTMGEN_BUILD_VERSION, "common.h and CMakeLists.txt differ");
#endif

lstmgen_model::lstmgen_model(lstmgen::Model m, const lstmgen::Allocator& a) : model(std::move(m)), allocator(a) {
    const lstmgen::ModelInfo& info = model.info();
    if (!info.whole) stepper.emplace(*model.network());
    if (!info.vocabulary.empty()) vocabulary.emplace(model);
}

namespace lstmgen {

void release(lstmgen_model* model) noexcept {
    if (model->references.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(model);
}

lstmgen_status check(const lstmgen_model* model) noexcept {
    return check_handle(model ? &model->magic : nullptr, kModelMagic, "the model", "released");
}

lstmgen_status call_with(const lstmgen_model* model, Call* call, const void* f) noexcept {
    const lstmgen_status status = check(model);
    if (status != LSTMGEN_OK) return status;
    return guarded([&] { return call(f); });
}

namespace {

// Where a model comes from: three functions of the C API differ in it.
using Make = Model(const void* from, const std::string& name, const LoadOptions& options);

// Makes a model from the C++ model that `make` loads.
lstmgen_status load(const lstmgen_load_options* options, lstmgen_model** to, Make* make, const void* from) noexcept {
    if (!to) return fail_null("the place for the model");
    *to = nullptr;
    lstmgen_load_options o = Versioned<lstmgen_load_options>::defaults();
    Allocator allocator;
    lstmgen_status status = LSTMGEN_OK;
    if (options) status = read_struct(options, o);
    if (status == LSTMGEN_OK) status = read_allocator(o.allocator, allocator);
    if (status != LSTMGEN_OK) return status;
    return guarded([&] {
        const UseAllocator use(allocator);
        LoadOptions kernels;
        if (o.isa) kernels.isa = o.isa;
        if (o.on_wait) kernels.keep_going = [o] { return o.on_wait(o.user) == 0; };
        *to = create<lstmgen_model>(allocator, make(from, o.name ? o.name : "<memory>", kernels), allocator);
        return LSTMGEN_OK;
    });
}

// The functions that load a model from a path, from memory and from a stream.
Model from_path(const void* from, const std::string&, const LoadOptions& options) {
    if (!from) refuse({"the path is NULL"});
    return Model::load(static_cast<const char*>(from), options);
}

struct Memory {
    const void* data;
    std::size_t bytes;
};
Model from_memory(const void* from, const std::string& name, const LoadOptions& options) {
    const auto& memory = *static_cast<const Memory*>(from);
    return Model::from_memory(memory.data, memory.bytes, name, options);
}

// Reads all bytes of a stream. Returns a buffer, and how many of its bytes count. Their content is
// checked later.
std::pair<AlignedBuffer<char>, std::size_t> read_all(lstmgen_read read, void* user, const std::string& name) {
    AlignedBuffer<char> bytes;
    std::size_t used = 0;
    for (;;) {
        if (used == bytes.size()) {
            AlignedBuffer<char> more(std::max(used * 2, std::size_t{1} << 16), AlignedBuffer<char>::Raw{});
            if (used > 0) std::memcpy(more.data(), bytes.data(), used);
            bytes = std::move(more);
        }
        const std::size_t room = bytes.size() - used;
        const std::size_t n = read(user, bytes.data() + used, room);
        if (n == 0) break;
        if (n == static_cast<std::size_t>(-1)) fail(ErrorCode::io, {"%: the stream reports an error", name});
        if (n > room) refuse({"%: the stream: expected at most % bytes, found %", name, room, n});
        used += n;
        // A stream that is no model file need not be read to its end.
        if (used >= 4 && std::memcmp(bytes.data(), "GGUF", 4) != 0) break;
        if (used > kMaxFile) break;
    }
    return {std::move(bytes), used};
}

struct Stream {
    lstmgen_read read;
    void* user;
};
Model from_stream(const void* from, const std::string& name, const LoadOptions& options) {
    const auto& stream = *static_cast<const Stream*>(from);
    if (!stream.read) refuse({"the function that reads is NULL"});
    const auto [bytes, used] = read_all(stream.read, stream.user, name);
    return Model::from_memory(bytes.data(), used, name, options);
}

lstmgen_status give(const std::string& text, const char** to, std::size_t* bytes) noexcept {
    *to = text.c_str();
    if (bytes) *bytes = text.size();
    return LSTMGEN_OK;
}

// Fails unless `count` is batch * steps * size.
lstmgen_status check_input(std::size_t count, std::size_t batch, std::size_t steps, std::size_t size) noexcept {
    const std::optional<std::size_t> rows = product(batch, steps), n = rows ? product(*rows, size) : rows;
    if (n && count == *n) return LSTMGEN_OK;
    return fail(LSTMGEN_INVALID_ARGUMENT, "the input: expected batch * steps * %zu numbers, found %zu for %zu * %zu",
                size, count, batch, steps);
}

// Predicts from x (batch, steps, size) of x_count values into y (y_count). T is std::uint32_t or
// float.
template <class T>
lstmgen_status predict(const lstmgen_model& model, std::size_t size, std::size_t batch, std::size_t steps, const T* x,
                       std::size_t x_count, float* y, std::size_t y_count) {
    const std::size_t out = model.model.predict_size(batch, steps);
    const lstmgen_status status = check_input(x_count, batch, steps, size);
    if (status != LSTMGEN_OK) return status;
    if (y && y_count < out) return fail_short("y", out, y_count);
    const UseAllocator use(model.allocator);
    model.model.predict(x, batch, steps, y);
    return LSTMGEN_OK;
}

lstmgen_status read_many(const lstmgen_model& model, const lstmgen_many_options& from, const SamplerOptions& sampler,
                         std::vector<Request>& requests, ManyOptions& to) {
    if (from.primes && !from.prime_sizes) return fail_null("prime_sizes");
    lstmgen_status status = read_stops(from.stops, from.stop_sizes, from.stop_count, to.stops);
    if (status == LSTMGEN_OK)
        status = read_stop_texts(model, from.stop_texts, from.stop_text_bytes, from.stop_text_count, to.stops,
                                 to.stop_texts);
    if (status != LSTMGEN_OK) return status;
    to.length = from.length;
    for (std::size_t i = 0; i < from.count; ++i) {
        Request request{sampler, {}, from.grammar && from.grammar_primes ? from.grammar_primes[i] : 0};
        request.sampler.seed = from.seeds ? from.seeds[i] : sampler.seed + i;
        if (from.temps) request.sampler.temp = from.temps[i];
        if (!from.primes)
            request.prime = model.model.info().prime;
        else if (from.primes[i])
            request.prime.assign(from.primes[i], from.primes[i] + from.prime_sizes[i]);
        requests.push_back(std::move(request));
    }
    return LSTMGEN_OK;
}

}  // namespace
}  // namespace lstmgen

using namespace lstmgen;

// ---- Models -------------------------------------------------------------------------------------

lstmgen_status lstmgen_model_load_path(const char* path, const lstmgen_load_options* options, lstmgen_model** model) {
    return load(options, model, from_path, path);
}

lstmgen_status lstmgen_model_load_memory(const void* data, size_t bytes, const lstmgen_load_options* options,
                                         lstmgen_model** model) {
    const Memory memory{data, bytes};
    return load(options, model, from_memory, &memory);
}

lstmgen_status lstmgen_model_load_stream(lstmgen_read read, void* user, const lstmgen_load_options* options,
                                         lstmgen_model** model) {
    const Stream stream{read, user};
    return load(options, model, from_stream, &stream);
}

lstmgen_status lstmgen_model_retain(lstmgen_model* model) {
    const lstmgen_status status = check(model);
    if (status == LSTMGEN_OK) model->references.fetch_add(1, std::memory_order_relaxed);
    return status;
}

lstmgen_status lstmgen_model_release(lstmgen_model** model) {
    if (!model) return fail_null("the place of the model");
    if (!*model) return LSTMGEN_OK;
    const lstmgen_status status = check(*model);
    if (status == LSTMGEN_OK) release(std::exchange(*model, nullptr));
    return status;
}

lstmgen_status lstmgen_model_number(const lstmgen_model* model, int what, size_t* number) {
    return with(model, [&](const lstmgen_model& m) {
        if (!number) return fail_null("the place for the number");
        const ModelInfo& info = m.model.info();
        switch (what) {
            case LSTMGEN_NUMBER_ENCODING: *number = static_cast<std::size_t>(info.encoding); break;
            case LSTMGEN_NUMBER_INPUT_SIZE: *number = info.input_size; break;
            case LSTMGEN_NUMBER_OUTPUTS: *number = info.outputs; break;
            case LSTMGEN_NUMBER_WINDOW: *number = info.window; break;
            case LSTMGEN_NUMBER_OUTPUT_SEQUENCE: *number = info.output_sequence; break;
            case LSTMGEN_NUMBER_OUTPUT_STEPS: *number = info.output_steps; break;
            case LSTMGEN_NUMBER_WHOLE: *number = info.whole; break;
            case LSTMGEN_NUMBER_FIXED_STEPS: *number = info.fixed_steps; break;
            case LSTMGEN_NUMBER_LABELS: *number = info.labels.size(); break;
            case LSTMGEN_NUMBER_VOCABULARY: *number = info.vocabulary.size(); break;
            case LSTMGEN_NUMBER_PRIME: *number = info.prime.size(); break;
            case LSTMGEN_NUMBER_HAS_PADDING: *number = info.padding.has_value(); break;
            case LSTMGEN_NUMBER_PADDING: *number = info.padding.value_or(0); break;
            case LSTMGEN_NUMBER_LAYERS: *number = info.layers.size(); break;
            case LSTMGEN_NUMBER_WEIGHT_BYTES: *number = info.nbytes; break;
            case LSTMGEN_NUMBER_ZERO_PADDING: *number = info.zero_padding; break;
            case LSTMGEN_NUMBER_PREDICTOR: *number = info.predictor; break;
            case LSTMGEN_NUMBER_INPUT_VALUES: *number = info.input_values.size(); break;
            default: return fail(LSTMGEN_INVALID_ARGUMENT, "what: expected an lstmgen_number, found %d", what);
        }
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_model_string(const lstmgen_model* model, int what, const char** text, size_t* bytes) {
    return with(model, [&](const lstmgen_model& m) {
        if (!text) return fail_null("the place for the text");
        const ModelInfo& info = m.model.info();
        switch (what) {
            case LSTMGEN_STRING_NAME: return give(info.name, text, bytes);
            case LSTMGEN_STRING_DESCRIPTION: return give(info.description, text, bytes);
            case LSTMGEN_STRING_AUTHOR: return give(info.author, text, bytes);
            case LSTMGEN_STRING_LICENSE: return give(info.license, text, bytes);
            case LSTMGEN_STRING_SOURCE_URL: return give(info.source_url, text, bytes);
            case LSTMGEN_STRING_GRAMMAR: return give(info.grammar, text, bytes);
            case LSTMGEN_STRING_CARD: return give(info.card, text, bytes);
            case LSTMGEN_STRING_KERAS_VERSION: return give(info.keras_version, text, bytes);
            case LSTMGEN_STRING_DTYPE: return give(info.dtype, text, bytes);
            case LSTMGEN_STRING_ISA: return give(info.isa, text, bytes);
            case LSTMGEN_STRING_VOCABULARY_KIND: return give(info.vocabulary_kind, text, bytes);
            default: return fail(LSTMGEN_INVALID_ARGUMENT, "what: expected an lstmgen_string, found %d", what);
        }
    });
}

lstmgen_status lstmgen_model_element(const lstmgen_model* model, uint32_t id, const char** text, size_t* bytes) {
    return with(model, [&](const lstmgen_model& m) {
        if (!text) return fail_null("the place for the text");
        const auto& elements = m.model.info().vocabulary;
        if (id >= elements.size())
            return fail(LSTMGEN_INVALID_ARGUMENT, "id: expected below %zu, the size of the vocabulary, found %lu",
                        elements.size(), static_cast<unsigned long>(id));
        return give(elements[id], text, bytes);
    });
}

lstmgen_status lstmgen_model_label(const lstmgen_model* model, size_t index, const char** text, size_t* bytes) {
    return with(model, [&](const lstmgen_model& m) {
        if (!text) return fail_null("the place for the text");
        const auto& labels = m.model.info().labels;
        if (index >= labels.size())
            return fail(LSTMGEN_INVALID_ARGUMENT, "label: expected below %zu, found %zu", labels.size(), index);
        return give(labels[index], text, bytes);
    });
}

lstmgen_status lstmgen_model_prime(const lstmgen_model* model, const uint32_t** ids, size_t* count) {
    return with(model, [&](const lstmgen_model& m) {
        if (!ids || !count) return fail_null("the place for the prime");
        *ids = m.model.info().prime.data();
        *count = m.model.info().prime.size();
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_model_input_values(const lstmgen_model* model, const float** values, size_t* count) {
    return with(model, [&](const lstmgen_model& m) {
        if (!values || !count) return fail_null("the place for the values");
        *values = m.model.info().input_values.data();
        *count = m.model.info().input_values.size();
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_model_layer(const lstmgen_model* model, size_t index, lstmgen_layer* layer) {
    return with(model, [&](const lstmgen_model& m) {
        if (!layer) return fail_null("the place for the layer");
        const auto& layers = m.model.info().layers;
        if (index >= layers.size())
            return fail(LSTMGEN_INVALID_ARGUMENT, "layer: expected below %zu, found %zu", layers.size(), index);
        const LayerInfo& from = layers[index];
        lstmgen_layer to = Versioned<lstmgen_layer>::defaults();
        to.type = from.type.c_str();
        to.name = from.name.c_str();
        to.activation = from.activation.c_str();
        to.recurrent_activation = from.recurrent_activation.c_str();
        to.input_size = from.input_size;
        to.outputs = from.outputs;
        to.sources = from.sources.data();
        to.source_count = from.sources.size();
        to.return_sequences = from.return_sequences;
        return fill_struct(layer, layer->size, to);
    });
}

lstmgen_status lstmgen_model_encode(const lstmgen_model* model, const char* text, size_t bytes, uint32_t* ids,
                                    size_t capacity, size_t* count) {
    return with(model, [&](const lstmgen_model& m) {
        if (!text) return fail_null("the text");
        if (!count) return fail_null("the place for the count");
        if (!ids && capacity > 0) return fail_null("ids");
        if (!m.vocabulary) return fail(LSTMGEN_INVALID_ARGUMENT, "the model has no vocabulary");
        *count = m.vocabulary->encode({text, bytes}, ids, capacity);
        return *count <= capacity || !ids ? LSTMGEN_OK : fail_short("ids", *count, capacity);
    });
}

// ---- Whole sequences ----------------------------------------------------------------------------

lstmgen_status lstmgen_model_predict_size(const lstmgen_model* model, size_t batch, size_t steps, size_t* count) {
    return with(model, [&](const lstmgen_model& m) {
        if (!count) return fail_null("the place for the count");
        *count = m.model.predict_size(batch, steps);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_model_predict_ids(const lstmgen_model* model, size_t batch, size_t steps, const uint32_t* ids,
                                         size_t ids_count, float* y, size_t y_count) {
    return with(model, [&](const lstmgen_model& m) { return predict(m, 1, batch, steps, ids, ids_count, y, y_count); });
}

lstmgen_status lstmgen_model_predict_features(const lstmgen_model* model, size_t batch, size_t steps, const float* x,
                                              size_t x_count, float* y, size_t y_count) {
    return with(model, [&](const lstmgen_model& m) {
        return predict(m, m.model.info().input_size, batch, steps, x, x_count, y, y_count);
    });
}

// ---- Many sequences -----------------------------------------------------------------------------

lstmgen_status lstmgen_model_sample_many(const lstmgen_model* model, const lstmgen_generator_options* options,
                                         const lstmgen_many_options* many, uint32_t* ids, size_t ids_count,
                                         size_t* counts) {
    return with(model, [&](const lstmgen_model& m) {
        if (!many) return fail_null("lstmgen_many_options");
        lstmgen_many_options from;
        GeneratorOptions o;
        ManyOptions shared;
        std::vector<Request> requests;
        Allocator allocator = m.allocator;
        lstmgen_status status = read_struct(many, from);
        if (status == LSTMGEN_OK) status = read_generator_options(options, o, allocator);
        if (status != LSTMGEN_OK) return status;
        const std::optional<std::size_t> room = product(from.count, from.length);
        if (!room || ids_count < *room) return fail_short("ids", room.value_or(SIZE_MAX), ids_count);
        if (!ids && *room > 0) return fail_null("ids");
        if (!counts && from.count > 0) return fail_null("counts");
        shared.refresh = o.refresh;
        shared.threads = o.threads;
        shared.finish = from.unfinished == 0;
        status = read_grammar(from.grammar, model, shared.grammar);
        if (status == LSTMGEN_OK) status = read_many(m, from, o.sampler, requests, shared);
        if (status != LSTMGEN_OK) return status;
        const UseAllocator use(allocator);
        bool stopped = false;
        const auto drawn = sample_many(m.model, requests, shared, [&] {
            stopped = stopped || (from.on_wait && from.on_wait(from.user) != 0);
            return !stopped;
        });
        for (std::size_t i = 0; i < drawn.size(); ++i) {
            std::copy(drawn[i].begin(), drawn[i].end(), ids + i * from.length);
            counts[i] = drawn[i].size();
        }
        return stopped ? LSTMGEN_STOPPED : LSTMGEN_OK;
    });
}
