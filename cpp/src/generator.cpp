// The autoregressive loop: read elements, draw the next one, read it too.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "checks.hpp"
#include "context.hpp"
#include "float_mode.hpp"
#include "grammar/guard.hpp"
#include "in_use.hpp"
#include "kept.hpp"
#include "lstmgen/lstmgen.hpp"
#include "message.hpp"
#include "sampler.hpp"
#include "state.hpp"
#include "stop_search.hpp"

namespace lstmgen {

class Generator::Impl {
public:
    static constexpr const char* kName = "generator";
    InUse in_use;

    Impl(const std::shared_ptr<const Network>& network, const GeneratorOptions& options)
        : context_(network, options.refresh, 1, options.threads, network->keep_going()),
          sampler_(info().outputs, options.sampler) {
        prepare_sampler();
    }

    Impl(const Model& model, StateReader& in, std::size_t threads)
        : context_(model.network(), in.size(SIZE_MAX), 1, threads, model.network()->keep_going()),
          sampler_(info().outputs, in) {
        prepare_sampler();
        context_.load(in);
        guard_ = grammar::Guard::load(model, in);
        stop_search_.load(in, model.network());
        in.expect(0);
    }

    void set_options(const SamplerOptions& options) {
        sampler_.set_options(options);
        ready_ = false;
    }

    const Sampler& sampler() const noexcept { return sampler_; }
    void set_seed(std::uint64_t seed) noexcept { sampler_.set_seed(seed); }

    void reset(std::uint64_t seed) {
        context_.reset();
        sampler_.reset(seed);
        guard_.reset();
        stop_search_.restart();
        has_pending_ = ready_ = false;
    }

    std::unique_ptr<Impl> clone() const {
        GeneratorOptions options;
        options.sampler = sampler_.options();
        options.refresh = context_.refresh();
        options.threads = context_.threads();
        auto copy = std::make_unique<Impl>(context_.network(), options);
        copy->set_grammar(guard_.grammar(), kUnlimited);
        copy->copy_from(*this);
        return copy;
    }

    void copy_from(const Impl& other) {
        // What can fail comes first. So nothing has changed then, and the sizes are equal after it.
        context_.expect_like(other.context_);
        guard_.copy_from(other.guard_);
        sampler_.copy_from(other.sampler_);
        context_.copy_from(other.context_);
        stop_search_ = other.stop_search_;
        pending_ = other.pending_;
        has_pending_ = other.has_pending_;
        ready_ = other.ready_;
    }

    std::size_t save(void* to, std::size_t capacity) {
        check_pointer(to, capacity, "the buffer");
        flush();
        return write_state(StateKind::generator, info(), to, capacity, [this](StateWriter& out) {
            out.size(context_.refresh());
            sampler_.save(out);
            context_.save(out);
            // A state without a grammar and without stops has no bytes for them.
            if (guard_ || stop_search_) guard_.save(out);
            stop_search_.save(out);
        });
    }

    bool feed(const std::uint32_t* ids, std::size_t n, const Continue& keep_going) {
        check(ids, n);
        flush();
        if (n == 0) return true;
        if (keep_going && !keep_going()) return false;
        guard_.check(ids, n);
        stop_search_.restart();
        // Elements before the first window have no effect on the network.
        const std::size_t skipped = !context_.begun() && n > context_.reach() ? n - context_.reach() : 0;
        if (!context_.begin(n, keep_going)) return false;
        for (std::size_t i = 0; i < n; ++i) {
            if (i > skipped && keep_going && !keep_going()) return false;
            guard_.work_out();  // this may be stopped, and `append`, but not what follows
            if (i >= skipped) append(ids[i]);
            guard_.accept(ids[i]);
            sampler_.accept(ids[i]);
        }
        return true;
    }

    std::uint32_t next() {
        check_stop();
        prepare();
        return drawn(sampler_.draw());
    }

    void probabilities(double* p) {
        check_pointer(p, info().outputs, "p");
        prepare();
        sampler_.probabilities(p);
    }

    void logits(double* logits) {
        check_pointer(logits, info().outputs, "logits");
        flush();
        const float* const found = context_.logits();
        std::copy_n(found, info().outputs, logits);
    }

