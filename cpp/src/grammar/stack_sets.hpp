// Sets of stacks of places, each built once.
//
// A set is a node: for each topmost place, the set of what lies below it; and whether the empty
// stack belongs to it. Equal sets are the same node, so exponentially many stacks take few nodes,
// and equality is that of numbers. Nodes are made after those below them, so their numbers are
// greater.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "grammar/id_map.hpp"
#include "lstmgen/lstmgen.hpp"

namespace lstmgen::grammar {

constexpr std::uint32_t kNothing = 0;     // the set without a stack
constexpr std::uint32_t kEmptyStack = 1;  // the set of the empty stack alone

class StackSets {
public:
    struct Edge {
        std::uint32_t place, below;
    };

    /// `keep_going`, if it is not null, must outlive this. See `spend`.
    explicit StackSets(const Continue* keep_going = nullptr);

    /// From now on, `work` steps and `bytes` in all are allowed. What needs more throws Error. A
    /// step takes about 20 ns.
    void allow(std::uint64_t work, std::size_t bytes) noexcept {
        take_piece(work, kBetween);
        most_bytes_ = bytes;
        is_full_ = false;
    }
    /// Counts steps that are about to be done. After about each millisecond of them it asks
    /// `keep_going`, and throws Error with the code stopped if that returns false.
    void spend(std::uint64_t work) {
        if (work > piece_) next_piece(work);
        piece_ -= work;
    }
    /// The last error was one of bytes.
    bool is_full() const noexcept { return is_full_; }
    std::size_t bytes() const noexcept;

    bool has_empty(std::uint32_t set) const noexcept { return nodes_[set].has_empty; }
    std::size_t count(std::uint32_t set) const noexcept { return nodes_[set].count; }
    Edge edge(std::uint32_t set, std::size_t i) const noexcept { return edges_[nodes_[set].first + i]; }

    /// The set of these stacks; edges ascend by place, each place once.
    std::uint32_t make(bool has_empty, const Edge* edges, std::size_t n);
    /// `place` on top of each stack of a set.
    std::uint32_t on_top(std::uint32_t place, std::uint32_t set) {
        const Edge edge{place, set};
        return make(false, &edge, 1);
    }
    /// Sorts the edges, unites those of the same place, and empties the vector.
    std::uint32_t make_from(bool has_empty, std::vector<Edge>& edges);
    std::uint32_t unite(std::uint32_t a, std::uint32_t b);
    /// All of these sets, and empties the vector.
    std::uint32_t unite_all(std::vector<std::uint32_t>& sets);

    /// All stacks but the empty one, each on top of each stack of `below`.
    std::uint32_t on_set(std::uint32_t set, std::uint32_t below);

    /// Cuts the stacks at each set that all of them go through below their topmost places. Adds the
    /// parts below to `segments`, the lowest first; returns the part above. A set with the empty
    /// stack is not cut.
    std::uint32_t cut(std::uint32_t set, std::vector<std::uint32_t>& segments);

    /// `set` and all sets below it, in ascending order; valid until the next call of any function.
    const std::vector<std::uint32_t>& reachable(std::uint32_t set);

private:
    struct Node {
        std::uint32_t first, count;
        std::uint32_t depth;  // of its deepest stack
        bool has_empty;
    };
    struct Merge {
        std::uint32_t a, b, i, j;
        std::size_t merged;
    };

    /// Lower sets first. A union with one above then finds what both have below.
    bool is_lower(std::uint32_t a, std::uint32_t b) const noexcept {
        return nodes_[a].depth != nodes_[b].depth ? nodes_[a].depth < nodes_[b].depth : a < b;
    }
    static constexpr std::uint64_t kBetween = 1 << 15;  // steps from one question to the next

    /// Divides the steps that are left. So one comparison counts them, and tells when to ask.
    void take_piece(std::uint64_t left, std::uint64_t most) noexcept {
        piece_ = left < most ? left : most;
        later_ = left - piece_;
    }
    void next_piece(std::uint64_t work);
    void need_room(std::size_t edges);

    std::uint64_t hash(bool has_empty, const Edge* edges, std::size_t n) const noexcept;
    std::uint32_t known_union(std::uint32_t a, std::uint32_t b) const noexcept;

    std::vector<Node> nodes_;
    std::vector<Edge> edges_;
    InternTable table_;
    IdMap united_;
    std::vector<std::uint32_t> marks_, reached_, renamed_, cuts_;  // marks_, renamed_: of each node
    std::uint32_t mark_ = 0;
    std::vector<Merge> merges_;
    std::vector<Edge> merged_, built_, gathered_;
    // The steps that are left: those until the next question, and those after it.
    std::uint64_t piece_ = 0, later_ = std::numeric_limits<std::uint64_t>::max();
    const Continue* keep_going_;
    std::size_t most_bytes_ = std::numeric_limits<std::size_t>::max();
    bool is_full_ = false;
};

}  // namespace lstmgen::grammar
