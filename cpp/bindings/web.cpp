// What the JavaScript of web/ calls: numbers, addresses and lengths go in, and texts come out
// through functions that JavaScript hands in. web/lstmgen.js is the only caller, and checks what
// its users give.
#include <emscripten/emscripten.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "longest_match.hpp"
#include "lstmgen/lstmgen.hpp"
#include "lstmgen/vocabulary.hpp"

using namespace lstmgen;

extern "C" {
// Takes a text, a number, or the error that the call gives. `code` is a row of `codes` in
// web/lstmgen.js.
__attribute__((import_module("lstmgen"), import_name("text"))) void give_text(const char* text, std::size_t bytes);
__attribute__((import_module("lstmgen"), import_name("number"))) void give_number(double number);
__attribute__((import_module("lstmgen"), import_name("error"))) void give_error(int code, const char* text,
                                                                                std::size_t bytes);
}

namespace {

constexpr int kOutOfMemory = 6, kInternal = 7;  // after the values of ErrorCode

void give_error(int code, std::string_view text) { ::give_error(code, text.data(), text.size()); }
void give(std::string_view text) { give_text(text.data(), text.size()); }

// Gives the exception that is being handled.
[[gnu::noinline]] void give_exception() noexcept {
    try {
        throw;
    } catch (const Error& error) {
        give_error(static_cast<int>(error.code()), error.what());
    } catch (const std::bad_alloc&) {
        give_error(kOutOfMemory, "out of memory");
    } catch (const std::length_error&) {
        give_error(kOutOfMemory, "out of memory");
    } catch (const std::exception& error) {
        give_error(kInternal, error.what());
    }
}

// Returns what `f` returns. JavaScript throws an error as soon as the call has returned, so the
// result of a call that fails does not matter.
template <class F>
auto guarded(F&& f) noexcept -> decltype(f()) {
    try {
        return f();
    } catch (...) {
        give_exception();
    }
    return decltype(f())();
}

// The options that the next generator, or the next change of one, gets.
SamplerOptions draft;
std::vector<std::uint8_t> saved;

std::vector<std::uint32_t> ids_at(const std::uint32_t* ids, std::size_t count) { return {ids, ids + count}; }

// Returns lists that each end with LSTMGEN_SEPARATOR.
std::vector<std::vector<std::uint32_t>> lists_at(const std::uint32_t* ids, std::size_t count) {
    std::vector<std::vector<std::uint32_t>> lists;
    for (std::size_t begin = 0, i = 0; i < count; ++i)
        if (ids[i] == LSTMGEN_SEPARATOR) {
            lists.emplace_back(ids + begin, ids + i);
            begin = i + 1;
        }
    return lists;
}

// Returns texts that each end with a 0 byte.
std::vector<std::string> texts_at(const char* text, std::size_t bytes) {
    std::vector<std::string> texts;
    for (const char* const end = text + bytes; text < end; text += texts.back().size() + 1) texts.emplace_back(text);
    return texts;
}

}  // namespace

#define EXPORT extern "C" EMSCRIPTEN_KEEPALIVE

// ---- Memory -------------------------------------------------------------------------------------

EXPORT void* allocate(std::size_t bytes) { return std::malloc(bytes); }
EXPORT void release(void* memory) { std::free(memory); }

// ---- Models -------------------------------------------------------------------------------------

// Takes the bytes over.
EXPORT Model* model_load(void* data, std::size_t bytes, const char* name, std::size_t name_bytes) {
    return guarded([&] {
        const struct Freed {
            void* data;
            ~Freed() { std::free(data); }
        } freed{data};
        return new Model(Model::from_memory(data, bytes, std::string(name, name_bytes)));
    });
}

EXPORT void model_free(Model* model) { delete model; }

