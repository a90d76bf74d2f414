// Calls of the C API in any order, with any arguments and an allocator that fails: a status, and no
// memory is lost. tests/test_headers.py holds that each function of the header is called here.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "lstmgen/lstmgen.h"
#include "support.hpp"

namespace {

constexpr std::size_t kIds = 64, kFloats = 512, kRoom = 4096, kBytes = 65536, kSequences = 4;

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

/// A `.bin` and how it is read: fuzz/make_seeds.py writes one of each kind.
struct File {
    std::string path, bytes;
};

const std::vector<File>& files() {
    static const std::vector<File> found = [] {
        std::vector<File> all;
        for (const auto& entry : std::filesystem::directory_iterator(LSTMGEN_FUZZ_MODELS))
            all.push_back({entry.path().string(), fuzz::read_file(entry.path().c_str())});
        std::sort(all.begin(), all.end(), [](const File& a, const File& b) { return a.path < b.path; });
        return all;
    }();
    return found;
}

/// What the calls made, and where they write.
struct World {
    fuzz::Choices choose;
    Memory memory{};
    lstmgen_allocator allocator{sizeof(lstmgen_allocator), allocate, release, &memory};
    lstmgen_model* models[2]{};
    lstmgen_generator* generators[3]{};
    lstmgen_grammar* grammars[2]{};
    lstmgen_notes* notes[2]{};
    int waits = 0;         // times that a model may ask whether to go on
    int left = 0;          // times that a callback lets a sample go on
    const File* file{};    // which a stream reads
    std::size_t read = 0;  // bytes of it
    std::vector<std::uint64_t> state = std::vector<std::uint64_t>(kBytes / 8);  // saved, of a generator or of steps
    std::size_t states = 0;                                                     // bytes of it
    std::vector<std::uint64_t> steps[2]{std::vector<std::uint64_t>(kBytes / 8), std::vector<std::uint64_t>(kBytes / 8)};
    std::uint32_t ids[kIds]{};
    double numbers[kIds]{};
    float floats[kFloats]{};
    const std::uint32_t* sequences[kSequences]{};
    const char* texts[kSequences]{};
    std::size_t sizes[kSequences]{}, counts[kSequences]{};
    double temps[kSequences]{};
    std::uint64_t seeds[kSequences]{};
    alignas(64) unsigned char room[kRoom]{};
    std::size_t count = 0;
    std::uint64_t point = 0;
    std::uint32_t number = 0;
    const char* text = nullptr;

    lstmgen_model*& model() { return models[choose.byte() % 8 == 7]; }
    lstmgen_generator*& generator() { return generators[choose.byte() / 86U * (choose.byte() % 2)]; }
    lstmgen_grammar*& grammar() { return grammars[choose.byte() % 2]; }
    lstmgen_notes*& decoder() { return notes[choose.byte() % 2]; }
    std::vector<std::uint64_t>& step() { return steps[choose.byte() % 2]; }
    std::size_t up_to(std::size_t most) { return choose.number() % (most + 1); }

    /// Returns a pointer, seldom NULL.
    template <typename T>
    T* maybe(T* pointer) {
        return choose.byte() == 1 ? nullptr : pointer;
    }

    /// Returns a number: in most ranges, at a limit, or none.
    double real() {
        static constexpr double limits[] = {0, 1, -1, 0.5, 1e-300, 1e300, -1e300, 5e-324, HUGE_VAL, -HUGE_VAL, NAN};
        const std::uint8_t kind = choose.byte();
        return kind < 200 ? kind / 100.0 : limits[kind % 11];
    }

    /// Returns the struct, seldom of another size, with bytes after it that are seldom not 0.
    template <typename T>
    T* sized(const T& options) {
        std::memset(room, choose.byte() == 1, sizeof room);
        std::memcpy(room, &options, sizeof options);
        if (choose.byte() > 247) {
            const std::size_t size = choose.number();
            std::memcpy(room, &size, sizeof size);
        }
        return maybe(reinterpret_cast<T*>(room));
    }

