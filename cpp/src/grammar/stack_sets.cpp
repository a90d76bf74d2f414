#include "grammar/stack_sets.hpp"

#include <algorithm>

#include "asking.hpp"
#include "message.hpp"
#include "sorting.hpp"

namespace lstmgen::grammar {
namespace {

constexpr std::size_t kMaxReachable = 1 << 14;  // sets of one state

[[noreturn]] void too_ambiguous(const char* what) {
    refuse({"grammar: it is too ambiguous: the text so far can be read in so many ways that ", what,
            "; expected rules that tell sooner what a character belongs to"});
}

}  // namespace

void StackSets::next_piece(std::uint64_t work) {
    if (work - piece_ > later_) too_ambiguous("the next element takes too long");
    if (keep_going_) ask(*keep_going_);
    take_piece(piece_ + later_, std::max(work, kBetween));
}

std::size_t StackSets::bytes() const noexcept {
    return nodes_.capacity() * sizeof(Node) + edges_.capacity() * sizeof(Edge) + table_.bytes() + united_.bytes() +
           (marks_.capacity() + renamed_.capacity() + reached_.capacity()) * sizeof(std::uint32_t) +
           merges_.capacity() * sizeof(Merge) + (merged_.capacity() + built_.capacity()) * sizeof(Edge);
}

void StackSets::need_room(std::size_t edges) {
    spend(1 + edges);
    const std::size_t most = 1U << 30;
    if (bytes() <= most_bytes_ && edges_.size() + edges < most) return;
    is_full_ = true;
    too_ambiguous("they take too much memory");
}

StackSets::StackSets(const Continue* keep_going)
    : nodes_{{0, 0, 0, false}, {0, 0, 0, true}}, marks_(2, 0), renamed_(2, 0), keep_going_(keep_going) {}

std::uint64_t StackSets::hash(bool has_empty, const Edge* edges, std::size_t n) const noexcept {
    std::uint64_t h = has_empty ? 1 : 0;
    for (std::size_t i = 0; i < n; ++i) h = mix(h * 31 + pair_key(edges[i].place, edges[i].below));
    return mix(h + n);
}

std::uint32_t StackSets::make(bool has_empty, const Edge* edges, std::size_t n) {
    if (n == 0) return has_empty ? kEmptyStack : kNothing;
    need_room(n);
    const std::uint32_t known = table_.find(hash(has_empty, edges, n), [&](std::uint32_t i) {
        const Node& node = nodes_[i];
        return node.has_empty == has_empty && node.count == n &&
               std::equal(edges, edges + n, edges_.data() + node.first,
                          [](Edge a, Edge b) { return a.place == b.place && a.below == b.below; });
    });
    if (known != kNone) return known;
    const auto made = static_cast<std::uint32_t>(nodes_.size());
    std::uint32_t depth = 0;
    for (std::size_t i = 0; i < n; ++i) depth = std::max(depth, nodes_[edges[i].below].depth + 1);
    nodes_.push_back({static_cast<std::uint32_t>(edges_.size()), static_cast<std::uint32_t>(n), depth, has_empty});
    edges_.insert(edges_.end(), edges, edges + n);
    marks_.push_back(0);
    renamed_.push_back(0);
    table_.add(made, [this](std::uint32_t i) {
        return hash(nodes_[i].has_empty, edges_.data() + nodes_[i].first, nodes_[i].count);
    });
    return made;
}

std::uint32_t StackSets::make_from(bool has_empty, std::vector<Edge>& edges) {
    std::sort(edges.begin(), edges.end(),
              [this](Edge a, Edge b) { return a.place != b.place ? a.place < b.place : is_lower(a.below, b.below); });
    std::size_t n = 0;
    for (const Edge e : edges) {
        if (n > 0 && edges[n - 1].place == e.place)
            edges[n - 1].below = unite(edges[n - 1].below, e.below);
        else
            edges[n++] = e;
    }
    const std::uint32_t set = make(has_empty, edges.data(), n);
    edges.clear();
    return set;
}

std::uint32_t StackSets::unite_all(std::vector<std::uint32_t>& sets) {
    std::uint32_t all = sets.empty() ? kNothing : sets[0];
    if (sets.size() == 2) {
        all = unite(sets[0], sets[1]);
    } else if (sets.size() > 2) {  // one after the other, they would take the square of their edges
        bool with_empty = false;
        gathered_.clear();
        for (const std::uint32_t s : sets) {
            with_empty = with_empty || has_empty(s);
            spend(1 + count(s));
            for (std::size_t i = 0; i < count(s); ++i) gathered_.push_back(edge(s, i));
        }
        all = make_from(with_empty, gathered_);
    }
    sets.clear();
    return all;
}

std::uint32_t StackSets::known_union(std::uint32_t a, std::uint32_t b) const noexcept {
    if (a == b || b == kNothing) return a;
    if (a == kNothing) return b;
    return united_.find(a < b ? pair_key(a, b) : pair_key(b, a));
}

std::uint32_t StackSets::unite(std::uint32_t a, std::uint32_t b) {
    if (const std::uint32_t known = known_union(a, b); known != kNone) return known;
    // Depth first, without recursion: sets can be deep.
    merges_.clear();
    merged_.clear();
    merges_.push_back({a, b, 0, 0, 0});
    while (true) {
        Merge& m = merges_.back();
        const Node na = nodes_[m.a], nb = nodes_[m.b];
        bool waits = false;
        while (m.i < na.count || m.j < nb.count) {
            const Edge* ea = m.i < na.count ? &edges_[na.first + m.i] : nullptr;
            const Edge* eb = m.j < nb.count ? &edges_[nb.first + m.j] : nullptr;
            if (!eb || (ea && ea->place < eb->place)) {
                merged_.push_back(*ea);
                ++m.i;
            } else if (!ea || eb->place < ea->place) {
                merged_.push_back(*eb);
                ++m.j;
            } else {
                const std::uint32_t below = known_union(ea->below, eb->below);
                if (below == kNone) {
                    merges_.push_back({ea->below, eb->below, 0, 0, merged_.size()});
                    waits = true;
                    break;
                }
                merged_.push_back({ea->place, below});
                ++m.i;
                ++m.j;
            }
        }
        if (waits) continue;
        const Merge done = merges_.back();
        const std::uint32_t set =
            make(na.has_empty || nb.has_empty, merged_.data() + done.merged, merged_.size() - done.merged);
        united_.insert(done.a < done.b ? pair_key(done.a, done.b) : pair_key(done.b, done.a), set);
        merged_.resize(done.merged);
        merges_.pop_back();
        if (merges_.empty()) return set;
    }
}

const std::vector<std::uint32_t>& StackSets::reachable(std::uint32_t set) {
    ++mark_;
    reached_.clear();
    reached_.push_back(set);
    marks_[set] = mark_;
    for (std::size_t i = 0; i < reached_.size(); ++i) {
        if (reached_.size() > kMaxReachable) too_ambiguous("they take more than 16384 sets of places");
        const Node& node = nodes_[reached_[i]];
        for (std::uint32_t e = node.first; e < node.first + node.count; ++e)
            if (const std::uint32_t below = edges_[e].below; marks_[below] != mark_) {
                marks_[below] = mark_;
                reached_.push_back(below);
            }
    }
    spend(reached_.size());
    sort_once(reached_);
    return reached_;
}

std::uint32_t StackSets::on_set(std::uint32_t set, std::uint32_t below) {
    for (const std::uint32_t s : reachable(set)) {
        built_.clear();
        for (std::size_t i = 0; i < count(s); ++i) built_.push_back({edge(s, i).place, renamed_[edge(s, i).below]});
        std::uint32_t made = make(false, built_.data(), built_.size());
        if (has_empty(s) && s != set) made = unite(made, below);
        renamed_[s] = made;
    }
    return renamed_[set];
}

std::uint32_t StackSets::cut(std::uint32_t set, std::vector<std::uint32_t>& segments) {
    const auto& sets = reachable(set);
    if (set == kNothing || has_empty(set)) return set;
    // From the top down: all stacks go through a set if no edge from above leads past it.
    cuts_.clear();
    std::uint32_t nearest = kNone;  // the lowest set that an edge from above leads to
    for (std::size_t k = sets.size(); k-- > 0;) {
        const std::uint32_t s = sets[k];
        if (nearest <= kEmptyStack) break;
        if (s != set && nearest >= s) cuts_.push_back(s);
        if (has_empty(s)) break;
        for (std::size_t i = 0; i < count(s); ++i) nearest = std::min(nearest, edge(s, i).below);
    }
    // From the bottom up, each part over the empty stack in place of the set where it is cut off.
    if (cuts_.empty()) return set;
    for (const std::uint32_t s : sets) {
        const bool is_cut = !cuts_.empty() && s == cuts_.back();
        built_.clear();
        for (std::size_t i = 0; i < count(s); ++i) built_.push_back({edge(s, i).place, renamed_[edge(s, i).below]});
        renamed_[s] = make(has_empty(s), built_.data(), built_.size());
        if (!is_cut) continue;
        segments.push_back(renamed_[s]);
        renamed_[s] = kEmptyStack;
        cuts_.pop_back();
    }
    return renamed_[set];
}

}  // namespace lstmgen::grammar
