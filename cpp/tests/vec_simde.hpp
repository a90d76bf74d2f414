// The primitives of vec_avx512.hpp in portable C, by SIMDe. With them the tests run the kernels for
// AVX-512 on any processor.
#pragma once

#include <immintrin.h>  // before the names below are others
#include <simde/x86/avx512.h>

// SIMDe's function rounds twice if the processor has no FMA.
static simde__m512 fused_multiply_add(simde__m512 a, simde__m512 b, simde__m512 c) {
    const simde__m512_private x = simde__m512_to_private(a), y = simde__m512_to_private(b),
                              z = simde__m512_to_private(c);
    simde__m512_private to;
    for (int i = 0; i < 16; ++i) to.f32[i] = __builtin_fmaf(x.f32[i], y.f32[i], z.f32[i]);
    return simde__m512_from_private(to);
}

// SIMDe 0.7 lacks these two.
static simde__m512 convert_ints(simde__m512i a) {
    const simde__m512i_private from = simde__m512i_to_private(a);
    simde__m512_private to;
    for (int i = 0; i < 16; ++i) to.f32[i] = static_cast<float>(from.i32[i]);
    return simde__m512_from_private(to);
}
static simde__m512i add_dots_of_bytes(simde__m512i sum, simde__m512i a, simde__m512i b) {
    const simde__m512i_private x = simde__m512i_to_private(a), y = simde__m512i_to_private(b);
    simde__m512i_private to = simde__m512i_to_private(sum);
    for (int i = 0; i < 64; ++i) to.u32[i / 4] += x.u8[i] * y.i8[i];
    return simde__m512i_from_private(to);
}

#define __m512 simde__m512
#define __m512i simde__m512i
#define _mm512_add_epi32 simde_mm512_add_epi32
#define _mm512_add_ps simde_mm512_add_ps
#define _mm512_and_si512 simde_mm512_and_si512
#define _mm512_castps_si512 simde_mm512_castps_si512
#define _mm512_castsi512_ps simde_mm512_castsi512_ps
#define _mm512_cvtepi32_ps convert_ints
#define _mm512_div_ps simde_mm512_div_ps
#define _mm512_dpbusd_epi32 add_dots_of_bytes
#define _mm512_fmadd_ps fused_multiply_add
#define _mm512_loadu_ps simde_mm512_loadu_ps
#define _mm512_loadu_si512 simde_mm512_loadu_si512
#define _mm512_max_ps simde_mm512_max_ps
#define _mm512_min_ps simde_mm512_min_ps
#define _mm512_mul_ps simde_mm512_mul_ps
#define _mm512_set1_epi32 simde_mm512_set1_epi32
#define _mm512_set1_ps simde_mm512_set1_ps
#define _mm512_setzero_si512 simde_mm512_setzero_si512
#define _mm512_slli_epi32 simde_mm512_slli_epi32
#define _mm512_storeu_ps simde_mm512_storeu_ps
#define _mm512_sub_ps simde_mm512_sub_ps

// Ask for everything, without assembly.
#define LSTMGEN_NO_ASSEMBLY
#undef __AVX512VNNI__
#undef __AVX512BF16__
#define __AVX512VNNI__ 1
#define __AVX512BF16__ 1

#define LSTMGEN_AMX

// The kernels of the library keep their names.
#define avx512_table simde_table
#define avx512vnni_table simde_vnni_table
#define avx512bf16_table simde_bf16_table
#define avx512amx_table simde_amx_table
#define avx512vnni_int8 simde_vnni_int8
#define avx512amx_int8 simde_amx_int8
#define avx512bf16_bf16 simde_bf16_bf16
// Without VNNI the library uses a product of AVX2, which the processor may lack.
#define LSTMGEN_INT8_WITHOUT_VNNI \
    kQuads, { Rounding::bytes, simde_vnni_int8 }

#include "../src/kernels/vec_avx512.hpp"
