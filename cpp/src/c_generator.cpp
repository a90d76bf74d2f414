// The functions of the C API that work on generators.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "c_errors.hpp"
#include "c_handles.hpp"
#include "c_structs.hpp"
#include "lstmgen/lstmgen.h"
#include "lstmgen/lstmgen.hpp"

lstmgen_generator::lstmgen_generator(lstmgen_model* m, lstmgen::Generator g, const lstmgen::Allocator& a)
    : allocator(a), generator(std::move(g)), model(m) {
    const std::size_t outputs = model->model.info().outputs;
    options.logit_bias.reserve(outputs);
    options.allow.reserve(outputs);
    options.ban.reserve(outputs);
    options.dry_sequence_breakers.reserve(LSTMGEN_MAX_BREAKERS);
    model->references.fetch_add(1, std::memory_order_relaxed);
}

lstmgen_generator::~lstmgen_generator() { lstmgen::release(model); }

namespace lstmgen {

lstmgen_status check(const lstmgen_generator* generator) noexcept {
    return check_handle(generator ? &generator->magic : nullptr, kGeneratorMagic, "the generator");
}

lstmgen_status read_stop_texts(const lstmgen_model& model, const char* const* texts, const std::size_t* sizes,
                               std::size_t count, std::vector<std::vector<std::uint32_t>>& ids,
                               std::vector<std::string>& to) {
    const lstmgen_status status = read_stops(texts, sizes, count, to);
    if (status != LSTMGEN_OK || model.model.info().vocabulary_kind != "tokens") return status;
    for (const std::string& text : to) ids.push_back(model.vocabulary->encode(text));
    to.clear();
    return LSTMGEN_OK;
}

namespace {

lstmgen_status fail_busy() noexcept {
    return fail(LSTMGEN_BUSY, "the generator is in use: by another thread, or within this callback");
}

// Draws up to `length` elements and hands them to `callback`, which returns 0 to go on.
template <class F>
lstmgen_status sample(Generator& generator, std::size_t length, F&& callback) {
    for (std::size_t i = 0; (i < length || length == SIZE_MAX) && !generator.ended(); ++i)
        if (callback(generator.next()) != 0) return LSTMGEN_STOPPED;
    return LSTMGEN_OK;
}

}  // namespace

lstmgen_status call_with(const lstmgen_generator* generator, Call* call, const void* f) noexcept {
    const lstmgen_status status = check(generator);
    if (status != LSTMGEN_OK) return status;
    if (!generator->in_use.acquire()) return fail_busy();
    const lstmgen_status result = guarded([&] { return call(f); });
    generator->in_use.release();
    return result;
}

}  // namespace lstmgen

using namespace lstmgen;

