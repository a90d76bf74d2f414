// All arithmetic of the layers is here and in products.inl. It is written once over the primitives
// of a vec_<isa>.hpp, and compiled once for each instruction set.
//
// The including file provides what products.inl needs, and sub, div, min, max and pow2_bits.
// kCommonPair tells whether tanh and sigmoid have their own copy of the LSTM step. kQuadsAndPairs
// tells whether a table has products of bytes or of pairs of bf16. Everything is in an unnamed
// namespace: the linker must not merge a function that is compiled for one instruction set with
// that for another.

#include <type_traits>

#include "exponential.hpp"
#include "products.inl"

namespace lstmgen::kernels {
namespace {

constexpr std::size_t kBlock = kGates * kPanel;  // numbers of a block of an LSTM layer

// ---- Functions ----------------------------------------------------------------------------------

// N vectors that go through a function side by side, which hides the latency of the instructions. A
// Vec among the operands of a function below is the same for all N.
template <std::size_t N>
struct Wide {
    Vec v[N];
};

inline Vec at(Vec a, std::size_t) { return a; }
template <std::size_t N>
inline Vec at(const Wide<N>& a, std::size_t i) {
    return a.v[i];
}

template <std::size_t N, class F>
inline Wide<N> each_of(F f) {
    Wide<N> r;
    for (std::size_t i = 0; i < N; ++i) r.v[i] = f(i);
    return r;
}

template <std::size_t N, class B, class C>
inline Wide<N> fma(const Wide<N>& a, const B& b, const C& c) {
    return each_of<N>([&](std::size_t i) { return fma(a.v[i], at(b, i), at(c, i)); });
}
template <std::size_t N, class B>
inline Wide<N> add(const Wide<N>& a, const B& b) {
    return each_of<N>([&](std::size_t i) { return add(a.v[i], at(b, i)); });
}
template <std::size_t N>
inline Wide<N> sub(const Wide<N>& a, Vec b) {
    return each_of<N>([&](std::size_t i) { return sub(a.v[i], b); });
}
template <std::size_t N>
inline Wide<N> mul(const Wide<N>& a, const Wide<N>& b) {
    return each_of<N>([&](std::size_t i) { return mul(a.v[i], b.v[i]); });
}
template <std::size_t N, class A, class B>
inline Wide<N> div(const A& a, const B& b) {
    return each_of<N>([&](std::size_t i) { return div(at(a, i), at(b, i)); });
}

// The constant comes first in min and max, so that a NaN in x stays NaN on every instruction set.
template <std::size_t N>
inline Wide<N> clamp(const Wide<N>& x, float low, float high) {
    return each_of<N>([&](std::size_t i) { return min(set(high), max(set(low), x.v[i])); });
}

template <std::size_t N>
struct Expm1Parts {
    Wide<N> scale;  // 2^n
    Wide<N> p;      // e^r - 1, where x = n ln 2 + r
};

// Splits e^x for -87.3 <= x <= 88.3, where n is in [-126, 127]. p is a minimax polynomial, with a
// relative error under 1.5e-8 before rounding.
template <std::size_t N>
inline Expm1Parts<N> expm1_parts(const Wide<N>& x) {
    // Adding 1.5 * 2^23 rounds to an integer. 127 is the bias of the exponent.
    const Vec magic = set(12582912.0f + 127.0f);
    const Wide<N> shifted = fma(x, set(1.44269504f), magic);
    const Wide<N> n = sub(shifted, magic);
    const Wide<N> r = fma(n, set(2.12194440e-4f), fma(n, set(-0.693359375f), x));
    Wide<N> q = fma(r, set(0x1.6b9d0ap-10f), set(0x1.12286ap-7f));
    q = fma(q, r, set(0x1.5556f4p-5f));
    q = fma(q, r, set(0x1.5554b0p-3f));
    q = fma(q, r, set(0x1.fffffep-2f));
    return {each_of<N>([&](std::size_t i) { return pow2_bits(shifted.v[i]); }), fma(mul(r, r), q, r)};
}

struct Linear {
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        return x;
    }
};
struct Relu {
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        return each_of<N>([&](std::size_t i) { return max(set(0.0f), x.v[i]); });
    }
};
struct Sigmoid {
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        const Wide<N> minus = each_of<N>([&](std::size_t i) { return sub(set(0.0f), x.v[i]); });
        const auto [scale, p] = expm1_parts(clamp(minus, -87.0f, 88.0f));
        return div<N>(set(1.0f), add(fma(scale, p, scale), set(1.0f)));
    }
};
struct HardSigmoid {
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        return div<N>(clamp(add(x, set(3.0f)), 0.0f, 6.0f), set(6.0f));
    }
};
struct HardSigmoidKeras2 {
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        return clamp(fma(x, set(0.2f), set(0.5f)), 0.0f, 1.0f);
    }
};
struct Tanh {  // (e^2x - 1) / (e^2x + 1), where e^2x - 1 is computed without cancellation
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        const auto [scale, p] = expm1_parts(clamp(add(x, x), -20.0f, 20.0f));
        const Wide<N> t = fma(scale, p, sub(scale, set(1.0f)));
        return div<N>(t, add(t, set(2.0f)));
    }
};

