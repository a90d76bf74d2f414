// Sets of stacks of places, each built once.
//
// A set is a node: for each topmost place, the set of what lies below it; and whether the empty
// stack belongs to it. Equal sets are the same node, so exponentially many stacks take few nodes,
// and equality is that of numbers. Nodes are made after those below them, so their numbers are
// greater.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "grammar/id_map.hpp"

namespace lstmgen::grammar {

constexpr std::uint32_t kNothing = 0;     // the set without a stack
constexpr std::uint32_t kEmptyStack = 1;  // the set of the empty stack alone

class StackSets {
public:
    struct Edge {
        std::uint32_t place, below;
    };

    StackSets() { clear(); }
    void clear();

    bool has_empty(std::uint32_t set) const noexcept { return nodes_[set].has_empty; }
    std::size_t count(std::uint32_t set) const noexcept { return nodes_[set].count; }
    Edge edge(std::uint32_t set, std::size_t i) const noexcept { return edges_[nodes_[set].first + i]; }

    /// The set of these stacks; edges ascend by place, each place once. Throws Error if there are
    /// too many sets.
    std::uint32_t make(bool has_empty, const Edge* edges, std::size_t n);
    /// `place` on top of each stack of a set.
    std::uint32_t on_top(std::uint32_t place, std::uint32_t set) {
        const Edge edge{place, set};
        return make(false, &edge, 1);
    }
    /// Sorts the edges, unites those of the same place, and empties the vector.
    std::uint32_t make_from(bool has_empty, std::vector<Edge>& edges);
    std::uint32_t unite(std::uint32_t a, std::uint32_t b);

    /// All stacks but the empty one, each on top of each stack of `below`.
    std::uint32_t on_set(std::uint32_t set, std::uint32_t below);

    /// If all stacks go through one set below their topmost places: takes the lowest such set off,
    /// and returns it. Else kNone.
    std::uint32_t take_lowest(std::uint32_t& set);

    /// `set` and all sets below it, in ascending order; valid until the next call of any function.
    const std::vector<std::uint32_t>& reachable(std::uint32_t set);

    std::size_t size() const noexcept { return nodes_.size(); }
    std::size_t edges() const noexcept { return edges_.size() + united_.size(); }

private:
    struct Node {
        std::uint32_t first, count;
        bool has_empty;
    };
    struct Merge {
        std::uint32_t a, b, i, j;
        std::size_t merged;
    };

    std::uint64_t hash(bool has_empty, const Edge* edges, std::size_t n) const noexcept;
    std::uint32_t known_union(std::uint32_t a, std::uint32_t b) const noexcept;

    std::vector<Node> nodes_;
    std::vector<Edge> edges_;
    InternTable table_;
    IdMap united_;
    std::vector<std::uint32_t> marks_, reached_, renamed_;  // marks_, renamed_: of each node
    std::uint32_t mark_ = 0;
    std::vector<Merge> merges_;
    std::vector<Edge> merged_, built_;
};

}  // namespace lstmgen::grammar
