// Logits -> element. Knows nothing of networks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "lstmgen/lstmgen.hpp"
#include "random.hpp"
#include "state.hpp"

namespace lstmgen {

/// The seed's sequence is fixed: that of std::mt19937_64, and for each draw the upper 53 bits of
/// one number as a fraction. All arithmetic is in double, without functions that differ from one C
/// library to the next. Nothing allocates after construction.
class Sampler {
public:
    /// Throws Error if an option is out of range for n elements.
    Sampler(std::size_t n, const SamplerOptions& options);

    /// What goes on as the one that was saved does: its options, random numbers and elements of the
    /// repeat penalty.
    Sampler(std::size_t n, StateReader& in);
    void save(StateWriter& out) const noexcept;

    /// Makes room, so that `set_options` never allocates.
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

    /// Sets the distribution: (n) logits, finite or -infinity.
    void set_logits(const float* logits);

    /// Draws from the distribution, and remembers the element for the repeat penalty.
    std::uint32_t draw();

    /// ln of the probability with which the last element was drawn; NaN if none was drawn yet.
    double drawn_log_probability() const;

    /// An element that was not drawn here; counts for the repeat penalty.
    void accept(std::uint32_t id);

    /// (n) probabilities that add up to 1.
    void probabilities(double* p) const;
    double log_probability(std::uint32_t id) const;

    const SamplerOptions& options() const noexcept { return options_; }

private:
    static constexpr std::size_t kRecent = 64;  // elements that the repeat penalty looks back

    void penalize();
    void filter();

    SamplerOptions options_;
    Random random_;
    std::vector<double> logits_;   // after bias, penalty and filters; -infinity: cannot be drawn
    std::vector<double> weights_;  // e ^ ((logit - top) / temp)
    std::vector<double> sorted_;   // working memory of the filters
    std::array<std::uint32_t, kRecent> recent_{};
    std::size_t accepted_ = 0;
    std::size_t top_ = 0;  // id of the greatest logit
    double total_ = 0.0;   // of the weights
    // The last element was drawn with the probability e ^ drawn_exponent_ / drawn_total_.
    double drawn_exponent_ = std::numeric_limits<double>::quiet_NaN(), drawn_total_ = 1.0;
};

}  // namespace lstmgen
