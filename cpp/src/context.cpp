#include "context.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "checks.hpp"
#include "message.hpp"

namespace lstmgen {
namespace {

// Returns the window of a context; 0 if the state is carried. Throws Error if the network cannot
// generate with this refresh.
std::size_t window_of(const ModelInfo& info, std::size_t refresh) {
    if (!info.labels.empty()) refuse({"a classifier does not generate: predict gives what it finds"});
    if (info.predictor)
        refuse({"a predictor does not generate, since its outputs are no elements to feed back; predict gives them"});
    if (info.encoding == Encoding::features)
        refuse(
            {"a network that reads features does not generate: it has no elements to feed back; predict gives its "
             "outputs"});
    if (info.whole && refresh != 1)
        refuse({"the network needs all steps of a window at once: expected refresh 1, found ", refresh});
    if (refresh == 0 || (refresh == 1 && info.window == 0 && !info.whole)) return 0;
    if (info.window == 0)
        refuse({"the model was saved without a fixed window: export it with one",
                info.whole ? "" : ", or carry the state (refresh 0)"});
    return info.window;
}

// The most lanes that are run from the history at once. They are enough for fast products, and few
// enough that no element is noticeably late.
constexpr std::size_t kGroup = 16;

}  // namespace

std::size_t Context::lanes(const ModelInfo& info, std::size_t refresh) {
    const std::size_t window = window_of(info, refresh);
    if (window == 0) return 1;
    return 1 + (window - 1) / refresh + ((window - 1) % refresh > 0);
}

Context::Context(std::shared_ptr<const Network> network, std::size_t refresh, std::size_t sequences,
                 std::size_t threads, const Continue& keep_going)
    : network_(std::move(network)),
      window_(window_of(info(), refresh)),
      refresh_(window_ == 0 ? 0 : refresh),
      in_flight_(lanes(info(), refresh)),
      sequences_(sequences),
      keep_going_(keep_going),
      asking_(keep_going),
      work_(SequenceEvaluator::work(*network_, 1) * static_cast<double>(sequences)),
      fillers_(sequences, info().padding.value_or(kNoElement)),
      logits_(sequences * info().outputs) {
    check_threads(threads);
    if (info().whole) {
        evaluator_ = std::make_unique<SequenceEvaluator>(*network_, sequences, window_, false, keep_going_);
        windows_.resize(sequences * window_);
        return;
    }
    workers_ = std::make_unique<Workers>(std::min(std::max<std::size_t>(1, threads), in_flight_ * sequences));
    session_ = std::make_unique<Session>(*network_, sequences, in_flight_, *workers_);
    if (refresh_ >= window_) {  // a carried state, or at most two lanes, which are always live
        live_ = first_live();
        return;
    }
    group_ = std::make_unique<Session>(*network_, sequences, std::min(kGroup, in_flight_), *workers_);
    history_size_ = window_ + refresh_;
    history_.resize(history_size_ * sequences);
}

void Context::reset() {
    for (std::size_t window = 0; session_ && window < in_flight_; ++window) session_->reset(window);
    live_ = first_live();
    group_size_ = 1;
    next_group_ = elements_ = 0;
    begun_ = ready_ = false;
}

void Context::expect_like(const Context& other) const {
    if (network_ != other.network_ || refresh_ != other.refresh_)
        refuse({"the other generator: expected one of the same loaded model, with the same refresh"});
}

// The group is not copied, since each run of it starts anew.
void Context::copy_from(const Context& other) {
    if (session_) session_->copy_from(*other.session_);
    std::copy(other.history_.begin(), other.history_.end(), history_.begin());
    std::copy(other.windows_.begin(), other.windows_.end(), windows_.begin());
    std::copy(other.logits_.begin(), other.logits_.end(), logits_.begin());
    live_ = other.live_;
    group_size_ = other.group_size_;
    next_group_ = other.next_group_;
    elements_ = other.elements_;
    begun_ = other.begun_;
    ready_ = other.ready_;
}

void Context::append(const std::uint32_t* ids, std::size_t sequences) {
    const std::size_t live = carried() ? 1 : 1 + live_ - std::min(live_, newest_full());
    if (session_) asking_.before(work_ * static_cast<double>(live));
    ready_ = false;
    const std::size_t at = elements_++;
    if (evaluator_) {
        for (std::size_t i = 0; i < sequences_; ++i) {
            std::uint32_t* const window = windows_.data() + i * window_;
            if (at >= window_) std::move(window + 1, window + window_, window);
            window[std::min(at, window_ - 1)] = ids[i];
        }
    } else if (refresh_ == 0) {
        session_->advance(ids, sequences, 0, 1);
    } else {
        if (group_) std::copy_n(ids, sequences_, history(at));
        if (at > 0 && at % refresh_ == 0 && live_ == at / refresh_) session_->reset(live_++ % in_flight_);
        if (live_ > newest_full())
            session_->advance(ids, sequences_, newest_full() % in_flight_, live_ - newest_full());
    }
}

const float* Context::logits() {
    if (ready_) return logits_.data();
    if (elements_ == 0)
        evaluate_padding();
    else if (evaluator_)
        evaluate_window(std::min(elements_, window_));
    else
        read_lane();
    for (std::size_t i = 0; info().padding && i < sequences_; ++i)
        logits_[i * info().outputs + *info().padding] = -HUGE_VALF;  // never drawn
    ready_ = true;
    return logits_.data();
}

bool Context::pads(const ModelInfo& info, std::size_t refresh) noexcept {
    return refresh > 0 && info.window > 0 && (info.padding || info.zero_padding);
}

std::size_t Context::padding_to_come() const noexcept { return pads(info(), refresh_) && !begun_ ? reach() - 1 : 0; }

bool Context::begin(std::size_t n, const std::function<bool()>& keep_going) {
    if (!begun_) begun_ = !pads(info(), refresh_) || n >= reach() || pad(keep_going);
    return begun_;
}

bool Context::pad(const std::function<bool()>& keep_going) {
    for (std::size_t i = 0; i + 1 < window_; ++i) {
        if (keep_going && !keep_going()) {
            reset();
            return false;
        }
        try {
            append(fillers_.data());
        } catch (const Error&) {
            reset();
            throw;
        }
    }
    return true;
}

// Evaluates a window of padding in window 0 of the session, which an empty context does not use
// yet.
void Context::evaluate_padding() {
    if (!pads(info(), refresh_)) refuse({"the context is empty: feed at least one element first"});
    if (evaluator_) {
        std::fill(windows_.begin(), windows_.end(), fillers_[0]);
        return evaluate_window(window_);
    }
    session_->reset(0);  // a call that was stopped may have left its steps
    for (std::size_t i = 0; i < window_; ++i) {
        asking_.before(work_);
        session_->advance(fillers_.data(), sequences_, 0, 1);
    }
    session_->read(0, logits_.data(), Read::logits);
    session_->reset(0);
}

void Context::read_lane() {
    if (!group_) return session_->read(refresh_ == 0 ? 0 : newest_full() % in_flight_, logits_.data(), Read::logits);
    const bool not_live = live_ <= newest_full();  // of the lane that is read
    if (not_live) live_ = newest_full();
    if (live_ < started() && (live_ == newest_full() || elements_ >= next_group_)) run_group();
    // The output may also read values of layers that are not recurrent. These belong to the newest
    // element, which the group has just read, and the lane is the first of the group.
    if (not_live) return group_->read(0, logits_.data(), Read::logits);
    session_->read(newest_full() % in_flight_, logits_.data(), Read::logits);
}

// Runs the next lanes from their start to the newest element.
void Context::run_group() {
    const std::size_t count = std::min({group_size_, started() - live_, std::min(kGroup, in_flight_)});
    for (std::size_t at = live_ * refresh_, lanes = 0; at < elements_; ++at) {
        if (at % refresh_ == 0 && lanes < count) group_->reset(lanes++);
        asking_.before(work_ * static_cast<double>(lanes));
        group_->advance(history(at), sequences_, 0, lanes);
    }
    group_size_ = std::min(2 * group_size_, kGroup);
    for (std::size_t i = 0; i < count; ++i) session_->copy_window(live_++ % in_flight_, *group_, i);
    // The next group runs before these lanes are over.
    next_group_ = elements_ + std::max<std::size_t>(1, count * refresh_ / 2);
}

void Context::evaluate_window(std::size_t steps) {
    if (info().fixed_steps && steps < window_)
        refuse({"the context: expected at least % elements, since the model has no padding, found %", window_, steps});
    evaluator_->reset(sequences_);
    evaluator_->run(windows_.data(), window_, steps, true, Read::logits);
    for (std::size_t i = 0; i < sequences_; ++i)
        evaluator_->read(i, evaluator_->output_steps() - 1, logits_.data() + i * info().outputs);
}

void Context::save(StateWriter& out) {
    out.size(padding_to_come());
    out.size(begun_);
    const std::size_t n = newest_read();
    out.size(n);
    if (evaluator_ || group_) {
        for (std::size_t at = elements_ - n; at < elements_; ++at)
            out.number(evaluator_ ? windows_[at - (elements_ - n)] : *history(at));
        return;
    }
    const std::size_t first = carried() ? 0 : newest_full();
    for (std::size_t lane = 0; n > 0 && lane < lanes_after(n); ++lane) session_->save((first + lane) % in_flight_, out);
    if (n > 0) out.bytes(logits(), logits_.size() * sizeof(float));
}

void Context::load(StateReader& in) {
    const std::size_t padding = in.size(padding_to_come());
    begun_ = in.size(1) > 0;
    if (padding != padding_to_come())
        fail_format({"the state: expected % elements of padding to come, found %", padding_to_come(), padding});
    const std::size_t n = in.size(carried()                           ? 1
                                  : refresh_ - 1 < SIZE_MAX - window_ ? window_ + refresh_ - 1
                                                                      : SIZE_MAX);
    if (evaluator_ || group_) {
        for (std::size_t i = 0; i < n; ++i) {
            const std::uint32_t id = in.id(info().outputs, info().zero_padding ? kNoElement : 0);
            append(&id);
        }
        return;
    }
    if (n == 0) return;
    elements_ = n;
    if (!carried()) live_ = lanes_after(n);
    for (std::size_t lane = 0; lane < lanes_after(n); ++lane) session_->load(lane, in);
    in.bytes(logits_.data(), logits_.size() * sizeof(float));
    ready_ = true;
}

void Context::resize(std::size_t sequences) noexcept {
    session_->resize(sequences_ = sequences);
    ready_ = false;
}

void Context::keep(const std::vector<std::size_t>& sequences) {
    if (sequences.size() == sequences_) return;
    std::size_t to = 0;
    for (std::size_t at = 0; at < history_size_; ++at)  // in place: ids only move forward
        for (const std::size_t i : sequences) history_[to++] = history_[at * sequences_ + i];
    for (std::size_t i = 0; evaluator_ && i < sequences.size(); ++i)
        std::copy_n(windows_.data() + sequences[i] * window_, window_, windows_.data() + i * window_);
    if (session_) session_->keep(sequences);
    if (group_) group_->keep(sequences);
    sequences_ = sequences.size();
    ready_ = false;
}

}  // namespace lstmgen
