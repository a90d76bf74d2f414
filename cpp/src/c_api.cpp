// lstmgen.h: the C++ API without exceptions. Every entry checks what it is given, catches all, and says why in a buffer
// of the thread, which takes no memory that could be missing.
#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "aligned.hpp"
#include "isa.hpp"
#include "lstmgen/lstmgen.h"
#include "lstmgen/lstmgen.hpp"
#include "memory.hpp"
#include "message.hpp"
#include "network.hpp"
#include "stepper.hpp"

#define LSTMGEN_STRINGIFY_(x) #x
#define LSTMGEN_STRINGIFY(x) LSTMGEN_STRINGIFY_(x)

namespace {

using namespace lstmgen;

constexpr char kVersion[] = LSTMGEN_STRINGIFY(LSTMGEN_VERSION_MAJOR) "." LSTMGEN_STRINGIFY(
    LSTMGEN_VERSION_MINOR) "." LSTMGEN_STRINGIFY(LSTMGEN_VERSION_PATCH);
#ifdef LSTMGEN_BUILD_VERSION
static_assert(std::string_view(kVersion) == LSTMGEN_BUILD_VERSION, "lstmgen.h and CMakeLists.txt differ");
#endif

constexpr std::uint64_t kModelMagic = 0x6c73746d6d6f646c, kGeneratorMagic = 0x6c73746d67656e72, kDead = 0;
constexpr std::size_t kErrorBytes = 512;

thread_local char last_error[kErrorBytes] = "";

#if defined(__MINGW32__)
__attribute__((format(gnu_printf, 2, 3)))
#elif defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
lstmgen_status fail(lstmgen_status status, const char* format, ...) noexcept {
    va_list arguments;
    va_start(arguments, format);
    const int bytes = std::vsnprintf(last_error, kErrorBytes, format, arguments);
    va_end(arguments);
    if (bytes >= static_cast<int>(kErrorBytes)) {  // no part of a character at the end
        std::size_t end = kErrorBytes - 1;
        while (end > 0 && (static_cast<unsigned char>(last_error[end - 1]) & 0xc0) == 0x80) --end;
        if (end > 0 && (static_cast<unsigned char>(last_error[end - 1]) & 0x80)) --end;
        last_error[end] = '\0';
    }
    return status;
}

lstmgen_status fail_null(const char* what) noexcept { return fail(LSTMGEN_INVALID_ARGUMENT, "%s is NULL", what); }

lstmgen_status status_of(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::io: return LSTMGEN_IO;
        case ErrorCode::format: return LSTMGEN_FORMAT;
        case ErrorCode::invalid_argument: break;
    }
    return LSTMGEN_INVALID_ARGUMENT;
}

// The status of the exception that is being handled.
lstmgen_status fail_exception() noexcept {
    try {
        throw;
    } catch (const Error& error) {
        return fail(status_of(error.code()), "%s", error.what());
    } catch (const std::bad_alloc&) {
        return fail(LSTMGEN_OUT_OF_MEMORY, "out of memory");
    } catch (const std::length_error&) {
        return fail(LSTMGEN_OUT_OF_MEMORY, "out of memory: more than any vector holds");
    } catch (const std::exception& error) {
        return fail(LSTMGEN_INTERNAL, "unexpected: %s", error.what());
    } catch (...) {
        return fail(LSTMGEN_INTERNAL, "unexpected: an exception that is no std::exception");
    }
}

// f returns a status; whatever it throws becomes one.
template <class F>
lstmgen_status guarded(F&& f) noexcept {
    try {
        return f();
    } catch (...) {
        return fail_exception();
    }
}

// An object in memory of an allocator, which outlives it.
template <class T, class... Arguments>
T* create(const Allocator& allocator, Arguments&&... arguments) {
    static_assert(alignof(T) <= kAlignment);
    void* const memory = allocator.take(sizeof(T));
    try {
        return new (memory) T(std::forward<Arguments>(arguments)...);
    } catch (...) {
        allocator.give_back(memory, sizeof(T));
        throw;
    }
}

template <class T>
void destroy(T* object) noexcept {
    const Allocator allocator = object->allocator;
    object->magic.store(kDead, std::memory_order_relaxed);  // a use after this is an error, while the memory is unused
    object->~T();
    allocator.give_back(object, sizeof(T));
}

}  // namespace

struct lstmgen_model {
    lstmgen_model(Model m, const Allocator& a) : model(std::move(m)), allocator(a) {
        const ModelInfo& info = model.info();
        if (!info.whole) stepper.emplace(*model.network());
        for (const std::uint32_t id : order_of(info.vocabulary))
            if (!info.vocabulary[id].empty()) by_text.push_back(id);
    }

