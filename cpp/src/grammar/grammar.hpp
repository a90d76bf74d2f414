// A grammar over a vocabulary, compiled: immutable, shared by any number of runs and threads
// (run.hpp).
//
// Characters become bytes of UTF-8, so that elements may end inside of a character. What is left of
// an alternative is a place: a first symbol, and the place after it. Equal ends of alternatives are
// one place. A text that has been read so far corresponds to a set of stacks of places; the topmost
// place of each begins with a byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/gbnf.hpp"
#include "grammar/id_map.hpp"
#include "lstmgen/lstmgen.hpp"

namespace lstmgen::grammar {

constexpr std::uint32_t kEnd = 0;                 // the place with nothing left
constexpr std::uint32_t kNever = 0xFFFFFFFF;      // elements to the end where there is no way
constexpr std::uint32_t kMaxElements = 1U << 30;  // of a shortest text

/// The spellings of elements as a tree of bytes. A node stands for the begin of an element; node 0
/// is the empty one.
struct SpellingTree {
    struct Edge {
        std::uint16_t byte;         // as a letter of the alphabet
        std::uint32_t to;           // a node; kNone: no element goes on
        std::uint32_t first, last;  // elements[first .. last) end here
    };
    struct Node {
        std::uint32_t first, last;  // of its edges
    };
    std::vector<Node> nodes;
    std::vector<Edge> edges;
    std::vector<std::uint32_t> elements;  // (elements of the tree), ids in the order of the edges
};

class Grammar {
public:
    struct Place {
        std::uint32_t symbol;  // below sets().size(): a set of bytes; else a rule
        std::uint32_t next;
    };
    using ByteSet = std::array<std::uint64_t, 4>;  // of letters of the alphabet
    struct CompiledRule {
        std::vector<std::uint32_t> alternatives;  // (alternatives), the first place of each
        // (n), places where it can begin: after symbols that may be empty
        std::vector<std::uint32_t> leading;
        // greater than that of each rule that can begin with it
        std::uint32_t order = 0;
        bool nullable = false;
    };
    /// Reading what is left at a place, from inside element `from` (a node of the closing tree),
    /// ends inside of element `to` after at least this many ends of elements.
    struct Way {
        std::uint32_t to, elements;
    };
    struct Row {
        std::uint32_t from, first, last;  // ways()[first .. last)
    };

    /// `vocabulary`: the text of each element, in UTF-8 or other bytes. Empty ones and those in
    /// `never` cannot be drawn. Throws Error (invalid_argument): a syntax error, left recursion, a
    /// limit, or a vocabulary without which no text can be completed. `keep_going`, if it is not
    /// null, is asked after about every millisecond of long work. If it returns false, this throws
    /// Error with the code stopped.
    Grammar(std::string_view text, const std::vector<std::string>& vocabulary,
            const std::vector<std::uint32_t>& never = {}, const Continue* keep_going = nullptr);

    std::size_t elements() const noexcept { return spellings_.size() - 1; }
    std::size_t alphabet() const noexcept { return alphabet_; }
    /// Letters of the alphabet.
    const std::uint8_t* spelling(std::uint32_t id) const noexcept { return letters_.data() + spellings_[id]; }
    std::size_t spelling_length(std::uint32_t id) const noexcept { return spellings_[id + 1] - spellings_[id]; }
    std::size_t spelled() const noexcept { return letters_.size(); }  // letters of all elements
    const SpellingTree& tree() const noexcept { return tree_; }

    const std::vector<Place>& places() const noexcept { return places_; }
    const std::vector<ByteSet>& sets() const noexcept { return sets_; }
    const std::vector<CompiledRule>& rules() const noexcept { return rules_; }
    bool is_set(std::uint32_t place) const noexcept { return places_[place].symbol < sets_.size(); }
    bool reads(std::uint32_t place, std::size_t letter) const noexcept {
        return sets_[places_[place].symbol][letter / 64] >> letter % 64 & 1;
    }
    std::uint32_t rule_at(std::uint32_t place) const noexcept {
        return places_[place].symbol - static_cast<std::uint32_t>(sets_.size());
    }
    std::uint32_t root() const noexcept { return root_; }

    /// Nodes of the tree of elements that shortest ends are counted in. It is tree(), or, where
    /// that is too much to work out, that of the single characters.
    std::size_t closing_nodes() const noexcept { return closing_nodes_; }
    bool closes_by_characters() const noexcept { return closes_by_characters_; }
    const Row* rows_begin(std::uint32_t place) const noexcept { return rows_.data() + row_of_[place]; }
    const Row* rows_end(std::uint32_t place) const noexcept { return rows_.data() + row_of_[place + 1]; }
    const std::vector<Way>& ways() const noexcept { return ways_; }

    /// Of the text and the vocabulary: states of a run belong to one grammar.
    std::uint32_t identity() const noexcept { return identity_; }

private:
    class Lowering;

    void spell(const std::vector<std::string>& vocabulary, const std::vector<std::uint32_t>& never);
    SpellingTree make_tree(const std::vector<std::uint32_t>& ids) const;
    void order_rules();
    std::size_t bytes() const noexcept;  // without what the alternatives of rules take

    std::array<std::int16_t, 256> letter_of_{};  // byte -> letter, or -1
    std::size_t alphabet_ = 0;
    std::vector<std::uint8_t> letters_;   // (letters of all elements), one element after the other
    std::vector<std::size_t> spellings_;  // (elements + 1), where each begins in letters_
    SpellingTree tree_;
    std::vector<Place> places_;
    std::vector<ByteSet> sets_;
    std::vector<CompiledRule> rules_;
    std::uint32_t root_ = 0;
    std::size_t closing_nodes_ = 1;
    bool closes_by_characters_ = false;
    std::vector<std::uint32_t> row_of_;  // (places + 1), the first row of each in rows_
    std::vector<Row> rows_;
    std::vector<Way> ways_;
    std::uint32_t identity_ = 0;
};

/// What find_ways finds.
struct Ways {
    bool complete = false;              // false: it was too much
    std::vector<std::uint32_t> row_of;  // (places + 1), the first row of each in `rows`
    std::vector<Grammar::Row> rows;
    std::vector<Grammar::Way> ways;
    std::vector<char> productive;     // (rules), 1: some elements spell a text of it
    std::uint32_t shortest = kNever;  // elements of the shortest text of the root
};

/// All ways from place to place that a text of the root can take (closing.cpp), found in up to
/// `room` bytes. `also_dead`: those, too, that nothing goes on from.
Ways find_ways(const Grammar& grammar, const SpellingTree& tree, std::size_t room, const Continue* keep_going,
               bool also_dead = false);

}  // namespace lstmgen::grammar