    /// Fills the arrays. Two bytes choose all that they hold, so that an input is short.
    void fill() {
        static constexpr const char* kTexts[] = {"ab",   "k",       "abcabcab", " ",    "\xC3\xA9",
                                                 "\xFF", "n60 end", "",         nullptr};
        std::minstd_rand draw(1U + choose.byte() + 256U * choose.byte());
        for (std::uint32_t& id : ids) id = draw() % 13;
        for (double& number : numbers) number = static_cast<double>(draw() % 64) - 32;
        for (float& number : floats) number = static_cast<float>(draw() % 64) / 32 - 1;
        for (std::size_t i = 0; i < kSequences; ++i) {
            texts[i] = kTexts[draw() % 9];
            sequences[i] = draw() % 16 ? ids + i : nullptr;
            sizes[i] = draw() % (draw() % 4 ? 5 : kIds - kSequences);
            counts[i] = draw() % 4;
            temps[i] = draw() % 16 ? static_cast<double>(draw() % 64) / 32 : -1;
            seeds[i] = draw();
        }
    }

    /// Puts the sizes of the texts in the place of those of the sequences.
    void measure() {
        for (std::size_t i = 0; i < kSequences; ++i) sizes[i] = up_to(texts[i] ? std::strlen(texts[i]) : 8);
    }
};

int stop(void* user) { return --*static_cast<int*>(user) < 0; }

/// A callback that uses the generator which called it gets LSTMGEN_BUSY.
struct Caller {
    World& world;
    lstmgen_generator* generator;
    int ended() {
        fuzz::require(lstmgen_generator_next(generator, &world.number) == LSTMGEN_BUSY);
        return stop(&world.left);
    }
};

int on_id(void* user, std::uint32_t) { return static_cast<Caller*>(user)->ended(); }
int on_text(void* user, const char* text, std::size_t bytes) {
    fuzz::require(std::strlen(text) == bytes);
    return static_cast<Caller*>(user)->ended();
}

void on_logits(void* user, const std::uint32_t* ids, std::size_t ids_count, double* logits, std::size_t count) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < ids_count; ++i) sum += ids[i];
    const int kind = *static_cast<int*>(user);
    logits[sum % count] = kind == 1 ? static_cast<double>(NAN) : kind == 2 ? HUGE_VAL : -HUGE_VAL;
}

std::size_t on_read(void* user, void* buffer, std::size_t bytes) {
    auto& world = *static_cast<World*>(user);
    if (stop(&world.left)) return SIZE_MAX;
    bytes = std::min(bytes, world.file->bytes.size() - world.read);
    std::memcpy(buffer, world.file->bytes.data() + world.read, bytes);
    world.read += bytes;
    return bytes;
}

lstmgen_status load(World& w) {
    lstmgen_model*& model = w.model();
    if (model) return LSTMGEN_OK;
    lstmgen_load_options options = LSTMGEN_LOAD_OPTIONS_INIT;
    options.allocator = w.maybe(&w.allocator);
    options.on_wait = w.choose.byte() % 8 == 7 ? stop : nullptr;
    options.user = &w.waits;
    options.isa = lstmgen_isa(w.choose.byte() % 16);
    options.name = w.choose.byte() % 2 ? "name" : nullptr;
    w.file = &files()[w.choose.byte() % files().size()];
    w.read = 0;
    const std::size_t bytes = w.choose.byte() > 247 ? w.up_to(w.file->bytes.size()) : w.file->bytes.size();
    const auto* const given = w.sized(options);
    switch (w.choose.byte() % 8) {
        case 0: return lstmgen_model_load_path(w.maybe(w.file->path.c_str()), given, &model);
        case 1: w.left += 2; return lstmgen_model_load_stream(w.maybe(on_read), &w, given, &model);
        default: return lstmgen_model_load_memory(w.maybe(w.file->bytes.data()), bytes, given, &model);
    }
}

/// Sets up to three options of the sampler.
lstmgen_sampler_options sampler(World& w) {
    lstmgen_sampler_options options = LSTMGEN_SAMPLER_OPTIONS_INIT;
    double* const reals[] = {&options.temp,
                             &options.repeat_penalty,
                             &options.top_p,
                             &options.min_p,
                             &options.typical_p,
                             &options.top_n_sigma,
                             &options.xtc_probability,
                             &options.xtc_threshold,
                             &options.dry_multiplier,
                             &options.dry_base,
                             &options.mirostat_tau,
                             &options.mirostat_eta,
                             &options.dynatemp_range,
                             &options.dynatemp_exponent,
                             &options.presence_penalty,
                             &options.frequency_penalty};
    std::size_t* const counts[] = {&options.top_k, &options.dry_allowed_length, &options.dry_penalty_last_n,
                                   &options.repeat_last_n, &options.mirostat};
    const std::pair<const std::uint32_t**, std::size_t*> arrays[] = {
        {&options.allow, &options.allow_count},
        {&options.ban, &options.ban_count},
        {&options.dry_sequence_breakers, &options.dry_sequence_breakers_count}};
    for (int i = w.choose.byte() % 4; i > 0; --i) {
        const unsigned which = w.choose.byte() % 32;
        if (which < 16) {
            *reals[which] = w.real();
        } else if (which < 24) {
            *counts[which % 5] = w.choose.number();
        } else if (which < 30) {
            *arrays[which % 3].first = w.maybe(w.ids);
            *arrays[which % 3].second = w.up_to(kIds);
        } else {
            options.logit_bias_ids = w.maybe(w.ids);
            options.logit_bias = w.maybe(w.numbers);
            options.logit_bias_count = w.up_to(kIds);
        }
    }
    return options;
}