    std::atomic<std::uint64_t> magic{kModelMagic};
    std::atomic<std::size_t> references{1};
    Model model;
    Allocator allocator;
    std::optional<Stepper> stepper;      // unless info().whole
    std::vector<std::uint32_t> by_text;  // ids in the order of their elements' bytes, without an empty one
};

namespace {

void release(lstmgen_model* model) noexcept {
    if (model->references.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(model);
}

}  // namespace

struct lstmgen_generator {
    lstmgen_generator(lstmgen_model* m, Generator g, const Allocator& a)
        : allocator(a), generator(std::move(g)), model(m) {
        model->references.fetch_add(1, std::memory_order_relaxed);
    }
    ~lstmgen_generator() { release(model); }
    lstmgen_generator(const lstmgen_generator&) = delete;
    lstmgen_generator& operator=(const lstmgen_generator&) = delete;

    std::atomic<std::uint64_t> magic{kGeneratorMagic};
    std::atomic<bool> busy{false};
    Allocator allocator;
    Generator generator;
    lstmgen_model* model;
};

namespace {

bool alive(const lstmgen_model* model) noexcept { return model->magic.load(std::memory_order_relaxed) == kModelMagic; }
bool alive(const lstmgen_generator* generator) noexcept {
    return generator->magic.load(std::memory_order_relaxed) == kGeneratorMagic;
}

lstmgen_status check(const lstmgen_model* model) noexcept {
    if (!model) return fail_null("the model");
    if (!alive(model)) return fail(LSTMGEN_INVALID_ARGUMENT, "no model: it was released, or is another thing");
    return LSTMGEN_OK;
}

lstmgen_status check(const lstmgen_generator* generator) noexcept {
    if (!generator) return fail_null("the generator");
    if (!alive(generator)) return fail(LSTMGEN_INVALID_ARGUMENT, "no generator: it was freed, or is another thing");
    return LSTMGEN_OK;
}

// f(model) with a checked model.
template <class F>
lstmgen_status with(const lstmgen_model* model, F&& f) noexcept {
    const lstmgen_status status = check(model);
    return status != LSTMGEN_OK ? status : guarded([&] { return f(*model); });
}

// f(generator) with a checked generator that nobody else uses meanwhile.
template <class F>
lstmgen_status with(lstmgen_generator* generator, F&& f) noexcept {
    const lstmgen_status status = check(generator);
    if (status != LSTMGEN_OK) return status;
    if (generator->busy.exchange(true, std::memory_order_acquire))
        return fail(LSTMGEN_BUSY, "the generator is in use: by another thread, or below this callback");
    const lstmgen_status result = guarded([&] { return f(*generator); });
    generator->busy.store(false, std::memory_order_release);
    return result;
}

// A struct of a caller that may have been compiled with another version of the header: what it lacks keeps the
// default, what it has too much must be zero.
template <class T>
lstmgen_status read_struct(const T* from, const char* name, std::size_t least, T& to) noexcept {
    std::size_t size;
    std::memcpy(&size, from, sizeof size);
    if (size < least || size > 4096)
        return fail(LSTMGEN_WRONG_VERSION, "%s.size: expected %zu, found %zu: call %s_init", name, sizeof(T), size,
                    name);
    const char* const bytes = reinterpret_cast<const char*>(from);
    for (std::size_t i = sizeof(T); i < size; ++i)
        if (bytes[i] != 0)
            return fail(LSTMGEN_WRONG_VERSION, "%s has a field set that lstmgen %s does not know", name, kVersion);
    std::memcpy(&to, from, std::min(size, sizeof(T)));
    return LSTMGEN_OK;
}

// Sizes of the structs in the first version, below which none may be.
constexpr std::size_t kAllocatorSize = sizeof(lstmgen_allocator), kLoadOptionsSize = sizeof(lstmgen_load_options),
                      kOptionsSize = sizeof(lstmgen_options), kLayerSize = sizeof(lstmgen_layer),
                      kManySize = sizeof(lstmgen_many);

template <class T>
lstmgen_status init_struct(T* to, std::size_t size, std::size_t least, const char* name, T defaults) noexcept {
    if (!to) return fail_null(name);
    if (size < least || size > 4096)
        return fail(LSTMGEN_WRONG_VERSION, "size of %s: expected %zu, found %zu", name, sizeof(T), size);
    defaults.size = size;
    std::memset(static_cast<void*>(to), 0, size);
    std::memcpy(static_cast<void*>(to), &defaults, std::min(size, sizeof(T)));
    return LSTMGEN_OK;
}

lstmgen_status read_allocator(const lstmgen_allocator* from, Allocator& to) noexcept {
    if (!from) return LSTMGEN_OK;
    lstmgen_allocator allocator{};
    const lstmgen_status status = read_struct(from, "lstmgen_allocator", kAllocatorSize, allocator);
    if (status != LSTMGEN_OK) return status;
    if (!allocator.allocate || !allocator.release) return fail_null("a function of the allocator");
    to = {allocator.allocate, allocator.release, allocator.user};
    return LSTMGEN_OK;
}

// Makes a model of what `make(name)` loads.
template <class F>
lstmgen_status load(const lstmgen_load_options* options, lstmgen_model** to, F&& make) noexcept {
    if (!to) return fail_null("the place for the model");
    *to = nullptr;
    lstmgen_load_options o{};
    Allocator allocator;
    lstmgen_status status = LSTMGEN_OK;
    if (options) status = read_struct(options, "lstmgen_load_options", kLoadOptionsSize, o);
    if (status == LSTMGEN_OK) status = read_allocator(o.allocator, allocator);
    if (status != LSTMGEN_OK) return status;
    return guarded([&] {
        const UseAllocator use(allocator);
        *to = create<lstmgen_model>(allocator, make(std::string(o.name ? o.name : "<memory>")), allocator);
        return LSTMGEN_OK;
    });
}

// All bytes of a stream; Container checks the rest.
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
        if (n == static_cast<std::size_t>(-1)) fail(ErrorCode::io, {name, ": the stream reports an error"});
        if (n > room) refuse({name, ": the stream gave ", n, " bytes for ", room, " that were asked for"});
        used += n;
        if (used >= 4 && std::memcmp(bytes.data(), "GGUF", 4) != 0) break;  // what follows does not matter
        if (used > kMaxFile) break;
    }
    return {std::move(bytes), used};
}

