// The automaton of a grammar, built as it is used: the inside of Memo, for run.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "grammar/grammar.hpp"
#include "grammar/id_map.hpp"
#include "grammar/run.hpp"
#include "grammar/stack_sets.hpp"

namespace lstmgen::grammar {

// For the next element: steps, and steps for each letter of the vocabulary.
constexpr std::uint64_t kWork = 1 << 22, kWorkOfLetter = 64;
// Bytes of all sets, and for each run.
constexpr std::size_t kSets = 12U << 20, kSetsOfRun = std::size_t{2} << 20;
// In rows_ of the engine.
constexpr std::uint32_t kDead = 1, kUnknown = 0, kFirstOutcome = 2;

// A state is a set of stacks relative to the array of its run. Where all stacks go through one set,
// they are cut: what lies above it is the state, and the segments below lie in the array. Reading a
// letter leads to an outcome: another state, and segments for the array. A state that holds the
// empty stack has come to the end of what it knows; the topmost segment of the array then joins it
// (pop).
class Memo::Engine {
public:
    Engine(const Grammar& grammar, const Continue* keep_going) : grammar_(grammar), sets_(keep_going) {
        words_ = (grammar.elements() + 63) / 64;
        cont_.resize(grammar.rules().size());
        at_end_.assign(grammar.closing_nodes(), kNever);
        at_end_[0] = 0;
        intern_vector(at_end_);  // number 0: nothing follows
        begin_element(1);
        start_ = outcome(first_set());
    }

    struct Outcome {
        std::uint32_t state, first_push, pushes;
    };
    /// What can follow a stack of the array, and which elements are allowed for it.
    struct Entry {
        std::uint32_t mask;  // in masks_
        // in elements_: after each element, to the end of what is known; kNever
        std::uint32_t elements;
        std::uint32_t greatest;  // of these
        std::uint32_t shortest;  // now, to the end
        std::uint32_t vector;    // what can follow what is known
        bool needs_more;         // an element goes on below what is known
    };
    /// A segment of the array, over what can follow it.
    struct Level {
        std::uint32_t segment, below, vector, add;
    };
    /// Elements to the end of the text from inside of an element: numbers of a vector, plus `add`.
    struct Distance {
        std::uint32_t vector, add;
    };

    std::size_t bytes() const noexcept {
        std::size_t of_maps = vector_table_.bytes();
        for (const IdMap* map : {&state_of_, &outcome_of_, &pop_of_, &entry_of_, &more_of_, &level_of_, &distance_of_})
            of_maps += map->bytes();
        return of_maps + sets_.bytes() + bytes_of(states_) + bytes_of(rows_) + bytes_of(outcomes_) + bytes_of(pushes_) +
               bytes_of(masks_) + bytes_of(elements_) + bytes_of(entries_) + bytes_of(levels_) + bytes_of(vectors_) +
               bytes_of(distances_);
    }

    void allow_all() noexcept { sets_.allow(~std::uint64_t{0}, ~std::size_t{0}); }
    /// Before each element. What takes longer or more memory ends in an error then.
    void begin_element(std::size_t runs) noexcept {
        const std::uint64_t tree = grammar_.tree().edges.size() + grammar_.closing_nodes();
        sets_.allow(kWork + kWorkOfLetter * tree, kSets + kSetsOfRun * runs);
    }

    std::uint32_t start() const noexcept { return start_; }
    const Outcome& outcome_at(std::uint32_t i) const noexcept { return outcomes_[i]; }
    std::uint32_t push_at(std::size_t i) const noexcept { return pushes_[i]; }
    bool has_empty(std::uint32_t state) const noexcept { return states_[state].has_empty; }
    std::uint32_t set_of(std::uint32_t state) const noexcept { return states_[state].set; }
    const Entry& entry_at(std::uint32_t i) const noexcept { return entries_[i]; }
    const std::uint64_t* mask(const Entry& e) const noexcept { return masks_.data() + e.mask; }
    const std::uint32_t* elements(const Entry& e) const noexcept { return elements_.data() + e.elements; }
    const Level& level_at(std::uint32_t i) const noexcept { return levels_[i]; }
    StackSets& sets() noexcept { return sets_; }
    std::size_t words() const noexcept { return words_; }