    std::uint32_t draw(const double* logits) {
        check_pointer(logits, info().outputs, "logits");
        check_stop();
        flush();
        static_cast<void>(context_.logits());  // throws if nothing can come next
        check_end();
        ready_ = false;
        return drawn(sampler_.draw(logits, guard_.allowed()));
    }

    std::size_t likeliest(std::size_t most, std::uint32_t* ids, double* log_p) {
        check_pointer(ids, most, "ids");
        check_pointer(log_p, most, "log_p");
        if (guard_.ended()) return 0;
        prepare();
        return sampler_.likeliest(most, ids, log_p);
    }

    void set_processor(LogitsProcessor processor, void* user) noexcept {
        sampler_.set_processor(processor, user);
        ready_ = false;
    }

    bool score(const std::uint32_t* ids, std::size_t n, double* log_p, const Continue& keep_going) {
        check(ids, n);
        check_pointer(log_p, n, "log_p");
        stop_search_.restart();
        for (std::size_t i = 0; i < n; ++i) {
            if (keep_going && !keep_going()) return false;
            prepare();
            log_p[i] = sampler_.log_probability(ids[i]);
            if (!context_.begin(1, keep_going)) return false;
            guard_.check(ids + i, 1);
            guard_.work_out();
            append(ids[i]);
            guard_.accept(ids[i]);
            sampler_.accept(ids[i]);
        }
        return true;
    }

    void set_grammar(const Grammar& grammar, std::uint64_t length) {
        guard_ = grammar::Guard(grammar, info().outputs, grammar::make_memo(grammar, context_.network()->keep_going()),
                                length);
        ready_ = false;
    }
    void set_grammar_length(std::uint64_t length) {
        guard_.set_length(length);
        ready_ = false;
    }
    const Grammar& grammar() const noexcept { return guard_.grammar(); }
    void set_stops(const Stops& ids, const std::vector<std::string>& texts) {
        stop_search_.set(context_.network(), ids, texts);
    }
    const StopSearch& stop_search() const noexcept { return stop_search_; }
    void go_on() noexcept {
        if (stop_search_.found()) stop_search_.restart();
    }
    bool ended() { return stop_search_.found() || guard_.ended(); }

private:
    const ModelInfo& info() const noexcept { return context_.info(); }

    void check(const std::uint32_t* ids, std::size_t n) const {
        check_pointer(ids, n, "ids");
        check_ids(ids, n, info().outputs);
    }

    void prepare_sampler() {
        sampler_.set_exponentials(context_.network()->kernels().exponentials);
        sampler_.reserve();
    }

    // Feeds the last drawn element to the network. That waits until something comes after it, so
    // that the last element of a sequence costs nothing.
    void flush() {
        if (!has_pending_) return;
        context_.begin(1);
        append(pending_);
        has_pending_ = false;
    }

    std::uint32_t drawn(std::uint32_t id) {
        guard_.drawn(id);
        stop_search_.drawn(id);
        pending_ = id;
        has_pending_ = true;
        ready_ = false;
        return id;
    }

    void check_stop() const {
        if (stop_search_.found()) fail(ErrorCode::ended, {"a stop ended the sequence: call go_on to draw more"});
    }

    void check_end() {
        if (guard_.ended()) fail(ErrorCode::ended, {"the text of the grammar is complete, and nothing may follow"});
    }

    void append(std::uint32_t id) {
        context_.append(&id);
        ready_ = false;
    }

    void prepare() {
        flush();
        if (ready_) return;
        check_end();
        sampler_.set_logits(context_.logits(), guard_.allowed());
        ready_ = true;
    }

