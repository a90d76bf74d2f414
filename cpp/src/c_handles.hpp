// The models and generators of the C API, and the checks of a call that uses one.
#pragma once

#include <atomic>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aligned.hpp"
#include "c_errors.hpp"
#include "in_use.hpp"
#include "lstmgen/lstmgen.h"
#include "lstmgen/lstmgen.hpp"
#include "lstmgen/vocabulary.hpp"
#include "memory.hpp"
#include "network.hpp"
#include "stepper.hpp"

// The values of the first member. A handle must point to one of the first three.
constexpr std::uint64_t kModelMagic = 0x6c73746d6d6f646c, kGeneratorMagic = 0x6c73746d67656e72,
                        kGrammarMagic = 0x6c73746d6772616d, kDeadMagic = 0;

struct lstmgen_model {
    lstmgen_model(lstmgen::Model m, const lstmgen::Allocator& a);

    std::atomic<std::uint64_t> magic{kModelMagic};
    std::atomic<std::size_t> references{1};
    lstmgen::Model model;
    lstmgen::Allocator allocator;
    std::optional<lstmgen::Stepper> stepper;  // unless info().whole
    std::optional<lstmgen::Vocabulary> vocabulary;
};

struct lstmgen_generator {
    lstmgen_generator(lstmgen_model* m, lstmgen::Generator g, const lstmgen::Allocator& a);
    ~lstmgen_generator();
    lstmgen_generator(const lstmgen_generator&) = delete;
    lstmgen_generator& operator=(const lstmgen_generator&) = delete;

    std::atomic<std::uint64_t> magic{kGeneratorMagic};
    mutable lstmgen::InUse in_use;
    lstmgen::Allocator allocator;
    lstmgen::Generator generator;
    // Working memory of set_options. It has room for one pair of logit_bias for each element.
    lstmgen::SamplerOptions options;
    lstmgen_model* model;
};

struct lstmgen_grammar {
    lstmgen_grammar(lstmgen_model* m, lstmgen::Grammar g, const lstmgen::Allocator& a);
    ~lstmgen_grammar();
    lstmgen_grammar(const lstmgen_grammar&) = delete;
    lstmgen_grammar& operator=(const lstmgen_grammar&) = delete;

    std::atomic<std::uint64_t> magic{kGrammarMagic};
    lstmgen::Allocator allocator;
    lstmgen::Grammar grammar;
    lstmgen_model* model;
};

namespace lstmgen {

/// Makes an object in memory of an allocator, which must outlive it.
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

/// Ends an object that `create` made. A later call with it gives an error while nothing else
/// overwrites the memory.
template <class T>
void destroy(T* object) noexcept {
    const Allocator allocator = object->allocator;
    object->magic.store(kDeadMagic, std::memory_order_relaxed);
    object->~T();
    allocator.give_back(object, sizeof(T));
}

/// Ends a reference. The last one frees the model.
void release(lstmgen_model* model) noexcept;

/// Fails unless the pointer leads to a live model or generator.
lstmgen_status check(const lstmgen_model* model) noexcept;
lstmgen_status check(const lstmgen_generator* generator) noexcept;
/// A grammar of `model`, or null for none.
lstmgen_status read_grammar(const lstmgen_grammar* grammar, const lstmgen_model* model, Grammar& to);
/// Reads stops (count), of which the i-th is a text of sizes[i] bytes. Tokens become ids.
lstmgen_status read_stop_texts(const lstmgen_model& model, const char* const* texts, const std::size_t* sizes,
                               std::size_t count, std::vector<std::vector<std::uint32_t>>& ids,
                               std::vector<std::string>& to);

/// Returns call(f), after a check of a model, or of a generator that no other call can use
/// meanwhile. They are no templates, so that a function of the C API is a few instructions.
using Call = lstmgen_status(const void* f);
lstmgen_status call_with(const lstmgen_model* model, Call* call, const void* f) noexcept;
lstmgen_status call_with(const lstmgen_generator* generator, Call* call, const void* f) noexcept;

/// Returns f(*handle), after a check of the handle: of a model or a generator, which may be const.
template <class Handle, class F>
lstmgen_status with(Handle* handle, const F& f) noexcept {
    const auto call = [&] { return f(*handle); };
    return call_with(handle, [](const void* c) { return (*static_cast<decltype(&call)>(c))(); }, &call);
}

/// Saves a state into `to` (capacity bytes) with `save(to, capacity)`, which returns the bytes that
/// it needs.
template <class F>
lstmgen_status save(void* to, std::size_t capacity, std::size_t* count, F&& save) {
    if (!count) return fail_null("the place for the number of bytes");
    if (!to && capacity > 0) return fail_null("the buffer");
    *count = save(to, capacity);
    return *count <= capacity || !to ? LSTMGEN_OK : fail_short("the state's bytes", *count, capacity);
}

}  // namespace lstmgen