    /// The outcome of reading a letter, or kNone.
    std::uint32_t step(std::uint32_t state, std::size_t letter) {
        State& from = states_[state];
        if (from.row == kNone) {
            from.row = static_cast<std::uint32_t>(rows_.size());
            rows_.resize(rows_.size() + grammar_.alphabet(), kUnknown);
        }
        const std::size_t cell = from.row + letter;
        if (rows_[cell] == kUnknown) {
            has_grown_ = true;
            const std::uint32_t set = read(from.set, letter);
            const std::uint32_t to = set == kNothing ? kDead : kFirstOutcome + outcome(set);
            rows_[cell] = to;
        }
        return rows_[cell] == kDead ? kNone : rows_[cell] - kFirstOutcome;
    }

    /// The outcome of a state that holds the empty stack, over a segment that leaves the array.
    std::uint32_t pop(std::uint32_t state, std::uint32_t segment) {
        const std::uint64_t key = pair_key(state, segment);
        std::uint32_t to = pop_of_.find(key);
        if (to == kNone) {
            has_grown_ = true;
            const std::uint32_t set = states_[state].set;
            begin_closure();
            seed(kEnd, segment);  // nothing left above it
            const std::uint32_t others = sets_.on_set(set, segment);
            const std::uint32_t closed = close();
            to = outcome(sets_.unite(closed, others));
            pop_of_.insert(key, to);
        }
        return to;
    }

    std::uint32_t level(std::uint32_t segment, std::uint32_t below) {
        const std::uint64_t key = pair_key(segment, below);
        std::uint32_t i = level_of_.find(key);
        if (i == kNone) {
            has_grown_ = true;
            const Distance d = below == kNone ? Distance{kNone, 0} : distance(segment, below);
            i = static_cast<std::uint32_t>(levels_.size());
            levels_.push_back({segment, below, d.vector, d.add});
            level_of_.insert(key, i);
        }
        return i;
    }

    /// The elements to the end from a set of stacks, each topmost place at the begin of an element.
    /// kNever: no way.
    std::uint32_t shortest(std::uint32_t set, std::uint32_t vector) {
        std::uint32_t least = sets_.has_empty(set) ? vector_at(vector, 0) : kNever;
        for (std::size_t i = 0; i < sets_.count(set); ++i) {
            const StackSets::Edge e = sets_.edge(set, i);
            const Distance below = distance(e.below, vector);
            // They are in the order of `from`.
            const auto* const row = grammar_.rows_begin(e.place);
            if (row != grammar_.rows_end(e.place) && row->from == 0) least = std::min(least, through(*row, below));
        }
        return least;
    }

    /// What the state was asked for last, or kNone.
    std::uint32_t last_entry(std::uint32_t state, std::uint32_t vector) const noexcept {
        const State& s = states_[state];
        return s.last_vector == vector ? s.last_entry : kNone;
    }

    /// For a state over `vector`.
    std::uint32_t entry(std::uint32_t state, std::uint32_t vector) {
        if (const std::uint32_t last = last_entry(state, vector); last != kNone) return last;
        const std::uint64_t key = pair_key(state, vector);
        std::uint32_t i = entry_of_.find(key);
        if (i == kNone) {
            i = make_entry(state, vector, nullptr, 0, false);
            entry_of_.insert(key, i);
        }
        states_[state].last_vector = vector;
        states_[state].last_entry = i;
        return i;
    }

    /// For one that needs more, with `known` segments of the array: `top` points to the lowest of
    /// them. `all`: they are the whole array.
    std::uint32_t entry(std::uint32_t before, std::uint32_t state, const Run::Level* top, std::size_t known, bool all) {
        const std::uint64_t key = pair_key(before, all ? kNone : top->level);
        std::uint32_t i = more_of_.find(key);
        if (i == kNone) {
            const std::uint32_t vector = known > 0 ? levels_[top->level].below : entries_[before].vector;
            i = make_entry(state, vector, top, known, all);
            more_of_.insert(key, i);
        }
        return i;
    }

    bool has_grown() noexcept { return std::exchange(has_grown_, false); }

