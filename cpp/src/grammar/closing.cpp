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
// what a text of the root can reach is asked for, and only ways that something goes on from: inside
// of an element, it must go on with a byte that may follow.
#include <algorithm>

#include "asking.hpp"
#include "grammar/grammar.hpp"
#include "sorting.hpp"

namespace lstmgen::grammar {
namespace {

constexpr std::size_t kMaxWork = 1 << 22;  // pairs, ways and what waits for them
constexpr std::size_t kBetween = 1 << 13;  // of these, from one question to the next

/// The bytes that may follow what is left at a place, and a rule: their FOLLOW sets, of places and
/// then of rules.
///
/// Source: A. V. Aho, M. S. Lam, R. Sethi, J. D. Ullman, "Compilers", section 4.4.2.
class Following {
public:
    /// Returns the bytes that they take. Where that is too much, any byte may follow.
    std::size_t find(const Grammar& grammar, std::size_t room, const Continue* keep_going) {
        const std::size_t places = grammar.places().size(), n = places + grammar.rules().size();
        if (n * (2 * sizeof(Grammar::ByteSet) + 1) > room) return 0;
        std::vector<Grammar::ByteSet> first(n);
        std::vector<char> nullable(n, 0);
        nullable[kEnd] = 1;
        after_.resize(n);
        bool changed = true;
        const auto add = [&](Grammar::ByteSet& to, const Grammar::ByteSet& from) {
            for (std::size_t i = 0; i < to.size(); ++i) {
                changed = changed || (from[i] & ~to[i]) != 0;
                to[i] |= from[i];
            }
        };
        std::size_t work = 0, asked = 0;
        for (bool ascending = true; changed; ascending = !ascending) {
            if ((work += n) > kMaxWork) {
                after_.clear();
                return 0;
            }
            if (keep_going && work - asked > kBetween) {
                ask(*keep_going);
                asked = work;
            }
            changed = false;
            for (std::size_t i = 1; i < places; ++i) {
                // What comes next has a smaller number.
                const std::size_t p = ascending ? i : places - i;
                const auto [symbol, next] = grammar.places()[p];
                add(after_[next], after_[p]);
                if (symbol < grammar.sets().size()) {
                    add(first[p], grammar.sets()[symbol]);
                    continue;
                }
                const std::size_t rule = places + symbol - grammar.sets().size();
                add(first[p], first[rule]);
                add(after_[rule], first[next]);
                if (nullable[rule]) add(first[p], first[next]);
                if (nullable[next]) add(after_[rule], after_[p]);
                const char is = nullable[rule] & nullable[next];
                changed = changed || is != nullable[p];
                nullable[p] = is;
            }
            for (std::size_t r = places; r < n; ++r)
                for (const std::uint32_t p : grammar.rules()[r - places].alternatives) {
                    add(after_[p], after_[r]);
                    add(first[r], first[p]);
                    changed = changed || nullable[r] < nullable[p];
                    nullable[r] |= nullable[p];
                }
        }
        return n * sizeof(Grammar::ByteSet);
    }

    /// Whether a byte that may follow `what` is one of the edges of a node.
    bool goes_on(std::uint32_t what, const SpellingTree& tree, std::uint32_t node) const {
        if (after_.empty()) return true;
        for (std::uint32_t e = tree.nodes[node].first; e < tree.nodes[node].last; ++e)
            if (after_[what][tree.edges[e].byte / 64] >> tree.edges[e].byte % 64 & 1) return true;
        return false;
    }

private:
    std::vector<Grammar::ByteSet> after_;
};

class Solver {
public:
    Solver(const Grammar& grammar, const SpellingTree& tree, std::size_t room, const Continue* keep_going)
        : grammar_(grammar), tree_(tree), room_(room), keep_going_(keep_going) {}

    /// Returns whether that is not too much.
    bool solve(bool also_dead) {
        try {
            if (!also_dead && tree_.nodes.size() > 1) bytes_ = following_.find(grammar_, room_ / 4, keep_going_);
            if (!find_all()) return false;
            bytes_ -= queue_.capacity() * sizeof(Found) + waiting_.capacity() * sizeof(Waiting);
            queue_ = {};
            waiting_ = {};
            need(pairs_.size() * (3 * sizeof(std::uint32_t) + sizeof(Grammar::Row)) +
                 ways_.size() * sizeof(Grammar::Way));  // for the result
            return true;
        } catch (const TooMuch&) {
            return false;
        }
    }

