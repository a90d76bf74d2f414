// The grammar of one sequence: what may come next, and when it ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "grammar/grammar.hpp"
#include "grammar/run.hpp"
#include "lstmgen/lstmgen.hpp"
#include "state.hpp"

namespace lstmgen {

/// What lstmgen::Grammar shares. A saved state holds the text and what can never be drawn.
struct CompiledGrammar {
    std::string text;
    std::vector<std::uint32_t> never;   // (n), ids that cannot be drawn
    std::vector<std::string> elements;  // (elements), for messages
    grammar::Grammar automaton;
};

namespace grammar {

/// What the sequences of one thread share. Work on an element asks `keep_going`, which must outlive
/// the memo. If that stops it, the guard is as before the call.
std::shared_ptr<Memo> make_memo(const lstmgen::Grammar& grammar, const Continue& keep_going);

/// Follows one sequence. Without a grammar it allows everything, and never ends.
class Guard {
public:
    Guard() = default;
    /// The text is empty; the grammar is one over `outputs` elements. At most `length` elements are
    /// going to be drawn, and then it is complete.
    Guard(lstmgen::Grammar grammar, std::size_t outputs, std::shared_ptr<Memo> memo, std::uint64_t length);
    Guard(Guard&&) noexcept = default;
    Guard& operator=(Guard&&) noexcept = default;

    explicit operator bool() const noexcept { return run_ != nullptr; }
    const lstmgen::Grammar& grammar() const noexcept { return grammar_; }

    /// Back to the empty text and the whole length.
    void reset();
    /// From now on, at most `length` elements are going to be drawn.
    void set_length(std::uint64_t length) noexcept {
        length_ = left_ = length;
        allowed_ = nullptr;
    }
    /// Throws Error (invalid_argument) if no text is as short as it must be.
    void check_length();
    /// Goes on as `other` does, which has the same grammar. It keeps its own memo.
    void copy_from(const Guard& other);

    /// Works out what `allowed` and `drawn` need, so that they cannot be stopped.
    void work_out() {
        if (run_) run_->work_out();
    }
    /// A bit for each element, 64 to a word: those that can be drawn; null without a grammar. Valid
    /// until any guard of the memo is asked for something. Throws Error (invalid_argument) if no
    /// text is as short as it must be.
    const std::uint64_t* allowed();
    /// Whether the text is complete and nothing may follow.
    bool ended();
    /// An element that was drawn.
    void drawn(std::uint32_t id);
    /// (n) elements that were not drawn here. Throws Error (invalid_argument), and changes nothing,
    /// if one of them cannot follow. The error counts their positions from `first`.
    void read(const std::uint32_t* ids, std::size_t n, std::size_t first = 0);
    /// Throws as `read` does, and reads nothing.
    void check(const std::uint32_t* ids, std::size_t n) const;
    /// An element that was not drawn here, and that can follow.
    void accept(std::uint32_t id);

    void save(StateWriter& out) const;
    static Guard load(const Model& model, StateReader& in);

private:
    void read(Run& run, const std::uint32_t* ids, std::size_t n, std::size_t first) const;

    lstmgen::Grammar grammar_;
    std::unique_ptr<Run> run_;
    std::uint64_t length_ = kUnlimited, left_ = kUnlimited;
    // ((elements + 63) / 64), the last answer. Null once the run was asked for something else.
    mutable const std::uint64_t* allowed_ = nullptr;
    mutable std::vector<unsigned char> state_;  // (bytes of the run's state), working memory
};

}  // namespace grammar
}  // namespace lstmgen
