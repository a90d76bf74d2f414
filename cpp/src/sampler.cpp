#include "sampler.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "message.hpp"
#include "portable_math.hpp"

namespace lstmgen {
namespace {

constexpr double kLn2 = 0.69314718055994530942;

// x ^ y for x >= 0.
double power(double x, double y) {
    if (y == 0.0) return 1.0;
    return x > 0.0 ? exp_portable(y * log_portable(x)) : 0.0;
}

}  // namespace

// The steps have the order of llama.cpp's common/sampling.cpp.
void Sampler::set_logits(const float* logits) {
    std::copy_n(logits, logits_.size(), logits_.begin());
    if (processor_) {
        processor_(user_, history_.ids(), history_.size(), logits_.data(), logits_.size());
        for (std::size_t i = 0; i < logits_.size(); ++i)
            if (std::isnan(logits_[i]) && !std::isnan(logits[i]))
                refuse({"the logits processor: expected numbers, found NaN for the element ", i});
    }
    for (const auto& [id, bias] : options_.logit_bias) logits_[id] += bias;
    if (!options_.allow.empty()) {
        std::fill(numbers_.begin(), numbers_.end(), -HUGE_VAL);
        for (const std::uint32_t id : options_.allow) numbers_[id] = logits_[id];
        std::copy(numbers_.begin(), numbers_.end(), logits_.begin());
    }
    for (const std::uint32_t id : options_.ban) drop(id);
    penalize();
    if (options_.dry_multiplier > 0.0) penalize_repetition();
    for (double& logit : logits_)
        if (std::isnan(logit)) logit = -HUGE_VAL;

    find_top();
    if (std::isfinite(logits_[top_])) {
        if (options_.mirostat > 0) {
            finish(options_.temp);
            if (temp_ > 0.0) keep_unsurprising();
            return;
        }
        const bool typical = options_.typical_p < 1.0, top_p = options_.top_p < 1.0, min_p = options_.min_p > 0.0;
        if (options_.top_n_sigma > 0.0) keep_sigma();
        if (options_.top_k > 0 && options_.top_k < logits_.size()) keep_top_k();
        if (typical || top_p || min_p || xtc()) weigh(1.0);
        if (typical) keep_typical();
        if (top_p) keep_mass(options_.top_p, false, [this](std::size_t i) { return logits_[top_] - logits_[i]; });
        if (min_p) keep_min_p();
        if (xtc()) exclude_top_choices();
        finish(options_.dynatemp_range > 0.0 ? dynamic_temperature() : options_.temp);
        return;
    }
    finish(0.0);
}

void Sampler::drop(std::size_t i) noexcept {
    logits_[i] = -HUGE_VAL;
    weights_[i] = 0.0;
}

void Sampler::find_top() {
    top_ = static_cast<std::size_t>(std::max_element(logits_.begin(), logits_.end()) - logits_.begin());
    if (logits_[top_] == -HUGE_VAL) refuse({"no element can be drawn: each has the probability 0 or none at all"});
}

// The weights of all that is left.
void Sampler::weigh(double temp) {
    const double top = logits_[top_];
    for (std::size_t i = 0; i < logits_.size(); ++i) weights_[i] = (logits_[i] - top) / temp;
    exp_portable(weights_.data(), weights_.size());
    total_ = 0.0;
    for (const double weight : weights_) total_ += weight;
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

// -- penalties ----------------------------------------------------------------------------------------------------

// Each element at most once, as in llama.cpp: a likely one is made less likely, never more.
void Sampler::penalize() {
    const double repeat = options_.repeat_penalty, frequency = options_.frequency_penalty,
                 presence = options_.presence_penalty;
    if (repeat == 1.0 && frequency == 0.0 && presence == 0.0) return;
    const std::uint32_t* const counts = history_.counts();
    for (std::size_t i = 0; i < logits_.size(); ++i) {
        if (counts[i] == 0) continue;
        double& logit = logits_[i];
        logit = logit > 0.0 ? logit / repeat : logit * repeat;
        logit -= static_cast<double>(counts[i]) * frequency + presence;
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
    // As in llama.cpp, the exponent stops where a float would overflow.
    const double log_base = log_portable(options_.dry_base);
    const double most = options_.dry_base > 1.000001 ? std::floor(88.7228391 / log_base) : HUGE_VAL;
    history_.for_each_match(last_n, [&](std::uint32_t next, std::size_t) {
        const std::size_t length = std::exchange(repeated_[next], std::uint16_t{0});
        if (length == 0 || breaker_heads_[next] == kBreaker) return;
        const double exponent = std::min(static_cast<double>(length - allowed), most);
        logits_[next] -= options_.dry_multiplier * exp_portable(exponent * log_base);
    });
}

// How many of the last elements come after the last sequence breaker; `most` if there is none among them.
std::size_t Sampler::unbroken(std::size_t most) const {
    const std::vector<std::uint32_t>& breakers = options_.dry_sequence_breakers;
    const std::size_t n = std::min(history_.size(), options_.dry_penalty_last_n);
    const std::uint32_t* const end = history_.ids() + history_.size();
    // A breaker that begins i elements before the last one, and ends before `most`, is not longer than all together.
    for (std::size_t i = 0; i < std::min(n, most + breakers.size()); ++i) {
        if (breaker_heads_[end[-1 - static_cast<std::ptrdiff_t>(i)]] == 0) continue;
        std::size_t longest = 0;  // of those that begin here
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

// -- filters ------------------------------------------------------------------------------------------------------
// They see the distribution at temperature 1, as in llama.cpp. Of equal elements at a border the first ids stay.

void Sampler::keep_sigma() {
    double sum = 0.0, squares = 0.0;
    std::size_t n = 0;
    for (const double logit : logits_) {
        if (logit == -HUGE_VAL) continue;
        sum += logit;
        ++n;
    }
    const double mean = sum / static_cast<double>(n);
    for (const double logit : logits_)
        if (logit != -HUGE_VAL) squares += (logit - mean) * (logit - mean);
    const double least = logits_[top_] - options_.top_n_sigma * std::sqrt(squares / static_cast<double>(n));
    for (double& logit : logits_)
        if (logit < least) logit = -HUGE_VAL;
}

void Sampler::keep_top_k() {
    const auto k = static_cast<std::ptrdiff_t>(options_.top_k);
    std::copy(logits_.begin(), logits_.end(), numbers_.begin());
    std::nth_element(numbers_.begin(), numbers_.begin() + (k - 1), numbers_.end(), std::greater<>());
    const double least = numbers_[static_cast<std::size_t>(k - 1)];
    auto equal = k - std::count_if(logits_.begin(), logits_.end(), [&](double logit) { return logit > least; });
    for (double& logit : logits_) {
        if (logit == least && equal > 0)
            --equal;
        else if (logit <= least)
            logit = -HUGE_VAL;
    }
}

// Keeps the elements with the least scores until they have at least the part p of the weights, or with `beyond` more
// than that. The scores are at least 0. Only those near the border are sorted.
template <class Score>
void Sampler::keep_mass(double p, bool beyond, Score score) {
    constexpr std::size_t kSections = 64;
    constexpr double kPerUnit = 4.0;
    std::array<double, kSections> masses{};
    const std::size_t n = logits_.size();
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        const double s = numbers_[i] = weights_[i] > 0.0 ? score(i) : HUGE_VAL;
        masses[static_cast<std::size_t>(std::min(s * kPerUnit, kSections - 1.0))] += weights_[i];
        sum += weights_[i];
    }
    const double want = p * sum;
    const auto enough = [&](double mass) { return beyond ? mass > want : mass >= want; };
    double mass = 0.0;
    std::size_t border = 0;
    while (border < kSections && !enough(mass + masses[border])) mass += masses[border++];
    some_.clear();
    for (std::size_t i = 0; i < n; ++i) {
        const auto section = static_cast<std::size_t>(std::min(numbers_[i] * kPerUnit, kSections - 1.0));
        if (section < border) continue;
        if (section == border && weights_[i] > 0.0)
            some_.emplace_back(numbers_[i], static_cast<std::uint32_t>(i));
        else
            drop(i);
    }
    std::sort(some_.begin(), some_.end());
    bool kept = false;  // rounding may have it that even all are not enough
    for (const auto& [s, i] : some_) {
        if (kept) {
            drop(i);
            continue;
        }
        mass += weights_[i];
        kept = enough(mass);
    }
}

void Sampler::keep_typical() {
    double total = 0.0, sum = 0.0;
    for (std::size_t i = 0; i < logits_.size(); ++i) {
        if (weights_[i] <= 0.0) continue;
        total += weights_[i];
        sum += weights_[i] * (logits_[top_] - logits_[i]);
    }
    const double mean = sum / total;  // the entropy is mean + ln total, the surprise top - logit + ln total
    keep_mass(options_.typical_p, true,
              [this, mean](std::size_t i) { return std::fabs(logits_[top_] - logits_[i] - mean); });
    find_top();
}

void Sampler::keep_min_p() {
    const double least = options_.min_p * weights_[top_];
    for (std::size_t i = 0; i < logits_.size(); ++i)
        if (weights_[i] < least) drop(i);
}

void Sampler::exclude_top_choices() {
    if (static_cast<double>(random_.peek() >> 11) * 0x1p-53 > options_.xtc_probability) return;
    double total = 0.0;
    for (const double weight : weights_) total += weight;
    const double least = options_.xtc_threshold * total;
    const auto is_choice = [&](std::size_t i) { return weights_[i] > 0.0 && weights_[i] >= least; };
    std::size_t last = logits_.size();  // the least likely of the choices
    for (std::size_t i = 0; i < logits_.size(); ++i)
        if (is_choice(i) && (last == logits_.size() || logits_[i] <= logits_[last])) last = i;
    if (last == logits_.size()) return;
    for (std::size_t i = 0; i < logits_.size(); ++i)
        if (i != last && is_choice(i)) drop(i);
    find_top();
}

double Sampler::dynamic_temperature() const {
    const double low = std::max(0.0, options_.temp - options_.dynatemp_range),
                 high = options_.temp + options_.dynatemp_range, top = logits_[top_];
    double total = 0.0, sum = 0.0;
    std::size_t n = 0;
    for (const double logit : logits_) {
        if (logit == -HUGE_VAL) continue;
        const double weight = exp_portable(logit - top);
        total += weight;
        if (weight > 0.0) sum += weight * (top - logit);
        ++n;
    }
    if (n < 2) return options_.temp;
    const double entropy = sum / total + log_portable(total), most = log_portable(static_cast<double>(n));
    return low + (high - low) * power(std::clamp(entropy / most, 0.0, 1.0), options_.dynatemp_exponent);
}

// Mirostat 2.0: what is more surprising than mu bits is dropped, but the likeliest element.
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

// -- drawing ------------------------------------------------------------------------------------------------------

std::uint32_t Sampler::draw() {
    if (xtc() && options_.mirostat == 0) static_cast<void>(random_());  // the one that decided about XTC
    const std::uint32_t id = choose();
    if (options_.mirostat > 0) mu_ -= options_.mirostat_eta * (-drawn_log_probability() / kLn2 - options_.mirostat_tau);
    return id;
}

std::uint32_t Sampler::draw(const double* logits) {
    for (std::size_t i = 0; i < logits_.size(); ++i)
        if (!(logits[i] < HUGE_VAL)) refuse({"logits: expected numbers below infinity, found ", logits[i]});
    if (std::all_of(logits, logits + logits_.size(), [](double logit) { return logit == -HUGE_VAL; }))
        refuse({"logits: expected one above -infinity at least: no element can be drawn"});
    std::copy_n(logits, logits_.size(), logits_.begin());
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

double Sampler::drawn_log_probability() const { return drawn_exponent_ - log_portable(drawn_total_); }

void Sampler::probabilities(double* p) const {
    for (std::size_t i = 0; i < weights_.size(); ++i) p[i] = weights_[i] / total_;
}

double Sampler::log_probability(std::uint32_t id) const {
    if (temp_ == 0.0) return id == top_ ? 0.0 : -HUGE_VAL;
    return (logits_[id] - logits_[top_]) / temp_ - log_portable(total_);
}

std::size_t Sampler::likeliest(std::size_t most, std::uint32_t* ids, double* log_p) {
    some_.clear();
    for (std::size_t i = 0; i < logits_.size(); ++i) {
        const double log = log_probability(static_cast<std::uint32_t>(i));
        if (log != -HUGE_VAL) some_.emplace_back(-log, static_cast<std::uint32_t>(i));
    }
    const std::size_t n = std::min(most, some_.size());
    std::partial_sort(some_.begin(), some_.begin() + static_cast<std::ptrdiff_t>(n), some_.end());
    for (std::size_t i = 0; i < n; ++i) {
        ids[i] = some_[i].second;
        log_p[i] = -some_[i].first;
    }
    return n;
}

double plain_log_probability(const float* logits, std::size_t n, std::uint32_t id, double* scratch) {
    const double top = *std::max_element(logits, logits + n);
    for (std::size_t i = 0; i < n; ++i) scratch[i] = static_cast<double>(logits[i]) - top;
    const double log = scratch[id];
    exp_portable(scratch, n);
    double total = 0.0;
    for (std::size_t i = 0; i < n; ++i) total += scratch[i];
    return log - log_portable(total);
}

}  // namespace lstmgen