    Ways result() const {
        Ways ways;
        ways.complete = true;
        ways.productive.assign(grammar_.rules().size(), 0);
        std::vector<std::uint32_t> order;
        for (std::uint32_t i = 0; i < keys_.size(); ++i) {
            if (pairs_[i].way == kNone) continue;
            if (what(i) < place_count())
                order.push_back(i);
            else
                ways.productive[what(i) - place_count()] = 1;
        }
        sort_ids(order, [this](std::uint32_t a, std::uint32_t b) { return keys_[a] < keys_[b]; });
        ways.row_of.assign(place_count() + 1, 0);
        ways.rows.reserve(order.size());
        ways.ways.reserve(ways_.size());
        for (const std::uint32_t i : order) {
            Grammar::Row row{low(keys_[i]), static_cast<std::uint32_t>(ways.ways.size()), 0};
            for (std::uint32_t w = pairs_[i].way; w != kNone; w = ways_[w].next)
                ways.ways.push_back({low(way_keys_[w]), ways_[w].elements});
            row.last = static_cast<std::uint32_t>(ways.ways.size());
            ways.rows.push_back(row);
            ++ways.row_of[what(i) + 1];
        }
        for (std::size_t p = 0; p < place_count(); ++p) ways.row_of[p + 1] += ways.row_of[p];
        for (std::uint32_t w = pairs_[0].way; w != kNone; w = ways_[w].next)
            if (low(way_keys_[w]) == 0) ways.shortest = ways_[w].elements;
        return ways;
    }

private:
    struct TooMuch {};
    struct Pair {
        std::uint32_t way = kNone, waiting = kNone;
    };
    struct Final {
        std::uint32_t elements, next;
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

    static std::uint32_t low(std::uint64_t key) noexcept { return static_cast<std::uint32_t>(key); }
    std::uint32_t what(std::uint32_t pair) const noexcept { return static_cast<std::uint32_t>(keys_[pair] >> 32); }

    bool find_all() {
        pair(place_count() + grammar_.root(), 0);
        while (work_ <= kMaxWork) {
            if (expanded_ < keys_.size()) {
                expand(expanded_++);
            } else if (!queue_.empty()) {
                std::pop_heap(queue_.begin(), queue_.end());
                const Found found = queue_.back();
                queue_.pop_back();
                settle(found);
            } else {
                return true;
            }
        }
        return false;
    }

    template <class T>
    void append(std::vector<T>& to, const T& thing) {
        if (to.size() == to.capacity()) {
            need(2 * to.size() * sizeof(T));  // beside the old ones, which are copied
            bytes_ += to.size() * sizeof(T);
        }
        to.push_back(thing);
    }

    /// Before vectors take more bytes, and before the tables take one key more.
    void need(std::size_t more) const {
        if (bytes_ + more + keys_.bytes_to_add() + way_keys_.bytes_to_add() > room_) throw TooMuch();
    }

    void count() {
        if (++work_ % kBetween == 0 && keep_going_) ask(*keep_going_);
    }

    std::uint32_t place_count() const noexcept { return static_cast<std::uint32_t>(grammar_.places().size()); }

    std::uint32_t pair(std::uint32_t what, std::uint32_t from) {
        const std::uint64_t key = pair_key(what, from);
        std::uint32_t p = keys_.find(key);
        if (p == kNone) {
            p = keys_.size();
            append(pairs_, {});
            keys_.add(key);
            count();
        }
        return p;
    }

    void expand(std::uint32_t p) {
        const std::uint32_t what = this->what(p), from = low(keys_[p]);
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
        count();
        if (to != 0 && !following_.goes_on(what(p), tree_, to)) return;
        if (way_keys_.find(pair_key(p, to)) != kNone) return;
        append(queue_, {static_cast<std::uint32_t>(elements), p, to});
        std::push_heap(queue_.begin(), queue_.end());
    }

    /// `p` goes on where `child` ends.
    void wait(std::uint32_t p, std::uint32_t child, std::uint32_t add, std::uint32_t then) {
        append(waiting_, {p, add, then, pairs_[child].waiting});
        pairs_[child].waiting = static_cast<std::uint32_t>(waiting_.size() - 1);
        count();
        for (std::uint32_t w = pairs_[child].way; w != kNone; w = ways_[w].next)
            deliver(p, add, then, low(way_keys_[w]), ways_[w].elements);
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
        if (way_keys_.find(key) != kNone) return;
        count();
        append(ways_, {found.elements, pairs_[found.pair].way});
        pairs_[found.pair].way = way_keys_.size();
        way_keys_.add(key);
        for (std::uint32_t w = pairs_[found.pair].waiting; w != kNone;) {
            const Waiting waiting = waiting_[w];
            w = waiting.next;
            deliver(waiting.pair, waiting.add, waiting.then, found.to, found.elements);
        }
    }

    const Grammar& grammar_;
    const SpellingTree& tree_;
    const std::size_t room_;
    const Continue* keep_going_;
    Following following_;
    KeyTable keys_;            // of pairs: a place, or a rule after all places; and from where
    std::vector<Pair> pairs_;  // number 0 is that of the root
    KeyTable way_keys_;        // of ways: a pair; and to where
    std::vector<Final> ways_;
    std::vector<Waiting> waiting_;
    std::vector<Found> queue_;    // a heap
    std::uint32_t expanded_ = 0;  // the pairs before this one were worked on
    std::size_t work_ = 0;
    std::size_t bytes_ = 0;  // of the vectors
};

}  // namespace

Ways find_ways(const Grammar& grammar, const SpellingTree& tree, std::size_t room, const Continue* keep_going,
               bool also_dead) {
    Solver solver(grammar, tree, room, keep_going);
    return solver.solve(also_dead) ? solver.result() : Ways{};
}

}  // namespace lstmgen::grammar