lstmgen_status give(const std::string& text, const char** to, std::size_t* bytes) noexcept {
    *to = text.c_str();
    if (bytes) *bytes = text.size();
    return LSTMGEN_OK;
}

lstmgen_status short_buffer(const char* what, std::size_t want, std::size_t found) noexcept {
    return fail(LSTMGEN_SHORT_BUFFER, "%s: expected room for %zu, found %zu", what, want, found);
}

// a * b, or nothing if that exceeds what memory can hold.
std::optional<std::size_t> product(std::size_t a, std::size_t b) noexcept {
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / 16;
    if (a != 0 && b > most / a) return std::nullopt;
    return a * b;
}

// Floats of the output.
lstmgen_status predict_size(const ModelInfo& info, std::size_t batch, std::size_t steps, std::size_t& count) noexcept {
    if (steps == 0) return fail(LSTMGEN_INVALID_ARGUMENT, "steps: expected at least 1, found 0");
    if (info.fixed_steps && steps != info.window)
        return fail(LSTMGEN_INVALID_ARGUMENT, "the network takes exactly %zu time steps, found %zu", info.window,
                    steps);
    const std::size_t rows = !info.output_sequence ? 1 : info.output_steps > 0 ? info.output_steps : steps;
    std::optional<std::size_t> n = product(batch, rows);
    if (n) n = product(*n, info.outputs);
    if (!n) return fail(LSTMGEN_INVALID_ARGUMENT, "batch and steps: expected fewer, found %zu and %zu", batch, steps);
    count = *n;
    return LSTMGEN_OK;
}

// T is std::uint32_t or float; `size` of them make up a time step.
template <class T>
lstmgen_status predict(const lstmgen_model& model, std::size_t size, std::size_t batch, std::size_t steps, const T* x,
                       std::size_t x_count, float* y, std::size_t y_count) {
    std::size_t out = 0;
    const lstmgen_status status = predict_size(model.model.info(), batch, steps, out);
    if (status != LSTMGEN_OK) return status;
    std::optional<std::size_t> in = product(batch, steps);
    if (in) in = product(*in, size);
    if (!in || x_count != *in)
        return fail(LSTMGEN_INVALID_ARGUMENT,
                    "the input: expected batch * steps * %zu numbers, found %zu for %zu * %zu", size, x_count, batch,
                    steps);
    if (batch == 0) return LSTMGEN_OK;
    if (!x) return fail_null("the input");
    if (!y) return fail_null("y");
    if (y_count < out) return short_buffer("y", out, y_count);
    const UseAllocator use(model.allocator);
    model.model.predict(x, batch, steps, y);
    return LSTMGEN_OK;
}

bool is_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

