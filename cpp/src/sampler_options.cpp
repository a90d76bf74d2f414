// What a sampler does now and then: options, states, copies. What it does for each element is in
// sampler.cpp.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "kept.hpp"
#include "message.hpp"
#include "sampler.hpp"

namespace lstmgen {
namespace {

void require(bool fine, const char* option, const char* want, double found) {
    if (!fine) refuse({option, ": expected ", want, ", found ", found});
}

void require_range(const char* option, double x, double least, double most, bool without_least) {
    if (x >= least && x <= most && !(without_least && x == least)) return;
    if (most == DBL_MAX) refuse({option, ": expected a number ", without_least ? "> " : ">= ", least, ", found ", x});
    refuse({option, ": expected a number in ", without_least ? "(" : "[", least, ", ", most, "], found ", x});
}

void check(std::size_t n, const SamplerOptions& o) {
#define CHECK(name, least, most, without_least) \
    require_range(#name, static_cast<double>(o.name), least, most, without_least);
    LSTMGEN_SAMPLER_NUMBERS(CHECK)
#undef CHECK
    for (const auto& [id, bias] : o.logit_bias) {
        require(id < n, "logit_bias", "ids of the vocabulary", id);
        require(!std::isnan(bias) && bias < HUGE_VAL, "logit_bias", "numbers below infinity", bias);
    }
}

#define COUNT(...) +1
constexpr std::size_t kNumbers = LSTMGEN_SAMPLER_NUMBERS(COUNT);
#undef COUNT

void read(StateReader& in, double& x) { x = in.number<double>(); }
void read(StateReader& in, std::size_t& x) { x = in.size(SIZE_MAX); }
void write(StateWriter& out, double x) noexcept { out.number(x); }
void write(StateWriter& out, std::size_t x) noexcept { out.size(x); }

// An option that an older lstmgen did not have is not in its states. It keeps its default.
SamplerOptions read_options(StateReader& in) {
    SamplerOptions o;
    std::size_t left = in.size(kNumbers);
#define READ(name, ...)   \
    if (left > 0) {       \
        read(in, o.name); \
        --left;           \
    }
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

LSTMGEN_KEPT Sampler::Sampler(std::size_t n, const SamplerOptions& options)
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
    const std::uint64_t seed = options_.seed;
    options_ = options;
    options_.seed = seed;
}

void Sampler::reset(std::uint64_t seed) noexcept {
    set_seed(seed);
    accepted_ = 0;
    drawn_exponent_ = std::numeric_limits<double>::quiet_NaN();
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
    drawn_exponent_ = other.drawn_exponent_;
    drawn_total_ = other.drawn_total_;
}

void Sampler::save(StateWriter& out) const noexcept {
    out.size(kNumbers);
#define WRITE(name, ...) write(out, options_.name);
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

}  // namespace lstmgen
