// Measures what each option of sampling costs for an element, compared with plain sampling.
//
// Usage: lstmgen_samplers [elements of the vocabulary]
//
// The logits are like those of a language model: a few likely elements, many unlikely ones, and a
// text that repeats.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <vector>

#include "sampler.hpp"

namespace {

using lstmgen::SamplerOptions;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kSteps = 300, kRounds = 400;

// Returns the microseconds for an element: the least of many short rounds.
double cost(const std::vector<std::vector<float>>& logits, const SamplerOptions& options) {
    lstmgen::Sampler sampler(logits[0].size(), options);
    sampler.reserve();
    double best = HUGE_VAL;
    for (std::size_t round = 0; round < kRounds; ++round) {
        const auto start = Clock::now();
        for (std::size_t step = 0; step < kSteps; ++step) {
            sampler.set_logits(logits[step % logits.size()].data());
            static_cast<void>(sampler.draw());
        }
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count() / kSteps * 1e6);
    }
    return best;
}

struct Case {
    const char* name;
    std::function<void(SamplerOptions&)> set;
};

}  // namespace

int main(int argc, char** argv) {
    const std::size_t n = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100;
    if (n < 2) {
        std::fputs("expected at least 2 elements\n", stderr);
        return 2;
    }
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0.0f, 2.5f);
    std::vector<std::vector<float>> logits(997, std::vector<float>(n));
    for (auto& row : logits)
        for (float& x : row) x = normal(random);

    const std::vector<Case> each{
        {"plain", [](SamplerOptions&) {}},
        {"temp 0.7", [](SamplerOptions& o) { o.temp = 0.7; }},
        {"the three penalties", [](SamplerOptions& o) { o.repeat_penalty = o.frequency_penalty = 1.1; }},
        {"dry_multiplier", [](SamplerOptions& o) { o.dry_multiplier = 0.8; }},
        {"top_n_sigma", [](SamplerOptions& o) { o.top_n_sigma = 2.5; }},
        {"top_k", [](SamplerOptions& o) { o.top_k = 40; }},
        {"typical_p", [](SamplerOptions& o) { o.typical_p = 0.95; }},
        {"top_p", [](SamplerOptions& o) { o.top_p = 0.95; }},
        {"min_p", [](SamplerOptions& o) { o.min_p = 0.02; }},
        {"xtc_probability", [](SamplerOptions& o) { o.xtc_probability = 0.5; }},
        {"dynatemp_range", [](SamplerOptions& o) { o.dynatemp_range = 0.3; }},
        {"mirostat", [](SamplerOptions& o) { o.mirostat = 2; }},
    };
    std::printf("%zu elements, us for each that is drawn:\n", n);
    for (const Case& one : each) {
        SamplerOptions options;
        one.set(options);
        std::printf("  %-20s %6.3f\n", one.name, cost(logits, options));
    }
    SamplerOptions all;
    for (const Case& one : each) one.set(all);
    all.mirostat = 0;  // it would replace the filters
    all.presence_penalty = 0.1;
    all.logit_bias = {{0, 0.5}};
    all.ban = {1};
    for (std::uint32_t i = 0; i < n; ++i) all.allow.push_back(i);
    all.dry_sequence_breakers = {0, LSTMGEN_SEPARATOR, 1};
    std::printf("  %-20s %6.3f\n", "all but mirostat", cost(logits, all));
    return 0;
}
