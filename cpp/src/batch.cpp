// Sequences that join and leave a batch between any two elements.
//
// All sequences that carry their state share one context. Each is a lane of it. The lanes of a
// context advance at the same time, and a prime may be long. So a new sequence reads its prime in a
// second context, except for the last element. Then its state is copied to the first context, where
// it reads the last element like a drawn one.
//
// A sequence with windows has its own context, whose lanes are its windows in flight. These are
// enough lanes for fast products.
#include <algorithm>
#include <limits>
#include <utility>

#include "checks.hpp"
#include "context.hpp"
#include "grammar/guard.hpp"
#include "in_use.hpp"
#include "kept.hpp"
#include "lstmgen/lstmgen.hpp"
#include "message.hpp"
#include "sampler.hpp"
#include "stop_search.hpp"

namespace lstmgen {
namespace {

// The most elements of a prime that a sampler and a grammar read in a step.
constexpr std::size_t kNoted = 2048;
// The most elements of a prime that a context with windows reads in a step.
constexpr std::size_t kRead = 16;
// The time to read the weights in a step, counted in lanes.
constexpr std::size_t kWeights = 8;

}  // namespace

class Batch::Impl {
public:
    static constexpr const char* kName = "batch";
    InUse in_use;

    struct Joined {
        enum Phase { kNoting, kReading, kDrawing, kResting, kOver };

        Joined(BatchRequest r, const std::shared_ptr<const Network>& network)
            : request(std::move(r)), sampler(network->info().outputs, request.sampler) {
            sampler.set_exponentials(network->kernels().exponentials);
            sampler.reserve();
            stops.set(network, request.stops, request.stop_texts);
        }

        const std::vector<std::uint32_t>& prime() const noexcept { return request.prime; }

        BatchRequest request;
        Sampler sampler;
        StopSearch stops;
        std::shared_ptr<grammar::Memo> memo;
        grammar::Guard guard;
        std::unique_ptr<Context> windows;  // null: the state is carried
        std::unique_ptr<Context> resting;  // its carried state while it rests
        Phase phase = kNoting;
        std::size_t noted = 0;      // elements of the prime that the sampler and the guard know
        std::size_t read = 0;       // elements of the prime that the network has read
        std::uint32_t pending = 0;  // the element that it reads next
        bool has_pending = false;
        std::uint64_t drawn = 0;
        // What a step that was stopped left to the next one: the logits of an element that it did
        // not draw, or an element that it did not tell, as the ending was not known yet.
        std::vector<float> logits;  // (outputs), empty: there are none
        bool untold = false;
        double score = 0.0;
        std::string error;
    };

    Impl(const Model& model, std::size_t most, std::size_t threads)
        : network_(model.network()), members_(most), threads_(threads), scratch_(info().outputs), ids_(most) {
        check_threads(threads);
        static_cast<void>(Context::lanes(info(), 1));  // throws if the model does not generate
        elements_.reserve(most);
        reading_.reserve(most);
        drawing_.reserve(most);
    }

    std::size_t join(BatchRequest request) {
        const std::size_t outputs = info().outputs;
        if (request.prime.empty() && !Context::pads(info(), request.refresh))
            refuse({"the prime is empty: give at least one element"});
        check_ids(request.prime.data(), request.prime.size(), outputs, "prime: id");
        if (request.grammar_prime > request.prime.size())
            refuse({"grammar_prime: expected at most %, as the prime has, found %", request.prime.size(),
                    request.grammar_prime});
        sweep();
        const auto free = std::find(members_.begin(), members_.end(), nullptr);
        if (free == members_.end()) refuse({"the batch is full: it has % sequences", members_.size()});
        auto member = std::make_unique<Joined>(std::move(request), network_);
        const BatchRequest& r = member->request;
        if (carries(r.refresh)) {
            make_carried();
        } else {
            member->windows = std::make_unique<Context>(network_, r.refresh, 1, threads_, network_->keep_going());
            const std::size_t n = r.prime.size(), reach = member->windows->reach();
            // What came before has no effect on the network.
            member->read = n > reach ? n - reach : 0;
        }
        if (r.grammar) {
            member->memo = memo_of(r.grammar);
            member->guard = grammar::Guard(r.grammar, outputs, member->memo, r.finish ? r.length : kUnlimited);
        }
        *free = std::move(member);
        ++size_;
        return static_cast<std::size_t>(free - members_.begin());
    }

    void leave(std::size_t sequence) {
        Joined& member = at(sequence);
        if (member.phase == Joined::kOver) refuse({"sequence % is over: it has left", sequence});
        end(member);
        drop_rows();
        members_[sequence].reset();
    }

