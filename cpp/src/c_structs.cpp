#include "c_structs.hpp"

#include <algorithm>
#include <cstring>

#include "kept.hpp"

namespace lstmgen {
namespace {

constexpr std::size_t kMostStructBytes = 4096;

lstmgen_status check_size(const Struct& what, std::size_t size) noexcept {
    if (size >= what.first_size && size <= kMostStructBytes && size % sizeof size == 0) return LSTMGEN_OK;
    return fail(LSTMGEN_WRONG_VERSION, "%s: expected a size of %zu, found %zu: begin with LSTMGEN_..._INIT or %s_init",
                what.name, what.size, size, what.name);
}

}  // namespace

LSTMGEN_KEPT lstmgen_status read_struct(const Struct& what, const void* from, void* to) noexcept {
    std::size_t size;
    std::memcpy(&size, from, sizeof size);
    const lstmgen_status status = check_size(what, size);
    if (status != LSTMGEN_OK) return status;
    const char* const bytes = static_cast<const char*>(from);
    for (std::size_t i = what.size; i < size; ++i)
        if (bytes[i] != 0)
            return fail(LSTMGEN_WRONG_VERSION,
                        "%s: a member is set that lstmgen %s does not know: link a newer lstmgen", what.name,
                        LSTMGEN_VERSION_STRING);
    std::memcpy(to, from, std::min(size, what.size));
    return LSTMGEN_OK;
}

LSTMGEN_KEPT lstmgen_status fill_struct(const Struct& what, void* to, std::size_t size, const void* values) noexcept {
    if (!to) return fail_null(what.name);
    const lstmgen_status status = check_size(what, size);
    if (status != LSTMGEN_OK) return status;
    std::memset(to, 0, size);
    std::memcpy(to, values, std::min(size, what.size));
    std::memcpy(to, &size, sizeof size);
    return LSTMGEN_OK;
}

lstmgen_status read_allocator(const lstmgen_allocator* from, Allocator& to) noexcept {
    if (!from) return LSTMGEN_OK;
    lstmgen_allocator allocator;
    const lstmgen_status status = read_struct(from, allocator);
    if (status != LSTMGEN_OK) return status;
    if (!allocator.allocate || !allocator.release) return fail_null("a function of the allocator");
    to.allocate = allocator.allocate;
    to.release = allocator.release;
    to.user = allocator.user;
    return LSTMGEN_OK;
}

LSTMGEN_KEPT lstmgen_status read_sampler_options(const lstmgen_sampler_options* from, SamplerOptions& to) {
    if (!from) return LSTMGEN_OK;
    lstmgen_sampler_options o;
    const lstmgen_status status = read_struct(from, o);
    if (status != LSTMGEN_OK) return status;
    if (o.logit_bias_count > 0 && (!o.logit_bias || !o.logit_bias_ids))
        return fail(LSTMGEN_INVALID_ARGUMENT,
                    "logit_bias: expected an address, since logit_bias_count is %zu, found NULL", o.logit_bias_count);
#define COPY(name, ...) to.name = o.name;
    LSTMGEN_SAMPLER_NUMBERS(COPY)
#undef COPY
#define COPY(name)                                                                                                 \
    if (o.name##_count > 0 && !o.name)                                                                             \
        return fail(LSTMGEN_INVALID_ARGUMENT, "%s: expected an address, since %s_count is %zu, found NULL", #name, \
                    #name, o.name##_count);                                                                        \
    to.name.clear();                                                                                               \
    if (o.name##_count > 0) to.name.assign(o.name, o.name + o.name##_count);
    LSTMGEN_SAMPLER_LISTS(COPY)
#undef COPY
    to.seed = o.seed;
    to.logit_bias.clear();
    to.logit_bias.reserve(o.logit_bias_count);
    for (std::size_t i = 0; i < o.logit_bias_count; ++i)
        to.logit_bias.emplace_back(o.logit_bias_ids[i], o.logit_bias[i]);
    return LSTMGEN_OK;
}

lstmgen_status read_generator_options(const lstmgen_generator_options* from, GeneratorOptions& to,
                                      Allocator& allocator) {
    if (!from) return LSTMGEN_OK;
    lstmgen_generator_options o;
    lstmgen_status status = read_struct(from, o);
    if (status == LSTMGEN_OK) status = read_allocator(o.allocator, allocator);
    if (status == LSTMGEN_OK) status = read_sampler_options(o.sampler, to.sampler);
    if (status != LSTMGEN_OK) return status;
    to.refresh = o.refresh;
    to.threads = o.threads;
    return LSTMGEN_OK;
}

}  // namespace lstmgen

using namespace lstmgen;

lstmgen_status lstmgen_load_options_init(lstmgen_load_options* options, size_t size) {
    return fill_struct(options, size);
}

lstmgen_status lstmgen_sampler_options_init(lstmgen_sampler_options* options, size_t size) {
    return fill_struct(options, size);
}

lstmgen_status lstmgen_generator_options_init(lstmgen_generator_options* options, size_t size) {
    return fill_struct(options, size);
}

lstmgen_status lstmgen_many_options_init(lstmgen_many_options* many, size_t size) { return fill_struct(many, size); }
