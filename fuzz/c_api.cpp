// Calls of the C API in any order, with any arguments and an allocator that fails: a status, and no
// memory is lost.
#include <new>
#include <vector>

#include "lstmgen/lstmgen.h"
#include "support.hpp"

namespace {

struct Memory {
    std::size_t left = SIZE_MAX;  // allocations until one fails
    std::size_t blocks = 0;
};

void* allocate(void* user, std::size_t bytes, std::size_t alignment) {
    auto& memory = *static_cast<Memory*>(user);
    if (memory.left == 0) return nullptr;
    --memory.left;
    ++memory.blocks;
    return ::operator new(bytes, std::align_val_t(alignment < 64 ? 64 : alignment), std::nothrow);
}

void release(void* user, void* block, std::size_t) {
    --static_cast<Memory*>(user)->blocks;
    ::operator delete(block, std::align_val_t(64));
}

int stop(void* user) { return --*static_cast<int*>(user) < 0; }
int on_id(void* user, std::uint32_t) { return stop(user); }
int on_text(void* user, const char*, std::size_t) { return stop(user); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::Second second;
    static const std::string file = fuzz::read_file(LSTMGEN_FUZZ_MODEL);
    fuzz::Choices choose(data, size);
    Memory memory;
    lstmgen_allocator allocator = LSTMGEN_ALLOCATOR_INIT;
    allocator.allocate = allocate;
    allocator.release = release;
    allocator.user = &memory;
    lstmgen_load_options load = LSTMGEN_LOAD_OPTIONS_INIT;
    load.allocator = &allocator;
    lstmgen_model* models[2] = {};
    lstmgen_generator* generators[3] = {};
    std::vector<std::uint64_t> state(8192);
    std::uint32_t ids[64] = {};
    double numbers[64];
    float floats[512];
    std::size_t count = 0, states = 0;
    const char* text = nullptr;
    for (int calls = 0; calls < 64 && !choose.empty(); ++calls) {
        lstmgen_model*& model = models[choose.byte() % 2];
        lstmgen_generator*& generator = generators[choose.byte() % 3];
        lstmgen_status status = LSTMGEN_OK;
        int left = choose.byte() % 32;
        for (std::uint32_t& id : ids) id = choose.byte() % 13;
        switch (choose.byte() % 24) {
            case 0:
            case 1:
                if (!model) status = lstmgen_model_load_memory(file.data(), file.size(), &load, &model);
                break;
            case 2: status = lstmgen_model_release(&model); break;
            case 3:
            case 4: {
                lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
                sampler.temp = static_cast<double>(choose.byte()) / 64.0;
                sampler.top_k = choose.byte();
                sampler.dry_multiplier = choose.byte() % 3;
                sampler.mirostat = choose.byte() % 4;
                lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
                options.sampler = &sampler;
                options.refresh = choose.byte() % 16;
                options.threads = choose.byte() % 2;
                if (!generator) status = lstmgen_generator_create(model, &options, &generator);
                break;
            }
            case 5: status = lstmgen_generator_free(&generator); break;
            case 6: status = lstmgen_generator_feed(generator, ids, choose.number() % 65); break;
            case 7: status = lstmgen_generator_feed_prime(generator); break;
            case 8: status = lstmgen_generator_next(generator, ids); break;
            case 9: status = lstmgen_generator_probabilities(generator, numbers, choose.number() % 65); break;
            case 10: status = lstmgen_generator_likeliest(generator, ids, numbers, choose.number() % 65, &count); break;
            case 11: status = lstmgen_generator_score(generator, ids, choose.number() % 65, numbers); break;
            case 12: status = lstmgen_generator_sample(generator, choose.number(), on_id, &left); break;
            case 13: status = lstmgen_generator_sample_text(generator, choose.number(), on_text, &left); break;
            case 14: {
                lstmgen_generator*& clone = generators[choose.byte() % 3];
                if (!clone) status = lstmgen_generator_clone(generator, &clone);
                break;
            }
            case 15: status = lstmgen_generator_copy(generator, generators[choose.byte() % 3]); break;
            case 16: status = lstmgen_generator_reset(generator, choose.number()); break;
            case 17:
                status = lstmgen_generator_save(generator, state.data(), state.size() * sizeof state[0], &states);
                break;
            case 18:
                if (!generator && states <= state.size() * sizeof state[0])
                    status = lstmgen_generator_load(model, state.data(), states, 0, &allocator, &generator);
                break;
            case 19:
                status = lstmgen_model_predict_ids(model, choose.number(), choose.number(), ids, choose.number() % 65,
                                                   floats, choose.number() % 513);
                break;
            case 20: {
                const std::size_t bytes = state.size() * sizeof state[0];
                if (choose.byte() % 4 == 0) status = lstmgen_state_init(model, state.data(), bytes);
                status = lstmgen_state_step_id(model, state.data(), bytes, ids[0], floats, choose.number() % 513);
                break;
            }
            case 21: status = lstmgen_model_string(model, choose.byte() % 16, &text, &count); break;
            case 22: status = lstmgen_model_encode(model, "abcab kk", choose.byte() % 9, ids, 64, &count); break;
            default: memory.left = choose.byte() % 2 ? SIZE_MAX : choose.number(); break;
        }
        fuzz::require(status >= LSTMGEN_OK && status <= LSTMGEN_ENDED && status != LSTMGEN_INTERNAL);
    }
    for (lstmgen_generator*& generator : generators) fuzz::require(lstmgen_generator_free(&generator) == LSTMGEN_OK);
    for (lstmgen_model*& model : models) fuzz::require(lstmgen_model_release(&model) == LSTMGEN_OK);
    fuzz::require(memory.blocks == 0);
    return 0;
}