    /// The state of a set that a loaded run names, or kNone if it is none.
    std::uint32_t state_of(std::uint32_t set) {
        std::uint32_t s = state_of_.find(set);
        if (s == kNone) {
            s = static_cast<std::uint32_t>(states_.size());
            states_.push_back({set, kNone, kNone, kNone, sets_.has_empty(set)});
            state_of_.insert(set, s);
        }
        return s;
    }

private:
    struct State {
        std::uint32_t set;
        std::uint32_t row;                      // in rows_
        std::uint32_t last_vector, last_entry;  // the entry that was asked for last
        bool has_empty;
    };
    using Stack = std::vector<Run::Level>;
    struct Walk {  // of the tree of spellings
        std::uint32_t edge, last;
        std::uint32_t state;
        Stack stack;
    };

    template <class T>
    static std::size_t bytes_of(const std::vector<T>& v) noexcept {
        return v.capacity() * sizeof(T);
    }

    std::uint32_t first_set() {
        begin_closure();
        add_caller(grammar_.root(), kEmptyStack);
        if (grammar_.rules()[grammar_.root()].nullable) closed_empty_ = true;
        return close();
    }

    /// The set after a letter, relative to the same array.
    std::uint32_t read(std::uint32_t set, std::size_t letter) {
        begin_closure();
        for (std::size_t i = 0; i < sets_.count(set); ++i) {
            const StackSets::Edge e = sets_.edge(set, i);
            if (grammar_.reads(e.place, letter)) seed(grammar_.places()[e.place].next, e.below);
        }
        return close();
    }

    // The closure: from places to read next, with rules among them, to places that begin with a
    // byte. First what has ended gives way to what is below it; then each rule is entered once, for
    // all that follow it together. A rule that may be empty is stepped over where it stands.
    void begin_closure() {
        for (const auto& [order, rule] : callers_) cont_[rule].clear();  // after an error
        closed_empty_ = false;
        seeds_.clear();
        seeded_.clear();
        closed_.clear();
        callers_.clear();
    }

    void seed(std::uint32_t place, std::uint32_t below) {
        const auto add = [this](std::uint32_t p, std::uint32_t b) {
            if (const std::uint64_t key = pair_key(p, b); seeded_.find(key) == kNone) {
                seeded_.insert(key, 0);
                seeds_.push_back({p, b});
            }
        };
        std::size_t i = seeds_.size();
        add(place, below);
        for (; i < seeds_.size(); ++i) {
            const StackSets::Edge s = seeds_[i];
            sets_.spend(1);
            if (s.place == kEnd) {
                closed_empty_ = closed_empty_ || sets_.has_empty(s.below);
                for (std::size_t e = 0; e < sets_.count(s.below); ++e)
                    add(sets_.edge(s.below, e).place, sets_.edge(s.below, e).below);
            } else if (grammar_.is_set(s.place)) {
                closed_.push_back(s);
            } else {
                const std::uint32_t next = grammar_.places()[s.place].next;
                add_caller(grammar_.rule_at(s.place), next == kEnd ? s.below : sets_.on_top(next, s.below));
                if (grammar_.rules()[grammar_.rule_at(s.place)].nullable) add(next, s.below);
            }
        }
    }

    void add_caller(std::uint32_t rule, std::uint32_t after) {
        sets_.spend(1);
        if (cont_[rule].empty()) {
            callers_.emplace_back(grammar_.rules()[rule].order, rule);
            std::push_heap(callers_.begin(), callers_.end());
        }
        cont_[rule].push_back(after);
    }

    std::uint32_t close() {
        while (!callers_.empty()) {
            const std::uint32_t rule = callers_.front().second;
            const std::uint32_t after = sets_.unite_all(cont_[rule]);
            std::pop_heap(callers_.begin(), callers_.end());
            callers_.pop_back();
            for (const std::uint32_t place : grammar_.rules()[rule].leading) {
                if (grammar_.is_set(place)) {
                    closed_.push_back({place, after});
                } else {
                    const std::uint32_t next = grammar_.places()[place].next;
                    add_caller(grammar_.rule_at(place), next == kEnd ? after : sets_.on_top(next, after));
                }
            }
        }
        return sets_.make_from(closed_empty_, closed_);
    }

    std::uint32_t outcome(std::uint32_t set) {
        std::uint32_t i = outcome_of_.find(set);
        if (i == kNone) {
            const auto first = static_cast<std::uint32_t>(pushes_.size());
            const std::uint32_t above = sets_.cut(set, pushes_);
            i = static_cast<std::uint32_t>(outcomes_.size());
            outcomes_.push_back({state_of(above), first, static_cast<std::uint32_t>(pushes_.size() - first)});
            outcome_of_.insert(set, i);
        }
        return i;
    }

