// What a sampler does now and then: options, states, copies. What it does for each element is in
// sampler.cpp.
#include <algorithm>
#include <cmath>

#include "message.hpp"
#include "sampler.hpp"

namespace lstmgen {
namespace {

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

SamplerOptions read_options(StateReader& in) {
    SamplerOptions o;
    o.temp = in.number<double>();
    o.repeat_penalty = in.number<double>();
    o.top_p = in.number<double>();
    o.min_p = in.number<double>();
    o.top_k = in.size(SIZE_MAX);
    o.logit_bias.resize(in.size(in.left() / (sizeof(std::uint32_t) + sizeof(double))));
    for (auto& [id, bias] : o.logit_bias) {
        id = in.number<std::uint32_t>();
        bias = in.number<double>();
    }
    return o;
}

}  // namespace

Sampler::Sampler(std::size_t n, const SamplerOptions& options)
    : options_(options), random_(options.seed), logits_(n), weights_(n), sorted_(n) {
    check(n, options);
}

Sampler::Sampler(std::size_t n, StateReader& in) : Sampler(n, read_options(in)) {
    random_.load(in);
    for (std::size_t left = in.size(kRecent); left > 0; --left) accept(in.id(n));
}

void Sampler::reserve() { options_.logit_bias.reserve(std::max(logits_.size(), options_.logit_bias.size())); }

void Sampler::set_options(const SamplerOptions& options) {
    check(logits_.size(), options);
    const std::size_t found = options.logit_bias.size(), most = logits_.size();
    if (found > most) refuse({"logit_bias: expected at most ", most, " pairs, one for each element, found ", found});
    options_ = options;
}

void Sampler::reset(std::uint64_t seed) noexcept {
    random_ = Random(seed);
    accepted_ = 0;
}

void Sampler::copy_from(const Sampler& other) {
    const std::size_t found = other.options_.logit_bias.size(), most = options_.logit_bias.capacity();
    if (found > most) refuse({"logit_bias: expected at most ", most, " pairs, one for each element, found ", found});
    options_ = other.options_;
    random_ = other.random_;
    std::copy(other.logits_.begin(), other.logits_.end(), logits_.begin());
    std::copy(other.weights_.begin(), other.weights_.end(), weights_.begin());
    recent_ = other.recent_;
    accepted_ = other.accepted_;
    top_ = other.top_;
    total_ = other.total_;
}

void Sampler::save(StateWriter& out) const noexcept {
    for (const double x : {options_.temp, options_.repeat_penalty, options_.top_p, options_.min_p}) out.number(x);
    out.size(options_.top_k);
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

}  // namespace lstmgen
