#include "vec_neon.hpp"

#include "kernels.inl"

namespace lstmgen::kernels {

const KernelTable neon_table = make_table("neon", kPairs, {Rounding::int16, multiply_panels<std::int8_t>});
const KernelTable neondot_table = make_table("neondot", kQuads, {Rounding::bytes, neondot_int8});

}  // namespace lstmgen::kernels
