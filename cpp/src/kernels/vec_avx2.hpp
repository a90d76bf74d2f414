// AVX2 + FMA: 8 floats a vector, 16 registers.
#pragma once

#include <immintrin.h>

#include "kernel_table.hpp"

namespace lstmgen::kernels {
namespace {

using Vec = __m256;
constexpr std::size_t kWidth = 8, kTileRows = 6, kTilePanels = 1, kRowPanels = 4;
constexpr bool kCommonPair = true;

inline Vec load(const float* p) { return _mm256_loadu_ps(p); }
inline Vec load_bf16(const std::uint16_t* p) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline void store(float* p, Vec v) { _mm256_storeu_ps(p, v); }
inline Vec set(float x) { return _mm256_set1_ps(x); }
inline Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
inline Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
inline Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
inline Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
inline Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
inline Vec min(Vec a, Vec b) { return _mm256_min_ps(a, b); }
inline Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
inline Vec pow2_bits(Vec v) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), 23)); }

}  // namespace
}  // namespace lstmgen::kernels
