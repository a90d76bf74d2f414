// The primitives for AVX2 and FMA: 8 floats in a vector, 16 registers. kernels.inl says what they
// are for.
#pragma once

#include <immintrin.h>

#include <cstring>

#include "kernel_table.hpp"

namespace lstmgen::kernels {
namespace {

using Vec = __m256;
constexpr std::size_t kWidth = 8, kTileRows = 6, kTilePanels = 1, kRowPanels = 4;
constexpr bool kCommonPair = true;
constexpr bool kQuadsAndPairs = false;

inline Vec load(const float* p) { return _mm256_loadu_ps(p); }
inline __m256i load_bits(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline Vec load_low(const std::uint16_t* p) { return _mm256_castsi256_ps(_mm256_slli_epi32(load_bits(p), 16)); }
inline Vec load_high(const std::uint16_t* p) {
    return _mm256_castsi256_ps(_mm256_and_si256(load_bits(p), _mm256_set1_epi32(-0x10000)));
}
inline void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
// With vectors of this width, prefetching made small matrices slower by 4 %.
inline void prefetch(const void*) {}
inline Vec set(float x) { return _mm256_set1_ps(x); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
inline Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
inline Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
inline Vec min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
inline Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
inline Vec pow2_bits(Vec v) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), 23)); }

using Ints = __m256i;
using Pairs = __m256i;
inline Ints zero_ints() { return _mm256_setzero_si256(); }
inline Pairs load_pairs(const std::int8_t* p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline Pairs set_pair(std::int32_t pair) { return _mm256_set1_epi32(pair); }
inline Ints add_dot(Ints sum, Pairs a, Pairs b) {
    const Ints products = _mm256_madd_epi16(a, b);
    // With an intrinsic, GCC puts the sum into another register and copies it back. Then it runs
    // out of registers.
#if defined(__GNUC__) && defined(__AVX2__)
    asm("vpaddd {%1, %0, %0|%0, %0, %1}" : "+x"(sum) : "x"(products));
    return sum;
#else
    return _mm256_add_epi32(sum, products);
#endif
}
inline Vec to_floats(Ints a) { return _mm256_cvtepi32_ps(a); }

}  // namespace
}  // namespace lstmgen::kernels
