// How many elements it takes, at least, to read what is left at a place.
//
// An element may end in one place and go on in the next, so a way leads from inside of one element
// to inside of another: from node to node of the tree of spellings. D(place, from, to) is the least
// number of ends of elements on a way. It is the least solution of
//
//     D(end, u, u) = 0
//     D(byte next, u, v) = min over bytes b: D(next, child of u by b, v), or 1 + D(next, 0, v) if
//     an element ends there D(rule next, u, v) = min over m: D(rule, u, m) + D(next, m, v)
//
// found as Knuth generalises Dijkstra's algorithm: numbers become final in ascending order. Only
// what a text of the root can reach is asked for.
#include <algorithm>
#include <queue>

#include "asking.hpp"
#include "grammar/grammar.hpp"
#include "sorting.hpp"

namespace lstmgen::grammar {
namespace {

constexpr std::size_t kMaxWork = 1 << 22;  // pairs, ways and what waits for them
constexpr std::size_t kBetween = 1 << 13;  // of these, from one question to the next

class Solver {
public:
    Solver(const Grammar& grammar, const SpellingTree& tree, const Continue* keep_going)
        : grammar_(grammar), tree_(tree), keep_going_(keep_going) {}

    bool solve() {
        root_pair_ = pair(place_count() + grammar_.root(), 0);
        while (true) {
            while (!fresh_.empty()) {
                const std::uint32_t p = fresh_.back();
                fresh_.pop_back();
                expand(p);
                if (work_ > kMaxWork) return false;
            }
            if (queue_.empty()) return true;
            const Found found = queue_.top();
            queue_.pop();
            settle(found);
            if (work_ > kMaxWork) return false;
        }
    }

    Ways result() const {
        Ways ways;
        ways.complete = true;
        ways.productive.assign(grammar_.rules().size(), 0);
        std::vector<std::uint32_t> order;
        for (std::uint32_t i = 0; i < pairs_.size(); ++i) {
            if (pairs_[i].way == kNone) continue;
            if (pairs_[i].what < place_count())
                order.push_back(i);
            else
                ways.productive[pairs_[i].what - place_count()] = 1;
        }
        sort_ids(order, [this](std::uint32_t a, std::uint32_t b) {
            return pair_key(pairs_[a].what, pairs_[a].from) < pair_key(pairs_[b].what, pairs_[b].from);
        });
        ways.row_of.assign(place_count() + 1, 0);
        for (const std::uint32_t i : order) {
            Grammar::Row row{pairs_[i].from, static_cast<std::uint32_t>(ways.ways.size()), 0};
            for (std::uint32_t w = pairs_[i].way; w != kNone; w = ways_[w].next)
                ways.ways.push_back({ways_[w].to, ways_[w].elements});
            row.last = static_cast<std::uint32_t>(ways.ways.size());
            ways.rows.push_back(row);
            ++ways.row_of[pairs_[i].what + 1];
        }
        for (std::size_t p = 0; p < place_count(); ++p) ways.row_of[p + 1] += ways.row_of[p];
        for (std::uint32_t w = pairs_[root_pair_].way; w != kNone; w = ways_[w].next)
            if (ways_[w].to == 0) ways.shortest = ways_[w].elements;
        return ways;
    }

private:
    struct Pair {
        std::uint32_t what, from;  // a place, or a rule after all places
        std::uint32_t way = kNone, waiting = kNone;
    };
    struct Final {
        std::uint32_t to, elements, next;
    };
    struct Waiting {
        std::uint32_t pair, add;
        std::uint32_t then;  // the place after it; kNone: the way ends here
        std::uint32_t next;
    };
    struct Found {
        std::uint32_t elements, pair, to;
        bool operator<(const Found& other) const noexcept { return elements > other.elements; }
    };

    void count() {
        if (++work_ % kBetween == 0 && keep_going_) ask(*keep_going_);
    }

    std::uint32_t place_count() const noexcept { return static_cast<std::uint32_t>(grammar_.places().size()); }