lstmgen_status lstmgen_generator_create(lstmgen_model* model, const lstmgen_generator_options* options,
                                        lstmgen_generator** generator) {
    if (!generator) return fail_null("the place for the generator");
    *generator = nullptr;
    return with(model, [&](const lstmgen_model& m) {
        GeneratorOptions o;
        Allocator allocator = m.allocator;
        const lstmgen_status status = read_generator_options(options, o, allocator);
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
    if (!(*generator)->in_use.acquire()) return fail_busy();
    destroy(std::exchange(*generator, nullptr));
    return LSTMGEN_OK;
}

lstmgen_model* lstmgen_generator_model(const lstmgen_generator* generator) {
    return check(generator) == LSTMGEN_OK ? generator->model : nullptr;
}

lstmgen_status lstmgen_generator_clone(const lstmgen_generator* generator, lstmgen_generator** clone) {
    if (!clone) return fail_null("the place for the clone");
    *clone = nullptr;
    return with(generator, [&](const lstmgen_generator& g) {
        const UseAllocator use(g.allocator);
        *clone = create<lstmgen_generator>(g.allocator, g.model, g.generator.clone(), g.allocator);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_copy(lstmgen_generator* generator, const lstmgen_generator* from) {
    return with(generator, [&](lstmgen_generator& g) {
        if (from == &g) return LSTMGEN_OK;
        return with(from, [&](const lstmgen_generator& other) {
            g.generator.copy_from(other.generator);
            return LSTMGEN_OK;
        });
    });
}

lstmgen_status lstmgen_generator_set_options(lstmgen_generator* generator, const lstmgen_sampler_options* options) {
    return with(generator, [&](lstmgen_generator& g) {
        const lstmgen_sampler_options defaults = Versioned<lstmgen_sampler_options>::defaults();
        const lstmgen_status status = read_sampler_options(options ? options : &defaults, g.options);
        if (status == LSTMGEN_OK) g.generator.set_options(g.options);
        return status;
    });
}

lstmgen_status lstmgen_generator_reset(lstmgen_generator* generator, uint64_t seed) {
    return with(generator, [&](lstmgen_generator& g) {
        g.generator.reset(seed);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_set_stops(lstmgen_generator* generator, const uint32_t* const* stops,
                                           const size_t* stop_sizes, size_t stop_count) {
    return with(generator, [&](lstmgen_generator& g) {
        std::vector<std::vector<std::uint32_t>> found;
        const lstmgen_status status = read_stops(stops, stop_sizes, stop_count, found);
        if (status == LSTMGEN_OK) g.generator.set_stops(found);
        return status;
    });
}

lstmgen_status lstmgen_generator_set_stop_texts(lstmgen_generator* generator, const char* const* texts,
                                                const size_t* text_bytes, size_t text_count) {
    return with(generator, [&](lstmgen_generator& g) {
        std::vector<std::vector<std::uint32_t>> ids;
        std::vector<std::string> found;
        const lstmgen_status status = read_stop_texts(*g.model, texts, text_bytes, text_count, ids, found);
        if (status == LSTMGEN_OK) g.generator.set_stops(ids, found);
        return status;
    });
}

lstmgen_status lstmgen_generator_go_on(lstmgen_generator* generator) {
    return with(generator, [&](lstmgen_generator& g) {
        g.generator.go_on();
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_ended(const lstmgen_generator* generator, int* ended) {
    return with(generator, [&](const lstmgen_generator& g) {
        if (!ended) return fail_null("the place for the answer");
        *ended = g.generator.ended();
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_feed(lstmgen_generator* generator, const uint32_t* ids, size_t count) {
    return with(generator, [&](lstmgen_generator& g) {
        g.generator.feed(ids, count);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_feed_prime(lstmgen_generator* generator) {
    return with(generator, [&](lstmgen_generator& g) {
        const auto& prime = g.model->model.info().prime;
        if (prime.empty()) return fail(LSTMGEN_INVALID_ARGUMENT, "the model has no default prime: feed elements");
        g.generator.feed(prime);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_next(lstmgen_generator* generator, uint32_t* id) {
    return with(generator, [&](lstmgen_generator& g) {
        if (!id) return fail_null("the place for the id");
        *id = g.generator.next();
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_next_many(lstmgen_generator* generator, uint32_t* ids, size_t count) {
    return with(generator, [&](lstmgen_generator& g) {
        if (!ids && count > 0) return fail_null("ids");
        for (std::size_t i = 0; i < count; ++i) {
            if (g.generator.ended()) std::fill(ids + i, ids + count, LSTMGEN_SEPARATOR);
            ids[i] = g.generator.next();
        }
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_probabilities(const lstmgen_generator* generator, double* p, size_t count) {
    return with(generator, [&](const lstmgen_generator& g) {
        const std::size_t outputs = g.model->model.info().outputs;
        if (p && count < outputs) return fail_short("p", outputs, count);
        g.generator.probabilities(p);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_logits(const lstmgen_generator* generator, double* logits, size_t count) {
    return with(generator, [&](const lstmgen_generator& g) {
        const std::size_t outputs = g.model->model.info().outputs;
        if (logits && count < outputs) return fail_short("logits", outputs, count);
        g.generator.logits(logits);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_draw(lstmgen_generator* generator, const double* logits, size_t count, uint32_t* id) {
    return with(generator, [&](lstmgen_generator& g) {
        const std::size_t outputs = g.model->model.info().outputs;
        if (!id) return fail_null("the place for the id");
        if (logits && count != outputs)
            return fail(LSTMGEN_INVALID_ARGUMENT, "logits: expected %zu numbers, found %zu", outputs, count);
        *id = g.generator.draw(logits);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_likeliest(const lstmgen_generator* generator, uint32_t* ids, double* log_p,
                                           size_t capacity, size_t* count) {
    return with(generator, [&](const lstmgen_generator& g) {
        if (!count) return fail_null("the place for the number of elements");
        *count = g.generator.likeliest(capacity, ids, log_p);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_set_logits_processor(lstmgen_generator* generator, lstmgen_on_logits callback,
                                                      void* user) {
    return with(generator, [&](lstmgen_generator& g) {
        g.generator.set_logits_processor(callback, user);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_score(lstmgen_generator* generator, const uint32_t* ids, size_t count, double* log_p) {
    return with(generator, [&](lstmgen_generator& g) {
        g.generator.score(ids, count, log_p);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_generator_sample(lstmgen_generator* generator, size_t length, lstmgen_on_id callback,
                                        void* user) {
    return with(generator, [&](lstmgen_generator& g) {
        if (!callback) return fail_null("the callback");
        return sample(g.generator, length, [&](std::uint32_t id) { return callback(user, id); });
    });
}

lstmgen_status lstmgen_generator_sample_text(lstmgen_generator* generator, size_t length, lstmgen_on_text callback,
                                             void* user) {
    return with(generator, [&](lstmgen_generator& g) {
        if (!callback) return fail_null("the callback");
        const auto& elements = g.model->model.info().vocabulary;
        if (elements.empty()) return fail(LSTMGEN_INVALID_ARGUMENT, "the model has no vocabulary: sample ids");
        return sample(g.generator, length,
                      [&](std::uint32_t id) { return callback(user, elements[id].c_str(), elements[id].size()); });
    });
}

lstmgen_status lstmgen_generator_save(const lstmgen_generator* generator, void* state, size_t capacity, size_t* bytes) {
    return with(generator, [&](const lstmgen_generator& g) {
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
        const lstmgen_status status = read_allocator(allocator, a);
        if (status != LSTMGEN_OK) return status;
        const UseAllocator use(a);
        *generator = create<lstmgen_generator>(a, model, Generator::load_state(m.model, state, bytes, threads), a);
        return LSTMGEN_OK;
    });
}
