#include "filters.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "kept.hpp"

namespace lstmgen {
namespace {

// Returns x ^ y for x >= 0.
double power(double x, double y) {
    if (y == 0.0) return 1.0;
    return x > 0.0 ? exp_portable(y * log_portable(x)) : 0.0;
}

// Filters see the distribution at temperature 1, as in llama.cpp. Among equal elements at a border,
// those with the least ids are kept.
class Filters {
public:
    Filters(Kept& kept, const SamplerOptions& options, Random& random)
        : kept_(kept), options_(options), random_(random) {}

    // Each step works on the elements that the steps before it have kept. The order is that of
    // llama.cpp. Returns the temperature.
    double run() {
        const SamplerOptions& o = options_;
        if (o.top_n_sigma > 0.0) keep_sigma();
        if (o.top_k > 0 && o.top_k < kept_.count) keep_top_k();
        if (o.typical_p < 1.0 || o.top_p < 1.0 || o.min_p > 0.0 || has_xtc(o) || o.dynatemp_range > 0.0)
            kept_.weigh(1.0);
        if (o.typical_p < 1.0) keep_typical();
        if (o.top_p < 1.0) keep_top_p();
        if (o.min_p > 0.0) keep_min_p();
        if (has_xtc(o)) exclude_top_choices();
        return o.dynatemp_range > 0.0 ? dynamic_temperature() : o.temp;
    }

private:
    // Drops each entry j for which f(j) is false.
    template <class F>
    void keep_if(F f) {
        std::size_t n = 0;
        for (std::size_t j = 0; j < kept_.count; ++j) {
            const bool keep = f(j);
            kept_.ids[n] = kept_.ids[j];
            kept_.values[n] = kept_.values[j];
            kept_.numbers[n] = kept_.numbers[j];
            n += keep;
        }
        kept_.count = n;
    }

    // Makes the greatest value the reference again, after a filter may have dropped the old one.
    LSTMGEN_CALLED void refer() {
        const double top = kept_.values[kept_.greatest()];
        if (top == kept_.reference) return;
        kept_.reference = top;
        kept_.weigh(1.0);
    }

    // Sets the scores to f(reference - value).
    template <class F>
    void score(F f) {
        const double* const values = kept_.values.data();
        double* const scores = kept_.scores.data();
        const double reference = kept_.reference;
        for (std::size_t j = 0, n = kept_.count; j < n; ++j) scores[j] = f(reference - values[j]);
    }

    double total() const { return std::accumulate(numbers(), numbers() + kept_.count, 0.0); }
    const double* numbers() const { return kept_.numbers.data(); }

    // Keeps the elements with the least scores until their numbers add up to `want`, or to more
    // than `want` with `beyond`. Scores are at least 0. Only the elements near the border are
    // sorted.
    void keep_least_scores(double want, bool beyond) {
        const auto enough = [=](double sum) { return beyond ? sum > want : sum >= want; };
        constexpr std::size_t kSections = 64;
        const auto section = [this](std::size_t j) {
            return static_cast<std::size_t>(static_cast<int>(std::min(kept_.scores[j] * 4.0, kSections - 1.0)));
        };
        std::array<double, kSections> masses{};
        for (std::size_t j = 0; j < kept_.count; ++j) masses[section(j)] += kept_.numbers[j];
        double sum = 0.0;
        std::size_t border = 0;
        while (border < kSections && !enough(sum + masses[border])) sum += masses[border++];
        if (border == kSections) return;  // all together may fall short of `want` by rounding
        kept_.ranked.clear();
        for (std::size_t j = 0; j < kept_.count; ++j)
            if (section(j) == border) kept_.ranked.emplace_back(kept_.scores[j], static_cast<std::uint32_t>(j));
        std::sort(kept_.ranked.begin(), kept_.ranked.end());
        std::pair<double, std::uint32_t> last = kept_.ranked.back();
        for (const auto& one : kept_.ranked) {
            sum += kept_.numbers[one.second];
            if (!enough(sum)) continue;
            last = one;
            break;
        }
        keep_if([&](std::size_t j) { return std::pair(kept_.scores[j], static_cast<std::uint32_t>(j)) <= last; });
    }

