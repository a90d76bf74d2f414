// Chooses the kernels that run a model.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"

namespace lstmgen {

/// Returns the kernels that this processor and operating system can run, the best first. The
/// baseline is always the last.
std::vector<const kernels::KernelTable*> supported_kernels();

/// Returns the kernels with the name `isa`. If it is empty, the environment variable LSTMGEN_ISA
/// names them. If that is empty, too, they are the best. Throws Error if the name is unknown or
/// these kernels cannot run here. The error lists the names that can.
const kernels::KernelTable& choose_kernels(const std::string& isa);

}  // namespace lstmgen