lstmgen_status create(World& w) {
    lstmgen_generator*& generator = w.generator();
    if (generator) return LSTMGEN_OK;
    const lstmgen_sampler_options chosen = sampler(w);
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    options.sampler = w.maybe(&chosen);
    options.refresh = w.up_to(16);
    options.threads = w.choose.byte() > 251 ? w.choose.number() : w.choose.byte() % 2;
    options.allocator = w.choose.byte() % 2 ? &w.allocator : nullptr;
    return lstmgen_generator_create(w.model(), w.sized(options), &generator);
}

lstmgen_status compile(World& w) {
    static constexpr const char* kGrammars[] = {"root ::= [a-k]*",
                                                "root ::= \"ab\" root | \"c\"",
                                                "root ::= ([a-c]{2,5} \"k\")+ | \"\"",
                                                "root ::= \"a\" root \"a\" | \"b\"",
                                                "root ::= x\nx ::= [^a] x | .",
                                                "root ::= root",
                                                "root ::= \"n60\" \"end\"?",
                                                "root ::= [0-9"};
    lstmgen_grammar*& grammar = w.grammar();
    if (grammar) return LSTMGEN_OK;
    const char* const text = kGrammars[w.choose.byte() % 8];
    const std::size_t bytes = std::strlen(text) - (w.choose.byte() > 247 ? w.up_to(6) : 0);
    return lstmgen_grammar_create(w.model(), w.maybe(text), bytes, &grammar);
}

lstmgen_status sample_many(World& w) {
    lstmgen_many_options many = LSTMGEN_MANY_OPTIONS_INIT;
    many.count = w.choose.byte() > 247 ? w.choose.number() : w.choose.byte() % (kSequences + 1);
    many.length = w.choose.byte() > 247 ? w.choose.number() : w.choose.byte() % 17;
    if (many.count <= kSequences) {
        many.temps = w.choose.byte() % 2 ? w.temps : nullptr;
        many.seeds = w.choose.byte() % 2 ? w.seeds : nullptr;
        many.primes = w.choose.byte() % 2 ? w.sequences : nullptr;
        many.prime_sizes = w.maybe(w.sizes);
        many.grammar_primes = w.choose.byte() % 2 ? w.counts : nullptr;
    }
    many.stop_count = w.choose.byte() % 4 ? 0 : w.up_to(kSequences);
    many.stops = w.sequences;
    many.stop_sizes = w.sizes;
    many.stop_text_count = w.choose.byte() % 4 ? 0 : w.up_to(kSequences);
    many.stop_texts = w.texts;
    std::size_t bytes[kSequences];
    for (std::size_t i = 0; i < kSequences; ++i) bytes[i] = w.texts[i] ? std::strlen(w.texts[i]) : 1;
    many.stop_text_bytes = w.maybe(bytes);
    many.on_wait = w.choose.byte() % 4 ? nullptr : stop;
    many.user = &w.left;
    many.grammar = w.choose.byte() % 2 ? w.grammar() : nullptr;
    many.unfinished = w.choose.byte() % 3;
    std::uint32_t drawn[kIds];
    const lstmgen_sampler_options chosen = sampler(w);
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    options.sampler = w.maybe(&chosen);
    options.refresh = w.up_to(16);
    std::size_t counts[kIds];  // more sequences have none
    return lstmgen_model_sample_many(w.model(), w.maybe(&options), w.sized(many), w.maybe(drawn), w.up_to(kIds),
                                     many.count > kIds ? nullptr : w.maybe(counts));
}