// Gives the facts, in the order in which web/lstmgen.js names them.
EXPORT void model_facts(const Model* model) {
    const ModelInfo& info = model->info();
    for (const std::string* text :
         {&info.name, &info.description, &info.author, &info.license, &info.source_url, &info.card, &info.grammar,
          &info.keras_version, &info.dtype, &info.isa, &info.vocabulary_kind})
        give(*text);
    give_number(static_cast<double>(info.encoding));
    for (const std::size_t number : {info.input_size, info.outputs, info.window, info.nbytes})
        give_number(static_cast<double>(number));
    for (const bool flag : {info.whole, info.fixed_steps, info.predictor, info.zero_padding}) give_number(flag);
    give_number(info.padding ? static_cast<double>(*info.padding) : -1.0);
    for (const std::uint32_t id : info.prime) give_number(id);
}

// Of the kind "bytes", an element is given as its byte, and padding without text as -1.
EXPORT void model_elements(const Model* model) {
    const ModelInfo& info = model->info();
    for (const std::string& element : info.vocabulary) {
        if (info.vocabulary_kind != "bytes")
            give(element);
        else
            give_number(element.empty() ? -1.0 : static_cast<unsigned char>(element[0]));
    }
}

EXPORT void model_labels(const Model* model) {
    for (const std::string& label : model->info().labels) give(label);
}

EXPORT void model_layers(const Model* model) {
    for (const LayerInfo& layer : model->info().layers) {
        give(layer.type);
        give(layer.name);
        give(layer.activation);
        give_number(static_cast<double>(layer.input_size));
        give_number(static_cast<double>(layer.outputs));
    }
}

// Fails for stops that no elements can make.
EXPORT void model_check_stops(const Model* model, const std::uint32_t* ids, std::size_t count, const char* texts,
                              std::size_t bytes) {
    guarded([&] { StopMatcher(*model, lists_at(ids, count), texts_at(texts, bytes)); });
}

// ---- Elements of a text -------------------------------------------------------------------------

// Lives as long as the model.
EXPORT LongestMatch* match_create(const Model* model) {
    return guarded([&] {
        const std::vector<std::string>& elements = model->info().vocabulary;
        std::vector<std::uint32_t> ids;
        for (std::size_t i = 0; i < elements.size(); ++i)
            if (!elements[i].empty()) ids.push_back(static_cast<std::uint32_t>(i));
        return new LongestMatch(elements, ids);
    });
}

// Writes the ids of the longest elements that a text is cut into, and kNone for a character of
// none. Returns how many. There is room for as many as the text has bytes.
EXPORT std::size_t match_cut(const LongestMatch* match, const Model* model, const char* text, std::size_t bytes,
                             std::uint32_t* ids) {
    match->find({text, bytes}, ids);
    std::size_t n = 0;
    for (std::size_t at = 0; at < bytes; ++n) {
        const std::uint32_t id = ids[at];
        const auto c = static_cast<unsigned char>(text[at]);
        at += id != LongestMatch::kNone ? model->info().vocabulary[id].size()
              : c < 0x80                ? 1
              : c < 0xE0                ? 2
              : c < 0xF0                ? 3
                                        : 4;
        ids[n] = id;
    }
    return n;
}

// ---- Options ------------------------------------------------------------------------------------

// Gives the options that are numbers: name, range, whether the least is excluded, whether it is an
// integer, and the default. Then the names of the lists. The order is that of options_number and
// options_list.
EXPORT void options_table() {
    const SamplerOptions defaults;
    const struct {
        const char* name;
        double least, most, excluded, integer, value;
    } numbers[] = {
#define ROW(name, least, most, excluded)                  \
    {#name,                                               \
     double(least),                                       \
     double(most),                                        \
     double(excluded),                                    \
     double(std::is_integral_v<decltype(defaults.name)>), \
     double(defaults.name)},
        LSTMGEN_SAMPLER_NUMBERS(ROW)
#undef ROW
    };
    for (const auto& row : numbers) {
        give(row.name);
        for (const double number : {row.least, row.most, row.excluded, row.integer, row.value}) give_number(number);
    }
#define ROW(name) give(#name);
    LSTMGEN_SAMPLER_LISTS(ROW)
#undef ROW
}

// Begins with the defaults, or with the options of a generator.
EXPORT void options_begin(const Generator* generator) {
    guarded([&] { draft = generator ? generator->options() : SamplerOptions{}; });
}

