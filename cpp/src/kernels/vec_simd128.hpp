// The primitives for the vectors of WebAssembly: 4 floats in a vector, and no fused multiply-add.
#pragma once

#include <wasm_simd128.h>

#include <cstring>

#include "fused.hpp"
#include "kernel_table.hpp"

namespace lstmgen::kernels {
namespace {

using Vec = v128_t;
constexpr std::size_t kWidth = 4, kTileRows = 2, kTilePanels = 1, kRowPanels = 1;
constexpr bool kCommonPair = true;
constexpr bool kQuadsAndPairs = false;

inline Vec load(const float* p) { return wasm_v128_load(p); }
inline Vec load_low(const std::uint16_t* p) { return wasm_i32x4_shl(wasm_v128_load(p), 16); }
inline Vec load_high(const std::uint16_t* p) { return wasm_v128_and(wasm_v128_load(p), wasm_i32x4_splat(-0x10000)); }
inline void store(float* p, Vec v) { wasm_v128_store(p, v); }
inline void prefetch(const void*) {}
inline Vec set(float x) { return wasm_f32x4_splat(x); }

// Returns the upper half of a vector as the lower one.
inline Vec upper(Vec a) { return wasm_i64x2_shuffle(a, a, 1, 1); }

LSTMGEN_NOINLINE Vec fused_each(Vec a, Vec b, Vec c) {
    float x[kWidth], y[kWidth], z[kWidth];
    store(x, a);
    store(y, b);
    store(z, c);
    for (std::size_t i = 0; i < kWidth; ++i) z[i] = fused(x[i], y[i], z[i]);
    return load(z);
}

// Rounds to double and then to float. This differs from one rounding only if the sum in double lies
// exactly between two floats, or if the result is subnormal or the least normal number. Then
// `fused` computes it. A result of zero is right: such a sum is exact in double.
inline Vec fma(Vec a, Vec b, Vec c) {
    const auto sum = [](Vec x, Vec y, Vec z) {
        return wasm_f64x2_add(wasm_f64x2_mul(wasm_f64x2_promote_low_f32x4(x), wasm_f64x2_promote_low_f32x4(y)),
                              wasm_f64x2_promote_low_f32x4(z));
    };
    const v128_t first = sum(a, b, c), second = sum(upper(a), upper(b), upper(c));
    const v128_t result =
        wasm_i64x2_shuffle(wasm_f32x4_demote_f64x2_zero(first), wasm_f32x4_demote_f64x2_zero(second), 0, 2);
    const v128_t rest = wasm_v128_and(wasm_i32x4_shuffle(first, second, 0, 2, 4, 6), wasm_i32x4_splat(0x1fffffff));
    const v128_t magnitude = wasm_v128_and(result, wasm_i32x4_splat(0x7fffffff));
    const v128_t between = wasm_i32x4_eq(rest, wasm_i32x4_splat(0x10000000));
    const v128_t tiny = wasm_u32x4_lt(wasm_i32x4_sub(magnitude, wasm_i32x4_splat(1)), wasm_i32x4_splat(0x800000));
    if (wasm_v128_any_true(wasm_v128_or(between, tiny))) return fused_each(a, b, c);
    return result;
}
inline Vec mul(Vec a, Vec b) { return wasm_f32x4_mul(a, b); }
inline Vec add(Vec a, Vec b) { return wasm_f32x4_add(a, b); }
inline Vec sub(Vec a, Vec b) { return wasm_f32x4_sub(a, b); }
inline Vec div(Vec a, Vec b) { return wasm_f32x4_div(a, b); }
// As on x86, the result is the second operand if the comparison is false.
inline Vec min(Vec a, Vec b) { return wasm_f32x4_pmin(b, a); }
inline Vec max(Vec a, Vec b) { return wasm_f32x4_pmax(b, a); }
inline Vec pow2_bits(Vec v) { return wasm_i32x4_shl(v, 23); }

struct Ints {  // a separate type: floats and integers share v128_t
    v128_t v;
};
using Pairs = v128_t;
inline Ints zero_ints() { return {wasm_i32x4_splat(0)}; }
inline Pairs load_pairs(const std::int8_t* p) { return wasm_i16x8_load8x8(p); }
inline Pairs set_pair(std::int32_t pair) { return wasm_i32x4_splat(pair); }
inline Ints add_dot(Ints sum, Pairs a, Pairs b) { return {wasm_i32x4_add(sum.v, wasm_i32x4_dot_i16x8(a, b))}; }
inline Vec to_floats(Ints a) { return wasm_f32x4_convert_i32x4(a.v); }

}  // namespace
}  // namespace lstmgen::kernels
