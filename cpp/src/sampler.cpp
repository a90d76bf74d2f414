#include "sampler.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "message.hpp"
#include "portable_math.hpp"

namespace lstmgen {
namespace {

constexpr std::size_t kRecent = 64;  // elements that the repeat penalty looks back

void require(bool fine, const char* option, const char* want, double found) {
    if (!fine) refuse({option, ": expected ", want, ", found ", found});
}

void check(std::size_t n, const SamplerOptions& o) {
    require(o.temp >= 0.0 && std::isfinite(o.temp), "temp", "a number >= 0", o.temp);
    require(o.top_p > 0.0 && o.top_p <= 1.0, "top_p", "a number in (0, 1]", o.top_p);
    require(o.min_p >= 0.0 && o.min_p <= 1.0, "min_p", "a number in [0, 1]", o.min_p);
    require(o.repeat_penalty > 0.0 && std::isfinite(o.repeat_penalty), "repeat_penalty", "a number > 0",
            o.repeat_penalty);
    for (const auto& [id, bias] : o.logit_bias) {
        require(id < n, "logit_bias", "ids of the vocabulary", id);
        require(!std::isnan(bias) && bias < HUGE_VAL, "logit_bias", "numbers below infinity", bias);
    }
}

#define COUNT(name) +1
constexpr std::size_t kNumbers = LSTMGEN_SAMPLER_NUMBERS(COUNT);
#undef COUNT

void read(StateReader& in, double& x) { x = in.number<double>(); }
void read(StateReader& in, std::size_t& x) { x = in.size(SIZE_MAX); }
void write(StateWriter& out, double x) noexcept { out.number(x); }
void write(StateWriter& out, std::size_t x) noexcept { out.size(x); }

// Options that an older version did not have are not in its states: they keep their defaults.
SamplerOptions read_options(StateReader& in) {
    SamplerOptions o;
    std::size_t left = in.size(kNumbers);
#define READ(name) \
    if (left > 0 && left--) read(in, o.name);
    LSTMGEN_SAMPLER_NUMBERS(READ)
#undef READ
    o.logit_bias.resize(in.size(in.left() / (sizeof(std::uint32_t) + sizeof(double))));
    for (auto& [id, bias] : o.logit_bias) {
        id = in.number<std::uint32_t>();
        bias = in.number<double>();
    }
    return o;
}

}  // namespace

Sampler::Sampler(std::size_t n, const SamplerOptions& options)
    : options_(options), random_(options.seed), logits_(n), weights_(n), sorted_(n), recent_(kRecent) {
    check(n, options);
}

Sampler::Sampler(std::size_t n, StateReader& in) : Sampler(n, read_options(in)) {
    random_.load(in);
    for (std::size_t left = in.size(kRecent); left > 0; --left) accept(in.id(n));
}

void Sampler::set_options(const SamplerOptions& options) {
    check(logits_.size(), options);
    options_ = options;
}

void Sampler::save(StateWriter& out) const noexcept {
    out.size(kNumbers);
#define WRITE(name) write(out, options_.name);
    LSTMGEN_SAMPLER_NUMBERS(WRITE)
#undef WRITE
    out.size(options_.logit_bias.size());
    for (const auto& [id, bias] : options_.logit_bias) {
        out.number(id);
        out.number(bias);
    }
    random_.save(out);
    const std::size_t n = std::min(accepted_, kRecent);
    out.size(n);
    for (std::size_t i = accepted_ - n; i < accepted_; ++i) out.number(recent_[i % kRecent]);  // the oldest first
}

void Sampler::set_logits(const float* logits) {
    std::copy_n(logits, logits_.size(), logits_.begin());
    for (const auto& [id, bias] : options_.logit_bias) logits_[id] += bias;
    if (options_.repeat_penalty != 1.0) penalize();
    for (double& logit : logits_)
        if (std::isnan(logit)) logit = -HUGE_VAL;
    filter();

    top_ = static_cast<std::size_t>(std::max_element(logits_.begin(), logits_.end()) - logits_.begin());
    const double top = logits_[top_];
    if (top == -HUGE_VAL) refuse({"no element can be drawn: each has the probability 0 or none at all"});
    if (options_.temp == 0.0 || !std::isfinite(top)) {  // all of the probability on one element
        std::fill(weights_.begin(), weights_.end(), 0.0);
        weights_[top_] = total_ = 1.0;
        return;
    }
    for (std::size_t i = 0; i < logits_.size(); ++i) weights_[i] = (logits_[i] - top) / options_.temp;
    exp_portable(weights_.data(), weights_.size());
    total_ = 0.0;
    for (const double weight : weights_) total_ += weight;
}

// Each element at most once, as in llama.cpp: a likely one is made less likely, never more.
void Sampler::penalize() {
    const std::size_t n = std::min(accepted_, kRecent);
    for (std::size_t i = 0; i < n; ++i) {
        if (std::find(recent_.begin(), recent_.begin() + static_cast<std::ptrdiff_t>(i), recent_[i]) !=
            recent_.begin() + static_cast<std::ptrdiff_t>(i))
            continue;
        double& logit = logits_[recent_[i]];
        logit = logit > 0.0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
    }
}

// The filters see the distribution at temperature 1, as in llama.cpp.
void Sampler::filter() {
    const std::size_t n = logits_.size();
    const bool top_k = options_.top_k > 0 && options_.top_k < n;
    if (!top_k && options_.top_p >= 1.0 && options_.min_p <= 0.0) return;
    std::copy(logits_.begin(), logits_.end(), sorted_.begin());
    std::sort(sorted_.begin(), sorted_.end(), std::greater<>());
    const double top = sorted_[0];
    if (!std::isfinite(top)) return;
    std::size_t kept = top_k ? options_.top_k : n;
    if (options_.top_p < 1.0) {
        double sum = 0.0, part = 0.0;
        for (std::size_t i = 0; i < kept; ++i) sum += exp_portable(sorted_[i] - top);
        std::size_t i = 0;
        while (i < kept && part < options_.top_p * sum) part += exp_portable(sorted_[i++] - top);
        kept = i;
    }
    if (options_.min_p > 0.0)
        while (kept > 1 && exp_portable(sorted_[kept - 1] - top) < options_.min_p) --kept;
    // Of equal logits at the border the first ids stay.
    const double least = sorted_[kept - 1];
    std::size_t equal = static_cast<std::size_t>(
        std::count(sorted_.begin(), sorted_.begin() + static_cast<std::ptrdiff_t>(kept), least));
    for (double& logit : logits_) {
        if (logit == least && equal > 0)
            --equal;
        else if (logit <= least)
            logit = -HUGE_VAL;
    }
}

std::uint32_t Sampler::draw() {
    const double fraction = static_cast<double>(random_() >> 11) * 0x1p-53;
    std::size_t id = top_;
    if (options_.temp > 0.0) {
        double left = fraction * total_;
        for (std::size_t i = 0; i < weights_.size(); ++i) {
            if (weights_[i] <= 0.0) continue;
            id = i;
            left -= weights_[i];
            if (left < 0.0) break;
        }
    }
    const bool certain = options_.temp == 0.0 || !std::isfinite(logits_[top_]);
    drawn_exponent_ = certain ? 0.0 : (logits_[id] - logits_[top_]) / options_.temp;
    drawn_total_ = total_;
    accept(static_cast<std::uint32_t>(id));
    return static_cast<std::uint32_t>(id);
}

void Sampler::accept(std::uint32_t id) { recent_[accepted_++ % kRecent] = id; }

double Sampler::drawn_log_probability() const { return drawn_exponent_ - log_portable(drawn_total_); }

void Sampler::probabilities(double* p) const {
    for (std::size_t i = 0; i < weights_.size(); ++i) p[i] = weights_[i] / total_;
}

double Sampler::log_probability(std::uint32_t id) const {
    if (options_.temp == 0.0 || !std::isfinite(logits_[top_])) return id == top_ ? 0.0 : -HUGE_VAL;
    return (logits_[id] - logits_[top_]) / options_.temp - log_portable(total_);
}

}  // namespace lstmgen