    void pause(std::size_t sequence) {
        Joined& member = at(sequence);
        if (member.phase == Joined::kResting) return;
        if (member.phase != Joined::kDrawing) refuse({"sequence % does not draw: only then it can rest", sequence});
        if (!member.windows) {
            if (!member.resting) member.resting = std::make_unique<Context>(network_, 0, 1, 1, network_->keep_going());
            const auto row = std::find(drawing_.begin(), drawing_.end(), sequence) - drawing_.begin();
            member.resting->copy_sequence(0, *drawers_, static_cast<std::size_t>(row));
            drop_row(*drawers_, drawing_, static_cast<std::size_t>(row));
        }
        member.phase = Joined::kResting;
    }

    void resume(std::size_t sequence) {
        Joined& member = at(sequence);
        if (member.phase != Joined::kResting) return;
        member.phase = Joined::kDrawing;
        if (!member.windows) add_drawer(sequence, *member.resting, 0);
    }

    std::size_t size() const noexcept { return size_; }

    std::size_t resting() const noexcept {
        return static_cast<std::size_t>(std::count_if(members_.begin(), members_.end(), [](const auto& member) {
            return member && member->phase == Joined::kResting;
        }));
    }

    const std::vector<BatchElement>& step() {
        sweep();
        elements_.clear();
        try {
            if (draw_left()) {
                drop_rows();
            } else {
                read_primes();
                draw_carried();
                for (std::size_t i = 0; i < members_.size(); ++i)
                    if (members_[i] && members_[i]->windows) advance_windows(i);
            }
        } catch (const Error&) {
            drop_rows();
            if (elements_.empty()) throw;  // else the next step asks again
        }
        return elements_;
    }

    Joined& at(std::size_t sequence) const {
        if (sequence >= members_.size() || !members_[sequence]) refuse({"no sequence % is in the batch", sequence});
        return *members_[sequence];
    }

private:
    const ModelInfo& info() const noexcept { return network_->info(); }
    bool carries(std::size_t refresh) const {
        return refresh == 0 || (refresh == 1 && info().window == 0 && !info().whole);
    }

    void make_carried() {
        if (drawers_) return;
        const auto make = [this] {
            auto context = std::make_unique<Context>(network_, 0, members_.size(), threads_, network_->keep_going());
            context->resize(0);
            return context;
        };
        readers_ = make();
        drawers_ = make();
    }

    // Sequences of the same grammar share what they learn.
    std::shared_ptr<grammar::Memo> memo_of(const Grammar& grammar) {
        if (!memo_ || newest_.compiled() != grammar.compiled()) {
            const auto same = std::find_if(members_.begin(), members_.end(), [&](const auto& m) {
                return m && m->memo && m->request.grammar.compiled() == grammar.compiled();
            });
            memo_ = same != members_.end() ? (*same)->memo : grammar::make_memo(grammar, network_->keep_going());
            newest_ = grammar;
        }
        return memo_;
    }

    // Sequences that are over make room.
    void sweep() noexcept {
        for (auto& member : members_)
            if (member && member->phase == Joined::kOver) member.reset();
    }

    void end(Joined& member) noexcept {
        member.phase = Joined::kOver;
        --size_;
    }

    // To be called in the handler of an exception.
    void fail_or_stop(std::size_t i) {
        try {
            throw;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::stopped) throw;
            fail_member(i, error.what());
        } catch (const std::exception& error) {
            fail_member(i, error.what());
        }
    }

    void fail_member(std::size_t i, const char* why) {
        end(*members_[i]);
        members_[i]->error = why;
        elements_.push_back({i, 0, false, Ending::error});
    }

    // Drops row `row` of a context. The last row takes its place.
    static void drop_row(Context& context, std::vector<std::size_t>& rows, std::size_t row) noexcept {
        if (row + 1 < rows.size()) context.copy_sequence(row, context, rows.size() - 1);
        rows[row] = rows.back();
        rows.pop_back();
        context.resize(rows.size());
    }

    void drop_rows() noexcept {
        for (std::size_t row = reading_.size(); row-- > 0;)
            if (members_[reading_[row]]->phase == Joined::kOver) drop_row(*readers_, reading_, row);
        for (std::size_t row = drawing_.size(); row-- > 0;)
            if (members_[drawing_[row]]->phase == Joined::kOver) drop_row(*drawers_, drawing_, row);
    }

    // -- primes ----------------------------------------------------------------------------

