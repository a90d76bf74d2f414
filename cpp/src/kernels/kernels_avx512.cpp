#include "vec_avx512.hpp"

#include "kernels.inl"

namespace lstmgen::kernels {

// Without VNNI, products with int8 are left to AVX2: few processors have AVX-512 alone.
const KernelTable avx512_table = make_table("avx512", kPairs, {Rounding::int16, avx2_int8});
const KernelTable avx512vnni_table = make_table("avx512vnni", kQuads, {Rounding::bytes, avx512vnni_int8});
const KernelTable avx512bf16_table =
    make_table("avx512bf16", kQuads, {Rounding::bytes, avx512vnni_int8}, {Rounding::bf16_pairs, avx512bf16_bf16});

}  // namespace lstmgen::kernels
