// Chooses the kernels that run a model.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"

namespace lstmgen {

/// Returns the kernels that this processor and operating system can run, the best first. The
/// baseline is always the last. The tiles of AMX serve only models of int8. They are left out
/// unless `int8`, so that the system is asked for them only if they are of use.
std::vector<const kernels::KernelTable*> supported_kernels(bool int8 = true);

/// Returns the kernels with the name `isa`. If it is empty, the environment variable LSTMGEN_ISA
/// names them. If that is empty, too, they are the best for models of int8, or for others. Throws
/// Error if the name is unknown or these kernels cannot run here. The error lists the names that
/// can.
const kernels::KernelTable& choose_kernels(const std::string& isa, bool int8 = true);

}  // namespace lstmgen
