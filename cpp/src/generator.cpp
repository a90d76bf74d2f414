// The autoregressive loop.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "lstmgen/lstmgen.hpp"
#include "network.hpp"
#include "sampler.hpp"
#include "sequence.hpp"
#include "session.hpp"

namespace lstmgen {
namespace {

std::size_t window_of(const ModelInfo& info, const GeneratorOptions& options) {
    if (!info.labels.empty())
        throw Error(ErrorCode::invalid_argument, "a classifier: it has labels, it does not generate");
    if (info.whole && options.refresh != 1)
        throw Error(ErrorCode::invalid_argument,
                    "the network needs all steps of a window at once: expected refresh 1, found " +
                        std::to_string(options.refresh));
    if (options.refresh == 0) return 0;
    if (info.window == 0)
        throw Error(ErrorCode::invalid_argument, "the model was saved without a fixed window: export it with one" +
                                                     std::string(info.whole ? "" : ", or carry the state (refresh 0)"));
    return info.window;
}

// Lanes that are run from the history at once, in the end: enough for fast products, few enough not to be noticed.
constexpr std::size_t kGroup = 16;

}  // namespace

// A lane starts every `refresh` elements; each reads all elements from its start on. The newest lane that has read a
// full window (or the first, while there is none) gives the next distribution, and lanes older than that are over. With
// refresh 1, that lane has read exactly the last `window` elements: what predict computes for that window. With refresh
// 0 there is one lane, never over.
//
// Lanes that start with the context are not run along with it, which would take as long as half a window of elements
// before the first one is there. They are run from the history when they are about to be needed: one, two, four ... at
// a time, then so many that at last all lanes are live. Lane k is row k % lanes_ of the session.
//
// A network that needs whole windows has no lanes: the window of the last elements is evaluated for each distribution.
class Generator::Impl {
public:
    Impl(const Model& model, const GeneratorOptions& options)
        : network_(model.network()),
          refresh_(options.refresh),
          window_(window_of(network_->info(), options)),
          lanes_(refresh_ == 0 ? 1 : (window_ + refresh_ - 2) / refresh_ + 1),
          sampler_(network_->info().outputs, options.sampler),
          logits_(network_->info().outputs),
          padding_(network_->info().padding && window_ > 0 ? window_ - 1 : 0) {
        if (network_->info().encoding == Encoding::features)
            throw Error(
                ErrorCode::invalid_argument,
                "a network that reads features predicts, but does not generate: it has no elements to feed back");
        if (network_->info().whole) {
            evaluator_ = std::make_unique<SequenceEvaluator>(*network_, 1, window_, false);
            context_.reserve(window_);
        } else {
            workers_ = std::make_unique<Workers>(std::min(std::max<std::size_t>(1, options.threads), lanes_));
            session_ = std::make_unique<Session>(*network_, lanes_, *workers_);
            if (refresh_ > 0) group_ = std::make_unique<Session>(*network_, std::min(kGroup, lanes_), *workers_);
            history_.resize(refresh_ > 0 ? window_ + refresh_ : 0);
        }
    }

    bool feed(const std::uint32_t* ids, std::size_t n, const Continue& keep_going) {
        check(ids, n);
        flush();
        if (refresh_ > 0 && elements_ == 0 && n >= window_) {
            for (std::size_t i = 0; i < n - window_; ++i) sampler_.accept(ids[i]);  // what no window reaches
            ids += n - window_;
            n = window_;
            padding_ = 0;
        }
        for (; n > 0 && padding_ > 0; --padding_) {
            if (keep_going && !keep_going()) return false;
            advance(*network_->info().padding);
        }
        for (std::size_t i = 0; i < n; ++i) {
            if (keep_going && !keep_going()) return false;
            sampler_.accept(ids[i]);
            advance(ids[i]);
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
            sampler_.accept(ids[i]);
            advance(ids[i]);
        }
        return true;
    }

private:
    void check(const std::uint32_t* ids, std::size_t n) const {
        const std::size_t outputs = network_->info().outputs;
        for (std::size_t i = 0; i < n; ++i)
            if (ids[i] >= outputs)
                throw Error(ErrorCode::invalid_argument, "id at position " + std::to_string(i) + ": expected below " +
                                                             std::to_string(outputs) + ", found " +
                                                             std::to_string(ids[i]));
    }

    // The last drawn element enters the network only when something comes after it.
    void flush() {
        if (has_pending_) advance(pending_);
        has_pending_ = false;
    }

