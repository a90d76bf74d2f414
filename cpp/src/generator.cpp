// The autoregressive loop.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "context.hpp"
#include "lstmgen/lstmgen.hpp"
#include "message.hpp"
#include "sampler.hpp"
#include "state.hpp"

namespace lstmgen {

class Generator::Impl {
public:
    Impl(const Model& model, const GeneratorOptions& options)
        : model_(model),
          context_(model.network(), options.refresh, 1, options.threads),
          sampler_(info().outputs, options.sampler) {}

    Impl(const Model& model, StateReader& in, std::size_t threads)
        : model_(model), context_(model.network(), in.size(SIZE_MAX), 1, threads), sampler_(info().outputs, in) {
        const std::size_t padding = in.size(context_.reach());
        begun_ = in.size(1) > 0;
        if (padding != padding_to_come())
            fail(ErrorCode::format, {"expected ", padding_to_come(), " elements of padding to come, found ", padding});
        context_.load(in);
        in.expect(0);
    }

    std::size_t save(void* to, std::size_t capacity) {
        flush();
        return write_state(StateKind::generator, info(), to, capacity, [this](StateWriter& out) {
            out.size(context_.refresh());
            sampler_.save(out);
            out.size(padding_to_come());
            out.size(begun_);
            context_.save(out);
        });
    }

    bool feed(const std::uint32_t* ids, std::size_t n, const Continue& keep_going) {
        check(ids, n);
        flush();
        if (n == 0) return true;
        if (keep_going && !keep_going()) return false;
        if (!begun_ && n >= context_.reach()) {
            const std::size_t skipped = n - context_.reach();  // what no window reaches
            for (std::size_t i = 0; i < skipped; ++i) sampler_.accept(ids[i]);
            ids += skipped;
            n -= skipped;
            begun_ = true;  // without padding
        } else if (!begin(keep_going)) {
            return false;
        }
        for (std::size_t i = 0; i < n; ++i) {
            if (i > 0 && keep_going && !keep_going()) return false;
            sampler_.accept(ids[i]);
            append(ids[i]);
        }
        return true;
    }

    std::uint32_t next() {
        prepare();
        pending_ = sampler_.draw();
        has_pending_ = true;
        ready_ = false;
        return pending_;
    }

    const Sampler& sampler() const noexcept { return sampler_; }
    void set_seed(std::uint64_t seed) noexcept { sampler_.set_seed(seed); }
    void set_options(const SamplerOptions& options) {
        sampler_.set_options(options);
        ready_ = false;
    }

    void probabilities(double* p) {
        prepare();
        sampler_.probabilities(p);
    }

    bool score(const std::uint32_t* ids, std::size_t n, double* log_p, const Continue& keep_going) {
        check(ids, n);
        for (std::size_t i = 0; i < n; ++i) {
            if (keep_going && !keep_going()) return false;
            prepare();
            log_p[i] = sampler_.log_probability(ids[i]);
            if (!begin(keep_going)) return false;
            sampler_.accept(ids[i]);
            append(ids[i]);
        }
        return true;
    }

    Model model_;

private:
    const ModelInfo& info() const noexcept { return context_.info(); }
    // Before the first element, in a state.
    std::size_t padding_to_come() const noexcept { return context_.pads() && !begun_ ? context_.reach() - 1 : 0; }

    void check(const std::uint32_t* ids, std::size_t n) const {
        const std::size_t outputs = info().outputs;
        for (std::size_t i = 0; i < n; ++i)
            if (ids[i] >= outputs) refuse({"id at position ", i, ": expected below ", outputs, ", found ", ids[i]});
    }

    // The last drawn element enters the network only when something comes after it.
    void flush() {
        if (!has_pending_) return;
        begin();
        append(pending_);
        has_pending_ = false;
    }

    // What an element needs before it; false, and all as before, if `keep_going` stopped it.
    bool begin(const Continue& keep_going = {}) {
        if (begun_) return true;
        begun_ = !context_.pads() || context_.pad(keep_going);
        return begun_;
    }

    void append(std::uint32_t id) {
        context_.append(&id);
        ready_ = false;
    }

    void prepare() {
        flush();
        if (ready_) return;
        sampler_.set_logits(context_.logits());
        ready_ = true;
    }

    Context context_;
    Sampler sampler_;
    std::uint32_t pending_ = 0;
    bool has_pending_ = false;
    bool begun_ = false;  // padding, if it takes some, is in the context
    bool ready_ = false;  // the sampler has the next element's distribution
};

Generator::Generator(const Model& model, const GeneratorOptions& options)
    : impl_(std::make_unique<Impl>(model, options)) {}
Generator::Generator(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Generator::Generator(Generator&&) noexcept = default;
Generator& Generator::operator=(Generator&&) noexcept = default;
Generator::~Generator() = default;

bool Generator::feed(const std::uint32_t* ids, std::size_t n, const Continue& keep_going) {
    return impl_->feed(ids, n, keep_going);
}
std::size_t Generator::save_state(void* to, std::size_t capacity) { return impl_->save(to, capacity); }
Generator Generator::load_state(const Model& model, const void* state, std::size_t bytes, std::size_t threads) {
    StateReader in(StateKind::generator, model.info(), state, bytes);
    try {
        return Generator(std::make_unique<Impl>(model, in, threads));
    } catch (const Error& error) {
        if (error.code() == ErrorCode::format) throw;
        fail(ErrorCode::format,
             {"the state: ", error.what()});  // an option that cannot be, given by nobody but the bytes
    }
}
SamplerOptions Generator::options() const { return impl_->sampler().options(); }
void Generator::set_options(const SamplerOptions& options) { impl_->set_options(options); }
Generator Generator::clone() const {
    auto s = const_cast<Generator*>(this)->save_state();
    return load_state(impl_->model_, s.data(), s.size(), 1);
}
void Generator::set_seed(std::uint64_t seed) { impl_->set_seed(seed); }
double Generator::log_probability() const { return impl_->sampler().drawn_log_probability(); }
std::uint32_t Generator::next() { return impl_->next(); }
void Generator::probabilities(double* p) { impl_->probabilities(p); }
bool Generator::score(const std::uint32_t* ids, std::size_t n, double* log_p, const Continue& keep_going) {
    return impl_->score(ids, n, log_p, keep_going);
}

}  // namespace lstmgen