    void read_primes() {
        for (std::size_t i = 0; i < members_.size(); ++i)
            if (members_[i] && members_[i]->phase == Joined::kNoting) note(i);
        // While other sequences draw, reading primes takes about as long as drawing.
        const std::size_t steps =
            drawing_.empty() ? kRead : 1 + (drawing_.size() + kWeights) / (reading_.size() + kWeights);
        for (std::size_t i = 0; i < steps && !reading_.empty(); ++i) {
            for (std::size_t row = reading_.size(); row-- > 0;)
                if (left(row) == 1) promote(row);
            if (reading_.empty()) break;
            for (std::size_t row = 0; row < reading_.size(); ++row) {
                const Joined& m = *members_[reading_[row]];
                ids_[row] = m.prime()[m.read];
            }
            readers_->append(ids_.data(), reading_.size());
            for (const std::size_t member : reading_) ++members_[member]->read;
        }
    }

    std::size_t left(std::size_t row) const noexcept {
        const Joined& m = *members_[reading_[row]];
        return m.prime().size() - m.read;
    }

    // A sequence has one element of its prime left: from now on it draws.
    void promote(std::size_t row) noexcept {
        add_drawer(reading_[row], *readers_, row);
        begin(*members_[reading_[row]]);
        drop_row(*readers_, reading_, row);
    }

    // Member i, whose state is row `row` of `from`, draws from now on.
    void add_drawer(std::size_t i, const Context& from, std::size_t row) noexcept {
        drawing_.push_back(i);
        drawers_->resize(drawing_.size());
        drawers_->copy_sequence(drawing_.size() - 1, from, row);
    }

    static void begin(Joined& m) noexcept {
        m.phase = Joined::kDrawing;
        m.has_pending = !m.prime().empty();
        if (m.has_pending) m.pending = m.prime().back();
    }

    // Lets the sampler and the grammar read a piece of a prime.
    void note(std::size_t i) {
        Joined& m = *members_[i];
        const std::size_t size = m.prime().size(), end = std::min(size, m.noted + kNoted);
        const std::size_t first = size - (m.guard ? m.request.grammar_prime : 0);
        try {
            const std::size_t from = std::max(m.noted, first);
            if (from < end) m.guard.read(m.prime().data() + from, end - from, from - first);
            for (; m.noted < end; ++m.noted) m.sampler.accept(m.prime()[m.noted]);
            if (m.noted < size) return;
            m.guard.check_length();
        } catch (const std::exception&) {
            return fail_or_stop(i);
        }
        m.phase = Joined::kReading;
        if (m.windows) return;
        reading_.push_back(i);
        readers_->resize(reading_.size());
        readers_->reset_sequence(reading_.size() - 1);
    }

    // -- elements --------------------------------------------------------------------------

    void draw_carried() {
        if (drawing_.empty()) return;
        for (std::size_t row = 0; row < drawing_.size(); ++row) ids_[row] = members_[drawing_[row]]->pending;
        drawers_->append(ids_.data(), drawing_.size());
        const float* const logits = drawers_->logits();
        for (std::size_t row = 0; row < drawing_.size(); ++row) {
            try {
                draw(drawing_[row], logits + row * info().outputs);
            } catch (const Error&) {
                for (; row < drawing_.size(); ++row) leave_logits(drawing_[row], logits + row * info().outputs);
                throw;
            }
        }
        drop_rows();
    }

    // The network has read the last element of member i, but the next one has not been drawn.
    void leave_logits(std::size_t i, const float* logits) {
        Joined& m = *members_[i];
        if (m.untold) return;
        try {
            m.logits.assign(logits, logits + info().outputs);
        } catch (const std::exception& error) {
            fail_member(i, error.what());
        }
    }

    // Ends a step that was stopped. Returns whether there was one.
    bool draw_left() {
        bool found = false;
        for (std::size_t i = 0; i < members_.size(); ++i) {
            if (!members_[i] || members_[i]->phase != Joined::kDrawing) continue;
            Joined& m = *members_[i];
            if (!m.untold && m.logits.empty()) continue;
            found = true;
            if (m.untold) {
                tell(i);
            } else {
                draw(i, m.logits.data());
                m.logits.clear();
            }
        }
        return found;
    }

    void advance_windows(std::size_t i) {
        Joined& m = *members_[i];
        const float* logits = nullptr;
        try {
            logits = read_windows(m);
        } catch (const Error&) {
            return fail_or_stop(i);
        }
        if (logits) draw(i, logits);
    }

    // Returns the logits of a member with windows, or null while it has not read its prime.
    static const float* read_windows(Joined& m) {
        if (m.phase == Joined::kReading) {
            const std::size_t size = m.prime().size();
            m.windows->begin(size);
            for (std::size_t k = 0; k < kRead && m.read + 1 < size; ++k, ++m.read)
                m.windows->append(&m.prime()[m.read]);
            if (m.read + 1 >= size) begin(m);
        } else if (m.phase == Joined::kDrawing) {
            if (m.has_pending) {
                m.windows->begin(1);
                m.windows->append(&m.pending);
                m.has_pending = false;
            }
            return m.windows->logits();
        }
        return nullptr;
    }

