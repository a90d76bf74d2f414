// The functions of the C API that run single steps, with the state in the caller's memory.
#include <cstdint>

#include "c_errors.hpp"
#include "c_handles.hpp"
#include "lstmgen/lstmgen.h"

namespace lstmgen {
namespace {

lstmgen_status check_state(const lstmgen_model& model, const void* state, std::size_t bytes) noexcept {
    if (!model.stepper)
        return fail(LSTMGEN_INVALID_ARGUMENT, "the network needs all time steps at once: it has no steps");
    if (!state) return fail_null("the state");
    if (bytes < model.stepper->nbytes()) return fail_short("the state", model.stepper->nbytes(), bytes);
    if (reinterpret_cast<std::uintptr_t>(state) % 16 != 0)
        return fail(LSTMGEN_INVALID_ARGUMENT, "the state: expected an address that is a multiple of 16");
    return LSTMGEN_OK;
}

// Fails, too, unless lstmgen_state_init or lstmgen_state_load has made the state.
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
    if (y && y_count < outputs) return fail_short("y", outputs, y_count);
    model.stepper->step(state, input, y);
    return LSTMGEN_OK;
}

}  // namespace
}  // namespace lstmgen

using namespace lstmgen;

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

lstmgen_status lstmgen_state_step_id(const lstmgen_model* model, void* state, size_t bytes, uint32_t id, float* y,
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

lstmgen_status lstmgen_state_step_features(const lstmgen_model* model, void* state, size_t bytes, const float* x,
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
