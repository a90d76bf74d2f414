#include "vec_avx512.hpp"

#include "kernels.inl"

// Without VNNI, products with int8 use AVX2, since few processors have AVX-512 without VNNI. A test
// defines another product.
#ifndef LSTMGEN_INT8_WITHOUT_VNNI
#define LSTMGEN_INT8_WITHOUT_VNNI \
    kPairs, { Rounding::int16, avx2_int8 }
#endif

namespace lstmgen::kernels {

const KernelTable avx512_table = make_table("avx512", LSTMGEN_INT8_WITHOUT_VNNI);
const KernelTable avx512vnni_table = make_table("avx512vnni", kQuads, {Rounding::bytes, avx512vnni_int8});
const KernelTable avx512bf16_table =
    make_table("avx512bf16", kQuads, {Rounding::bytes, avx512vnni_int8}, {Rounding::bf16_pairs, avx512bf16_bf16});
#ifdef LSTMGEN_AMX
const KernelTable avx512amx_table = make_table("avx512amx", kQuads, {Rounding::tiles, avx512amx_int8});
#endif

}  // namespace lstmgen::kernels
