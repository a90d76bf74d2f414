#include "vec_neon.hpp"

#include "kernels.inl"

namespace lstmgen::kernels {

const KernelTable neon_table = make_table("neon", kPairs, {Rounding::int16, multiply_panels<std::int8_t>});
const KernelTable neondot_table = make_table("neondot", kQuads, {Rounding::bytes, neondot_int8});
const KernelTable neoni8mm_table = make_table("neoni8mm", kQuads, {Rounding::bytes, neoni8mm_int8});

}  // namespace lstmgen::kernels