    std::uint32_t vector_at(std::uint32_t vector, std::size_t node) const noexcept {
        return vector == kNone ? kNever : vectors_[vector * grammar_.closing_nodes() + node];
    }

    std::uint32_t through(const Grammar::Row& row, Distance below) {
        sets_.spend(1 + (row.last - row.first) / 16);
        std::uint64_t least = kNever;
        for (std::uint32_t w = row.first; w < row.last; ++w) {
            const Grammar::Way way = grammar_.ways()[w];
            const std::uint32_t rest = vector_at(below.vector, way.to);
            if (rest != kNever) least = std::min(least, std::uint64_t{way.elements} + rest);
        }
        return least == kNever ? kNever : saturated(least + below.add);
    }

    static std::uint32_t saturated(std::uint64_t n) noexcept {
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(n, kNever - 1));
    }

    Distance normalised(std::vector<std::uint32_t>& v) {
        const std::uint32_t least = *std::min_element(v.begin(), v.end());
        if (least == kNever) return {kNone, 0};
        for (std::uint32_t& x : v)
            if (x != kNever) x -= least;
        return {intern_vector(v), least};
    }

    std::uint32_t intern_vector(const std::vector<std::uint32_t>& v) {
        const std::size_t n = v.size();
        const auto hash = [n](const std::uint32_t* p) {
            std::uint64_t h = 0;
            for (std::size_t i = 0; i < n; ++i) h = mix(h * 31 + p[i]);
            return h;
        };
        std::uint32_t i = vector_table_.find(
            hash(v.data()), [&](std::uint32_t k) { return std::equal(v.begin(), v.end(), vectors_.data() + k * n); });
        if (i == kNone) {
            sets_.spend(2 * n);
            i = static_cast<std::uint32_t>(vectors_.size() / n);
            vectors_.insert(vectors_.end(), v.begin(), v.end());
            vector_table_.add(i, [&](std::uint32_t k) { return hash(vectors_.data() + k * n); });
        }
        return i;
    }

    /// From a set of stacks to the end, with `vector` below it.
    Distance distance(std::uint32_t set, std::uint32_t vector) {
        if (set == kEmptyStack) return {vector, 0};
        if (const Distance* known = known_distance(set, vector)) return *known;
        std::vector<std::uint32_t> v;
        const std::vector<std::uint32_t> order = sets_.reachable(set);
        for (const std::uint32_t s : order) {
            if (s == kEmptyStack || known_distance(s, vector)) continue;
            v.assign(grammar_.closing_nodes(), kNever);
            sets_.spend(1 + v.size() / 16);
            if (sets_.has_empty(s))
                for (std::size_t u = 0; u < v.size(); ++u) v[u] = vector_at(vector, u);
            for (std::size_t i = 0; i < sets_.count(s); ++i) {
                const StackSets::Edge e = sets_.edge(s, i);
                const Distance below = e.below == kEmptyStack ? Distance{vector, 0} : *known_distance(e.below, vector);
                for (const auto* row = grammar_.rows_begin(e.place); row != grammar_.rows_end(e.place); ++row)
                    v[row->from] = std::min(v[row->from], through(*row, below));
            }
            const Distance d = normalised(v);
            distance_of_.insert(pair_key(s, vector), static_cast<std::uint32_t>(distances_.size()));
            distances_.push_back(d);
        }
        return *known_distance(set, vector);
    }

    const Distance* known_distance(std::uint32_t set, std::uint32_t vector) const noexcept {
        const std::uint32_t i = distance_of_.find(pair_key(set, vector));
        return i == kNone ? nullptr : &distances_[i];
    }

    std::uint32_t top_vector(const Stack& stack, std::uint32_t vector) const noexcept {
        return stack.empty() ? vector : levels_[stack.back().level].vector;
    }

    void push_all(Stack& stack, std::uint32_t vector, const Outcome& outcome) {
        for (std::uint32_t i = 0; i < outcome.pushes; ++i) {
            const std::uint32_t l = level(pushes_[outcome.first_push + i], top_vector(stack, vector));
            stack.push_back({l, (stack.empty() ? 0 : stack.back().elements) + levels_[l].add});
        }
    }

