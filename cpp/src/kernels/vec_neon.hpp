// NEON (AArch64): 4 floats a vector, 32 registers.
#pragma once

#include <arm_neon.h>

#include "kernel_table.hpp"

namespace lstmgen::kernels {
namespace {

using Vec = float32x4_t;
constexpr std::size_t kWidth = 4, kTileRows = 6, kTilePanels = 1, kRowPanels = 4;
constexpr bool kCommonPair = true;

inline Vec load(const float* p) { return vld1q_f32(p); }
inline Vec load_bf16(const std::uint16_t* p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
inline void store(float* p, Vec v) { vst1q_f32(p, v); }
inline Vec set(float x) { return vdupq_n_f32(x); }
inline Vec fma(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
inline Vec mul(Vec a, Vec b) { return vmulq_f32(a, b); }
inline Vec add(Vec a, Vec b) { return vaddq_f32(a, b); }
inline Vec sub(Vec a, Vec b) { return vsubq_f32(a, b); }
inline Vec div(Vec a, Vec b) { return vdivq_f32(a, b); }
// As on x86: the second operand if the comparison is false.
inline Vec min(Vec a, Vec b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
inline Vec max(Vec a, Vec b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
inline Vec pow2_bits(Vec v) { return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(v), 23)); }

}  // namespace
}  // namespace lstmgen::kernels