// The function that `function` names. Rare pairs of activations use it, so that a step is not
// compiled for each of them.
struct Any {
    Function function;

    template <std::size_t N>
    LSTMGEN_NOINLINE Wide<N> apply(const Wide<N>& x) const {
        switch (function) {
            case Function::linear: return x;
            case Function::relu: return Relu::apply(x);
            case Function::sigmoid: return Sigmoid::apply(x);
            case Function::hard_sigmoid: return HardSigmoid::apply(x);
            case Function::hard_sigmoid_keras2: return HardSigmoidKeras2::apply(x);
            default: return Tanh::apply(x);
        }
    }
};

template <std::size_t N>
inline Wide<N> load_wide(const float* p) {
    return each_of<N>([&](std::size_t i) { return load(p + i * kWidth); });
}
template <std::size_t N>
inline void store_wide(float* p, const Wide<N>& a) {
    for (std::size_t i = 0; i < N; ++i) store(p + i * kWidth, a.v[i]);
}

// x (n) = f(x), n a multiple of 16.
template <class F>
inline void map(F f, float* x, std::size_t n) {
    constexpr std::size_t most = 4, panel = kPanel / kWidth, few = panel < most ? panel : most;
    std::size_t i = 0;
    for (; i + most * kWidth <= n; i += most * kWidth) store_wide(x + i, f.apply(load_wide<most>(x + i)));
    for (; i < n; i += few * kWidth) store_wide(x + i, f.apply(load_wide<few>(x + i)));
}

LSTMGEN_NOINLINE void activate(Function function, float* x, std::size_t n) {
    switch (function) {
        case Function::linear: return;
        case Function::relu: return map(Relu{}, x, n);
        case Function::sigmoid: return map(Sigmoid{}, x, n);
        case Function::hard_sigmoid: return map(HardSigmoid{}, x, n);
        case Function::hard_sigmoid_keras2: return map(HardSigmoidKeras2{}, x, n);
        case Function::tanh: return map(Tanh{}, x, n);
    }
}

// ---- Products -----------------------------------------------------------------------------------

// Numbers that are rounded at once. With 32, GCC vectorises the loop.
constexpr std::size_t kChunk = 32;

