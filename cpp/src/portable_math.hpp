// Functions whose results do not depend on the C library. So a seed gives the same text on every
// machine.
#pragma once

#include <cstddef>

namespace lstmgen {

/// Returns e^x. The error is below 2 units in the last place. Below -708 it returns 0.
double exp_portable(double x);
/// x (n) = e^x, the same numbers. Each x is at most 709, and not NaN. Returns their sum, added from
/// the first to the last.
double exp_portable(double* x, std::size_t n);
/// The type of this function. The kernels have faster ones with the same bits.
using Exponentials = double (*)(double* x, std::size_t n);

/// Returns the natural logarithm. It is -infinity at 0, and NaN below.
double log_portable(double x);

}  // namespace lstmgen
