// Which kernels to use.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"

namespace lstmgen {

/// All that this processor and operating system can run, best first; the baseline is always last.
std::vector<const kernels::KernelTable*> supported_kernels();

/// Those with the name `isa`; if it is empty, those that the environment variable LSTMGEN_ISA
/// names; if that is empty, too, the best. Throws Error, which lists the supported ones, if the
/// name is unknown or cannot run here.
const kernels::KernelTable& choose_kernels(const std::string& isa);

}  // namespace lstmgen
