#include "grammar/run.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "grammar/automaton.hpp"
#include "kept.hpp"
#include "message.hpp"

namespace lstmgen::grammar {
namespace {

constexpr std::size_t kMaxDepth = 1 << 20;   // of what is open
constexpr std::size_t kMaxJoined = 1 << 12;  // of that, what joins a state at once

}  // namespace

LSTMGEN_KEPT Memo::Memo(std::shared_ptr<const Grammar> grammar, const Continue* keep_going)
    : Memo(grammar, room_for(*grammar), keep_going) {}

LSTMGEN_KEPT Memo::Memo(std::shared_ptr<const Grammar> grammar, std::size_t most_bytes, const Continue* keep_going)
    : grammar_(std::move(grammar)),
      most_bytes_(most_bytes),
      keep_going_(keep_going),
      engine_(std::make_unique<Engine>(*grammar_, keep_going)) {}

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
    auto engine = std::make_unique<Engine>(*grammar_, keep_going_);
    engine->allow_all();
    engine_.swap(engine);
    try {
        for (std::size_t i = 0; i < runs_.size(); ++i) runs_[i]->load(states[i].data(), states[i].size());
        ++times_cleared_;
    } catch (...) {  // no memory, or it was stopped
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
    entry_ = kNone;
}

/// Segments of the array join a state that has come to the end of what it knows. What the run
/// stands for is the same after each step, so an error leaves it as it was. `joins`: many at once
/// may join, which is faster if there are very many.
void Run::settle(bool joins) {
    Memo::Engine& engine = *memo_->engine_;
    const auto segment = [&](std::size_t i) { return engine.level_at(stack_[stack_.size() - i].level).segment; };
    // After a few, ever more at once: each time, all of the state is built anew.
    for (std::size_t most = 1, k = 0; engine.has_empty(state_) && !stack_.empty(); ++k) {
        std::size_t n = 1;
        if (joins && k >= 8) {
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
    return kept_entry(known);
}

/// The same, if that was not found at once.
LSTMGEN_CALLED std::uint32_t Run::kept_entry(std::size_t& known) {
    if (entry_ == kNone || entry_time_ != memo_->times_cleared_) {
        entry_ = new_entry(entry_known_);
        entry_time_ = memo_->times_cleared_;
    }
    known = entry_known_;
    return entry_;
}

std::uint32_t Run::new_entry(std::size_t& known) {
    if (memo_->engine_->has_grown() &&
        memo_->engine_->bytes() > memo_->most_bytes_ + kSetsOfRun / 2 * memo_->runs_.size())
        memo_->clear();
    memo_->engine_->begin_element(memo_->runs_.size());
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

/// Reads a letter of an allowed element, by what `entry` has worked out.
inline void Run::read_letter(std::size_t letter) {
    Memo::Engine& engine = *memo_->engine_;
    const std::uint32_t to = engine.step(state_, letter);
    if (engine.outcome_at(to).pushes > 0) return follow(0, to);
    state_ = engine.outcome_at(to).state;
    entry_ = kNone;
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
    if (n == 1) return read_letter(letters[0]);
    // What an error would have to put back: more than the entry knows does not leave the array.
    const std::size_t kept = stack_.size() - known;
    const std::uint32_t state = state_;
    taken_.assign(stack_.begin() + static_cast<std::ptrdiff_t>(kept), stack_.end());
    try {
        for (std::size_t k = 0; k < n; ++k) {
            if (k > 0) settle(false);
            read_letter(letters[k]);
        }
    } catch (...) {
        stack_.resize(kept);
        stack_.insert(stack_.end(), taken_.begin(), taken_.end());
        state_ = state;
        throw;
    }
}

LSTMGEN_KEPT void Run::work_out() {
    std::size_t known;
    entry(known);
}

LSTMGEN_KEPT void Run::swap(Run& other) noexcept {
    std::swap(state_, other.state_);
    stack_.swap(other.stack_);
    entry_ = other.entry_ = kNone;
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
        // Twice the number of edges, plus 1 if the set has the empty place.
        const std::uint32_t header = number(kNone);
        if (header == 0 || header / 2 > left / 2) damaged({"expected the places of a set, found too few bytes"});
        edges.clear();
        for (std::size_t k = 0; k < header / 2; ++k) {
            const std::uint32_t p = place();
            if (!edges.empty() && edges.back().place >= p) damaged({"expected places in ascending order"});
            if (i == 0) damaged({"expected a set that was there before, found none"});
            edges.push_back({p, sets[number(i - 1)]});
        }
        sets.push_back(engine.sets().make(header % 2 != 0, edges.data(), edges.size()));
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
    entry_ = kNone;
}

}  // namespace lstmgen::grammar
