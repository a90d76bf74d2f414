#include "grammar/run.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <tuple>
#include <utility>

#include "grammar/stack_sets.hpp"
#include "kept.hpp"
#include "message.hpp"

namespace lstmgen::grammar {
namespace {

constexpr std::size_t kMaxDepth = 1 << 20;   // of what is open
constexpr std::size_t kMaxJoined = 1 << 12;  // of that, what joins a state at once
// For the next element: steps, and steps for each letter of the vocabulary.
constexpr std::uint64_t kWork = 1 << 22, kWorkOfLetter = 64;
// Bytes of all sets, and for each run.
constexpr std::size_t kSets = 12U << 20, kSetsOfRun = std::size_t{2} << 20;
constexpr std::uint32_t kDead = 1, kUnknown = 0, kFirstOutcome = 2;

}  // namespace

// The automaton, built as it is used.
//
// A state is a set of stacks relative to the array of its run. Where all stacks go through one set,
// they are cut: what lies above it is the state, and the segments below lie in the array. Reading a
// letter leads to an outcome: another state, and segments for the array. A state that holds the
// empty stack has come to the end of what it knows; the topmost segment of the array then joins it
// (pop).
class Memo::Engine {
public:
    explicit Engine(const Grammar& grammar) : grammar_(grammar) {
        words_ = (grammar.elements() + 63) / 64;
        cont_.resize(grammar.rules().size());
        at_end_.assign(grammar.closing_nodes(), kNever);
        at_end_[0] = 0;
        intern_vector(at_end_);  // number 0: nothing follows
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
            for (const auto* row = grammar_.rows_begin(e.place); row != grammar_.rows_end(e.place); ++row)
                if (row->from == 0) least = std::min(least, through(*row, below));
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

    std::uint32_t through(const Grammar::Row& row, Distance below) const noexcept {
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
    std::vector<std::vector<std::uint32_t>> cont_;                  // of each rule, what follows it
    std::vector<std::uint32_t> at_end_;
};

LSTMGEN_KEPT Memo::Memo(std::shared_ptr<const Grammar> grammar) : Memo(grammar, room_for(*grammar)) {}

LSTMGEN_KEPT Memo::Memo(std::shared_ptr<const Grammar> grammar, std::size_t most_bytes)
    : grammar_(std::move(grammar)), most_bytes_(most_bytes), engine_(std::make_unique<Engine>(*grammar_)) {}

LSTMGEN_KEPT Memo::~Memo() = default;

std::size_t Memo::room_for(const Grammar& grammar) noexcept {
    const std::size_t vocabulary = grammar.spelled() + sizeof(std::uint32_t) * grammar.elements();
    return std::min<std::size_t>(1U << 26, (10U << 20) + 64 * vocabulary);
}

LSTMGEN_KEPT std::size_t Memo::bytes() const noexcept { return engine_->bytes(); }

LSTMGEN_KEPT void Memo::clear() {
    std::vector<std::vector<std::byte>> states;
    std::vector<std::pair<std::uint32_t, std::vector<Run::Level>>> before;
    for (Run* run : runs_) {
        states.emplace_back(run->write(nullptr, 0));
        run->write(states.back().data(), states.back().size());
        before.emplace_back(run->state_, run->stack_);
    }
    auto engine = std::make_unique<Engine>(*grammar_);
    engine_.swap(engine);
    try {
        for (std::size_t i = 0; i < runs_.size(); ++i) runs_[i]->load(states[i].data(), states[i].size());
    } catch (...) {  // no memory
        engine_.swap(engine);
        for (std::size_t i = 0; i < runs_.size(); ++i)
            std::tie(runs_[i]->state_, runs_[i]->stack_) = std::move(before[i]);
        throw;
    }
}

LSTMGEN_KEPT Run::Run(std::shared_ptr<Memo> memo) : memo_(std::move(memo)) {
    stack_.reserve(64);
    mask_.resize(memo_->engine_->words());
    reset();
    memo_->runs_.push_back(this);
}

LSTMGEN_KEPT Run::Run(const Run& other)
    : memo_(other.memo_), state_(other.state_), stack_(other.stack_), mask_(other.mask_.size()) {
    memo_->runs_.push_back(this);
}

LSTMGEN_KEPT Run::~Run() {
    auto& runs = memo_->runs_;
    *std::find(runs.begin(), runs.end(), this) = runs.back();
    runs.pop_back();
}

LSTMGEN_KEPT void Run::reset() { follow(stack_.size(), memo_->engine_->start()); }

std::uint32_t Run::vector() const noexcept {
    return stack_.empty() ? 0 : memo_->engine_->level_at(stack_.back().level).vector;
}

/// Takes segments off the array, and goes on by an outcome. An error leaves the run as it was.
void Run::follow(std::size_t popped, std::uint32_t outcome) {
    Memo::Engine& engine = *memo_->engine_;
    const auto to = engine.outcome_at(outcome);
    const std::size_t before = stack_.size(), kept = before - popped;
    if (to.pushes > 0) {
        Level top{0, kept > 0 ? stack_[kept - 1].elements : 0};
        std::uint32_t vector = kept > 0 ? engine.level_at(stack_[kept - 1].level).vector : 0;
        try {
            for (std::uint32_t i = 0; i < to.pushes; ++i) {
                top.level = engine.level(engine.push_at(to.first_push + i), vector);
                top.elements += engine.level_at(top.level).add;
                vector = engine.level_at(top.level).vector;
                stack_.push_back(top);
            }
        } catch (...) {
            stack_.resize(before);
            throw;
        }
    }
    if (popped > 0)
        stack_.erase(stack_.begin() + static_cast<std::ptrdiff_t>(kept),
                     stack_.begin() + static_cast<std::ptrdiff_t>(before));
    state_ = to.state;
}

/// Segments of the array join a state that has come to the end of what it knows. What the run
/// stands for is the same after each step, so an error leaves it as it was.
void Run::settle() {
    Memo::Engine& engine = *memo_->engine_;
    const auto segment = [&](std::size_t i) { return engine.level_at(stack_[stack_.size() - i].level).segment; };
    // After a few, ever more at once: each time, all of the state is built anew.
    for (std::size_t most = 1, k = 0; engine.has_empty(state_) && !stack_.empty(); ++k) {
        std::size_t n = 1;
        if (k >= 8) {
            most = std::min(64 * most, kMaxJoined);
            for (std::size_t sets = 0; n < std::min(most, stack_.size()); ++n) {
                sets += engine.sets().reachable(segment(n)).size();
                if (sets > kMaxJoined) break;
            }
        }
        std::uint32_t joined = segment(n);
        for (std::size_t i = n - 1; i > 0; --i) joined = engine.sets().on_set(segment(i), joined);
        follow(n, engine.pop(state_, joined));
    }
}

/// The entry of the settled run, and how many segments of the array it knows.
std::uint32_t Run::entry(std::size_t& known) {
    const Memo::Engine& engine = *memo_->engine_;
    if (stack_.empty() || !engine.has_empty(state_)) {
        known = 0;
        const std::uint32_t i = engine.last_entry(state_, vector());
        if (i != kNone && !engine.entry_at(i).needs_more) return i;
    }
    return new_entry(known);
}

std::uint32_t Run::new_entry(std::size_t& known) {
    if (memo_->engine_->has_grown()) {
        if (memo_->engine_->bytes() > memo_->most_bytes_ + kSetsOfRun / 2 * memo_->runs_.size()) memo_->clear();
        memo_->engine_->begin_element(memo_->runs_.size());
    }
    try {
        return find_entry(known);
    } catch (const Error&) {
        if (!memo_->engine_->sets().is_full()) throw;
    }
    memo_->clear();  // it may be full of what came before
    memo_->engine_->begin_element(memo_->runs_.size());
    return find_entry(known);
}

std::uint32_t Run::find_entry(std::size_t& known) {
    Memo::Engine& engine = *memo_->engine_;
    settle();
    known = 0;
    std::uint32_t i = engine.entry(state_, vector());
    while (engine.entry_at(i).needs_more) {
        const bool all = known == stack_.size();
        if (!all) ++known;
        i = engine.entry(i, state_, stack_.data() + (stack_.size() - known), known, all);
    }
    return i;
}

LSTMGEN_KEPT const std::uint64_t* Run::allowed(std::uint64_t left) {
    std::size_t known;
    const std::uint32_t i = entry(known);
    const Memo::Engine& engine = *memo_->engine_;
    const auto& e = engine.entry_at(i);
    if (left == kUnlimited) return engine.mask(e);
    const std::uint64_t below = known < stack_.size() ? stack_[stack_.size() - known - 1].elements : 0;
    if (below + e.shortest > left)
        refuse({"grammar: the text needs % more elements to be complete; expected at least as many, found room for %",
                below + e.shortest, left});
    if (left > below + e.greatest) return engine.mask(e);
    std::fill(mask_.begin(), mask_.end(), 0);
    const std::uint32_t* const after = engine.elements(e);
    for (std::size_t id = 0, n = grammar().elements(); id < n; ++id)
        if (after[id] != kNever && below + after[id] < left) mask_[id / 64] |= std::uint64_t{1} << id % 64;
    return mask_.data();
}

LSTMGEN_KEPT void Run::accept(std::uint32_t id) {
    const Grammar& grammar = this->grammar();
    if (id >= grammar.elements()) refuse({"grammar: expected an element below %, found %", grammar.elements(), id});
    std::size_t known;
    const std::uint32_t i = entry(known);
    Memo::Engine& engine = *memo_->engine_;
    if ((engine.mask(engine.entry_at(i))[id / 64] >> id % 64 & 1) == 0)
        refuse({"grammar: element % is not allowed after the text so far", id});
    if (stack_.size() > kMaxDepth) refuse({"grammar: expected up to % open places, found more", kMaxDepth});
    const std::uint8_t* const letters = grammar.spelling(id);
    const std::size_t n = grammar.spelling_length(id);
    for (std::size_t k = 0; k < n; ++k) {  // what `entry` has worked out
        if (k > 0) settle();
        const std::uint32_t to = engine.step(state_, letters[k]);
        if (engine.outcome_at(to).pushes > 0)
            follow(0, to);
        else
            state_ = engine.outcome_at(to).state;
    }
}

LSTMGEN_KEPT bool Run::is_complete() {
    memo_->engine_->begin_element(memo_->runs_.size());
    settle();
    return stack_.empty() && memo_->engine_->has_empty(state_);
}

LSTMGEN_KEPT std::uint64_t Run::shortest_end() {
    std::size_t known;
    const std::uint32_t i = entry(known);
    const auto& e = memo_->engine_->entry_at(i);
    return (known < stack_.size() ? stack_[stack_.size() - known - 1].elements : 0) + e.shortest;
}

// A state: the grammar's identity; the sets of the array's segments and of the state, with all sets
// below them, each after those; the numbers of the state's set and of the segments.
std::size_t Run::write(void* to, std::size_t capacity) {
    Memo::Engine& engine = *memo_->engine_;
    auto& sets = engine.sets();
    auto& order = order_;
    // Depth first, edges in order: the numbers that the memo gave them do not matter.
    order.clear();
    numbers_.clear();
    const auto visit = [&](std::uint32_t root) {
        if (numbers_.find(root) == kNone) path_.push_back({root, 0});
        while (!path_.empty()) {
            auto& [set, next] = path_.back();
            if (next < sets.count(set)) {
                const std::uint32_t below = sets.edge(set, next++).below;
                if (numbers_.find(below) == kNone) path_.push_back({below, 0});
            } else {
                numbers_.insert(set, static_cast<std::uint32_t>(order.size()));
                order.push_back(set);
                path_.pop_back();
            }
        }
    };
    path_.clear();
    visit(engine.set_of(state_));
    for (const Level& level : stack_) visit(engine.level_at(level.level).segment);
    std::size_t size = 0;
    const auto number = [&](std::size_t n) {
        const auto n32 = static_cast<std::uint32_t>(n);
        if (size + 4 <= capacity)
            for (std::size_t i = 0; i < 4; ++i) static_cast<std::uint8_t*>(to)[size + i] = (n32 >> 8 * i) & 0xFF;
        size += 4;
    };
    number(grammar().identity());
    number(order.size());
    for (const std::uint32_t set : order) {
        number(sets.count(set) * 2 + (sets.has_empty(set) ? 1 : 0));
        for (std::size_t i = 0; i < sets.count(set); ++i) {
            number(sets.edge(set, i).place);
            number(numbers_.find(sets.edge(set, i).below));
        }
    }
    number(numbers_.find(engine.set_of(state_)));
    number(stack_.size());
    for (const Level& level : stack_) number(numbers_.find(engine.level_at(level.level).segment));
    return size;
}

LSTMGEN_KEPT std::size_t Run::save(void* to, std::size_t capacity) {
    memo_->engine_->begin_element(memo_->runs_.size());
    settle();
    const std::size_t size = write(nullptr, 0);
    if (to && size <= capacity) write(to, size);
    return size;
}

LSTMGEN_KEPT void Run::load(const void* from, std::size_t bytes) {
    Memo::Engine& engine = *memo_->engine_;
    const Grammar& grammar = this->grammar();
    const auto damaged = [](Parts why) { fail(ErrorCode::format, {"the state of a grammar: ", message(why)}); };
    const auto* data = static_cast<const std::uint8_t*>(from);
    std::size_t left = bytes / 4;
    const auto number = [&](std::size_t most) {
        if (left == 0) damaged({"it is cut off"});
        --left;
        std::uint32_t n = 0;
        for (unsigned i = 0; i < 4; ++i) n |= std::uint32_t{*data++} << 8 * i;
        if (n > most) damaged({"expected a number up to %, found %", most, n});
        return n;
    };
    if (bytes % 4 != 0) damaged({"expected a multiple of 4 bytes, found ", bytes});
    const std::uint32_t identity = number(kNone);
    if (identity != grammar.identity())
        refuse({"the state of a grammar: expected one of this grammar and vocabulary (%), found one of another (%)",
                grammar.identity(), identity});
    const auto place = [&] {
        const std::uint32_t p = number(grammar.places().size() - 1);
        if (p == kEnd) damaged({"expected a place with something left, found none"});
        return p;
    };
    std::vector<std::uint32_t> sets;
    std::vector<StackSets::Edge> edges;
    const std::size_t count = number(left);
    if (count == 0) damaged({"expected a set of places, found none"});
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t head = number(kNone);
        if (head == 0 || head / 2 > left / 2) damaged({"expected the places of a set, found too few bytes"});
        edges.clear();
        for (std::size_t k = 0; k < head / 2; ++k) {
            const std::uint32_t p = place();
            if (!edges.empty() && edges.back().place >= p) damaged({"expected places in ascending order"});
            if (i == 0) damaged({"expected a set that was there before, found none"});
            edges.push_back({p, sets[number(i - 1)]});
        }
        sets.push_back(engine.sets().make(head % 2 != 0, edges.data(), edges.size()));
    }
    const std::uint32_t top = sets[number(count - 1)];
    for (std::size_t i = 0; i < engine.sets().count(top); ++i)
        if (!grammar.is_set(engine.sets().edge(top, i).place)) damaged({"expected places that begin with a byte"});
    const std::size_t depth = number(std::min(2 * kMaxDepth, left - 1));
    std::vector<std::uint32_t> segments(depth);
    for (std::uint32_t& s : segments) s = sets[number(count - 1)];
    if (left != 0) damaged({"expected its end, found % more bytes", left * 4});
    engine.sets().reachable(top);  // not too many

    std::vector<Level> stack;
    stack.reserve(std::max<std::size_t>(64, depth));
    std::uint32_t vector = 0;
    std::uint64_t sum = 0;
    for (const std::uint32_t s : segments) {
        const std::uint32_t level = engine.level(s, vector);
        vector = engine.level_at(level).vector;
        sum += engine.level_at(level).add;
        stack.push_back({level, sum});
    }
    if (engine.shortest(top, vector) == kNever)
        damaged({"expected the begin of a text of the grammar, found what none begins with"});
    state_ = engine.state_of(top);
    stack_ = std::move(stack);
}

}  // namespace lstmgen::grammar
