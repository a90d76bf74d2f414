#include "sampler.hpp"

#include <algorithm>
#include <cmath>

#include "kept.hpp"
#include "message.hpp"
#include "portable_math.hpp"

namespace lstmgen {
namespace {

constexpr double kLn2 = 0.69314718055994530942;

// Returns where the greatest of x first is; no x is NaN. Four searches side by side hide the
// latency of a comparison.
std::size_t greatest_of(const std::vector<double>& x) {
    constexpr std::size_t n = 4;
    double tops[n] = {x[0], x[0], x[0], x[0]};
    std::size_t i = 0;
    for (; i + n <= x.size(); i += n)
        for (std::size_t j = 0; j < n; ++j) tops[j] = x[i + j] > tops[j] ? x[i + j] : tops[j];
    for (; i < x.size(); ++i) tops[0] = x[i] > tops[0] ? x[i] : tops[0];
    const double top = *std::max_element(tops, tops + n);
    return static_cast<std::size_t>(std::find(x.begin(), x.end(), top) - x.begin());
}

}  // namespace

// The order of the steps is that of llama.cpp's common/sampling.cpp.
LSTMGEN_KEPT void Sampler::set_logits(const float* logits, const std::uint64_t* allowed) {
    std::copy_n(logits, logits_.size(), logits_.begin());
    if (processor_) {
        processor_(user_, history_.ids(), history_.size(), logits_.data(), logits_.size());
        for (std::size_t i = 0; i < logits_.size(); ++i)
            if (std::isnan(logits_[i]) && !std::isnan(logits[i]))
                refuse({"the logits processor: expected numbers, found NaN for the element ", i});
    }
    for (const auto& [id, bias] : options_.logit_bias) logits_[id] += bias;
    if (!options_.allow.empty()) {
        std::fill(weights_.begin(), weights_.end(), -HUGE_VAL);
        for (const std::uint32_t id : options_.allow) weights_[id] = logits_[id];
        std::copy(weights_.begin(), weights_.end(), logits_.begin());
    }
    for (const std::uint32_t id : options_.ban) drop(id);
    if (allowed) forbid_all_but(allowed);
    penalize();
    if (options_.dry_multiplier > 0.0) penalize_repetition();
    for (double& logit : logits_)
        if (std::isnan(logit)) logit = -HUGE_VAL;

    find_top();
    if (!std::isfinite(logits_[top_])) {
        finish(0.0);
    } else if (options_.mirostat > 0) {
        finish(options_.temp);
        if (temp_ > 0.0) keep_unsurprising();
    } else if (has_filters(options_, logits_.size())) {
        filter();
    } else {
        finish(options_.temp);
    }
}

void Sampler::filter() {
    kept_.count = 0;
    for (std::size_t i = 0; i < logits_.size(); ++i) {
        kept_.ids[kept_.count] = static_cast<std::uint32_t>(i);
        kept_.values[kept_.count] = logits_[i];
        kept_.count += logits_[i] != -HUGE_VAL;
    }
    kept_.reference = logits_[top_];
    const double temp = apply_filters(kept_, options_, random_);

    std::fill(logits_.begin(), logits_.end(), -HUGE_VAL);
    std::fill(weights_.begin(), weights_.end(), 0.0);
    for (std::size_t j = 0; j < kept_.count; ++j) logits_[kept_.ids[j]] = kept_.values[j];
    top_ = kept_.ids[kept_.greatest()];
    if (temp > 0.0) {
        kept_.weigh(temp);
        total_ = 0.0;
        for (std::size_t j = 0; j < kept_.count; ++j) {
            weights_[kept_.ids[j]] = kept_.numbers[j];
            total_ += kept_.numbers[j];
        }
        temp_ = temp;
    } else {
        finish(0.0);
    }
}

void Sampler::forbid_all_but(const std::uint64_t* allowed) noexcept {
    for (std::size_t i = 0; i < logits_.size(); ++i)
        logits_[i] = allowed[i / 64] >> i % 64 & 1 ? logits_[i] : -HUGE_VAL;
}

void Sampler::drop(std::size_t i) noexcept {
    logits_[i] = -HUGE_VAL;
    weights_[i] = 0.0;
}

void Sampler::find_top() {
    top_ = greatest_of(logits_);
    if (logits_[top_] == -HUGE_VAL) refuse({"no element can be drawn: each has the probability 0 or none at all"});
}

// Computes the weights of all elements at this temperature.
void Sampler::weigh(double temp) {
    const double top = logits_[top_];
    for (std::size_t i = 0; i < logits_.size(); ++i) weights_[i] = logits_[i] - top;
    if (temp != 1.0)
        for (double& weight : weights_) weight /= temp;
    total_ = kept_.exponentials(weights_.data(), weights_.size());
    temp_ = temp;
}

void Sampler::finish(double temp) {
    if (temp > 0.0) {
        weigh(temp);
        return;
    }
    std::fill(weights_.begin(), weights_.end(), 0.0);
    weights_[top_] = total_ = 1.0;
    temp_ = 0.0;
}

// -- penalties ------------------------------------------------------------------------------------

// Penalizes each element once, however often it occurs, as llama.cpp does. repeat_penalty divides a
// positive logit and multiplies a negative one, so a value above 1 always makes it less likely.
void Sampler::penalize() {
    const double repeat = options_.repeat_penalty, frequency = options_.frequency_penalty,
                 presence = options_.presence_penalty;
    if (repeat == 1.0 && frequency == 0.0 && presence == 0.0) return;
    const std::uint32_t* const counts = history_.counts();
    for (std::size_t i = 0; i < logits_.size(); ++i) {  // without branches: vectorised
        const double logit = logits_[i], count = static_cast<std::int32_t>(counts[i]);
        const double divided = logit / repeat, multiplied = logit * repeat;
        const double less = (logit > 0.0 ? divided : multiplied) - (count * frequency + presence);
        logits_[i] = count > 0.0 ? less : logit;
    }
}

void Sampler::penalize_repetition() {
    const std::size_t last_n = options_.dry_penalty_last_n, allowed = options_.dry_allowed_length;
    std::size_t longest = 0;
    history_.for_each_match(last_n, [&](std::uint32_t, std::size_t n) { longest = std::max(longest, n); });
    if (longest < allowed) return;
    const std::size_t limit = unbroken(std::min(longest, last_n));
    if (limit < allowed) return;
    history_.for_each_match(last_n, [&](std::uint32_t next, std::size_t n) {
        const auto found = static_cast<std::uint16_t>(std::min(n, limit));
        if (found >= allowed) repeated_[next] = std::max(repeated_[next], found);
    });
    // The exponent stops where a float would overflow, as in llama.cpp.
    const double log_base = log_portable(options_.dry_base);
    const double most = options_.dry_base > 1.000001 ? std::floor(88.7228391 / log_base) : HUGE_VAL;
    history_.for_each_match(last_n, [&](std::uint32_t next, std::size_t) {
        const std::size_t length = std::exchange(repeated_[next], std::uint16_t{0});
        if (length == 0 || breaker_starts_[next] == kBreaker) return;
        const double exponent = std::min(static_cast<double>(length - allowed), most);
        logits_[next] -= options_.dry_multiplier * exp_portable(exponent * log_base);
    });
}

// Returns how many of the last elements come after the last sequence breaker, at most `most`.
std::size_t Sampler::unbroken(std::size_t most) const {
    const std::vector<std::uint32_t>& breakers = options_.dry_sequence_breakers;
    const std::size_t n = std::min(history_.size(), options_.dry_penalty_last_n);
    const std::uint32_t* const end = history_.ids() + history_.size();
    // A breaker that matters ends within the last `most` elements. It may begin before them, by at
    // most the size of all breakers together.
    for (std::size_t i = 0; i < std::min(n, most + breakers.size()); ++i) {
        if (breaker_starts_[end[-1 - static_cast<std::ptrdiff_t>(i)]] == 0) continue;
        std::size_t longest = 0;  // length of the longest breaker that begins here
        for (std::size_t first = 0, last; first < breakers.size(); first = last + 1) {
            for (last = first; last < breakers.size() && breakers[last] != LSTMGEN_SEPARATOR;) ++last;
            const std::size_t length = last - first;
            if (length > longest && length <= i + 1 &&
                std::equal(end - 1 - i, end - 1 - i + length, breakers.begin() + static_cast<std::ptrdiff_t>(first)))
                longest = length;
        }
        if (longest > 0) return std::min(most, i + 1 - longest);
    }
    return most;
}

// -- mirostat -------------------------------------------------------------------------------------

// Mirostat 2.0 drops the elements whose surprise is above mu bits. The likeliest always stays.
void Sampler::keep_unsurprising() {
    const double log_total = log_portable(total_);
    bool dropped = false;
    for (std::size_t i = 0; i < logits_.size(); ++i) {
        if (i == top_ || logits_[i] == -HUGE_VAL) continue;
        const double surprise = (log_total - (logits_[i] - logits_[top_]) / temp_) / kLn2;
        if (!(surprise > mu_)) continue;
        drop(i);
        dropped = true;
    }
    if (!dropped) return;
    total_ = 0.0;
    for (const double weight : weights_) total_ += weight;
}

// -- drawing --------------------------------------------------------------------------------------

LSTMGEN_KEPT std::uint32_t Sampler::draw() {
    // XTC has used this number.
    if (has_xtc(options_) && options_.mirostat == 0) static_cast<void>(random_());
    const std::uint32_t id = choose();
    if (options_.mirostat > 0) mu_ -= options_.mirostat_eta * (-drawn_log_probability() / kLn2 - options_.mirostat_tau);
    return id;
}

LSTMGEN_KEPT std::uint32_t Sampler::draw(const double* logits, const std::uint64_t* allowed) {
    for (std::size_t i = 0; i < logits_.size(); ++i)
        if (!(logits[i] < HUGE_VAL)) refuse({"logits: expected numbers below infinity, found ", logits[i]});
    if (std::all_of(logits, logits + logits_.size(), [](double logit) { return logit == -HUGE_VAL; }))
        refuse({"logits: expected one above -infinity at least: no element can be drawn"});
    std::copy_n(logits, logits_.size(), logits_.begin());
    if (allowed) forbid_all_but(allowed);
    find_top();
    finish(1.0);
    return choose();
}

std::uint32_t Sampler::choose() {
    const double fraction = static_cast<double>(random_() >> 11) * 0x1p-53;
    std::size_t id = top_;
    if (temp_ > 0.0) {
        double left = fraction * total_;
        for (std::size_t i = 0; i < weights_.size(); ++i) {
            if (weights_[i] <= 0.0) continue;
            id = i;
            left -= weights_[i];
            if (left < 0.0) break;
        }
    }
    drawn_exponent_ = temp_ > 0.0 ? (logits_[id] - logits_[top_]) / temp_ : 0.0;
    drawn_total_ = total_;
    accept(static_cast<std::uint32_t>(id));
    return static_cast<std::uint32_t>(id);
}

LSTMGEN_KEPT double Sampler::drawn_log_probability() const { return drawn_exponent_ - log_portable(drawn_total_); }

LSTMGEN_KEPT void Sampler::probabilities(double* p) const {
    for (std::size_t i = 0; i < weights_.size(); ++i) p[i] = weights_[i] / total_;
}

LSTMGEN_KEPT double Sampler::log_probability(std::uint32_t id) const {
    if (temp_ == 0.0) return id == top_ ? 0.0 : -HUGE_VAL;
    return (logits_[id] - logits_[top_]) / temp_ - log_portable(total_);
}

LSTMGEN_KEPT std::size_t Sampler::likeliest(std::size_t most, std::uint32_t* ids, double* log_p) {
    kept_.ranked.clear();
    for (std::size_t i = 0; i < logits_.size(); ++i) {
        const double log = log_probability(static_cast<std::uint32_t>(i));
        if (log != -HUGE_VAL) kept_.ranked.emplace_back(-log, static_cast<std::uint32_t>(i));
    }
    const std::size_t n = std::min(most, kept_.ranked.size());
    std::partial_sort(kept_.ranked.begin(), kept_.ranked.begin() + static_cast<std::ptrdiff_t>(n), kept_.ranked.end());
    for (std::size_t i = 0; i < n; ++i) {
        ids[i] = kept_.ranked[i].second;
        log_p[i] = -kept_.ranked[i].first;
    }
    return n;
}

LSTMGEN_KEPT double plain_log_probability(const float* logits, std::size_t n, std::uint32_t id, double* scratch) {
    const double top = *std::max_element(logits, logits + n);
    for (std::size_t i = 0; i < n; ++i) scratch[i] = static_cast<double>(logits[i]) - top;
    const double log = scratch[id];
    return log - log_portable(exp_portable(scratch, n));
}

}  // namespace lstmgen
