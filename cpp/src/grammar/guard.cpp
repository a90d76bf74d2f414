#include "grammar/guard.hpp"

#include <algorithm>

#include "checks.hpp"
#include "kept.hpp"
#include "message.hpp"
#include "network.hpp"
#include "sorting.hpp"

namespace lstmgen {
namespace {

const std::vector<std::string>& vocabulary_of(const Model& model) {
    const ModelInfo& info = model.info();
    if (info.vocabulary.empty())
        refuse({"the grammar: the model has no vocabulary, whose elements a grammar is about"});
    return info.vocabulary;
}

bool is_one_character(const std::string& text) {
    const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
    return std::count_if(text.begin(), text.end(), begins) == 1;
}

// Padding such as <PAD> fills windows: it is no element of a text. A space is, even if it is
// padding, too.
std::vector<std::uint32_t> never_of(const Model& model, std::vector<std::uint32_t> never) {
    const ModelInfo& info = model.info();
    check_ids(never.data(), never.size(), info.outputs, "a grammar: id");
    if (info.padding && !is_one_character(info.vocabulary[*info.padding])) never.push_back(*info.padding);
    sort_once(never);
    return never;
}

}  // namespace

LSTMGEN_KEPT Grammar::Grammar(const Model& model, std::string_view gbnf, const std::vector<std::uint32_t>& never) {
    const std::vector<std::string>& vocabulary = vocabulary_of(model);  // never_of needs one
    std::vector<std::uint32_t> all = never_of(model, never);
    grammar::Grammar automaton(gbnf, vocabulary, all, &model.network()->keep_going());
    compiled_ = std::make_shared<const CompiledGrammar>(
        CompiledGrammar{std::string(gbnf), std::move(all), vocabulary, std::move(automaton)});
}

LSTMGEN_KEPT const std::string& Grammar::text() const {
    if (!compiled_) refuse({"the grammar: expected a compiled one, found none"});
    return compiled_->text;
}

namespace grammar {

std::shared_ptr<Memo> make_memo(const lstmgen::Grammar& grammar, const Continue& keep_going) {
    const auto& compiled = grammar.compiled();
    if (!compiled) return nullptr;
    return std::make_shared<Memo>(std::shared_ptr<const Grammar>(compiled, &compiled->automaton), &keep_going);
}

Guard::Guard(lstmgen::Grammar grammar, std::size_t outputs, std::shared_ptr<Memo> memo, std::uint64_t length)
    : grammar_(std::move(grammar)), length_(length), left_(length) {
    if (!grammar_) return;
    const std::size_t elements = grammar_.compiled()->automaton.elements();
    if (elements != outputs)
        refuse({"the grammar: expected one over the % elements of this model, found one over %", outputs, elements});
    run_ = std::make_unique<Run>(std::move(memo));
}

void Guard::reset() {
    if (run_) run_->reset();
    set_length(length_);
}

void Guard::copy_from(const Guard& other) {
    if (grammar_.compiled() != other.grammar_.compiled())
        refuse({"the other generator: expected the same grammar, found another: set it first"});
    allowed_ = other.allowed_ = nullptr;
    if (run_) {
        state_.resize(other.run_->save(nullptr, 0));
        other.run_->save(state_.data(), state_.size());
        run_->load(state_.data(), state_.size());
    }
    length_ = other.length_;
    left_ = other.left_;
}

void Guard::check_length() {
    if (!run_ || left_ == kUnlimited) return;
    const std::uint64_t least = run_->shortest_end();
    if (least > left_)
        refuse(
            {"length: expected at least % more elements, as the shortest text of the grammar has, found %: draw more, "
             "or cut the text off unfinished",
             least, left_});
}

const std::uint64_t* Guard::allowed() {
    if (run_ && !allowed_) {
        check_length();
        allowed_ = run_->allowed(left_);
    }
    return allowed_;
}

bool Guard::ended() {
    if (!run_) return false;
    const std::uint64_t* const bits = allowed();
    const std::size_t words = (run_->grammar().elements() + 63) / 64;
    return std::all_of(bits, bits + words, [](std::uint64_t word) { return word == 0; });
}

void Guard::accept(std::uint32_t id) {
    if (!run_) return;
    allowed_ = nullptr;
    run_->accept(id);
}

void Guard::drawn(std::uint32_t id) {
    accept(id);
    if (run_ && left_ != kUnlimited) --left_;
}

void Guard::read(const std::uint32_t* ids, std::size_t n, std::size_t first) {
    if (!run_) return;
    Run trial(*run_);
    read(trial, ids, n, first);
    run_->swap(trial);
}

void Guard::check(const std::uint32_t* ids, std::size_t n) const {
    if (!run_) return;
    Run trial(*run_);
    read(trial, ids, n, 0);
}

void Guard::read(Run& run, const std::uint32_t* ids, std::size_t n, std::size_t first) const {
    allowed_ = nullptr;
    for (std::size_t i = 0; i < n; ++i) {
        try {
            run.accept(ids[i]);
        } catch (const Error& error) {
            if (error.code() != ErrorCode::invalid_argument) throw;
            refuse({"the element % at position % cannot stand there in a text of the grammar",
                    Part::quoted(grammar_.compiled()->elements[ids[i]]), first + i});
        }
    }
}

void Guard::save(StateWriter& out) const {
    if (!run_) {
        out.size(0);
        return;
    }
    allowed_ = nullptr;
    const CompiledGrammar& compiled = *grammar_.compiled();
    out.size(compiled.text.size());
    out.bytes(compiled.text.data(), compiled.text.size());
    out.size(compiled.never.size());
    out.bytes(compiled.never.data(), compiled.never.size() * sizeof(std::uint32_t));
    out.number(length_);
    out.number(left_);
    state_.resize(run_->save(nullptr, 0));
    run_->save(state_.data(), state_.size());
    out.size(state_.size());
    out.bytes(state_.data(), state_.size());
}

Guard Guard::load(const Model& model, StateReader& in) {
    std::string text(in.left() > 0 ? in.size(in.left()) : 0, '\0');
    if (text.empty()) return {};
    in.bytes(text.data(), text.size());
    std::vector<std::uint32_t> never(in.size(std::min(model.info().outputs, in.left() / sizeof(std::uint32_t))));
    in.bytes(never.data(), never.size() * sizeof(std::uint32_t));
    lstmgen::Grammar grammar(model, text, never);
    auto memo = make_memo(grammar, model.network()->keep_going());
    Guard guard(std::move(grammar), model.info().outputs, std::move(memo), kUnlimited);
    guard.length_ = in.number<std::uint64_t>();
    guard.left_ = in.number<std::uint64_t>();
    guard.state_.resize(in.size(in.left()));
    in.bytes(guard.state_.data(), guard.state_.size());
    guard.run_->load(guard.state_.data(), guard.state_.size());
    return guard;
}

}  // namespace grammar
}  // namespace lstmgen