    // Draws an element of member i. If it is stopped, `untold` says whether one has been drawn.
    void draw(std::size_t i, const float* logits) {
        Joined& m = *members_[i];
        try {
            if (m.drawn == m.request.length || m.guard.ended()) {
                end(m);
                elements_.push_back({i, 0, false, m.drawn == m.request.length ? Ending::length : Ending::grammar});
                return;
            }
            m.sampler.set_logits(logits, m.guard.allowed());
            const std::uint32_t id = m.sampler.draw();
            m.guard.drawn(id);
            m.stops.drawn(id);
            if (m.request.scored) m.score += plain_log_probability(logits, info().outputs, id, scratch_.data());
            ++m.drawn;
            m.pending = id;
            m.has_pending = true;
            m.untold = true;
        } catch (const std::exception&) {
            return fail_or_stop(i);
        }
        tell(i);
    }

    // Tells the newest element of member i.
    void tell(std::size_t i) {
        Joined& m = *members_[i];
        try {
            // Guards share their answer, so that the grammar is asked for an end here only if the
            // sequence draws nothing more.
            Ending ending = Ending::none;
            if (m.stops.found())
                ending = Ending::stop;
            else if (m.drawn == m.request.length)
                ending = m.guard.ended() ? Ending::grammar : Ending::length;
            m.untold = false;
            if (ending != Ending::none) end(m);
            elements_.push_back({i, m.pending, true, ending});
        } catch (const std::exception&) {
            fail_or_stop(i);
        }
    }

    std::shared_ptr<const Network> network_;
    std::vector<std::unique_ptr<Joined>> members_;  // (most), null where there is none
    std::size_t threads_, size_ = 0;
    std::unique_ptr<Context> readers_, drawers_;  // of carried states: of primes, and of elements
    std::vector<std::size_t> reading_, drawing_;  // the members of their rows
    std::vector<BatchElement> elements_;
    std::vector<double> scratch_;     // (outputs), for plain_log_probability
    std::vector<std::uint32_t> ids_;  // (most)
    std::shared_ptr<grammar::Memo> memo_;
    Grammar newest_;  // the grammar of memo_
};

LSTMGEN_KEPT Batch::Batch(const Model& model, std::size_t most, std::size_t threads)
    : impl_(most > 0 && most <= LSTMGEN_MAX_BATCH
                ? std::make_unique<Impl>(model, most, threads)
                : (refuse({"most: expected 1 to % sequences, found %", std::size_t{LSTMGEN_MAX_BATCH}, most}),
                   nullptr)) {}
LSTMGEN_KEPT Batch::Batch(Batch&&) noexcept = default;
LSTMGEN_KEPT Batch& Batch::operator=(Batch&&) noexcept = default;
LSTMGEN_KEPT Batch::~Batch() = default;

LSTMGEN_KEPT std::size_t Batch::join(BatchRequest request) { return Exclusive(impl_)->join(std::move(request)); }
LSTMGEN_KEPT void Batch::leave(std::size_t sequence) { Exclusive(impl_)->leave(sequence); }
LSTMGEN_KEPT void Batch::pause(std::size_t sequence) { Exclusive(impl_)->pause(sequence); }
LSTMGEN_KEPT void Batch::resume(std::size_t sequence) { Exclusive(impl_)->resume(sequence); }
LSTMGEN_KEPT std::size_t Batch::size() const { return Exclusive(impl_)->size(); }
LSTMGEN_KEPT std::size_t Batch::resting() const { return Exclusive(impl_)->resting(); }
LSTMGEN_KEPT const std::vector<BatchElement>& Batch::step() { return Exclusive(impl_)->step(); }
LSTMGEN_KEPT double Batch::log_probability(std::size_t sequence) const {
    return Exclusive(impl_)->at(sequence).sampler.drawn_log_probability();
}
LSTMGEN_KEPT std::size_t Batch::likeliest(std::size_t sequence, std::size_t most, std::uint32_t* ids,
                                          double* log_p) const {
    const Exclusive use(impl_);
    check_pointer(ids, most, "ids");
    check_pointer(log_p, most, "log_p");
    return use->at(sequence).sampler.likeliest(most, ids, log_p);
}
LSTMGEN_KEPT double Batch::score(std::size_t sequence) const { return Exclusive(impl_)->at(sequence).score; }
LSTMGEN_KEPT const std::string& Batch::error(std::size_t sequence) const {
    return Exclusive(impl_)->at(sequence).error;
}

}  // namespace lstmgen