    Context context_;
    Sampler sampler_;
    grammar::Guard guard_;
    StopSearch stop_search_;
    std::uint32_t pending_ = 0;
    bool has_pending_ = false;
    bool ready_ = false;  // the sampler has the distribution of the next element
};

LSTMGEN_KEPT Generator::Generator(const Model& model, const GeneratorOptions& options)
    : impl_(std::make_unique<Impl>(model.network(), options)) {}
LSTMGEN_KEPT Generator::Generator(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
LSTMGEN_KEPT Generator::Generator(Generator&&) noexcept = default;
LSTMGEN_KEPT Generator& Generator::operator=(Generator&&) noexcept = default;
LSTMGEN_KEPT Generator::~Generator() = default;

LSTMGEN_KEPT SamplerOptions Generator::options() const { return Exclusive(impl_)->sampler().options(); }
LSTMGEN_KEPT void Generator::set_options(const SamplerOptions& options) { Exclusive(impl_)->set_options(options); }
LSTMGEN_KEPT void Generator::set_seed(std::uint64_t seed) { Exclusive(impl_)->set_seed(seed); }
LSTMGEN_KEPT double Generator::log_probability() const { return Exclusive(impl_)->sampler().drawn_log_probability(); }
LSTMGEN_KEPT void Generator::set_grammar(const Grammar& grammar, std::uint64_t length) {
    Exclusive(impl_)->set_grammar(grammar, length);
}
LSTMGEN_KEPT void Generator::set_grammar_length(std::uint64_t length) { Exclusive(impl_)->set_grammar_length(length); }
LSTMGEN_KEPT Grammar Generator::grammar() const { return Exclusive(impl_)->grammar(); }
LSTMGEN_KEPT bool Generator::ended() const { return Exclusive(impl_)->ended(); }
LSTMGEN_KEPT void Generator::set_stops(const Stops& ids, const std::vector<std::string>& texts) {
    Exclusive(impl_)->set_stops(ids, texts);
}
LSTMGEN_KEPT Stops Generator::stops() const { return Exclusive(impl_)->stop_search().ids(); }
LSTMGEN_KEPT std::vector<std::string> Generator::stop_texts() const { return Exclusive(impl_)->stop_search().texts(); }
LSTMGEN_KEPT void Generator::go_on() { Exclusive(impl_)->go_on(); }
LSTMGEN_KEPT void Generator::reset(std::uint64_t seed) { Exclusive(impl_)->reset(seed); }
LSTMGEN_KEPT Generator Generator::clone() const { return Generator(Exclusive(impl_)->clone()); }
LSTMGEN_KEPT void Generator::copy_from(const Generator& other) {
    const Exclusive to(impl_);
    if (&other != this) to->copy_from(*Exclusive(other.impl_));
}

LSTMGEN_KEPT bool Generator::feed(const std::uint32_t* ids, std::size_t n, const Continue& keep_going) {
    return Exclusive(impl_)->feed(ids, n, keep_going);
}
LSTMGEN_KEPT std::uint32_t Generator::next() { return Exclusive(impl_)->next(); }
LSTMGEN_KEPT std::uint32_t Generator::draw(const double* logits) { return Exclusive(impl_)->draw(logits); }
LSTMGEN_KEPT void Generator::logits(double* logits) const { Exclusive(impl_)->logits(logits); }
LSTMGEN_KEPT std::size_t Generator::likeliest(std::size_t most, std::uint32_t* ids, double* log_p) const {
    return Exclusive(impl_)->likeliest(most, ids, log_p);
}
LSTMGEN_KEPT void Generator::set_logits_processor(LogitsProcessor processor, void* user) {
    Exclusive(impl_)->set_processor(processor, user);
}
LSTMGEN_KEPT void Generator::probabilities(double* p) const { Exclusive(impl_)->probabilities(p); }
LSTMGEN_KEPT bool Generator::score(const std::uint32_t* ids, std::size_t n, double* log_p, const Continue& keep_going) {
    return Exclusive(impl_)->score(ids, n, log_p, keep_going);
}

LSTMGEN_KEPT std::size_t Generator::save_state(void* to, std::size_t capacity) const {
    return Exclusive(impl_)->save(to, capacity);
}
LSTMGEN_KEPT Generator Generator::load_state(const Model& model, const void* state, std::size_t bytes,
                                             std::size_t threads) {
    check_threads(threads);  // first, so that the error does not blame the state
    check_pointer(state, bytes, "the state");
    StateReader in(StateKind::generator, model.info(), state, bytes);
    const FloatMode mode;
    try {
        return Generator(std::make_unique<Impl>(model, in, threads));
    } catch (const Error& error) {
        if (error.code() == ErrorCode::format || error.code() == ErrorCode::stopped) throw;
        fail(ErrorCode::format, {"the state: ", error.what()});  // an option in it is out of range
    }
}

}  // namespace lstmgen
