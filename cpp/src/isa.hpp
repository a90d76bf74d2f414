// Which kernels to use.
#pragma once

#include <vector>

#include "kernels/kernel_table.hpp"

namespace lstmgen {

/// All that this processor and operating system can run, best first; the baseline is always last.
std::vector<const kernels::KernelTable*> supported_kernels();

/// The best one, or the one that the environment variable LSTMGEN_ISA names. Throws Error if that is unknown or cannot
/// run here.
const kernels::KernelTable& choose_kernels();

}  // namespace lstmgen
