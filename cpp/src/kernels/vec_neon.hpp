// The primitives for NEON (AArch64): 4 floats in a vector, 32 registers.
#pragma once

#include <arm_neon.h>

#include <cstring>

#include "kernel_table.hpp"

namespace lstmgen::kernels {
namespace {

using Vec = float32x4_t;
constexpr std::size_t kWidth = 4, kTileRows = 6, kTilePanels = 1, kRowPanels = 4;
constexpr bool kCommonPair = true;
constexpr bool kQuadsAndPairs = true;

inline Vec load(const float* p) { return vld1q_f32(p); }
inline uint32x4_t load_bits(const std::uint16_t* p) { return vreinterpretq_u32_u16(vld1q_u16(p)); }
inline Vec load_low(const std::uint16_t* p) { return vreinterpretq_f32_u32(vshlq_n_u32(load_bits(p), 16)); }
inline Vec load_high(const std::uint16_t* p) {
    return vreinterpretq_f32_u32(vandq_u32(load_bits(p), vdupq_n_u32(0xffff0000)));
}
inline void store(float* p, Vec v) { vst1q_f32(p, v); }
inline void prefetch(const void*) {}
inline Vec set(float x) { return vdupq_n_f32(x); }
inline Vec fma(Vec a, Vec b, Vec c) { return vfmaq_f32(c, a, b); }
inline Vec mul(Vec a, Vec b) { return vmulq_f32(a, b); }
inline Vec add(Vec a, Vec b) { return vaddq_f32(a, b); }
inline Vec sub(Vec a, Vec b) { return vsubq_f32(a, b); }
inline Vec div(Vec a, Vec b) { return vdivq_f32(a, b); }
// As on x86, the result is the second operand if the comparison is false.
inline Vec min(Vec a, Vec b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
inline Vec max(Vec a, Vec b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
inline Vec pow2_bits(Vec v) { return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(v), 23)); }

using Ints = int32x4_t;
using Pairs = int16x8_t;
inline Ints zero_ints() { return vdupq_n_s32(0); }
inline Pairs load_pairs(const std::int8_t* p) { return vmovl_s8(vld1_s8(p)); }
inline Pairs load_pairs(const Quad* p) {
    return vreinterpretq_s16_s8(vld1q_s8(reinterpret_cast<const std::int8_t*>(p)));
}
inline Pairs set_pair(std::int32_t pair) { return vreinterpretq_s16_s32(vdupq_n_s32(pair)); }
inline Ints add_dot(Ints sum, Pairs a, Pairs b) {
    const int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b)), high = vmull_high_s16(a, b);
    return vaddq_s32(sum, vpaddq_s32(low, high));
}
inline Vec to_floats(Ints a) { return vcvtq_f32_s32(a); }

}  // namespace
}  // namespace lstmgen::kernels