// Returns the bits of x.
inline std::uint32_t bits_of(float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

// Calls f(chunk, i) for each chunk (kChunk) of x (n), which starts at x + i. Zeros fill the last
// chunk.
template <class F>
inline void for_chunks(const float* x, std::size_t n, F f) {
    for (std::size_t i = 0; i < n; i += kChunk) {
        float last[kChunk] = {};
        if (n - i < kChunk) std::memcpy(last, x + i, (n - i) * sizeof(float));
        f(n - i < kChunk ? last : x + i, i);
    }
}

// The two factors between a number x and its integer of 16 bits: x is about integer * scale, and
// the integer is the one nearest to x * factor.
struct Scale {
    float scale, factor;
};

// Returns the greatest magnitude in x (n). It is NaN or infinity if x holds one.
LSTMGEN_NOINLINE float greatest(const float* x, std::size_t n) {
    std::uint32_t tops[kChunk] = {};  // greatest bits so far; magnitudes are in the order of bits
    for_chunks(x, n, [&](const float* chunk, std::size_t) {
        for (std::size_t j = 0; j < kChunk; ++j) {
            const std::uint32_t magnitude = bits_of(chunk[j]) & 0x7fffffff;
            tops[j] = magnitude > tops[j] ? magnitude : tops[j];
        }
    });
    std::uint32_t top = 0;
    for (const std::uint32_t each : tops) top = each > top ? each : top;
    float most;
    std::memcpy(&most, &top, sizeof most);
    return most;
}

// Returns the scale of a row with the greatest magnitude `most`, which becomes 32767. The scale is
// NaN if `most` is not finite.
inline Scale scale_of(float most) {
    if (most - most != 0.0f) return {most - most, 0.0f};
    return most < 0x1p-100f ? Scale{0.0f, 0.0f} : Scale{most / 32767.0f, 32767.0f / most};
}

// Returns the integer nearest to x * factor, plus 32768. Adding 1.5 * 2^23 rounds to an integer.
inline std::uint32_t to_uint16(float x, float factor) { return bits_of(x * factor + 12582912.0f) - 0x4b400000 + 32768; }

// Returns whether x (n) holds only integers that rounding does not change. `most` is the greatest
// magnitude.
LSTMGEN_NOINLINE bool are_int16(const float* x, std::size_t n, float most) {
    const auto changes = [](float number) {
        const float rounded = number + 12582912.0f;
        return rounded - 12582912.0f != number;
    };
    if (!(most <= 32767.0f) || changes(most)) return false;
    std::uint32_t changed[kChunk] = {};
    for_chunks(x, n, [&](const float* chunk, std::size_t) {
        for (std::size_t j = 0; j < kChunk; ++j) changed[j] |= changes(chunk[j]) ? 1u : 0u;
    });
    std::uint32_t any = 0;
    for (const std::uint32_t each : changed) any |= each;
    return any == 0;
}

// to (n, rounded up to kChunk) = x (n) as integers, then zeros.
LSTMGEN_NOINLINE void round_to_int16(const float* x, std::size_t n, float factor, std::int16_t* to) {
    for_chunks(x, n, [&](const float* chunk, std::size_t i) {
        std::uint16_t bits[kChunk];
        for (std::size_t j = 0; j < kChunk; ++j)
            bits[j] = static_cast<std::uint16_t>(to_uint16(chunk[j], factor) ^ 32768);
        std::memcpy(to + i, bits, sizeof bits);
    });
}

// The bytes of a rounded row. Those of kAmxBytes numbers lie together. Their lower bytes lie
// `lower` bytes after the upper ones, and the next numbers `step` bytes after these.
struct RowOfBytes {
    std::byte* at;  // (n, 2), the first upper byte
    std::size_t lower, step;
    std::uint8_t flipped;  // bits of the upper bytes
};

// to (n, rounded up to kChunk) = the bytes of the same integers plus 32768.
LSTMGEN_NOINLINE void round_to_bytes(const float* x, std::size_t n, float factor, RowOfBytes to) {
    for_chunks(x, n, [&](const float* chunk, std::size_t i) {
        std::uint8_t bytes[2][kChunk];
        for (std::size_t j = 0; j < kChunk; ++j)
            bytes[0][j] = static_cast<std::uint8_t>(to_uint16(chunk[j], factor) >> 8 ^ to.flipped);
        for (std::size_t j = 0; j < kChunk; ++j) bytes[1][j] = static_cast<std::uint8_t>(to_uint16(chunk[j], factor));
        std::byte* const at = to.at + i / kAmxBytes * to.step + i % kAmxBytes;
        std::memcpy(at, bytes[0], kChunk);
        std::memcpy(at + to.lower, bytes[1], kChunk);
    });
}

// Returns the bits of x as a bf16, rounded to nearest, ties to even. It has no branches, so that
// loops over it are vectorised.
inline std::uint32_t to_bf16(float x) {
    const std::uint32_t bits = bits_of(x), nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const auto magnitude = static_cast<std::int32_t>(bits & 0x7fffffff);
    const std::uint32_t counts = magnitude >= static_cast<std::int32_t>(bits_of(kLeastBf16)),
                        nan = magnitude > 0x7f800000;
    return (nearest & (0 - counts)) | (0x7fc0 & (0 - nan));
}

// to (n, rounded up to kChunk) = x (n) as bf16, then zeros. T is float, or 16 bits.
template <class T>
LSTMGEN_NOINLINE void round_to_bf16(const float* x, std::size_t n, T* to) {
    using Bits = std::conditional_t<sizeof(T) == sizeof(float), std::uint32_t, std::uint16_t>;
    constexpr int shift = sizeof(T) == sizeof(float) ? 16 : 0;
    for_chunks(x, n, [&](const float* chunk, std::size_t i) {
        Bits bits[kChunk];
        for (std::size_t j = 0; j < kChunk; ++j) bits[j] = static_cast<Bits>(to_bf16(chunk[j]) << shift);
        std::memcpy(to + i, bits, sizeof bits);
    });
}

// Fewer rows are multiplied without tiles. A tile of this many rows fits rounded_size.
constexpr std::size_t kLeastAmxRows = kAmxRows / 4;

// Returns where row r of `count` rows lies in tiles: see Rows::tiles.
inline RowOfBytes row_in_tiles(std::int16_t* rows, std::size_t stride, std::size_t r, std::size_t count) {
    constexpr std::size_t tile = kAmxRows * kAmxBytes;
    const std::size_t first = r / kAmxRows * kAmxRows;
    auto* const at = reinterpret_cast<std::byte*>(rows + first * stride) + (r - first) * kAmxBytes;
    if (count - first <= kFewAmxRows) return {at, tile / 2, tile, 0};
    return {at, tile, 2 * tile, 0x80};
}
// Returns where the bytes of `row` lie: (stride) upper ones, (stride) lower ones.
inline RowOfBytes row_of_bytes(std::int16_t* row, std::size_t stride) {
    return {reinterpret_cast<std::byte*>(row), stride, kAmxBytes, 0};
}

// Returns x (rows, stride) as the matrix needs it, rounded or not. Rounded rows go into `memory`
// (rounded_size(m.k, rows)), which then moves on to what is left of it. A null x stays null.
Rows rows_for(const Matrix& m, const float* x, std::size_t stride, std::size_t rows, float*& memory) {
    const Rounding rounding = m.rounded.rounding;
    if (rounding == Rounding::none || !x) return {x, stride, nullptr, 0, nullptr};
    float *const scales = memory, *const floats = memory + rows * kRoundedScale;
    auto* const halves = reinterpret_cast<std::int16_t*>(floats);
    const std::size_t to_stride = rounded_stride(m.k);
    const bool tiles = rounding == Rounding::tiles && rows >= kLeastAmxRows;
    memory += rounded_size(m.k, rows);
    for (std::size_t r = 0; r < rows; ++r) {
        const float* const from = x + r * stride;
        std::int16_t* const to = halves + r * to_stride;
        if (rounding == Rounding::bf16) {
            round_to_bf16(from, m.k, floats + r * to_stride);
        } else if (kQuadsAndPairs && rounding == Rounding::bf16_pairs) {
            round_to_bf16(from, m.k, to);
        } else {
            const float most = greatest(from, m.k);
            const bool exact = m.keeps_integers && are_int16(from, m.k, most);
            const Scale scale = exact ? Scale{1.0f, 1.0f} : scale_of(most);
            scales[r] = scale.scale;
            if (kQuadsAndPairs && rounding != Rounding::int16)
                round_to_bytes(from, m.k, scale.factor,
                               tiles ? row_in_tiles(halves, to_stride, r, rows) : row_of_bytes(to, to_stride));
            else
                round_to_int16(from, m.k, scale.factor, to);
        }
    }
    if (rounding == Rounding::bf16) return {floats, to_stride, nullptr, 0, nullptr};
    return {nullptr, 0, halves, to_stride, rounding == Rounding::bf16_pairs ? nullptr : scales, tiles};
}

// sums = x . panels [first, first + n_panels), by the product for the matrix's type.
void gemm_from(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
               const Sums& sums) {
    if (m.rounded.multiply) return m.rounded.multiply(m, first, n_panels, x, rows, sums);
    if (m.type == WeightType::bf16) return multiply_panels<std::uint16_t>(m, first, n_panels, x, rows, sums);
    multiply_panels<float>(m, first, n_panels, x, rows, sums);
}

// z (n) += one row of the weights of adjacent panels. `row` is the group of `interleaved` rows, in
// the order of Layout; the i-th of them is added. `scales` (n) are those of int8.
inline void add_row(const float* row, std::size_t, std::size_t, const float*, std::size_t n, float* z) {
    for (std::size_t v = 0; v < n; v += kWidth) store(z + v, add(load(z + v), load(row + v)));
}
inline void add_row(const std::uint16_t* row, std::size_t, std::size_t i, const float*, std::size_t n, float* z) {
    for (std::size_t v = 0; v < n; v += kWidth) {
        const Vec w = i > 0 ? load_high(row + 2 * v) : load_low(row + 2 * v);
        store(z + v, add(load(z + v), w));
    }
}
template <class Interleaved>
inline void add_interleaved(const std::int8_t* row, std::size_t i, const float* scales, std::size_t n, float* z) {
    for (std::size_t j = 0; j < n; ++j) {
        Interleaved weights;
        std::memcpy(&weights, row + j * sizeof weights, sizeof weights);
        z[j] += static_cast<float>(static_cast<std::int8_t>(weights >> (8 * i))) * scales[j];
    }
}
inline void add_row(const std::int8_t* row, std::size_t interleaved, std::size_t i, const float* scales, std::size_t n,
                    float* z) {
    if (interleaved == 2)
        add_interleaved<std::uint16_t>(row, i, scales, n, z);
    else
        add_interleaved<std::uint32_t>(row, i, scales, n, z);
}

// Row r of z (rows, z_stride) += row ids[r * id_stride] of the panels [first, first + n_panels).
template <class W>
void gather_rows(const Matrix& m, std::size_t first, std::size_t n_panels, const std::uint32_t* ids,
                 std::size_t id_stride, std::size_t rows, float* z, std::size_t z_stride) {
    const std::size_t adjacent = m.layout.adjacent_panels, interleaved = m.layout.interleaved_rows;
    const std::size_t shift = interleaved / 2;  // 2^shift rows are interleaved
    for (std::size_t p = 0; p < n_panels; p += adjacent) {
        const std::size_t n = (n_panels - p < adjacent ? n_panels - p : adjacent) * kPanel;
        const Place place = place_of(first + p, m.layout, m.k, m.n_panels);
        const W* const panels = static_cast<const W*>(m.panels) + place.at;
        const float* const scales = m.scales ? m.scales + (first + p) * kPanel : nullptr;
        for (std::size_t r = 0; r < rows; ++r) {
            const std::size_t id = ids[r * id_stride];
            if (id == kNoRow) continue;
            add_row(panels + (id >> shift) * place.step, interleaved, id & (interleaved - 1), scales, n,
                    z + r * z_stride + p * kPanel);
        }
    }
}

void gather_from(const Matrix& m, std::size_t first, std::size_t n_panels, const std::uint32_t* ids,
                 std::size_t id_stride, std::size_t rows, float* z, std::size_t z_stride) {
    switch (m.type) {
        case WeightType::f32: return gather_rows<float>(m, first, n_panels, ids, id_stride, rows, z, z_stride);
        case WeightType::bf16: return gather_rows<std::uint16_t>(m, first, n_panels, ids, id_stride, rows, z, z_stride);
        case WeightType::int8: return gather_rows<std::int8_t>(m, first, n_panels, ids, id_stride, rows, z, z_stride);
    }
}

// ---- Recurrent layers ---------------------------------------------------------------------------

// The pre-activations of a group of blocks for a chunk of lanes are in a buffer that fits the
// first-level cache.
constexpr std::size_t kChunkRows = 7 * kAmxRows;
constexpr std::size_t kBuffer = kChunkRows * kBlock;

// Returns whether the products of a step are on tiles of AMX.
inline bool tiled(const RnnStep& s) {
    return s.kernel.rounded.rounding == Rounding::tiles || s.recurrent.rounded.rounding == Rounding::tiles;
}
// Returns the lanes of a chunk of a step, which are whole tiles.
inline std::size_t chunk_for(const RnnStep& s, std::size_t most) {
    return chunk_of(s.rows, most, tiled(s) ? kAmxRows : kTileOfRows);
}

// z (n) = from (n), for n a multiple of 16.
inline void copy_row(const float* from, std::size_t n, float* z) {
    for (std::size_t v = 0; v < n; v += kWidth) store(z + v, load(from + v));
}

// Returns the sums of a step for the panels [first, first + n_panels) and the lanes from r on. They
// go to z (rows, 16 * n_panels), from the step's start plus its input product. Where nothing is
// gathered, the start is not copied, since stores take time of multiply-adds on some processors.
LSTMGEN_NOINLINE Sums input_product(const RnnStep& s, const Rows& x, std::size_t first, std::size_t n_panels,
                                    std::size_t r, std::size_t rows, float* z) {
    const std::size_t stride = n_panels * kPanel;
    const float* const start = s.start + first * kPanel;
    const Sums in_place{z, stride, z, stride};
    Sums sums{z, stride, start + r * s.start_stride, s.start_stride};
    if (s.ids || s.start_period > 0) {
        for (std::size_t j = 0; j < rows; ++j) {
            const std::size_t row = s.start_period > 0 ? (s.start_first + r + j) % s.start_period : r + j;
            copy_row(start + row * s.start_stride, stride, z + j * stride);
        }
        sums = in_place;
    }
    if (s.ids) gather_from(s.kernel, first, n_panels, s.ids + r * s.id_stride, s.id_stride, rows, z, stride);
    if (s.x) {
        gemm_from(s.kernel, first, n_panels, rows_after(x, r), rows, sums);
        sums = in_place;
    }
    return sums;
}

// The rows that a step multiplies, rounded as their matrices need it.
struct Operands {
    explicit Operands(const RnnStep& s)
        : memory(s.rounded),
          x(rows_for(s.kernel, s.x, s.x_stride, s.rows, memory)),
          h_prev(rows_for(s.recurrent, s.h_prev, s.h_stride, s.rows, memory)) {}

    float* memory;   // (what is left), the rest of the step's memory for rounded rows
    Rows x, h_prev;  // (rows, kernel.k) and (rows, recurrent.k)
};

// Vectors that go through the formula of a cell side by side.
constexpr std::size_t kCellVecs = kVecs < 2 ? kVecs : 2;

// ---- LSTM ---------------------------------------------------------------------------------------

// c (16) = f * c + i * g, and h (16) = o, for one block with the pre-activations z (4, 16) of the
// gates i, f, c, o.
template <class Act, class Rec>
inline void gates(Act act, Rec rec, const float* z, float* c, float* h) {
    constexpr std::size_t n = kCellVecs;
    for (std::size_t v = 0; v < kPanel; v += n * kWidth) {
        const auto i = rec.apply(load_wide<n>(z + v)), g = act.apply(load_wide<n>(z + 2 * kPanel + v));
        const auto f = rec.apply(load_wide<n>(z + kPanel + v));
        store_wide(c + v, fma(f, load_wide<n>(c + v), mul(i, g)));
        store_wide(h + v, rec.apply(load_wide<n>(z + 3 * kPanel + v)));
    }
}

// h (16) = h * act(c), for one block.
template <class Act>
inline void cell(Act act, const float* c, float* h) {
    constexpr std::size_t n = kCellVecs;
    for (std::size_t v = 0; v < kPanel; v += n * kWidth)
        store_wide(h + v, mul(load_wide<n>(h + v), act.apply(load_wide<n>(c + v))));
}

template <class Act, class Rec>
void lstm_step_typed(const LstmStep& s, Act act, Rec rec) {
    alignas(64) float z[kBuffer];  // (rows of a chunk, blocks of a group, 4 gates, 16)
    const Operands in(s);
    const std::size_t group = s.rows == 1 ? kBuffer / kBlock : 1, chunk = chunk_for(s, kChunkRows);
    for (std::size_t b = 0; b < s.blocks; b += group) {
        const std::size_t blocks = s.blocks - b < group ? s.blocks - b : group;
        for (std::size_t r = 0; r < s.rows; r += chunk) {
            const std::size_t rows = s.rows - r < chunk ? s.rows - r : chunk;
            const Sums sums = input_product(s, in.x, b * kGates, blocks * kGates, r, rows, z);
            gemm_from(s.recurrent, b * kGates, blocks * kGates, rows_after(in.h_prev, r), rows, sums);
            // Gates do not depend on each other, but an output waits for its gates. So all gates
            // come first.
            const auto each = [&](auto f) {
                for (std::size_t j = 0; j < rows; ++j)
                    for (std::size_t i = 0; i < blocks; ++i) {
                        const std::size_t at = (r + j) * s.h_stride + (b + i) * kPanel;
                        f(z + (j * blocks + i) * kBlock, s.c + at, s.h + at);
                    }
            };
            each([&](const float* gate, float* c, float* h) { gates(act, rec, gate, c, h); });
            each([&](const float*, const float* c, float* h) { cell(act, c, h); });
        }
    }
}

void lstm_step(const LstmStep& s) {
    // Nearly all networks have this pair. It has its own copy of the step on instruction sets where
    // that is faster.
    if constexpr (kCommonPair)
        if (s.activation == Function::tanh && s.recurrent_activation == Function::sigmoid)
            return lstm_step_typed(s, Tanh{}, Sigmoid{});
    lstm_step_typed(s, Any{s.activation}, Any{s.recurrent_activation});
}

// ---- GRU ----------------------------------------------------------------------------------------

constexpr std::size_t kGruBlock = kGruGates * kPanel;  // numbers of a block of a GRU layer
constexpr std::size_t kGruBuffer = kGruRows * kGruBlock;

// z (rows, 16 * n_panels) = the step's start plus its input product, as above.
void input_product_in(const RnnStep& s, const Rows& x, std::size_t first, std::size_t n_panels, std::size_t r,
                      std::size_t rows, float* z) {
    const Sums sums = input_product(s, x, first, n_panels, r, rows, z);
    for (std::size_t j = 0; sums.from != z && j < rows; ++j)
        copy_row(sums.from + j * sums.from_stride, sums.stride, z + j * sums.stride);
}

// Returns sums in u (rows, stride) that start as zeros.
inline Sums zeros(float* u, std::size_t rows, std::size_t stride) {
    for (std::size_t v = 0; v < rows * stride; v += kWidth) store(u + v, set(0.0f));
    return {u, stride, u, stride};
}

// a (n) = f(a + u (n))
template <class F>
inline void map_sum(F f, float* a, const float* u, std::size_t n) {
    constexpr std::size_t few = kVecs < 4 ? kVecs : 4;
    for (std::size_t v = 0; v < n; v += few * kWidth)
        store_wide(a + v, f.apply(add(load_wide<few>(a + v), load_wide<few>(u + v))));
}

// Returns z * h + (1 - z) * g.
template <std::size_t N>
inline Wide<N> blend(const Wide<N>& z, const Wide<N>& h, const Wide<N>& g) {
    const auto rest = each_of<N>([&](std::size_t i) { return sub(set(1.0f), z.v[i]); });
    return fma(z, h, mul(rest, g));
}

void gru_step_reset_after(const GruStep& s) {
    const Any act{s.activation}, rec{s.recurrent_activation};
    // (rows of a chunk, blocks of a group, 3 gates, 16): the products of the input, and of h.
    alignas(64) float a[kGruBuffer], u[kGruBuffer];
    const Operands in(s);
    constexpr std::size_t n = kCellVecs;
    const std::size_t group = s.rows == 1 ? kGruRows : 1, chunk = chunk_for(s, kGruRows);
    for (std::size_t b = 0; b < s.blocks; b += group) {
        const std::size_t blocks = s.blocks - b < group ? s.blocks - b : group;
        const std::size_t stride = blocks * kGruBlock;
        for (std::size_t r = 0; r < s.rows; r += chunk) {
            const std::size_t rows = s.rows - r < chunk ? s.rows - r : chunk;
            input_product_in(s, in.x, b * kGruGates, blocks * kGruGates, r, rows, a);
            gemm_from(s.recurrent, b * kGruGates, blocks * kGruGates, rows_after(in.h_prev, r), rows,
                      {u, stride, s.recurrent_start + b * kGruBlock, 0});
            for (std::size_t i = 0; i < rows * blocks; ++i)
                map_sum(rec, a + i * kGruBlock, u + i * kGruBlock, 2 * kPanel);
            for (std::size_t j = 0; j < rows; ++j)
                for (std::size_t i = 0; i < blocks; ++i)
                    for (std::size_t v = 0; v < kPanel; v += n * kWidth) {
                        const float* const gate = a + j * stride + i * kGruBlock + v;
                        const auto reset = load_wide<n>(gate + kPanel);
                        const auto part = load_wide<n>(u + j * stride + i * kGruBlock + 2 * kPanel + v);
                        const auto g = act.apply(fma(reset, part, load_wide<n>(gate + 2 * kPanel)));
                        const std::size_t at = (r + j) * s.h_stride + (b + i) * kPanel + v;
                        store_wide(s.h + at, blend(load_wide<n>(gate), load_wide<n>(s.h_prev + at), g));
                    }
        }
    }
}

// The product of gate h needs r of all units. So the step has two passes over the blocks. The first
// leaves r * h_prev in the place of the new h. It leaves z and the input product of gate h in
// `working` (rows, blocks, 2, 16). The second pass computes gate h, and then the new h in
// `working`, since its products still read r * h_prev.
void gru_step_reset_before(const GruStep& s) {
    const Any act{s.activation}, rec{s.recurrent_activation};
    // a (rows, blocks of a group, 3 gates, 16) is the product of the input. u is the product of h:
    // (rows, blocks of a group, 2 gates, 16) in the first pass, (rows, blocks, 16) in the second.
    alignas(64) float a[kGruBuffer], u[kGruBuffer];
    const Operands in(s);
    constexpr std::size_t n = kCellVecs, pair = 2 * kPanel;
    const std::size_t chunk = chunk_for(s, kGruRows / 2);
    const std::size_t group = s.rows == 1 ? kGruRows : 2, group_h = s.rows == 1 ? kGruRows : kGates;
    const std::size_t working_stride = pair * s.blocks;
    for (std::size_t r = 0; r < s.rows; r += chunk) {
        const std::size_t rows = s.rows - r < chunk ? s.rows - r : chunk;
        const float* const h_prev = s.h_prev + r * s.h_stride;
        float* const h = s.h + r * s.h_stride;
        for (std::size_t b = 0; b < s.blocks; b += group) {
            const std::size_t blocks = s.blocks - b < group ? s.blocks - b : group;
            input_product_in(s, in.x, b * kGruGates, blocks * kGruGates, r, rows, a);
            gemm_from(s.recurrent, b * 2, blocks * 2, rows_after(in.h_prev, r), rows, zeros(u, rows, blocks * pair));
            for (std::size_t i = 0; i < rows * blocks; ++i) map_sum(rec, a + i * kGruBlock, u + i * pair, pair);
            for (std::size_t j = 0; j < rows; ++j)
                for (std::size_t i = 0; i < blocks; ++i)
                    for (std::size_t v = 0; v < kPanel; v += kWidth) {
                        const float* const gate = a + (j * blocks + i) * kGruBlock + v;
                        float* const to = s.working + j * working_stride + (b + i) * pair + v;
                        const std::size_t at = j * s.h_stride + (b + i) * kPanel + v;
                        store(to, load(gate));
                        store(to + kPanel, load(gate + 2 * kPanel));
                        store(h + at, mul(load(gate + kPanel), load(h_prev + at)));
                    }
        }
        float* memory = in.memory;
        const Rows reset = rows_for(s.candidate, h, s.h_stride, rows, memory);
        for (std::size_t b = 0; b < s.blocks; b += group_h) {
            const std::size_t blocks = s.blocks - b < group_h ? s.blocks - b : group_h;
            gemm_from(s.candidate, b, blocks, reset, rows, zeros(u, rows, blocks * kPanel));
            for (std::size_t j = 0; j < rows; ++j)
                for (std::size_t i = 0; i < blocks; ++i)
                    for (std::size_t v = 0; v < kPanel; v += n * kWidth) {
                        float* const gate = s.working + j * working_stride + (b + i) * pair + v;
                        const auto part = load_wide<n>(u + (j * blocks + i) * kPanel + v);
                        const auto g = act.apply(add(load_wide<n>(gate + kPanel), part));
                        const auto before = load_wide<n>(h_prev + j * s.h_stride + (b + i) * kPanel + v);
                        store_wide(gate, blend(load_wide<n>(gate), before, g));
                    }
        }
        for (std::size_t j = 0; j < rows; ++j)
            for (std::size_t b = 0; b < s.blocks; ++b)
                for (std::size_t v = 0; v < kPanel; v += kWidth)
                    store(h + j * s.h_stride + b * kPanel + v, load(s.working + j * working_stride + b * pair + v));
    }
}

void gru_step(const GruStep& s) {
    if (s.reset_after)
        gru_step_reset_after(s);
    else
        gru_step_reset_before(s);
}

// ---- SimpleRNN ----------------------------------------------------------------------------------

void rnn_step(const RnnStep& s) {
    alignas(64) float z[kBuffer];  // (rows of a chunk, blocks of a group, 16)
    const Operands in(s);
    const std::size_t group = s.rows == 1 ? kBuffer / kPanel : kGates, chunk = chunk_for(s, kChunkRows);
    for (std::size_t b = 0; b < s.blocks; b += group) {
        const std::size_t blocks = s.blocks - b < group ? s.blocks - b : group;
        const std::size_t stride = blocks * kPanel;
        for (std::size_t r = 0; r < s.rows; r += chunk) {
            const std::size_t rows = s.rows - r < chunk ? s.rows - r : chunk;
            const Sums sums = input_product(s, in.x, b, blocks, r, rows, z);
            gemm_from(s.recurrent, b, blocks, rows_after(in.h_prev, r), rows, sums);
            activate(s.activation, z, rows * stride);
            for (std::size_t j = 0; j < rows; ++j)
                for (std::size_t v = 0; v < stride; v += kWidth)
                    store(s.h + (r + j) * s.h_stride + b * kPanel + v, load(z + j * stride + v));
        }
    }
}

void gemm(const Matrix& m, std::size_t n_panels, const float* x, std::size_t x_stride, std::size_t rows, float* z,
          std::size_t z_stride, float* rounded) {
    gemm_from(m, 0, n_panels, rows_for(m, x, x_stride, rows, rounded), rows, {z, z_stride, z, z_stride});
}

void gather(const Matrix& m, std::size_t n_panels, const std::uint32_t* ids, std::size_t id_stride, std::size_t rows,
            float* z, std::size_t z_stride) {
    gather_from(m, 0, n_panels, ids, id_stride, rows, z, z_stride);
}

// A loop over bits has no branch, so that it is vectorised.
void drop_below(float least, float* x, std::size_t n) {
    const std::uint32_t least_bits = bits_of(least);
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint32_t bits = bits_of(x[i]), kept = (bits & 0x7fffffff) < least_bits ? 0 : bits;
        std::memcpy(x + i, &kept, sizeof kept);
    }
}

