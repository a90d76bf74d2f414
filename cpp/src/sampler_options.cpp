// The rare work of a sampler: options, states, copies. The work for each element is in sampler.cpp.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "kept.hpp"
#include "message.hpp"
#include "sampler.hpp"

namespace lstmgen {
namespace {

void require(bool fine, const char* option, const char* want, double found) {
    if (!fine) refuse({"%: expected %, found %", option, want, found});
}

void require_range(const char* option, double x, double least, double most, bool without_least) {
    if (x >= least && x <= most && !(without_least && x == least)) return;
    if (least == -DBL_MAX) refuse({"%: expected a finite number, found %", option, x});
    if (most == DBL_MAX) refuse({"%: expected a number % %, found %", option, without_least ? ">" : ">=", least, x});
    refuse({"%: expected a number in %%, %], found %", option, without_least ? "(" : "[", least, most, x});
}

void require_count(const char* option, std::size_t most, std::size_t found) {
    if (found > most) refuse({"%: expected at most % ids, found %", option, most, found});
}

void check_ids(const char* option, const std::vector<std::uint32_t>& ids, std::size_t n, std::uint32_t other) {
    for (const std::uint32_t id : ids) require(id < n || id == other, option, "ids of the vocabulary", id);
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
    if (o.logit_bias.size() > n)
        refuse({"logit_bias: expected at most % pairs, one for each element, found %", n, o.logit_bias.size()});
    require(o.mirostat != 1, "mirostat", "0 or 2", 1);
    require_count("allow", n, o.allow.size());
    require_count("ban", n, o.ban.size());
    require_count("dry_sequence_breakers", LSTMGEN_MAX_BREAKERS, o.dry_sequence_breakers.size());
    check_ids("allow", o.allow, n, 0);
    check_ids("ban", o.ban, n, 0);
    check_ids("dry_sequence_breakers", o.dry_sequence_breakers, n, LSTMGEN_SEPARATOR);
}

bool penalizes(const SamplerOptions& o) {
    return o.repeat_penalty != 1.0 || o.frequency_penalty != 0.0 || o.presence_penalty != 0.0;
}
bool matches(const SamplerOptions& o) { return o.dry_multiplier > 0.0 && o.dry_penalty_last_n > 0; }

// Returns how many elements these options look back.
std::size_t looks_back(const SamplerOptions& o) {
    return std::max(penalizes(o) ? o.repeat_last_n : 0, matches(o) ? o.dry_penalty_last_n : 0);
}

#define COUNT(...) +1
constexpr std::size_t kNumbers = LSTMGEN_SAMPLER_NUMBERS(COUNT);
#undef COUNT
// States of the first version have this many numbers. They have no lists and no mu.
constexpr std::size_t kFirstNumbers = 5;

void read(StateReader& in, double& x) { x = in.number<double>(); }
void read(StateReader& in, std::size_t& x) { x = in.size(SIZE_MAX); }
void write(StateWriter& out, double x) noexcept { out.number(x); }
void write(StateWriter& out, std::size_t x) noexcept { out.size(x); }

void read(StateReader& in, std::vector<std::uint32_t>& ids) {
    ids.resize(in.size(in.left() / sizeof(std::uint32_t)));
    for (std::uint32_t& id : ids) id = in.number<std::uint32_t>();
}
void write(StateWriter& out, const std::vector<std::uint32_t>& ids) noexcept {
    out.size(ids.size());
    for (const std::uint32_t id : ids) out.number(id);
}

// Returns the bytes of an id in the history of a state, for a vocabulary of n elements.
std::size_t id_bytes(std::size_t n) { return n <= 0x100 ? 1 : n <= 0x10000 ? 2 : 4; }

// Reads the options of a state. A state of an older lstmgen lacks the newer options, which then
// have their defaults.
SamplerOptions read_options(StateReader& in, std::size_t numbers) {
    SamplerOptions o;
    std::size_t left = numbers;
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
    if (numbers > kFirstNumbers) {
#define READ(name) read(in, o.name);
        LSTMGEN_SAMPLER_LISTS(READ)
#undef READ
    }
    return o;
}

}  // namespace

LSTMGEN_KEPT Sampler::Sampler(std::size_t n, const SamplerOptions& options)
    : options_(options),
      random_(options.seed),
      history_(n, 0),
      logits_(n),
      weights_(n),
      kept_(n),
      repeated_(n),
      breaker_starts_(n) {
    check(n, options);
    history_.reserve(looks_back(options_));
    mu_ = 2.0 * options_.mirostat_tau;
    options_have_changed();
}

Sampler::Sampler(std::size_t n, StateReader& in, std::size_t numbers) : Sampler(n, read_options(in, numbers)) {
    reserve();
    random_.load(in);
    const std::size_t bytes = numbers > kFirstNumbers ? id_bytes(n) : sizeof(std::uint32_t);
    for (std::size_t left = in.size(LSTMGEN_MAX_LOOKBACK); left > 0; --left) {
        const std::uint32_t id = bytes == 1   ? in.number<std::uint8_t>()
                                 : bytes == 2 ? in.number<std::uint16_t>()
                                              : in.number<std::uint32_t>();
        if (id >= n) fail(ErrorCode::format, {"the state: expected an id below %, found %", n, id});
        accept(id);
    }
    if (numbers > kFirstNumbers) mu_ = in.number<double>();
}

Sampler::Sampler(std::size_t n, StateReader& in) : Sampler(n, in, in.size(kNumbers)) {}

LSTMGEN_KEPT void Sampler::reserve() {
    const std::size_t n = logits_.size();
    options_.logit_bias.reserve(n);
    options_.allow.reserve(n);
    options_.ban.reserve(n);
    options_.dry_sequence_breakers.reserve(LSTMGEN_MAX_BREAKERS);
    history_.reserve(LSTMGEN_MAX_LOOKBACK);
}

void Sampler::set_options(const SamplerOptions& options) {
    check(logits_.size(), options);
    const std::uint64_t seed = options_.seed;
    if (options_.mirostat == 0) mu_ = 2.0 * options.mirostat_tau;
    options_ = options;
    options_.seed = seed;
    options_have_changed();
}

// Renews all that follows from the options: what the history counts, and breaker_starts_.
void Sampler::options_have_changed() {
    history_.count(penalizes(options_) ? options_.repeat_last_n : 0);
    history_.match(matches(options_));
    std::fill(breaker_starts_.begin(), breaker_starts_.end(), static_cast<unsigned char>(kNone));
    const std::vector<std::uint32_t>& breakers = options_.dry_sequence_breakers;
    for (std::size_t i = 0; i < breakers.size(); ++i) {
        if (breakers[i] == LSTMGEN_SEPARATOR || (i > 0 && breakers[i - 1] != LSTMGEN_SEPARATOR)) continue;
        const bool alone = i + 1 == breakers.size() || breakers[i + 1] == LSTMGEN_SEPARATOR;
        unsigned char& start = breaker_starts_[breakers[i]];
        start = std::max(start, static_cast<unsigned char>(alone ? kBreaker : kStart));
    }
}

void Sampler::reset(std::uint64_t seed) noexcept {
    set_seed(seed);
    history_.clear();
    mu_ = 2.0 * options_.mirostat_tau;
    drawn_exponent_ = std::numeric_limits<double>::quiet_NaN();
}

void Sampler::copy_from(const Sampler& other) {
    options_ = other.options_;
    random_ = other.random_;
    history_.copy_from(other.history_);
    processor_ = other.processor_;
    user_ = other.user_;
    std::copy(other.logits_.begin(), other.logits_.end(), logits_.begin());
    std::copy(other.weights_.begin(), other.weights_.end(), weights_.begin());
    std::copy(other.breaker_starts_.begin(), other.breaker_starts_.end(), breaker_starts_.begin());
    mu_ = other.mu_;
    top_ = other.top_;
    temp_ = other.temp_;
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
#define WRITE(name) write(out, options_.name);
    LSTMGEN_SAMPLER_LISTS(WRITE)
#undef WRITE
    random_.save(out);
    const std::size_t n = history_.size(), bytes = id_bytes(logits_.size());
    out.size(n);
    for (std::size_t i = 0; i < n; ++i) {  // the oldest first
        const std::uint32_t id = history_.ids()[i];
        if (bytes == 1)
            out.number(static_cast<std::uint8_t>(id));
        else if (bytes == 2)
            out.number(static_cast<std::uint16_t>(id));
        else
            out.number(id);
    }
    out.number(mu_);
}

}  // namespace lstmgen