lstmgen_status step(World& w) {
    auto& state = w.step();
    const std::size_t bytes = w.choose.byte() > 247 ? w.up_to(kBytes) : kBytes;
    const lstmgen_model* const model = w.model();
    float y[kFloats];
    switch (w.choose.byte() % 8) {
        case 0:
        case 1: return lstmgen_state_init(model, w.maybe(state.data()), bytes);
        case 2: return lstmgen_state_size(model, w.maybe(&w.count));
        case 3:
            return lstmgen_state_step_features(model, state.data(), bytes, w.maybe(w.floats), w.up_to(kFloats), y,
                                               w.up_to(kFloats));
        case 4:
            return lstmgen_state_save(model, w.maybe(state.data()), bytes, w.maybe(w.state.data()), w.up_to(kBytes),
                                      &w.states);
        case 5:
            return lstmgen_state_load(model, state.data(), bytes, w.maybe(w.state.data()), std::min(w.states, kBytes));
        default:
            return lstmgen_state_step_id(model, w.maybe(state.data()), bytes, w.ids[0], w.maybe(y), w.up_to(kFloats));
    }
}

/// Tells of the model, and uses what it tells.
lstmgen_status tell(World& w) {
    const lstmgen_model* const model = w.model();
    lstmgen_status status = LSTMGEN_OK;
    w.text = nullptr;
    w.count = 0;
    switch (w.choose.byte() % 10) {
        case 0: return lstmgen_model_number(model, w.choose.byte() % 20 - 1, w.maybe(&w.count));
        case 1: status = lstmgen_model_string(model, w.choose.byte() % 16 - 1, &w.text, &w.count); break;
        case 2: status = lstmgen_model_element(model, w.ids[0], &w.text, &w.count); break;
        case 3: status = lstmgen_model_label(model, w.choose.number(), &w.text, &w.count); break;
        case 4: {
            const std::uint32_t* ids = nullptr;
            status = lstmgen_model_prime(model, w.maybe(&ids), &w.count);
            for (std::size_t i = 0; ids && i < w.count; ++i) w.number += ids[i];
            return status;
        }
        case 5: {
            const float* values = nullptr;
            status = lstmgen_model_input_values(model, w.maybe(&values), &w.count);
            for (std::size_t i = 0; values && i < w.count; ++i) w.floats[i % kFloats] = values[i];
            return status;
        }
        case 6: return lstmgen_model_layer(model, w.choose.number(), w.sized(lstmgen_layer LSTMGEN_LAYER_INIT));
        case 7: return lstmgen_model_predict_size(model, w.choose.number(), w.choose.number(), w.maybe(&w.count));
        case 8: {
            lstmgen_model* again = w.model();
            status = lstmgen_model_retain(again);
            if (status == LSTMGEN_OK) fuzz::require(lstmgen_model_release(&again) == LSTMGEN_OK && !again);
            return status;
        }
        default: fuzz::require(std::strlen(lstmgen_last_error()) < 512 && lstmgen_version_number() == LSTMGEN_VERSION);
    }
    if (status == LSTMGEN_OK && w.text) fuzz::require(std::strlen(w.text) == w.count);
    return status;
}

lstmgen_status set(World& w) {
    lstmgen_generator* const generator = w.generator();
    switch (w.choose.byte() % 6) {
        case 0: return lstmgen_generator_set_grammar(generator, w.grammar(), w.choose.number());
        case 1: return lstmgen_generator_set_grammar_length(generator, w.choose.number());
        case 2:
            return lstmgen_generator_set_stops(generator, w.maybe(w.sequences), w.maybe(w.sizes), w.up_to(kSequences));
        case 3:
            w.measure();
            return lstmgen_generator_set_stop_texts(generator, w.maybe(w.texts), w.maybe(w.sizes), w.up_to(kSequences));
        case 4:
            return lstmgen_generator_set_logits_processor(generator, w.choose.byte() % 2 ? on_logits : nullptr,
                                                          &w.waits);
        default: {
            const lstmgen_sampler_options options = sampler(w);
            return lstmgen_generator_set_options(generator, w.sized(options));
        }
    }
}

/// Reads the context of a generator, or what it would draw.
lstmgen_status look(World& w) {
    lstmgen_generator* const generator = w.generator();
    int ended = 0;
    switch (w.choose.byte() % 6) {
        case 0: return lstmgen_generator_probabilities(generator, w.maybe(w.numbers), w.up_to(kIds));
        case 1: return lstmgen_generator_logits(generator, w.maybe(w.numbers), w.up_to(kIds));
        case 2: return lstmgen_generator_likeliest(generator, w.ids, w.maybe(w.numbers), w.up_to(kIds), &w.count);
        case 3: return lstmgen_generator_ended(generator, w.maybe(&ended));
        case 4: fuzz::require(!generator || lstmgen_generator_model(generator)); return LSTMGEN_OK;
        default:
            return lstmgen_generator_save(generator, w.maybe(w.state.data()),
                                          w.choose.byte() > 247 ? w.up_to(kBytes) : kBytes, &w.states);
    }
}