// ---- Limits -------------------------------------------------------------------------------------

constexpr std::size_t kIndependent = 12;  // independent sums, enough to hide the latency

double fma_peak(std::size_t rounds) {
    Vec acc[kIndependent];
    for (Vec& a : acc) a = set(0.5f);
    const Vec scale = set(0.999f), shift = set(0.001f);
    for (std::size_t i = 0; i < rounds; ++i)
        for (Vec& a : acc) a = fma(a, scale, shift);
    for (std::size_t i = 1; i < kIndependent; ++i) acc[0] = add(acc[0], acc[i]);
    float out[kWidth];
    store(out, acc[0]);
    // out[0] is always positive. The compiler does not know that, so it keeps the loop.
    return out[0] > 0.0f ? static_cast<double>(rounds * kIndependent * kWidth) : 0.0;
}

float read(const void* data, std::size_t n) {
    constexpr std::size_t vecs = 8;
    const float* const p = static_cast<const float*>(data);
    Vec acc[vecs];
    for (Vec& a : acc) a = set(0.0f);
    for (std::size_t i = 0; i < n / sizeof(float); i += vecs * kWidth)
        for (std::size_t j = 0; j < vecs; ++j) acc[j] = max(acc[j], load(p + i + j * kWidth));
    for (std::size_t i = 1; i < vecs; ++i) acc[0] = max(acc[0], acc[i]);
    float out[kWidth];
    store(out, acc[0]);
    return out[0];
}

// The layouts of matrices of int8: pairs of rows, or quads of rows in as many adjacent panels as
// matrices of floats have.
constexpr Layout kPairs{2, 1}, kQuads{4, kTilePanels};

constexpr KernelTable make_table(const char* name, Layout int8_layout, RoundedProduct int8,
                                 RoundedProduct bf16 = {Rounding::bf16, multiply_panels<std::uint16_t>}) {
    return {name,       {{1, kTilePanels}, {2, kTilePanels}, int8_layout},
            gemm,       bf16,
            int8,       gather,
            lstm_step,  gru_step,
            rnn_step,   activate,
            drop_below, exp_all,
            fma_peak,   read};
}

}  // namespace
}  // namespace lstmgen::kernels