    void keep_sigma() {
        double sum = 0.0, squares = 0.0;
        for (std::size_t j = 0; j < kept_.count; ++j) sum += kept_.values[j];
        const double n = static_cast<double>(kept_.count), mean = sum / n;
        for (std::size_t j = 0; j < kept_.count; ++j) squares += (kept_.values[j] - mean) * (kept_.values[j] - mean);
        const double least = kept_.reference - options_.top_n_sigma * std::sqrt(squares / n);
        keep_if([&](std::size_t j) { return kept_.values[j] >= least; });
    }

    void keep_top_k() {
        score([](double surprise) { return surprise; });
        std::fill_n(kept_.numbers.begin(), kept_.count, 1.0);
        keep_least_scores(static_cast<double>(options_.top_k), false);
    }

    void keep_typical() {
        double total = 0.0, sum = 0.0;
        for (std::size_t j = 0; j < kept_.count; ++j) {
            total += kept_.numbers[j];
            sum += kept_.numbers[j] * (kept_.reference - kept_.values[j]);
        }
        // The entropy is sum / total + ln total. The surprise of an element is reference - value +
        // ln total. Their difference needs no ln total.
        const double mean = sum / total, want = options_.typical_p * total;
        score([mean](double surprise) { return std::fabs(surprise - mean); });
        keep_least_scores(want, true);
        refer();
    }

    void keep_top_p() {
        score([](double surprise) { return surprise; });
        keep_least_scores(options_.top_p * total(), false);
    }

    void keep_min_p() {
        keep_if([least = options_.min_p, this](std::size_t j) { return kept_.numbers[j] >= least; });
    }

    void exclude_top_choices() {
        if (static_cast<double>(random_.peek() >> 11) * 0x1p-53 > options_.xtc_probability) return;
        const double least = options_.xtc_threshold * total();
        std::size_t last = kept_.count;  // the least likely of the top choices
        for (std::size_t j = 0; j < kept_.count; ++j)
            if (kept_.numbers[j] >= least && (last == kept_.count || kept_.values[j] <= kept_.values[last])) last = j;
        if (last == kept_.count) return;
        keep_if([&](std::size_t j) { return kept_.numbers[j] < least || j == last; });
        refer();
    }

    double dynamic_temperature() const {
        if (kept_.count < 2) return options_.temp;
        const double low = std::max(0.0, options_.temp - options_.dynatemp_range),
                     high = options_.temp + options_.dynatemp_range;
        double total = 0.0, sum = 0.0;
        for (std::size_t j = 0; j < kept_.count; ++j) {
            total += kept_.numbers[j];
            sum += kept_.numbers[j] * (kept_.reference - kept_.values[j]);
        }
        const double entropy = sum / total + log_portable(total), most = log_portable(static_cast<double>(kept_.count));
        return low + (high - low) * power(std::clamp(entropy / most, 0.0, 1.0), options_.dynatemp_exponent);
    }

    Kept& kept_;
    const SamplerOptions& options_;
    Random& random_;
};

}  // namespace

std::size_t Kept::greatest() const noexcept {
    const double* const first = values.data();
    return static_cast<std::size_t>(std::max_element(first, first + count) - first);
}

void Kept::weigh(double temp) {
    for (std::size_t j = 0; j < count; ++j) numbers[j] = (values[j] - reference) / temp;
    exponentials(numbers.data(), count);
}

bool has_filters(const SamplerOptions& o, std::size_t n) noexcept {
    return o.top_n_sigma > 0.0 || (o.top_k > 0 && o.top_k < n) || o.typical_p < 1.0 || o.top_p < 1.0 || o.min_p > 0.0 ||
           has_xtc(o) || o.dynatemp_range > 0.0;
}

bool has_xtc(const SamplerOptions& o) noexcept { return o.xtc_probability > 0.0 && o.xtc_threshold <= 0.5; }

double apply_filters(Kept& kept, const SamplerOptions& options, Random& random) {
    return Filters(kept, options, random).run();
}

}  // namespace lstmgen
