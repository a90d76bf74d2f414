#include "sampler.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kept.hpp"
#include "message.hpp"
#include "portable_math.hpp"

namespace lstmgen {
namespace {

constexpr double kLn2 = 0.69314718055994530942;

// Returns x ^ y for x >= 0.
double power(double x, double y) {
    if (y == 0.0) return 1.0;
    return x > 0.0 ? exp_portable(y * log_portable(x)) : 0.0;
}

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
        std::fill(numbers_.begin(), numbers_.end(), -HUGE_VAL);
        for (const std::uint32_t id : options_.allow) numbers_[id] = logits_[id];
        std::copy(numbers_.begin(), numbers_.end(), logits_.begin());
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
    } else if (filters()) {
        filter();
    } else {
        finish(options_.temp);
    }
}

bool Sampler::filters() const noexcept {
    const SamplerOptions& o = options_;
    return o.top_n_sigma > 0.0 || (o.top_k > 0 && o.top_k < logits_.size()) || o.typical_p < 1.0 || o.top_p < 1.0 ||
           o.min_p > 0.0 || xtc() || o.dynatemp_range > 0.0;
}

// Each step works on the elements that the steps before it have kept.
void Sampler::filter() {
    const SamplerOptions& o = options_;
    kept_ = 0;
    for (std::size_t i = 0; i < logits_.size(); ++i) {
        ids_[kept_] = static_cast<std::uint32_t>(i);
        values_[kept_] = logits_[i];
        kept_ += logits_[i] != -HUGE_VAL;
    }
    reference_ = logits_[top_];
    if (o.top_n_sigma > 0.0) keep_sigma();
    if (o.top_k > 0 && o.top_k < kept_) keep_top_k();
    if (o.typical_p < 1.0 || o.top_p < 1.0 || o.min_p > 0.0 || xtc() || o.dynatemp_range > 0.0) weigh_kept(1.0);
    if (o.typical_p < 1.0) keep_typical();
    if (o.top_p < 1.0) keep_top_p();
    if (o.min_p > 0.0) keep_min_p();
    if (xtc()) exclude_top_choices();
    const double temp = o.dynatemp_range > 0.0 ? dynamic_temperature() : o.temp;

    std::fill(logits_.begin(), logits_.end(), -HUGE_VAL);
    std::fill(weights_.begin(), weights_.end(), 0.0);
    for (std::size_t j = 0; j < kept_; ++j) logits_[ids_[j]] = values_[j];
    top_ =
        ids_[static_cast<std::size_t>(std::max_element(values_.begin(), values_.begin() + kept()) - values_.begin())];
    if (temp > 0.0) {
        weigh_kept(temp);
        total_ = 0.0;
        for (std::size_t j = 0; j < kept_; ++j) {
            weights_[ids_[j]] = numbers_[j];
            total_ += numbers_[j];
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
    total_ = exponentials_(weights_.data(), weights_.size());
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
        if (length == 0 || breaker_heads_[next] == kBreaker) return;
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
        if (breaker_heads_[end[-1 - static_cast<std::ptrdiff_t>(i)]] == 0) continue;
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

// -- filters --------------------------------------------------------------------------------------
// Filters see the distribution at temperature 1, as in llama.cpp. Among equal elements at a border,
// those with the least ids are kept. The first kept_ entries of ids_, values_ (the logits) and
// numbers_ (the weights) are the elements that are left, in the order of their ids.

// Drops each entry j for which f(j) is false.
template <class F>
void Sampler::keep_if(F f) {
    std::size_t n = 0;
    for (std::size_t j = 0; j < kept_; ++j) {
        const bool keep = f(j);
        ids_[n] = ids_[j];
        values_[n] = values_[j];
        numbers_[n] = numbers_[j];
        n += keep;
    }
    kept_ = n;
}

// Sets the numbers to e ^ ((value - reference) / temp).
void Sampler::weigh_kept(double temp) {
    for (std::size_t j = 0; j < kept_; ++j) numbers_[j] = (values_[j] - reference_) / temp;
    exponentials_(numbers_.data(), kept_);
}

// Makes the greatest value the reference again, after a filter may have dropped the old one.
void Sampler::refer() {
    const double top = *std::max_element(values_.begin(), values_.begin() + kept());
    if (top == reference_) return;
    reference_ = top;
    weigh_kept(1.0);
}

// Keeps the elements with the least scores until their numbers add up to `want`, or to more than
// `want` with `beyond`. Scores are at least 0. Only the elements near the border are sorted.
void Sampler::keep_least_scores(double want, bool beyond) {
    const auto enough = [=](double sum) { return beyond ? sum > want : sum >= want; };
    constexpr std::size_t kSections = 64;
    const auto section = [this](std::size_t j) {
        return static_cast<std::size_t>(static_cast<int>(std::min(scores_[j] * 4.0, kSections - 1.0)));
    };
    std::array<double, kSections> masses{};
    for (std::size_t j = 0; j < kept_; ++j) masses[section(j)] += numbers_[j];
    double sum = 0.0;
    std::size_t border = 0;
    while (border < kSections && !enough(sum + masses[border])) sum += masses[border++];
    if (border == kSections) return;  // all together may fall short of `want` by rounding
    some_.clear();
    for (std::size_t j = 0; j < kept_; ++j)
        if (section(j) == border) some_.emplace_back(scores_[j], static_cast<std::uint32_t>(j));
    std::sort(some_.begin(), some_.end());
    std::pair<double, std::uint32_t> last = some_.back();
    for (const auto& one : some_) {
        sum += numbers_[one.second];
        if (!enough(sum)) continue;
        last = one;
        break;
    }
    keep_if([&](std::size_t j) { return std::pair(scores_[j], static_cast<std::uint32_t>(j)) <= last; });
}

void Sampler::keep_sigma() {
    double sum = 0.0, squares = 0.0;
    for (std::size_t j = 0; j < kept_; ++j) sum += values_[j];
    const double n = static_cast<double>(kept_), mean = sum / n;
    for (std::size_t j = 0; j < kept_; ++j) squares += (values_[j] - mean) * (values_[j] - mean);
    const double least = reference_ - options_.top_n_sigma * std::sqrt(squares / n);
    keep_if([&](std::size_t j) { return values_[j] >= least; });
}

void Sampler::keep_top_k() {
    for (std::size_t j = 0; j < kept_; ++j) {
        scores_[j] = reference_ - values_[j];
        numbers_[j] = 1.0;
    }
    keep_least_scores(static_cast<double>(options_.top_k), false);
}

void Sampler::keep_typical() {
    double total = 0.0, sum = 0.0;
    for (std::size_t j = 0; j < kept_; ++j) {
        total += numbers_[j];
        sum += numbers_[j] * (reference_ - values_[j]);
    }
    // The entropy is sum / total + ln total. The surprise of an element is reference - value +
    // ln total. Their difference needs no ln total.
    const double mean = sum / total, want = options_.typical_p * total;
    for (std::size_t j = 0; j < kept_; ++j) scores_[j] = std::fabs(reference_ - values_[j] - mean);
    keep_least_scores(want, true);
    refer();
}

void Sampler::keep_top_p() {
    double total = 0.0;
    for (std::size_t j = 0; j < kept_; ++j) {
        total += numbers_[j];
        scores_[j] = reference_ - values_[j];
    }
    const double want = options_.top_p * total;
    keep_least_scores(want, false);
}

void Sampler::keep_min_p() {
    keep_if([least = options_.min_p, this](std::size_t j) { return numbers_[j] >= least; });
}

void Sampler::exclude_top_choices() {
    if (static_cast<double>(random_.peek() >> 11) * 0x1p-53 > options_.xtc_probability) return;
    double total = 0.0;
    for (std::size_t j = 0; j < kept_; ++j) total += numbers_[j];
    const double least = options_.xtc_threshold * total;
    std::size_t last = kept_;  // the least likely of the top choices
    for (std::size_t j = 0; j < kept_; ++j)
        if (numbers_[j] >= least && (last == kept_ || values_[j] <= values_[last])) last = j;
    if (last == kept_) return;
    keep_if([&](std::size_t j) { return numbers_[j] < least || j == last; });
    refer();
}

double Sampler::dynamic_temperature() const {
    if (kept_ < 2) return options_.temp;
    const double low = std::max(0.0, options_.temp - options_.dynatemp_range),
                 high = options_.temp + options_.dynatemp_range;
    double total = 0.0, sum = 0.0;
    for (std::size_t j = 0; j < kept_; ++j) {
        total += numbers_[j];
        sum += numbers_[j] * (reference_ - values_[j]);
    }
    const double entropy = sum / total + log_portable(total), most = log_portable(static_cast<double>(kept_));
    return low + (high - low) * power(std::clamp(entropy / most, 0.0, 1.0), options_.dynatemp_exponent);
}

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
    if (xtc() && options_.mirostat == 0) static_cast<void>(random_());  // XTC has used this number
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

LSTMGEN_KEPT double plain_log_probability(const float* logits, std::size_t n, std::uint32_t id, double* scratch) {
    const double top = *std::max_element(logits, logits + n);
    for (std::size_t i = 0; i < n; ++i) scratch[i] = static_cast<double>(logits[i]) - top;
    const double log = scratch[id];
    return log - log_portable(exp_portable(scratch, n));
}

}  // namespace lstmgen