EXPORT void options_number(std::size_t index, double value) {
    std::size_t i = 0;
#define SET(name, ...) \
    if (i++ == index) draft.name = static_cast<decltype(draft.name)>(value);
    LSTMGEN_SAMPLER_NUMBERS(SET)
#undef SET
}

EXPORT void options_list(std::size_t index, const std::uint32_t* ids, std::size_t count) {
    guarded([&] {
        std::size_t i = 0;
#define SET(name) \
    if (i++ == index) draft.name = ids_at(ids, count);
        LSTMGEN_SAMPLER_LISTS(SET)
#undef SET
    });
}

EXPORT void options_bias(const std::uint32_t* ids, const double* bias, std::size_t count) {
    guarded([&] {
        draft.logit_bias.clear();
        for (std::size_t i = 0; i < count; ++i) draft.logit_bias.emplace_back(ids[i], bias[i]);
    });
}

// ---- Grammars -----------------------------------------------------------------------------------

EXPORT Grammar* grammar_create(const Model* model, const char* text, std::size_t bytes, const std::uint32_t* never,
                               std::size_t count) {
    return guarded([&] { return new Grammar(*model, {text, bytes}, ids_at(never, count)); });
}

EXPORT void grammar_free(Grammar* grammar) { delete grammar; }

// ---- Generators ---------------------------------------------------------------------------------

EXPORT Generator* generator_create(const Model* model, std::size_t refresh, std::uint64_t seed) {
    return guarded([&] {
        draft.seed = seed;
        return new Generator(*model, {draft, refresh, 1});
    });
}

EXPORT void generator_free(Generator* generator) { delete generator; }

EXPORT void generator_set_options(Generator* generator) {
    guarded([&] { generator->set_options(draft); });
}

EXPORT void generator_set_seed(Generator* generator, std::uint64_t seed) {
    guarded([&] { generator->set_seed(seed); });
}

// `grammar` may be null: none.
EXPORT void generator_set_grammar(Generator* generator, const Grammar* grammar, std::uint64_t length) {
    guarded([&] { generator->set_grammar(grammar ? *grammar : Grammar(), length); });
}

EXPORT void generator_set_grammar_length(Generator* generator, std::uint64_t length) {
    guarded([&] { generator->set_grammar_length(length); });
}

// Whether there is a grammar, whose text is given.
EXPORT void generator_grammar(const Generator* generator) {
    guarded([&] {
        if (const Grammar grammar = generator->grammar()) give(grammar.text());
    });
}

EXPORT void generator_set_stops(Generator* generator, const std::uint32_t* ids, std::size_t count, const char* texts,
                                std::size_t bytes) {
    guarded([&] { generator->set_stops(lists_at(ids, count), texts_at(texts, bytes)); });
}

EXPORT void generator_feed(Generator* generator, const std::uint32_t* ids, std::size_t count) {
    guarded([&] { generator->feed(ids, count); });
}

EXPORT bool generator_ended(const Generator* generator) {
    return guarded([&] { return generator->ended(); });
}

EXPORT std::uint32_t generator_next(Generator* generator) {
    return guarded([&] { return generator->next(); });
}

EXPORT double generator_log_probability(const Generator* generator) {
    return guarded([&] { return generator->log_probability(); });
}

EXPORT std::size_t generator_likeliest(const Generator* generator, std::size_t most, std::uint32_t* ids,
                                       double* log_p) {
    return guarded([&] { return generator->likeliest(most, ids, log_p); });
}

// Gives where the bytes lie, which are valid until the next call, and how many there are.
EXPORT void generator_save(const Generator* generator) {
    guarded([&] {
        saved = generator->save_state();
        give_number(static_cast<double>(reinterpret_cast<std::uintptr_t>(saved.data())));
        give_number(static_cast<double>(saved.size()));
    });
}

EXPORT Generator* generator_load(const Model* model, const void* state, std::size_t bytes) {
    return guarded([&] { return new Generator(Generator::load_state(*model, state, bytes)); });
}