lstmgen_status draw(World& w) {
    lstmgen_generator* const generator = w.generator();
    Caller caller{w, generator};
    std::uint32_t drawn[kIds];
    switch (w.choose.byte() % 6) {
        case 0: return lstmgen_generator_next(generator, w.maybe(drawn));
        case 1: return lstmgen_generator_next_many(generator, w.maybe(drawn), w.up_to(kIds));
        case 2: return lstmgen_generator_sample(generator, w.choose.number(), w.maybe(on_id), &caller);
        case 3: return lstmgen_generator_sample_text(generator, w.choose.number(), w.maybe(on_text), &caller);
        case 4: return lstmgen_generator_draw(generator, w.maybe(w.numbers), w.up_to(kIds), drawn);
        default: return lstmgen_generator_score(generator, w.ids, w.up_to(kIds), w.maybe(w.numbers));
    }
}

lstmgen_status feed(World& w) {
    lstmgen_generator* const generator = w.generator();
    switch (w.choose.byte() % 5) {
        case 0: return lstmgen_generator_feed(generator, w.maybe(w.ids), w.up_to(kIds));
        case 1: return lstmgen_generator_feed_prime(generator);
        case 2: return lstmgen_generator_go_on(generator);
        case 3: return lstmgen_generator_copy(generator, w.generator());
        default: return lstmgen_generator_reset(generator, w.choose.number());
    }
}

lstmgen_status copy(World& w) {
    lstmgen_generator*& copied = w.generator();
    if (copied) return LSTMGEN_OK;
    if (w.choose.byte() % 2) return lstmgen_generator_clone(w.generator(), &copied);
    if (w.choose.byte() > 239 && w.states > 0) w.state[w.choose.number() % kBytes / 8] ^= 1;
    return lstmgen_generator_load(w.model(), w.maybe(w.state.data()), std::min(w.states, kBytes), w.choose.byte() % 2,
                                  w.maybe(&w.allocator), &copied);
}

lstmgen_status predict(World& w) {
    float y[kFloats];
    const std::size_t batch = w.choose.byte() > 239 ? w.choose.number() : w.choose.byte() % 5;
    const std::size_t steps = w.choose.byte() > 239 ? w.choose.number() : w.choose.byte() % 13;
    const std::size_t all = w.choose.byte() > 239 ? w.choose.number() : batch * steps;
    const std::size_t outputs = w.choose.byte() > 239 ? w.up_to(kFloats) : kFloats;
    if (w.choose.byte() % 2) {
        const std::size_t inputs = w.choose.byte() % 4 ? 3 : w.choose.byte() % 12;
        return lstmgen_model_predict_features(w.model(), batch, steps, w.maybe(w.floats),
                                              std::min(all * inputs, kFloats), y, outputs);
    }
    return lstmgen_model_predict_ids(w.model(), batch, steps, w.maybe(w.ids), std::min(all, kIds), y, outputs);
}

lstmgen_status encode(World& w) {
    std::uint32_t ids[kIds];
    w.measure();
    return lstmgen_model_encode(w.model(), w.texts[0], w.sizes[0], w.maybe(ids), w.up_to(kIds), w.maybe(&w.count));
}

lstmgen_status end(World& w) {
    switch (w.choose.byte() % 8) {
        case 0: return lstmgen_model_release(&w.model());
        case 1:
        case 2: return lstmgen_generator_free(&w.generator());
        case 3: return lstmgen_grammar_free(&w.grammar());
        case 4: return lstmgen_notes_free(&w.decoder());
        default: w.memory.left = w.choose.byte() % 4 ? SIZE_MAX : w.choose.number(); return LSTMGEN_OK;
    }
}

lstmgen_status defaults(World& w) {
    const std::size_t size = w.choose.byte() % 2 ? w.choose.number() : w.choose.byte() * 8U;
    switch (w.choose.byte() % 5) {
        case 0: return lstmgen_load_options_init(w.maybe(reinterpret_cast<lstmgen_load_options*>(w.room)), size);
        case 1: return lstmgen_sampler_options_init(w.maybe(reinterpret_cast<lstmgen_sampler_options*>(w.room)), size);
        case 2:
            return lstmgen_generator_options_init(w.maybe(reinterpret_cast<lstmgen_generator_options*>(w.room)), size);
        case 3: return lstmgen_many_options_init(w.maybe(reinterpret_cast<lstmgen_many_options*>(w.room)), size);
        default: fuzz::require(lstmgen_status_name(w.choose.byte() - 128) && lstmgen_version()); return LSTMGEN_OK;
    }
}