    void advance(std::uint32_t id) {
        ready_ = false;
        const std::size_t at = elements_++;
        if (evaluator_) {
            if (context_.size() == window_) context_.erase(context_.begin());
            context_.push_back(id);
        } else if (refresh_ == 0) {
            session_->advance(id, 0, 1);
        } else {
            history_[at % history_.size()] = id;
            if (at > 0 && at % refresh_ == 0 && live_ == at / refresh_) session_->reset(live_++ % lanes_);
            if (live_ > newest_full()) session_->advance(id, newest_full() % lanes_, live_ - newest_full());
        }
    }

    // Lanes that have read something, and the lane that gives the distribution after what was read.
    std::size_t started() const { return (elements_ + refresh_ - 1) / refresh_; }
    std::size_t newest_full() const { return elements_ >= window_ ? (elements_ - window_) / refresh_ : 0; }

    void prepare() {
        flush();
        if (ready_) return;
        if (elements_ == 0)
            throw Error(ErrorCode::invalid_argument, "the context is empty: feed at least one element first");
        if (evaluator_)
            evaluate_window();
        else
            read_lane();
        if (network_->info().padding) logits_[*network_->info().padding] = -HUGE_VALF;  // never drawn
        sampler_.set_logits(logits_.data());
        ready_ = true;
    }

    void read_lane() {
        if (refresh_ == 0) return session_->read(0, logits_.data(), Read::logits);
        if (live_ <= newest_full()) live_ = newest_full();
        if (live_ < started() && (live_ == newest_full() || elements_ >= next_group_)) run_group();
        session_->read(newest_full() % lanes_, logits_.data(), Read::logits);
    }

    // The next lanes, from their start to now.
    void run_group() {
        const std::size_t count = std::min({group_size_, started() - live_, std::min(kGroup, lanes_)});
        group_size_ = std::min(2 * group_size_, kGroup);
        for (std::size_t at = live_ * refresh_, lanes = 0; at < elements_; ++at) {
            if (at % refresh_ == 0 && lanes < count) group_->reset(lanes++);
            group_->advance(history_[at % history_.size()], 0, lanes);
        }
        for (std::size_t i = 0; i < count; ++i) session_->take(live_++ % lanes_, *group_, i);
        next_group_ = elements_ + std::max<std::size_t>(1, count * refresh_ / 2);  // sooner than they are used up
    }

    void evaluate_window() {
        if (network_->info().fixed_steps && context_.size() < window_)
            throw Error(ErrorCode::invalid_argument,
                        "the network takes exactly " + std::to_string(window_) + " elements, the context has " +
                            std::to_string(context_.size()) + ", and the model has no padding");
        evaluator_->reset(1);
        evaluator_->run(context_.data(), 0, context_.size(), true, Read::logits);
        evaluator_->read(0, evaluator_->output_steps() - 1, logits_.data());
    }

    std::shared_ptr<const Network> network_;
    std::size_t refresh_, window_, lanes_;
    std::unique_ptr<Workers> workers_;
    std::unique_ptr<Session> session_, group_;  // the lanes, and those that are being run from the history; or
    std::unique_ptr<SequenceEvaluator> evaluator_;
    std::vector<std::uint32_t> history_;  // element i is at i % size
    std::size_t live_ = 0;                // lanes that have read all elements since their start, or are over
    std::size_t group_size_ = 1;
    std::size_t next_group_ = 0;          // elements at which the next group is run
    std::vector<std::uint32_t> context_;  // for the evaluator: the last `window` elements
    Sampler sampler_;
    std::vector<float> logits_;
    std::size_t padding_;       // elements still to come before the first
    std::size_t elements_ = 0;  // read so far, with padding
    std::uint32_t pending_ = 0;
    bool has_pending_ = false;
    bool ready_ = false;  // the sampler has the next element's distribution
};

Generator::Generator(const Model& model, const GeneratorOptions& options)
    : impl_(std::make_unique<Impl>(model, options)) {}
Generator::Generator(Generator&&) noexcept = default;
Generator& Generator::operator=(Generator&&) noexcept = default;
Generator::~Generator() = default;

bool Generator::feed(const std::uint32_t* ids, std::size_t n, const Continue& keep_going) {
    return impl_->feed(ids, n, keep_going);
}
std::uint32_t Generator::next() { return impl_->next(); }
void Generator::probabilities(double* p) { impl_->probabilities(p); }
bool Generator::score(const std::uint32_t* ids, std::size_t n, double* log_p, const Continue& keep_going) {
    return impl_->score(ids, n, log_p, keep_going);
}

}  // namespace lstmgen