    std::uint32_t make_entry(std::uint32_t state, std::uint32_t vector, const Run::Level* top, std::size_t known,
                             bool all) {
        has_grown_ = true;
        const SpellingTree& tree = grammar_.tree();
        Entry made{};
        made.vector = vector;
        made.mask = static_cast<std::uint32_t>(masks_.size());
        made.elements = static_cast<std::uint32_t>(elements_.size());
        std::vector<std::uint32_t> after(grammar_.elements(), kNever);
        std::vector<Walk> walks(1);
        walks[0].edge = tree.nodes[0].first;
        walks[0].last = tree.nodes[0].last;
        walks[0].state = state;
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < known; ++i) {
            sum += levels_[top[i].level].add;
            walks[0].stack.push_back({top[i].level, sum});
        }
        made.shortest = plus(shortest(states_[state].set, top_vector(walks[0].stack, vector)), sum);
        while (!walks.empty()) {
            Walk& walk = walks.back();
            if (walk.edge == walk.last) {
                walks.pop_back();
                continue;
            }
            const SpellingTree::Edge edge = tree.edges[walk.edge++];
            sets_.spend(1 + walk.stack.size() / 4);
            const std::uint32_t o = step(walk.state, edge.byte);
            if (o == kNone) continue;
            Walk next;
            next.stack = walk.stack;
            next.state = outcomes_[o].state;
            push_all(next.stack, vector, outcomes_[o]);
            if (edge.first < edge.last) {
                const std::uint32_t n = plus(shortest(states_[next.state].set, top_vector(next.stack, vector)),
                                             next.stack.empty() ? 0 : next.stack.back().elements);
                for (std::uint32_t e = edge.first; e < edge.last; ++e) after[tree.elements[e]] = n;
                if (n != kNever) made.greatest = std::max(made.greatest, n);
            }
            if (edge.to == kNone) continue;
            while (has_empty(next.state) && !next.stack.empty()) {
                const std::uint32_t popped = pop(next.state, levels_[next.stack.back().level].segment);
                next.stack.pop_back();
                next.state = outcomes_[popped].state;
                push_all(next.stack, vector, outcomes_[popped]);
            }
            if (has_empty(next.state) && !all) {
                made.needs_more = true;
                continue;
            }
            next.edge = tree.nodes[edge.to].first;
            next.last = tree.nodes[edge.to].last;
            walks.push_back(std::move(next));
        }
        masks_.resize(masks_.size() + words_, 0);
        for (std::size_t id = 0; id < after.size(); ++id)
            if (after[id] != kNever) masks_[made.mask + id / 64] |= std::uint64_t{1} << id % 64;
        elements_.insert(elements_.end(), after.begin(), after.end());
        entries_.push_back(made);
        return static_cast<std::uint32_t>(entries_.size() - 1);
    }

    static std::uint32_t plus(std::uint32_t n, std::uint64_t more) noexcept {
        return n == kNever ? kNever : saturated(n + more);
    }

    const Grammar& grammar_;
    std::size_t words_;
    StackSets sets_;
    std::vector<State> states_;
    // (states that were left, alphabet), kUnknown, kDead, or kFirstOutcome + an outcome
    std::vector<std::uint32_t> rows_;
    std::vector<Outcome> outcomes_;
    std::vector<std::uint32_t> pushes_;    // (pushes of all outcomes), segments
    std::vector<std::uint64_t> masks_;     // (entries, words_), a bit for each element
    std::vector<std::uint32_t> elements_;  // (entries, elements), as Entry::elements says
    std::vector<Entry> entries_;
    std::vector<Level> levels_;
    std::vector<std::uint32_t> vectors_;  // (vectors, closing_nodes of the grammar)
    std::vector<Distance> distances_;
    IdMap state_of_, outcome_of_, pop_of_, entry_of_, more_of_, level_of_, distance_of_;
    bool has_grown_ = true;
    InternTable vector_table_;
    std::uint32_t start_ = 0;

    // Of the closure at work.
    bool closed_empty_ = false;
    std::vector<StackSets::Edge> seeds_, closed_;
    IdMap seeded_;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> callers_;  // a heap of (order, rule)
    std::vector<std::vector<std::uint32_t>> cont_;                  // (rules, n), what follows each
    std::vector<std::uint32_t> at_end_;                             // (closing_nodes), vector 0
};

}  // namespace lstmgen::grammar
