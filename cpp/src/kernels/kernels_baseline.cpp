#include "vec_baseline.hpp"

#include "kernels.inl"

namespace lstmgen::kernels {

const KernelTable baseline_table = make_table("baseline", kPairs, {Rounding::int16, multiply_panels<std::int8_t>});

}  // namespace lstmgen::kernels