// The longest element that `text` starts with: its id, and its length (0: there is none).
std::pair<std::uint32_t, std::size_t> longest(const lstmgen_model& model, std::string_view text) {
    const std::vector<std::string>& elements = model.model.info().vocabulary;
    auto first = model.by_text.begin(), last = model.by_text.end();  // those that start as the text does
    std::pair<std::uint32_t, std::size_t> found{0, 0};
    const auto byte = [&](std::uint32_t id, std::size_t at) -> int {
        return at < elements[id].size() ? static_cast<unsigned char>(elements[id][at]) : -1;
    };
    for (std::size_t at = 0; at < text.size() && first != last; ++at) {
        const int c = static_cast<unsigned char>(text[at]);
        first = std::partition_point(first, last, [&](std::uint32_t id) { return byte(id, at) < c; });
        last = std::partition_point(first, last, [&](std::uint32_t id) { return byte(id, at) <= c; });
        if (first != last && elements[*first].size() == at + 1) found = {*first, at + 1};
    }
    return found;
}

lstmgen_status encode(const lstmgen_model& model, std::string_view text, std::uint32_t* ids, std::size_t capacity,
                      std::size_t& count) {
    const ModelInfo& info = model.model.info();
    if (info.vocabulary.empty()) return fail(LSTMGEN_INVALID_ARGUMENT, "the model has no vocabulary");
    const bool tokens = info.vocabulary_kind == "tokens";
    std::size_t n = 0;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = text.size();
        if (tokens) {
            if (is_blank(text[at])) {
                ++at;
                continue;
            }
            end = static_cast<std::size_t>(std::find_if(text.begin() + std::ptrdiff_t(at), text.end(), is_blank) -
                                           text.begin());
        }
        const auto [id, length] = longest(model, text.substr(at, end - at));
        if (length == 0 || (tokens && length < end - at))
            return fail(LSTMGEN_INVALID_ARGUMENT, "the text at byte %zu, '%.*s', is not in the vocabulary", at,
                        static_cast<int>(std::min<std::size_t>(tokens ? end - at : 4, text.size() - at)),
                        text.data() + at);
        if (n < capacity) ids[n] = id;
        ++n;
        at += length;
    }
    count = n;
    return n <= capacity || !ids ? LSTMGEN_OK : short_buffer("ids", n, capacity);
}

lstmgen_status check_threads(std::size_t threads) noexcept {
    if (threads <= 1024) return LSTMGEN_OK;
    return fail(LSTMGEN_INVALID_ARGUMENT, "threads: expected at most 1024, found %zu", threads);
}

lstmgen_status read_options(const lstmgen_options* from, GeneratorOptions& to, Allocator& allocator) {
    if (!from) return LSTMGEN_OK;
    lstmgen_options o{};
    lstmgen_status status = read_struct(from, "lstmgen_options", kOptionsSize, o);
    if (status == LSTMGEN_OK) status = read_allocator(o.allocator, allocator);
    if (status != LSTMGEN_OK) return status;
    if (o.logit_bias_count > 0 && (!o.logit_bias || !o.logit_bias_ids))
        return fail(LSTMGEN_INVALID_ARGUMENT, "logit_bias is NULL, with a logit_bias_count of %zu", o.logit_bias_count);
    status = check_threads(o.threads);
    if (status != LSTMGEN_OK) return status;
    to.sampler.temp = o.temp;
    to.sampler.repeat_penalty = o.repeat_penalty;
    to.sampler.top_k = o.top_k;
    to.sampler.top_p = o.top_p;
    to.sampler.min_p = o.min_p;
    to.sampler.seed = o.seed;
    to.refresh = o.refresh;
    to.threads = o.threads;
    to.sampler.logit_bias.reserve(o.logit_bias_count);
    for (std::size_t i = 0; i < o.logit_bias_count; ++i)
        to.sampler.logit_bias.emplace_back(o.logit_bias_ids[i], o.logit_bias[i]);
    return LSTMGEN_OK;
}

// Draws up to `length` elements and hands them to `callback`, which returns 0 to go on.
template <class F>
lstmgen_status sample(Generator& generator, std::size_t length, F&& callback) {
    for (std::size_t i = 0; i < length || length == SIZE_MAX; ++i)
        if (callback(generator.next()) != 0) return LSTMGEN_STOPPED;
    return LSTMGEN_OK;
}

