// Grammars of the C API.
#include <atomic>
#include <string_view>
#include <utility>

#include "c_errors.hpp"
#include "c_handles.hpp"
#include "lstmgen/lstmgen.h"
#include "lstmgen/lstmgen.hpp"

lstmgen_grammar::lstmgen_grammar(lstmgen_model* m, lstmgen::Grammar g, const lstmgen::Allocator& a)
    : allocator(a), grammar(std::move(g)), model(m) {
    model->references.fetch_add(1, std::memory_order_relaxed);
}

lstmgen_grammar::~lstmgen_grammar() { lstmgen::release(model); }

namespace lstmgen {
namespace {

lstmgen_status check(const lstmgen_grammar* grammar) noexcept {
    return check_handle(grammar ? &grammar->magic : nullptr, kGrammarMagic, "the grammar");
}

}  // namespace

lstmgen_status read_grammar(const lstmgen_grammar* grammar, const lstmgen_model* model, Grammar& to) {
    if (!grammar) return LSTMGEN_OK;
    const lstmgen_status status = check(grammar);
    if (status != LSTMGEN_OK) return status;
    if (grammar->model != model)
        return fail(LSTMGEN_INVALID_ARGUMENT,
                    "the grammar: expected one over the elements of this model, found one of another model");
    to = grammar->grammar;
    return LSTMGEN_OK;
}

}  // namespace lstmgen

using namespace lstmgen;

lstmgen_status lstmgen_grammar_create(lstmgen_model* model, const char* text, size_t bytes, lstmgen_grammar** grammar) {
    if (!grammar) return fail_null("the place for the grammar");
    *grammar = nullptr;
    return with(model, [&](const lstmgen_model& m) {
        if (!text) return fail_null("the text");
        *grammar =
            create<lstmgen_grammar>(m.allocator, model, Grammar(m.model, std::string_view(text, bytes)), m.allocator);
        return LSTMGEN_OK;
    });
}

lstmgen_status lstmgen_grammar_free(lstmgen_grammar** grammar) {
    if (!grammar) return fail_null("the place of the grammar");
    if (!*grammar) return LSTMGEN_OK;
    const lstmgen_status status = check(*grammar);
    if (status == LSTMGEN_OK) destroy(std::exchange(*grammar, nullptr));
    return status;
}

lstmgen_status lstmgen_generator_set_grammar(lstmgen_generator* generator, const lstmgen_grammar* grammar,
                                             uint64_t length) {
    return with(generator, [&](lstmgen_generator& g) {
        Grammar found;
        const lstmgen_status status = read_grammar(grammar, g.model, found);
        if (status == LSTMGEN_OK) g.generator.set_grammar(found, length);
        return status;
    });
}

lstmgen_status lstmgen_generator_set_grammar_length(lstmgen_generator* generator, uint64_t length) {
    return with(generator, [&](lstmgen_generator& g) {
        g.generator.set_grammar_length(length);
        return LSTMGEN_OK;
    });
}
