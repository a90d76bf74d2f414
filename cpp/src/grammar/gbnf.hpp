// Reads a grammar in GBNF, the notation of llama.cpp (docs/grammar.md), into rules of characters
// and rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lstmgen::grammar {

// Limits of a grammar. Within them it compiles in a second.
constexpr std::size_t kMaxText = 1 << 20;     // bytes
constexpr std::size_t kMaxRules = 1 << 16;    // with those that repetitions and groups make
constexpr std::size_t kMaxSymbols = 1 << 18;  // characters, classes and references of all rules
constexpr std::size_t kMaxRepetition = 10000;
constexpr std::size_t kMaxNesting = 200;  // of parentheses

/// The memory that making a grammar may take: 16 MiB, and 64 bytes for each byte of its text and of
/// the elements. A short text can hold any number of repetitions, so they are counted before they
/// are made.
class Room {
public:
    explicit Room(std::size_t given) noexcept : most_((std::size_t{16} << 20) + 64 * given), left_(most_) {}

    /// Throws Error (invalid_argument) if it is more than what is left.
    void take(std::size_t bytes);
    std::size_t most() const noexcept { return most_; }

private:
    std::size_t most_, left_;
};

/// Characters first .. last, as Unicode numbers.
struct CharRange {
    std::uint32_t first, last;
};

/// One character of a class, or what a rule stands for.
struct Symbol {
    bool is_rule;
    std::uint32_t index;          // of the class or of the rule
    std::uint32_t begin, length;  // where the grammar's text says so, in bytes
};

struct Rule {
    std::string name;         // empty: made for a group or for a repetition
    std::uint32_t named = 0;  // the rule with a name in which it stands
    bool defined = false;
    // made for a repetition without an end: its first alternative ends with the rule itself
    bool repeats = false;
    bool nullable = false;                          // stands for the empty text, too
    std::uint32_t begin = 0;                        // where the text mentions it first
    std::vector<std::vector<Symbol>> alternatives;  // (alternatives, symbols of each)
};

struct Gbnf {
    std::vector<Rule> rules;
    // (classes, ranges of each), which ascend and do not touch; no surrogates
    std::vector<std::vector<CharRange>> classes;
    std::uint32_t root = 0;

    std::size_t bytes() const noexcept;  // with the alternatives of what is compiled of it
};

/// Throws Error (invalid_argument) that names the line, the column, what was expected and what was
/// found; for left recursion, the rules.
Gbnf parse_gbnf(std::string_view text, Room& room);

/// "line 2, column 7" of a byte of the text. Columns count characters; both count from 1.
std::string place_in(std::string_view text, std::size_t byte);

/// "U+00E9" of a character.
std::string number_of(std::uint32_t c);

/// The code point at text[at], and how many bytes it takes: 0 if they are no UTF-8.
struct CodePoint {
    std::uint32_t value;
    std::size_t bytes;
};
CodePoint decode_utf8(std::string_view text, std::size_t at) noexcept;

}  // namespace lstmgen::grammar
