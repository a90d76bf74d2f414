// Products with int8 of several rows. The other functions are those of kernels_neon.cpp.
//
// The instruction multiplies two rows of eight unsigned bytes with two columns of eight signed
// ones. So 32768 is added to the rounded numbers, and the results are split into upper and lower
// bytes, as in kernels_avx512vnni.cpp.
#include "vec_neon.hpp"

#include "products.inl"

namespace lstmgen::kernels {
namespace {

constexpr std::size_t kColumns = kPanel / 2;  // of a tile

// sum (2, 2) += a (2, 8) . b (8, 2), where the numbers of a row of a, and of a column of b, lie
// together.
inline Ints add_dots(Ints sum, uint8x16_t a, int8x16_t b) {
#if defined(__GNUC__)  // as in kernels_neondot.cpp
    asm(".arch armv8.2-a+i8mm\n\tusmmla %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
    return sum;
#else
    return vusmmlaq_s32(sum, a, b);
#endif
}

// b (8, 8) = the weights of two groups of four rows, for eight columns: two columns in a vector.
// Without a second group its weights are zeros.
inline void load_weights(const std::int8_t* first, const std::int8_t* second, int8x16_t (&b)[kColumns / 2]) {
    for (std::size_t j = 0; j < kColumns / 4; ++j) {
        const Ints upper = vreinterpretq_s32_s8(vld1q_s8(first + 16 * j));
        const Ints lower = second ? vreinterpretq_s32_s8(vld1q_s8(second + 16 * j)) : zero_ints();
        b[2 * j] = vreinterpretq_s8_s32(vzip1q_s32(upper, lower));
        b[2 * j + 1] = vreinterpretq_s8_s32(vzip2q_s32(upper, lower));
    }
}

// Eight bytes of one row and eight of another, for the first and the second half of 16 bytes.
struct Eights {
    uint8x16_t of[2];
};
inline Eights eights_of(const std::uint8_t* first, const std::uint8_t* second) {
    const uint64x2_t a = vreinterpretq_u64_u8(vld1q_u8(first)), b = vreinterpretq_u64_u8(vld1q_u8(second));
    return {{vreinterpretq_u8_u64(vzip1q_u64(a, b)), vreinterpretq_u8_u64(vzip2q_u64(a, b))}};
}

// Returns row 0 (or 1) of two sums (2, 2) side by side.
inline Ints row_of(Ints a, Ints b, bool second) {
    const int64x2_t left = vreinterpretq_s64_s32(a), right = vreinterpretq_s64_s32(b);
    return vreinterpretq_s32_s64(second ? vtrn2q_s64(left, right) : vtrn1q_s64(left, right));
}

// to (2 N) = rows r to r + 2 N - 1 of x, times eight columns of panel `p` from `column` on.
template <std::size_t N>
LSTMGEN_NOINLINE void tile(const Matrix& m, std::size_t p, std::size_t column, const Rows& x, std::size_t r, Sums to) {
    const Place place = place_of(p, m.layout, m.k, m.n_panels);
    const std::int8_t* const panel = static_cast<const std::int8_t*>(m.panels) + place.at + 4 * column;
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(x.rounded + r * x.rounded_stride);
    const std::size_t row = 2 * x.rounded_stride, lower_bytes = x.rounded_stride;
    const std::int32_t* starts = m.starts + p * kPanel + column;
    for (std::size_t begin = 0; begin < m.k; begin += kIntChain, starts += m.n_panels * kPanel) {
        const std::size_t end = m.k - begin < kIntChain ? m.k : begin + kIntChain;
        Ints upper[N][kColumns / 2], lower[N][kColumns / 2];
        for (std::size_t n = 0; n < N; ++n)
            for (std::size_t j = 0; j < kColumns / 2; ++j) upper[n][j] = lower[n][j] = zero_ints();
        const std::int8_t* w = panel + begin / 4 * place.step;
        std::size_t i = begin;
        for (; i + 16 <= end; i += 16, w += 4 * place.step) {  // whole vectors of each row
            int8x16_t b[2][kColumns / 2];
            load_weights(w, w + place.step, b[0]);
            load_weights(w + 2 * place.step, w + 3 * place.step, b[1]);
            for (std::size_t n = 0; n < N; ++n) {
                const std::uint8_t *const first = bytes + 2 * n * row + i, *const second = first + row;
                const Eights a = eights_of(first, second), c = eights_of(first + lower_bytes, second + lower_bytes);
                for (std::size_t h = 0; h < 2; ++h)
                    for (std::size_t j = 0; j < kColumns / 2; ++j) {
                        upper[n][j] = add_dots(upper[n][j], a.of[h], b[h][j]);
                        lower[n][j] = add_dots(lower[n][j], c.of[h], b[h][j]);
                    }
            }
        }
        for (; i < end; i += 8, w += 2 * place.step) {
            int8x16_t b[kColumns / 2];
            load_weights(w, i + 4 < end ? w + place.step : nullptr, b);
            for (std::size_t n = 0; n < N; ++n) {
                const std::uint8_t *const first = bytes + 2 * n * row + i, *const second = first + row;
                const uint8x16_t a = vcombine_u8(vld1_u8(first), vld1_u8(second)),
                                 c = vcombine_u8(vld1_u8(first + lower_bytes), vld1_u8(second + lower_bytes));
                for (std::size_t j = 0; j < kColumns / 2; ++j) {
                    upper[n][j] = add_dots(upper[n][j], a, b[j]);
                    lower[n][j] = add_dots(lower[n][j], c, b[j]);
                }
            }
        }
        for (std::size_t n = 0; n < 2 * N; ++n)
            for (std::size_t j = 0; j < kColumns / 4; ++j) {
                const auto sum = [&](const Ints(&sums)[kColumns / 2]) {
                    return row_of(sums[2 * j], sums[2 * j + 1], n % 2 > 0);
                };
                const Ints low = vaddq_s32(sum(lower[n / 2]), vld1q_s32(starts + 4 * j));
                const Sums at = sums_after(to, n, 4 * j);
                add_to(at.z, at.from, vaddq_s32(vshlq_n_s32(sum(upper[n / 2]), 8), low), x, r + n,
                       m.scales + p * kPanel + column + 4 * j);
            }
        to = {to.z, to.stride, to.z, to.stride};
    }
}

// Multiplies the rows from r on in tiles of 2 N rows. Returns the row after them.
template <std::size_t N>
std::size_t run(const Matrix& m, std::size_t p, const Rows& x, std::size_t r, std::size_t rows, const Sums& sums) {
    for (; r + 2 * N <= rows; r += 2 * N)
        for (std::size_t column = 0; column < kPanel; column += kColumns)
            tile<N>(m, p, column, x, r, sums_after(sums, r, column));
    return r;
}

}  // namespace

void neoni8mm_int8(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                   const Sums& sums) {
    const std::size_t paired = rows / 2 * 2;
    for (std::size_t i = 0; i < n_panels; ++i) {
        const Sums to = sums_after(sums, 0, i * kPanel);
        run<1>(m, first + i, x, run<2>(m, first + i, x, 0, paired, to), paired, to);
    }
    if (paired < rows) neondot_int8(m, first, n_panels, rows_after(x, paired), 1, sums_after(sums, paired, 0));
}

}  // namespace lstmgen::kernels
