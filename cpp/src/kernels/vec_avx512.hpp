// The primitives for AVX-512 F and BW: 16 floats in a vector, 32 registers. Files compiled with
// VNNI or BF16 get products of bytes or of pairs, too.
#pragma once

#include <immintrin.h>

#include <cstring>

#include "kernel_table.hpp"

namespace lstmgen::kernels {
namespace {

using Vec = __m512;
constexpr std::size_t kWidth = 16, kTileRows = 6, kTilePanels = 4, kRowPanels = 8;
constexpr bool kCommonPair = true;
constexpr bool kQuadsAndPairs = true;

inline Vec load(const float* p) { return _mm512_loadu_ps(p); }
inline Vec load_low(const std::uint16_t* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}
inline Vec load_high(const std::uint16_t* p) {
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(-0x10000)));
}
inline void store(float* p, Vec v) { _mm512_storeu_ps(p, v); }
// To the second-level cache.
inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }
inline Vec set(float x) { return _mm512_set1_ps(x); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
inline Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
inline Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
inline Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
inline Vec min(Vec a, Vec b) { return _mm512_min_ps(a, b); }
inline Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
inline Vec pow2_bits(Vec v) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v), 23)); }

using Ints = __m512i;
using Pairs = __m512i;
inline Ints zero_ints() { return _mm512_setzero_si512(); }
inline Pairs load_pairs(const Quad* p) { return _mm512_loadu_si512(p); }
inline Pairs load_pairs(const Bf16* p) { return _mm512_loadu_si512(p); }
inline Pairs set_pair(std::int32_t pair) { return _mm512_set1_epi32(pair); }
inline Ints load_ints(const std::int32_t* p) { return _mm512_loadu_si512(p); }
inline Ints add_ints(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
inline Ints times_256(Ints a) { return _mm512_slli_epi32(a, 8); }
#if defined(__AVX512VNNI__)
// Returns sum + the products of four unsigned bytes of a with four signed bytes of b.
inline Ints add_dot_bytes(Ints sum, Ints a, Ints b) {
#if defined(__GNUC__) && !defined(LSTMGEN_NO_ASSEMBLY)  // as in vec_avx2.hpp
    asm("vpdpbusd {%2, %1, %0|%0, %1, %2}" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
#else
    return _mm512_dpbusd_epi32(sum, a, b);
#endif
}
#endif
#if defined(__AVX512BF16__)
inline Vec add_dot(Vec sum, Pairs a, Pairs b) {
#if defined(__GNUC__) && !defined(LSTMGEN_NO_ASSEMBLY)
    asm("vdpbf16ps {%2, %1, %0|%0, %1, %2}" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
#else  // the same in other instructions
    const auto first = [](Pairs p) { return _mm512_castsi512_ps(_mm512_slli_epi32(p, 16)); };
    const auto second = [](Pairs p) { return _mm512_castsi512_ps(_mm512_and_si512(p, _mm512_set1_epi32(-0x10000))); };
    return fma(first(a), first(b), fma(second(a), second(b), sum));
#endif
}
#endif
inline Vec to_floats(Ints a) { return _mm512_cvtepi32_ps(a); }

}  // namespace
}  // namespace lstmgen::kernels
