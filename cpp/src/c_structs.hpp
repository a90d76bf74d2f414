// The structs of the C API. A caller may have compiled them with another version of the header.
// lstmgen.h states the promise, and this file keeps it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "c_errors.hpp"
#include "lstmgen/lstmgen.h"
#include "lstmgen/lstmgen.hpp"
#include "memory.hpp"

namespace lstmgen {

/// The facts of a struct: `name`, `first_size`, and `defaults()` with the size of today.
/// `first_size` is the end of the last member of the first version. It never changes, whatever is
/// appended later.
template <class T>
struct Versioned;

/// The same facts without a type, and the size of today.
struct Struct {
    const char* name;
    std::size_t first_size, size;
};
template <class T>
constexpr Struct kStruct{Versioned<T>::name, Versioned<T>::first_size, sizeof(T)};

/// Reads a caller's struct into `to`, which holds the defaults. Members that the caller's struct
/// lacks keep their defaults. Bytes that this library does not know must be 0.
lstmgen_status read_struct(const Struct& what, const void* from, void* to) noexcept;
template <class T>
lstmgen_status read_struct(const void* from, T& to) noexcept {
    to = Versioned<T>::defaults();
    return read_struct(kStruct<T>, from, &to);
}

/// Fills in a caller's struct `to` (size bytes) from `values`. Bytes that this library does not
/// know become 0.
lstmgen_status fill_struct(const Struct& what, void* to, std::size_t size, const void* values) noexcept;
template <class T>
lstmgen_status fill_struct(T* to, std::size_t size, const T& values = Versioned<T>::defaults()) noexcept {
    return fill_struct(kStruct<T>, to, size, &values);
}

template <>
struct Versioned<lstmgen_allocator> {
    static constexpr const char* name = "lstmgen_allocator";
    static constexpr std::size_t first_size = sizeof(void*) == 8 ? 32 : 16;
    static lstmgen_allocator defaults() noexcept { return LSTMGEN_ALLOCATOR_INIT; }
};
static_assert(Versioned<lstmgen_allocator>::first_size == offsetof(lstmgen_allocator, user) + sizeof(void*));

template <>
struct Versioned<lstmgen_load_options> {
    static constexpr const char* name = "lstmgen_load_options";
    static constexpr std::size_t first_size = sizeof(void*) == 8 ? 32 : 16;
    static lstmgen_load_options defaults() noexcept { return LSTMGEN_LOAD_OPTIONS_INIT; }
};
static_assert(Versioned<lstmgen_load_options>::first_size == offsetof(lstmgen_load_options, isa) + sizeof(void*));

template <>
struct Versioned<lstmgen_layer> {
    static constexpr const char* name = "lstmgen_layer";
    static constexpr std::size_t first_size = sizeof(void*) == 8 ? 80 : 40;
    static lstmgen_layer defaults() noexcept { return LSTMGEN_LAYER_INIT; }
};
static_assert(Versioned<lstmgen_layer>::first_size == offsetof(lstmgen_layer, return_sequences) + sizeof(std::size_t));

template <>
struct Versioned<lstmgen_note> {
    static constexpr const char* name = "lstmgen_note";
    static constexpr std::size_t first_size = 32;
    static lstmgen_note defaults() noexcept { return LSTMGEN_NOTE_INIT; }
};
static_assert(sizeof(lstmgen_note) == 32);

template <>
struct Versioned<lstmgen_sampler_options> {
    static constexpr const char* name = "lstmgen_sampler_options";
    static constexpr std::size_t first_size = sizeof(void*) == 8 ? 80 : 60;
    static lstmgen_sampler_options defaults() noexcept { return LSTMGEN_SAMPLER_OPTIONS_INIT; }
};
static_assert(Versioned<lstmgen_sampler_options>::first_size ==
              offsetof(lstmgen_sampler_options, logit_bias_count) + sizeof(std::size_t));

template <>
struct Versioned<lstmgen_generator_options> {
    static constexpr const char* name = "lstmgen_generator_options";
    static constexpr std::size_t first_size = sizeof(void*) == 8 ? 40 : 20;
    static lstmgen_generator_options defaults() noexcept { return LSTMGEN_GENERATOR_OPTIONS_INIT; }
};
static_assert(Versioned<lstmgen_generator_options>::first_size ==
              offsetof(lstmgen_generator_options, allocator) + sizeof(void*));

template <>
struct Versioned<lstmgen_many_options> {
    static constexpr const char* name = "lstmgen_many_options";
    static constexpr std::size_t first_size = sizeof(void*) == 8 ? 120 : 60;
    static lstmgen_many_options defaults() noexcept { return LSTMGEN_MANY_OPTIONS_INIT; }
};
static_assert(Versioned<lstmgen_many_options>::first_size ==
              offsetof(lstmgen_many_options, unfinished) + sizeof(std::size_t));

// A struct must not end with padding. A caller leaves garbage there, which a member that is
// appended later would read as its value.
template <class T>
constexpr bool kNoPadding = sizeof(void*) != 8 || sizeof(T) == Versioned<T>::first_size;
static_assert(sizeof(void*) != 8 ||
              sizeof(lstmgen_many_options) == offsetof(lstmgen_many_options, stop_text_count) + sizeof(std::size_t));
static_assert(sizeof(lstmgen_load_options) == offsetof(lstmgen_load_options, user) + sizeof(void*));
static_assert(kNoPadding<lstmgen_allocator> && kNoPadding<lstmgen_layer> && kNoPadding<lstmgen_generator_options>);
// The options of the sampler grow with the list of them.
#define SIZE(name, ...) +sizeof(lstmgen_sampler_options::name)
#define LIST(name) +sizeof(lstmgen_sampler_options::name) + sizeof(lstmgen_sampler_options::name##_count)
static_assert(sizeof(void*) != 8 ||
              sizeof(lstmgen_sampler_options) ==
                  sizeof(lstmgen_sampler_options::size) LSTMGEN_SAMPLER_NUMBERS(SIZE) LSTMGEN_SAMPLER_LISTS(LIST) +
                      sizeof(lstmgen_sampler_options::seed) + sizeof(lstmgen_sampler_options::logit_bias_ids) +
                      sizeof(lstmgen_sampler_options::logit_bias) + sizeof(lstmgen_sampler_options::logit_bias_count));
#undef SIZE
#undef LIST

/// Reads stops (count), of which the i-th has sizes[i] ids or bytes.
template <class T, class Stop>
lstmgen_status read_stops(const T* const* stops, const std::size_t* sizes, std::size_t count, std::vector<Stop>& to) {
    if (count > 0 && (!stops || !sizes)) return fail_null("the stops or their sizes");
    for (std::size_t i = 0; i < count; ++i) {
        if (!stops[i]) return fail(LSTMGEN_INVALID_ARGUMENT, "stop %zu is NULL", i);
        to.emplace_back(stops[i], stops[i] + sizes[i]);
    }
    return LSTMGEN_OK;
}

/// These three turn a struct into that of the C++ API. If `from` is NULL, `to` stays as it is.
lstmgen_status read_allocator(const lstmgen_allocator* from, Allocator& to) noexcept;
lstmgen_status read_sampler_options(const lstmgen_sampler_options* from, SamplerOptions& to);
lstmgen_status read_generator_options(const lstmgen_generator_options* from, GeneratorOptions& to,
                                      Allocator& allocator);

}  // namespace lstmgen