lstmgen_status read_many(const ModelInfo& info, const lstmgen_many& from, const SamplerOptions& sampler,
                         std::vector<Request>& requests, ManyOptions& to) {
    if (from.primes && !from.prime_sizes) return fail_null("prime_sizes");
    if (from.stop_count > 0 && (!from.stops || !from.stop_sizes)) return fail_null("stops or stop_sizes");
    to.length = from.length;
    for (std::size_t i = 0; i < from.stop_count; ++i) {
        if (!from.stops[i] || from.stop_sizes[i] == 0)
            return fail(LSTMGEN_INVALID_ARGUMENT, "stop %zu: expected at least 1 element", i);
        to.stops.emplace_back(from.stops[i], from.stops[i] + from.stop_sizes[i]);
    }
    for (std::size_t i = 0; i < from.count; ++i) {
        Request request{sampler, {}};
        request.sampler.seed = from.seeds ? from.seeds[i] : sampler.seed + i;
        if (from.temps) request.sampler.temp = from.temps[i];
        if (!from.primes)
            request.prime = info.prime;
        else if (from.primes[i])
            request.prime.assign(from.primes[i], from.primes[i] + from.prime_sizes[i]);
        requests.push_back(std::move(request));
    }
    return LSTMGEN_OK;
}

// Results of `save(memory, capacity)`, which says how many bytes it needs.
template <class F>
lstmgen_status save(void* to, std::size_t capacity, std::size_t* count, F&& save) {
    if (!count) return fail_null("the place for the number of bytes");
    if (!to && capacity > 0) return fail_null("the buffer");
    *count = save(to, capacity);
    return *count <= capacity || !to ? LSTMGEN_OK : short_buffer("the state's bytes", *count, capacity);
}

lstmgen_status check_state(const lstmgen_model& model, const void* state, std::size_t bytes) noexcept {
    if (!model.stepper)
        return fail(LSTMGEN_INVALID_ARGUMENT, "the network needs all time steps at once: it has no steps");
    if (!state) return fail_null("the state");
    if (bytes < model.stepper->nbytes()) return short_buffer("the state", model.stepper->nbytes(), bytes);
    if (reinterpret_cast<std::uintptr_t>(state) % 16 != 0)
        return fail(LSTMGEN_INVALID_ARGUMENT, "the state: expected an address that is a multiple of 16");
    return LSTMGEN_OK;
}

// The same of a state that has begun.
lstmgen_status check_begun(const lstmgen_model& model, const void* state, std::size_t bytes) noexcept {
    const lstmgen_status status = check_state(model, state, bytes);
    if (status != LSTMGEN_OK || model.stepper->owns(state)) return status;
    return fail(LSTMGEN_INVALID_ARGUMENT, "the state: expected one that lstmgen_state_init made for this model");
}

template <class T>
lstmgen_status step(const lstmgen_model& model, void* state, std::size_t bytes, T input, float* y,
                    std::size_t y_count) {
    const lstmgen_status status = check_begun(model, state, bytes);
    if (status != LSTMGEN_OK) return status;
    const std::size_t outputs = model.model.info().outputs;
    if (y && y_count < outputs) return short_buffer("y", outputs, y_count);
    model.stepper->step(state, input, y);
    return LSTMGEN_OK;
}

}  // namespace

// ---- Errors --------------------------------------------------------------------------------------------------------

const char* lstmgen_last_error(void) { return last_error; }

const char* lstmgen_status_name(int status) {
    switch (status) {
        case LSTMGEN_OK: return "ok";
        case LSTMGEN_IO: return "input or output";
        case LSTMGEN_FORMAT: return "format";
        case LSTMGEN_INVALID_ARGUMENT: return "invalid argument";
        case LSTMGEN_OUT_OF_MEMORY: return "out of memory";
        case LSTMGEN_SHORT_BUFFER: return "short buffer";
        case LSTMGEN_WRONG_VERSION: return "wrong version";
        case LSTMGEN_STOPPED: return "stopped";
        case LSTMGEN_BUSY: return "busy";
        case LSTMGEN_INTERNAL: return "internal";
        default: return "unknown status";
    }
}

const char* lstmgen_version(void) { return kVersion; }

const char* lstmgen_isa(size_t index) {
    const char* name = nullptr;
    guarded([&] {
        const auto tables = supported_kernels();
        if (index < tables.size()) name = tables[index]->name;
        return LSTMGEN_OK;
    });
    return name;
}

// ---- Models --------------------------------------------------------------------------------------------------------

lstmgen_status lstmgen_load_options_init(lstmgen_load_options* options, size_t size) {
    return init_struct(options, size, kLoadOptionsSize, "lstmgen_load_options", lstmgen_load_options{});
}

lstmgen_status lstmgen_load_path(const char* path, const lstmgen_load_options* options, lstmgen_model** model) {
    return load(options, model, [&](const std::string&) {
        if (!path) refuse({"the path is NULL"});
        return Model::load(path);
    });
}