/// Reads elements of the notation "events", or takes the notes that they made.
lstmgen_status decode(World& w) {
    static constexpr const char* kElements[] = {"n60", "n127", "d1", "d9999", "v32", "t24",  "t9999", "b100",
                                                "p1",  "p0",   "k2", "m3/4",  "end", "n128", "begin", ""};
    lstmgen_notes*& notes = w.decoder();
    if (!notes) return lstmgen_notes_create(w.choose.byte() % 4 ? w.model() : nullptr, &notes);
    auto& note = *reinterpret_cast<lstmgen_note*>(w.room);
    std::uint32_t pedal = 0;
    switch (w.choose.byte() % 8) {
        case 0: return lstmgen_notes_reset(notes);
        case 1: return lstmgen_notes_finish(notes);
        case 2: return lstmgen_notes_now(notes, w.maybe(&w.point), w.maybe(&w.number), w.maybe(&pedal));
        case 3: w.sized(lstmgen_note LSTMGEN_NOTE_INIT); return lstmgen_notes_begun(notes, w.maybe(&note));
        case 4: {
            w.sized(lstmgen_note LSTMGEN_NOTE_INIT);
            const lstmgen_status status = lstmgen_notes_next(notes, w.maybe(&note));
            if (status == LSTMGEN_OK && note.size >= sizeof note)
                fuzz::require(note.duration >= 1 && note.pitch <= 127 && note.velocity <= 127 && note.track <= 15);
            return status;
        }
        case 5: return lstmgen_notes_feed_id(notes, w.ids[0]);
        default: {
            lstmgen_status status = LSTMGEN_OK;
            for (std::size_t i = w.up_to(300); i > 0 && status == LSTMGEN_OK; --i) {
                const char* const element = kElements[w.choose.byte() % 16];
                status = lstmgen_notes_feed_text(notes, w.maybe(element), std::strlen(element));
            }
            return status;
        }
    }
}

// Those that make something come first, since after the end of an input all choices are 0.
constexpr lstmgen_status (*kCalls[])(World&) = {load,    load,   create, create, compile, end,        defaults, tell,
                                                set,     set,    look,   draw,   draw,    feed,       feed,     copy,
                                                predict, encode, step,   step,   decode,  sample_many};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::Second second;
    World world{fuzz::Choices(data, size)};
    world.file = &files()[world.choose.byte() % files().size()];
    lstmgen_load_options options = LSTMGEN_LOAD_OPTIONS_INIT;
    options.allocator = &world.allocator;
    fuzz::require(lstmgen_model_load_memory(world.file->bytes.data(), world.file->bytes.size(), &options,
                                            &world.models[0]) == LSTMGEN_OK);
    if (lstmgen_generator_create(world.models[0], nullptr, &world.generators[0]) == LSTMGEN_OK &&
        lstmgen_generator_feed_prime(world.generators[0]) != LSTMGEN_OK)
        fuzz::require(lstmgen_generator_feed(world.generators[0], world.ids, 1) == LSTMGEN_OK);
    for (int calls = 0; calls < 64 && !world.choose.empty() && second.left() > 0.5; ++calls) {
        world.left = world.choose.byte() % 32;
        world.waits = world.choose.byte() % 32;
        world.fill();
        const lstmgen_status status = kCalls[world.choose.byte() % std::size(kCalls)](world);
        fuzz::require(status >= LSTMGEN_OK && status <= LSTMGEN_ENDED && status != LSTMGEN_INTERNAL);
    }
    for (lstmgen_notes*& notes : world.notes) fuzz::require(lstmgen_notes_free(&notes) == LSTMGEN_OK);
    for (lstmgen_grammar*& grammar : world.grammars) fuzz::require(lstmgen_grammar_free(&grammar) == LSTMGEN_OK);
    for (lstmgen_generator*& generator : world.generators)
        fuzz::require(lstmgen_generator_free(&generator) == LSTMGEN_OK);
    for (lstmgen_model*& model : world.models) fuzz::require(lstmgen_model_release(&model) == LSTMGEN_OK);
    fuzz::require(world.memory.blocks == 0);
    return 0;
}
