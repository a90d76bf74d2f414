// Functions whose results do not depend on the C library, so that a seed gives the same text
// everywhere.
#pragma once

#include <cstddef>

namespace lstmgen {

/// The same number on every machine, which std::exp is not. Error below 2 units in the last place;
/// 0 below -708.
double exp_portable(double x);
/// x[0..n) = its powers, the same numbers, for x of at most 709, and no NaN.
void exp_portable(double* x, std::size_t n);

/// The same for the natural logarithm. -infinity at 0, NaN below.
double log_portable(double x);

}  // namespace lstmgen