lstmgen_status lstmgen_load_memory(const void* data, size_t bytes, const lstmgen_load_options* options,
                                   lstmgen_model** model) {
    return load(options, model, [&](const std::string& name) {
        if (!data) refuse({"the data is NULL"});
        return Model::from_memory(data, bytes, name);
    });
}

lstmgen_status lstmgen_load_stream(lstmgen_read read, void* user, const lstmgen_load_options* options,
                                   lstmgen_model** model) {
    return load(options, model, [&](const std::string& name) {
        if (!read) refuse({"the function that reads is NULL"});
        const auto [bytes, used] = read_all(read, user, name);
        return Model::from_memory(bytes.data(), used, name);
    });
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

lstmgen_status lstmgen_model_number(const lstmgen_model* model, int what, uint64_t* number) {
    return with(model, [&](const lstmgen_model& m) {
        if (!number) return fail_null("the place for the number");
        const ModelInfo& info = m.model.info();
        switch (what) {
            case LSTMGEN_NUMBER_ENCODING: *number = static_cast<std::uint64_t>(info.encoding); break;
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
            default: return fail(LSTMGEN_INVALID_ARGUMENT, "no lstmgen_number: %d", what);
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
            case LSTMGEN_STRING_CARD: return give(info.card, text, bytes);
            case LSTMGEN_STRING_KERAS_VERSION: return give(info.keras_version, text, bytes);
            case LSTMGEN_STRING_DTYPE: return give(info.dtype, text, bytes);
            case LSTMGEN_STRING_ISA: return give(info.isa, text, bytes);
            case LSTMGEN_STRING_VOCABULARY_KIND: return give(info.vocabulary_kind, text, bytes);
            default: return fail(LSTMGEN_INVALID_ARGUMENT, "no lstmgen_string: %d", what);
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
        lstmgen_layer to{};
        to.type = from.type.c_str();
        to.name = from.name.c_str();
        to.activation = from.activation.c_str();
        to.recurrent_activation = from.recurrent_activation.c_str();
        to.inputs = from.inputs;
        to.outputs = from.outputs;
        to.sources = from.sources.data();
        to.source_count = from.sources.size();
        to.return_sequences = from.return_sequences;
        return init_struct(layer, layer->size, kLayerSize, "lstmgen_layer", to);
    });
}

lstmgen_status lstmgen_encode(const lstmgen_model* model, const char* text, size_t bytes, uint32_t* ids,
                              size_t capacity, size_t* count) {
    return with(model, [&](const lstmgen_model& m) {
        if (!text) return fail_null("the text");
        if (!count) return fail_null("the place for the count");
        if (!ids && capacity > 0) return fail_null("ids");
        return encode(m, {text, bytes}, ids, capacity, *count);
    });
}

// ---- Whole sequences -----------------------------------------------------------------------------------------------

lstmgen_status lstmgen_predict_size(const lstmgen_model* model, size_t batch, size_t steps, size_t* count) {
    return with(model, [&](const lstmgen_model& m) {
        if (!count) return fail_null("the place for the count");
        return predict_size(m.model.info(), batch, steps, *count);
    });
}

lstmgen_status lstmgen_predict_ids(const lstmgen_model* model, size_t batch, size_t steps, const uint32_t* ids,
                                   size_t ids_count, float* y, size_t y_count) {
    return with(model, [&](const lstmgen_model& m) { return predict(m, 1, batch, steps, ids, ids_count, y, y_count); });
}

lstmgen_status lstmgen_predict_features(const lstmgen_model* model, size_t batch, size_t steps, const float* x,
                                        size_t x_count, float* y, size_t y_count) {
    return with(model, [&](const lstmgen_model& m) {
        return predict(m, m.model.info().input_size, batch, steps, x, x_count, y, y_count);
    });
}

// ---- Generators ----------------------------------------------------------------------------------------------------

lstmgen_status lstmgen_options_init(lstmgen_options* options, size_t size) {
    const GeneratorOptions from;
    lstmgen_options defaults{};
    defaults.temp = from.sampler.temp;
    defaults.repeat_penalty = from.sampler.repeat_penalty;
    defaults.top_k = from.sampler.top_k;
    defaults.top_p = from.sampler.top_p;
    defaults.min_p = from.sampler.min_p;
    defaults.seed = from.sampler.seed;
    defaults.refresh = from.refresh;
    defaults.threads = from.threads;
    return init_struct(options, size, kOptionsSize, "lstmgen_options", defaults);
}

lstmgen_status lstmgen_generator_create(lstmgen_model* model, const lstmgen_options* options,
                                        lstmgen_generator** generator) {
    if (!generator) return fail_null("the place for the generator");
    *generator = nullptr;
    return with(model, [&](const lstmgen_model& m) {
        GeneratorOptions o;
        Allocator allocator = m.allocator;
        const lstmgen_status status = read_options(options, o, allocator);
        if (status != LSTMGEN_OK) return status;
        const UseAllocator use(allocator);
        *generator = create<lstmgen_generator>(allocator, model, Generator(m.model, o), allocator);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_free(lstmgen_generator** generator) {
    if (!generator) return fail_null("the place of the generator");
    if (!*generator) return LSTMGEN_OK;
    const lstmgen_status status = check(*generator);
    if (status != LSTMGEN_OK) return status;
    if ((*generator)->busy.exchange(true, std::memory_order_acquire))
        return fail(LSTMGEN_BUSY, "the generator is in use: by another thread, or below this callback");
    destroy(std::exchange(*generator, nullptr));
    return LSTMGEN_OK;
}

lstmgen_model* lstmgen_generator_model(const lstmgen_generator* generator) {
    return check(generator) == LSTMGEN_OK ? generator->model : nullptr;
}

lstmgen_status lstmgen_feed(lstmgen_generator* generator, const uint32_t* ids, size_t count) {
    return with(generator, [&](lstmgen_generator& g) {
        if (!ids && count > 0) return fail_null("ids");
        g.generator.feed(ids, count);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_feed_prime(lstmgen_generator* generator) {
    return with(generator, [&](lstmgen_generator& g) {
        const auto& prime = g.model->model.info().prime;
        if (prime.empty()) return fail(LSTMGEN_INVALID_ARGUMENT, "the model has no default prime");
        g.generator.feed(prime);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_next(lstmgen_generator* generator, uint32_t* id) {
    return with(generator, [&](lstmgen_generator& g) {
        if (!id) return fail_null("the place for the id");
        *id = g.generator.next();
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_next_many(lstmgen_generator* generator, uint32_t* ids, size_t count) {
    return with(generator, [&](lstmgen_generator& g) {
        if (!ids && count > 0) return fail_null("ids");
        for (std::size_t i = 0; i < count; ++i) ids[i] = g.generator.next();
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_probabilities(lstmgen_generator* generator, double* p, size_t count) {
    return with(generator, [&](lstmgen_generator& g) {
        if (!p) return fail_null("p");
        const std::size_t outputs = g.model->model.info().outputs;
        if (count < outputs) return short_buffer("p", outputs, count);
        g.generator.probabilities(p);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_score(lstmgen_generator* generator, const uint32_t* ids, size_t count, double* log_p) {
    return with(generator, [&](lstmgen_generator& g) {
        if (!ids && count > 0) return fail_null("ids");
        if (!log_p && count > 0) return fail_null("log_p");
        g.generator.score(ids, count, log_p);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_sample(lstmgen_generator* generator, size_t length, lstmgen_on_id callback, void* user) {
    return with(generator, [&](lstmgen_generator& g) {
        if (!callback) return fail_null("the callback");
        return sample(g.generator, length, [&](std::uint32_t id) { return callback(user, id); });
    });
}

lstmgen_status lstmgen_sample_text(lstmgen_generator* generator, size_t length, lstmgen_on_text callback, void* user) {
    return with(generator, [&](lstmgen_generator& g) {
        if (!callback) return fail_null("the callback");
        const auto& elements = g.model->model.info().vocabulary;
        if (elements.empty()) return fail(LSTMGEN_INVALID_ARGUMENT, "the model has no vocabulary: sample ids");
        return sample(g.generator, length,
                      [&](std::uint32_t id) { return callback(user, elements[id].c_str(), elements[id].size()); });
    });
}

lstmgen_status lstmgen_generator_save(lstmgen_generator* generator, void* state, size_t capacity, size_t* bytes) {
    return with(generator, [&](lstmgen_generator& g) {
        return save(state, capacity, bytes, [&](void* to, std::size_t n) { return g.generator.save_state(to, n); });
    });
}

lstmgen_status lstmgen_generator_load(lstmgen_model* model, const void* state, size_t bytes, size_t threads,
                                      const lstmgen_allocator* allocator, lstmgen_generator** generator) {
    if (!generator) return fail_null("the place for the generator");
    *generator = nullptr;
    return with(model, [&](const lstmgen_model& m) {
        if (!state) return fail_null("the state");
        Allocator a = m.allocator;
        lstmgen_status status = read_allocator(allocator, a);
        if (status == LSTMGEN_OK) status = check_threads(threads);
        if (status != LSTMGEN_OK) return status;
        const UseAllocator use(a);
        *generator = create<lstmgen_generator>(a, model, Generator::load_state(m.model, state, bytes, threads), a);
        return LSTMGEN_OK;
    });
}

// ---- Many sequences ------------------------------------------------------------------------------------------------

lstmgen_status lstmgen_many_init(lstmgen_many* many, size_t size) {
    lstmgen_many defaults{};
    defaults.length = ManyOptions{}.length;
    return init_struct(many, size, kManySize, "lstmgen_many", defaults);
}

lstmgen_status lstmgen_sample_many(const lstmgen_model* model, const lstmgen_options* options, const lstmgen_many* many,
                                   uint32_t* ids, size_t ids_count, size_t* counts) {
    return with(model, [&](const lstmgen_model& m) {
        if (!many) return fail_null("lstmgen_many");
        lstmgen_many from{};
        GeneratorOptions o;
        ManyOptions shared;
        std::vector<Request> requests;
        Allocator allocator = m.allocator;
        lstmgen_status status = read_struct(many, "lstmgen_many", kManySize, from);
        if (status == LSTMGEN_OK) status = read_options(options, o, allocator);
        if (status != LSTMGEN_OK) return status;
        const std::optional<std::size_t> room = product(from.count, from.length);
        if (!room || ids_count < *room) return short_buffer("ids", room.value_or(SIZE_MAX), ids_count);
        if (!ids && *room > 0) return fail_null("ids");
        if (!counts && from.count > 0) return fail_null("counts");
        shared.refresh = o.refresh;
        shared.threads = o.threads;
        status = read_many(m.model.info(), from, o.sampler, requests, shared);
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

// ---- Steps ---------------------------------------------------------------------------------------------------------

lstmgen_status lstmgen_state_size(const lstmgen_model* model, size_t* bytes) {
    return with(model, [&](const lstmgen_model& m) {
        if (!bytes) return fail_null("the place for the number of bytes");
        if (!m.stepper)
            return fail(LSTMGEN_INVALID_ARGUMENT, "the network needs all time steps at once: it has no steps");
        *bytes = m.stepper->nbytes();
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_state_init(const lstmgen_model* model, void* state, size_t bytes) {
    return with(model, [&](const lstmgen_model& m) {
        const lstmgen_status status = check_state(m, state, bytes);
        if (status == LSTMGEN_OK) m.stepper->init(state);
        return status;
    });
}

lstmgen_status lstmgen_step_id(const lstmgen_model* model, void* state, size_t bytes, uint32_t id, float* y,
                               size_t y_count) {
    return with(model, [&](const lstmgen_model& m) {
        const ModelInfo& info = m.model.info();
        if (info.encoding == Encoding::features)
            return fail(LSTMGEN_INVALID_ARGUMENT, "the network reads features: expected features, found an id");
        const std::size_t limit = id_limit(info);
        if (id >= limit)
            return fail(LSTMGEN_INVALID_ARGUMENT, "id: expected below %zu, found %lu", limit,
                        static_cast<unsigned long>(id));
        return step(m, state, bytes, id, y, y_count);
    });
}

lstmgen_status lstmgen_step_features(const lstmgen_model* model, void* state, size_t bytes, const float* x,
                                     size_t x_count, float* y, size_t y_count) {
    return with(model, [&](const lstmgen_model& m) {
        const ModelInfo& info = m.model.info();
        if (info.encoding == Encoding::index)
            return fail(LSTMGEN_INVALID_ARGUMENT,
                        "the network starts with an embedding: expected an id, found features");
        if (!x) return fail_null("x");
        if (x_count != info.input_size)
            return fail(LSTMGEN_INVALID_ARGUMENT, "x: expected %zu features, found %zu", info.input_size, x_count);
        return step(m, state, bytes, x, y, y_count);
    });
}

lstmgen_status lstmgen_state_save(const lstmgen_model* model, const void* state, size_t bytes, void* to,
                                  size_t capacity, size_t* count) {
    return with(model, [&](const lstmgen_model& m) {
        if (to || !m.stepper) {
            const lstmgen_status status = check_begun(m, state, bytes);
            if (status != LSTMGEN_OK) return status;
        }
        return save(to, capacity, count,
                    [&](void* memory, std::size_t n) { return m.stepper->save(state, memory, n); });
    });
}

lstmgen_status lstmgen_state_load(const lstmgen_model* model, void* state, size_t bytes, const void* from,
                                  size_t from_bytes) {
    return with(model, [&](const lstmgen_model& m) {
        const lstmgen_status status = check_state(m, state, bytes);
        if (status != LSTMGEN_OK) return status;
        if (!from) return fail_null("the saved state");
        m.stepper->load(state, from, from_bytes);
        return LSTMGEN_OK;
    });
}
