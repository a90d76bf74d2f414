// Logits -> element. Knows nothing of networks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "history.hpp"
#include "lstmgen/lstmgen.hpp"
#include "random.hpp"
#include "state.hpp"

namespace lstmgen {

/// The seed's sequence is fixed: that of std::mt19937_64. A number counts as a fraction, by its upper 53 bits. For each
/// element there is one number that decides about XTC, if that is on, and one that draws. All arithmetic is in double,
/// without functions that differ from one C library to the next. Nothing allocates after construction and `reserve`.
class Sampler {
public:
    /// Throws Error if an option is out of range for n elements.
    Sampler(std::size_t n, const SamplerOptions& options);

    /// What goes on as the one that was saved does: its options, random numbers and last elements.
    Sampler(std::size_t n, StateReader& in);
    void save(StateWriter& out) const noexcept;

    /// Makes room, so that `set_options` never allocates, and remembers as many elements as an option may ask for.
    void reserve();
    /// Chooses by other options from now on, but goes on with the same random numbers: the seed
    /// does not count. After `reserve` it does not allocate. Throws Error, and changes nothing, if
    /// an option is out of range, or if there are more pairs in logit_bias than elements.
    void set_options(const SamplerOptions& options);
    /// Starts the random numbers of `seed`.
    void set_seed(std::uint64_t seed) noexcept { random_ = Random(options_.seed = seed); }
    /// Forgets all elements, and starts with the random numbers of `seed`.
    void reset(std::uint64_t seed) noexcept;
    /// Becomes what `other` is: one for as many elements. Throws Error where that would allocate.
    void copy_from(const Sampler& other);

    /// What changes the logits before all options do. It is not saved.
    void set_processor(LogitsProcessor processor, void* user) noexcept {
        processor_ = processor;
        user_ = user;
    }

    /// Sets the distribution: (n) logits, finite or -infinity. `allowed` has a bit for each element, 64 to a word: the
    /// others cannot be drawn. Null: all can.
    void set_logits(const float* logits, const std::uint64_t* allowed = nullptr);

    /// Draws from the distribution, and remembers the element.
    std::uint32_t draw();
    /// Draws in proportion to e ^ logits, (n) numbers below infinity, without the options, among what is allowed.
    /// Remembers the element.
    std::uint32_t draw(const double* logits, const std::uint64_t* allowed = nullptr);

    /// ln of the probability with which the last element was drawn; NaN if none was drawn yet.
    double drawn_log_probability() const;

    /// An element that was not drawn here; the penalties count it.
    void accept(std::uint32_t id) { history_.accept(id); }

    /// (n) probabilities that add up to 1.
    void probabilities(double* p) const;
    double log_probability(std::uint32_t id) const;
    /// The (up to) `most` likeliest elements that can be drawn, the likeliest first, and ln of their probabilities. How
    /// many there are.
    std::size_t likeliest(std::size_t most, std::uint32_t* ids, double* log_p);

    const SamplerOptions& options() const noexcept { return options_; }

private:
    enum Breaker : unsigned char { kNone, kHead, kBreaker };  // what an element is: a head has more after it

    Sampler(std::size_t n, StateReader& in, std::size_t numbers);
    void options_have_changed();
    void forbid_all_but(const std::uint64_t* allowed) noexcept;
    void penalize();
    void penalize_repetition();
    std::size_t unbroken(std::size_t most) const;
    void weigh(double temp);
    bool filters() const noexcept;
    void filter();
    std::ptrdiff_t kept() const noexcept { return static_cast<std::ptrdiff_t>(kept_); }
    template <class F>
    void keep_if(F f);
    void weigh_kept(double temp);
    void refer();
    void keep_least_scores(double want, bool beyond);
    void keep_sigma();
    void keep_top_k();
    void keep_typical();
    void keep_top_p();
    void keep_min_p();
    void exclude_top_choices();
    double dynamic_temperature() const;
    void keep_unsurprising();
    bool xtc() const noexcept { return options_.xtc_probability > 0.0 && options_.xtc_threshold <= 0.5; }
    void drop(std::size_t i) noexcept;
    void find_top();
    void finish(double temp);
    std::uint32_t choose();

    SamplerOptions options_;
    Random random_;
    History history_;
    LogitsProcessor processor_ = nullptr;
    void* user_ = nullptr;
    std::vector<double> logits_;   // after bias, penalties and filters; -infinity: cannot be drawn
    std::vector<double> weights_;  // e ^ ((logit - top) / temp)
    // Working memory of the filters.
    std::vector<std::uint32_t> ids_;
    std::vector<double> values_, numbers_, scores_;
    std::size_t kept_ = 0;
    double reference_ = 0.0;  // the greatest of the values
    std::vector<std::pair<double, std::uint32_t>> some_;
    std::vector<std::uint16_t> repeated_;       // working memory of DRY: 0 for each element
    std::vector<unsigned char> breaker_heads_;  // what each element is
    double mu_ = 0.0;                           // of mirostat
    std::size_t top_ = 0;                       // id of the greatest logit
    double temp_ = 1.0;                         // what the weights come from; 0: all is on one element
    double total_ = 0.0;                        // of the weights
    // The last element was drawn with the probability e ^ drawn_exponent_ / drawn_total_.
    double drawn_exponent_ = std::numeric_limits<double>::quiet_NaN(), drawn_total_ = 1.0;
};

/// ln of the probability that the network alone gives the element `id` of `n`. Takes `scratch`, (n) numbers.
double plain_log_probability(const float* logits, std::size_t n, std::uint32_t id, double* scratch);

}  // namespace lstmgen
