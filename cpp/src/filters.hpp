// What filters leave of a distribution: top-k, top-p and others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lstmgen/lstmgen.hpp"
#include "portable_math.hpp"
#include "random.hpp"

namespace lstmgen {

/// The elements that are left, in the order of their ids. Entry j of each list is of one element.
struct Kept {
    /// Makes room for n elements. Nothing allocates later.
    explicit Kept(std::size_t n) : ids(n), values(n), numbers(n), scores(n) { ranked.reserve(n); }

    /// Returns the first entry with the greatest value.
    std::size_t greatest() const noexcept;
    /// Sets the numbers to e ^ ((value - reference) / temp).
    void weigh(double temp);

    Exponentials exponentials = exp_portable;
    std::size_t count = 0;                                 // of the entries that are left
    double reference = 0.0;                                // the greatest of the values
    std::vector<std::uint32_t> ids;                        // (n)
    std::vector<double> values;                            // (n), the logits
    std::vector<double> numbers;                           // (n), the weights
    std::vector<double> scores;                            // (n), what the filter at hand sorts by
    std::vector<std::pair<double, std::uint32_t>> ranked;  // (up to n), (score, entry) to sort
};

/// Returns whether an option filters the distribution of n elements, or changes its temperature.
bool has_filters(const SamplerOptions& options, std::size_t n) noexcept;
/// Returns whether XTC is on, so that each element takes a random number for it.
bool has_xtc(const SamplerOptions& options) noexcept;
/// Drops what the options filter out. At least one element stays. XTC looks at the next number of
/// `random`. Returns the temperature.
double apply_filters(Kept& kept, const SamplerOptions& options, Random& random);

}  // namespace lstmgen