    std::uint32_t pair(std::uint32_t what, std::uint32_t from) {
        const std::uint64_t key = pair_key(what, from);
        std::uint32_t p = pair_of_.find(key);
        if (p == kNone) {
            p = static_cast<std::uint32_t>(pairs_.size());
            pairs_.push_back({what, from});
            pair_of_.insert(key, p);
            fresh_.push_back(p);
            count();
        }
        return p;
    }

    void expand(std::uint32_t p) {
        const auto [what, from, way, waiting] = pairs_[p];
        if (what >= place_count()) {
            for (const std::uint32_t place : grammar_.rules()[what - place_count()].alternatives)
                wait(p, pair(place, from), 0, kNone);
        } else if (what == kEnd) {
            push(p, from, 0);
        } else if (grammar_.is_set(what)) {
            const std::uint32_t next = grammar_.places()[what].next;
            const SpellingTree::Node node = tree_.nodes[from];
            bool ends = false;
            for (std::uint32_t e = node.first; e < node.last; ++e) {
                const SpellingTree::Edge& edge = tree_.edges[e];
                count();
                if (!grammar_.reads(what, edge.byte)) continue;
                if (edge.to != kNone) wait(p, pair(next, edge.to), 0, kNone);
                ends = ends || edge.first < edge.last;
            }
            if (ends) wait(p, pair(next, 0), 1, kNone);
        } else {
            wait(p, pair(place_count() + grammar_.rule_at(what), from), 0, grammar_.places()[what].next);
        }
    }

    void push(std::uint32_t p, std::uint32_t to, std::uint64_t elements) {
        if (elements > kMaxElements) return;
        queue_.push({static_cast<std::uint32_t>(elements), p, to});
        count();
    }

    /// `p` goes on where `child` ends.
    void wait(std::uint32_t p, std::uint32_t child, std::uint32_t add, std::uint32_t then) {
        waiting_.push_back({p, add, then, pairs_[child].waiting});
        pairs_[child].waiting = static_cast<std::uint32_t>(waiting_.size() - 1);
        count();
        for (std::uint32_t w = pairs_[child].way; w != kNone; w = ways_[w].next)
            deliver(p, add, then, ways_[w].to, ways_[w].elements);
    }

    void deliver(std::uint32_t p, std::uint32_t add, std::uint32_t then, std::uint32_t to, std::uint32_t elements) {
        const std::uint64_t sum = std::uint64_t{add} + elements;
        if (sum > kMaxElements) return;
        if (then == kNone)
            push(p, to, sum);
        else
            wait(p, pair(then, to), static_cast<std::uint32_t>(sum), kNone);
    }

    void settle(const Found& found) {
        const std::uint64_t key = pair_key(found.pair, found.to);
        if (final_.find(key) != kNone) return;
        final_.insert(key, 0);
        count();
        Pair& p = pairs_[found.pair];
        ways_.push_back({found.to, found.elements, p.way});
        p.way = static_cast<std::uint32_t>(ways_.size() - 1);
        for (std::uint32_t w = p.waiting; w != kNone;) {
            const Waiting waiting = waiting_[w];
            w = waiting.next;
            deliver(waiting.pair, waiting.add, waiting.then, found.to, found.elements);
        }
    }

    const Grammar& grammar_;
    const SpellingTree& tree_;
    const Continue* keep_going_;
    IdMap pair_of_, final_;
    std::vector<Pair> pairs_;
    std::vector<Final> ways_;
    std::vector<Waiting> waiting_;
    std::vector<std::uint32_t> fresh_;  // (n), pairs to work on
    std::priority_queue<Found> queue_;
    std::uint32_t root_pair_ = 0;
    std::size_t work_ = 0;
};

}  // namespace

Ways find_ways(const Grammar& grammar, const SpellingTree& tree, const Continue* keep_going) {
    Solver solver(grammar, tree, keep_going);
    return solver.solve() ? solver.result() : Ways{};
}

}  // namespace lstmgen::grammar
