#include "sampler.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "message.hpp"
#include "portable_math.hpp"

namespace lstmgen {

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
    accept(static_cast<std::uint32_t>(id));
    return static_cast<std::uint32_t>(id);
}

void Sampler::accept(std::uint32_t id) { recent_[accepted_++ % kRecent] = id; }

void Sampler::probabilities(double* p) const {
    for (std::size_t i = 0; i < weights_.size(); ++i) p[i] = weights_[i] / total_;
}

double Sampler::log_probability(std::uint32_t id) const {
    if (options_.temp == 0.0 || !std::isfinite(logits_[top_])) return id == top_ ? 0.0 : -HUGE_VAL;
    return (logits_[id] - logits_[top_]) / options_.temp - log_portable(total_);
}

}  // namespace lstmgen
