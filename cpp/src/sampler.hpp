// Logits in, an element out. This file knows nothing of networks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "filters.hpp"
#include "history.hpp"
#include "lstmgen/lstmgen.hpp"
#include "portable_math.hpp"
#include "random.hpp"
#include "state.hpp"

namespace lstmgen {

/// Chooses among n elements. Every buffer of (n) numbers has element i at index i.
///
/// The random numbers are those of std::mt19937_64. The upper 53 bits of each make a fraction. An
/// element takes one number to draw it, and before that one number for XTC, if XTC is on. All
/// arithmetic is in double. It uses no function that differs from one C library to the next.
/// Nothing allocates after construction and `reserve`.
class Sampler {
public:
    /// Makes a sampler for n elements. Throws Error if an option is out of range for them.
    Sampler(std::size_t n, const SamplerOptions& options);

    /// Makes a sampler that goes on as the saved one does. The state holds its options, random
    /// numbers and last elements. Throws Error if the state is damaged.
    Sampler(std::size_t n, StateReader& in);
    void save(StateWriter& out) const noexcept;

    /// Makes room, so that `set_options` never allocates. From now on the sampler remembers as many
    /// elements as any option may ask for.
    void reserve();
    /// Chooses by other options from now on. The random numbers go on, so the seed does not count.
    /// This does not allocate after `reserve`. It throws Error and changes nothing if an option is
    /// out of range.
    void set_options(const SamplerOptions& options);
    /// Starts the random numbers of `seed`.
    void set_seed(std::uint64_t seed) noexcept { random_ = Random(options_.seed = seed); }
    /// Forgets all elements, and starts the random numbers of `seed`.
    void reset(std::uint64_t seed) noexcept;
    /// Becomes a copy of `other`, which has as many elements. This does not allocate after
    /// `reserve`.
    void copy_from(const Sampler& other);

    /// Sets a faster function than exp_portable, which has the same results.
    void set_exponentials(Exponentials exponentials) noexcept { kept_.exponentials = exponentials; }

    /// Sets a function that changes the logits before any option does; null: none. A state does not
    /// hold it.
    void set_processor(LogitsProcessor processor, void* user) noexcept {
        processor_ = processor;
        user_ = user;
    }

    /// Sets the distribution from `logits` (n), which are finite or -infinity. `allowed` has a bit
    /// for each element, 64 to a word. The others cannot be drawn. Null: all can.
    void set_logits(const float* logits, const std::uint64_t* allowed = nullptr);

    /// Draws from the distribution, and remembers the element.
    std::uint32_t draw();
    /// Draws an element in proportion to e ^ logits (n) among what is allowed, and remembers it.
    /// The options do not count. Throws Error if a logit is NaN or infinity, or if all are
    /// -infinity.
    std::uint32_t draw(const double* logits, const std::uint64_t* allowed = nullptr);

    /// Returns ln of the probability with which the last element was drawn; NaN before the first.
    double drawn_log_probability() const;

    /// Remembers an element that was not drawn here. The penalties count it.
    void accept(std::uint32_t id) { history_.accept(id); }

    /// Writes the probabilities `p` (n), which add up to 1.
    void probabilities(double* p) const;
    /// Returns ln of the probability of the element `id`.
    double log_probability(std::uint32_t id) const;
    /// Writes the likeliest elements that can be drawn into `ids` (most), the likeliest first, and
    /// ln of their probabilities into `log_p` (most). Returns how many were written.
    std::size_t likeliest(std::size_t most, std::uint32_t* ids, double* log_p);

    const SamplerOptions& options() const noexcept { return options_; }
    /// The elements that it remembers.
    const History& history() const noexcept { return history_; }

private:
    // What an element is to DRY: nothing, the first of a longer breaker, or a breaker by itself.
    enum Breaker : unsigned char { kNone, kStart, kBreaker };

    Sampler(std::size_t n, StateReader& in, std::size_t numbers);
    void options_have_changed();
    // `allowed` ((n + 63) / 64) is that of set_logits.
    void forbid_all_but(const std::uint64_t* allowed) noexcept;
    void penalize();
    void penalize_repetition();
    std::size_t unbroken(std::size_t most) const;
    void weigh(double temp);
    void filter();
    void keep_unsurprising();
    void drop(std::size_t i) noexcept;
    void find_top();
    void finish(double temp);
    std::uint32_t choose();

    SamplerOptions options_;
    Random random_;
    History history_;
    LogitsProcessor processor_ = nullptr;
    void* user_ = nullptr;
    std::vector<double> logits_;                 // (n); -infinity: cannot be drawn
    std::vector<double> weights_;                // (n), e ^ ((logit - top) / temp)
    Kept kept_;                                  // for the filters
    std::vector<std::uint16_t> repeated_;        // (n), for DRY, zeros between calls
    std::vector<unsigned char> breaker_starts_;  // (n), the Breaker of each element
    double mu_ = 0.0;                            // state of mirostat, in bits
    std::size_t top_ = 0;                        // id of the greatest logit
    double temp_ = 1.0;                          // of the weights; 0: the top element has all
    double total_ = 0.0;                         // sum of the weights
    // The last element was drawn with the probability e ^ drawn_exponent_ / drawn_total_.
    double drawn_exponent_ = std::numeric_limits<double>::quiet_NaN(), drawn_total_ = 1.0;
};

/// Returns ln of the probability that the network alone gives the element `id`. `logits` (n) are
/// those of the network. The call overwrites `scratch` (n).
double plain_log_probability(const float* logits, std::size_t n, std::uint32_t id, double* scratch);

}  // namespace lstmgen
