// Products with int8. The other functions are those of kernels_neon.cpp.
//
// The instruction multiplies signed bytes. So 32768 is added to the rounded numbers, the results
// are split into upper and lower bytes, and 128 is subtracted from each byte. That changes a sum by
// -128 times the sum of the weights. The sums are modulo 2^32, which the true sum fits.
#include "vec_neon.hpp"

#include "products.inl"

namespace lstmgen::kernels {
namespace {

// Two vectors of sums or numbers: one of the upper bytes, one of the lower bytes.
struct Halves {
    Ints upper, lower;
};

template <>
struct Kind<Quad> {
    using Sum = Halves;
    static constexpr std::size_t rows = 4, chain = kIntChain, tile_rows = 2, row_panels = 3;

    // Returns the bytes i to i + 3 of both halves of `row`: (stride) upper ones, (stride) lower
    // ones.
    static Halves numbers(const std::int16_t* row, std::size_t stride, std::size_t i) {
        const auto* const bytes = reinterpret_cast<const std::byte*>(row);
        const auto flipped = [](const std::byte* four) {
            const auto* const number = reinterpret_cast<const std::int32_t*>(four);
            return veorq_s32(vld1q_dup_s32(number), vdupq_n_s32(static_cast<std::int32_t>(0x80808080)));
        };
        return {flipped(bytes + i), flipped(bytes + stride + i)};
    }
};

// Matrix::starts are -32768 times the sum of the weights, which is at most 2^31. So their negative
// modulo 2^32 fits, and a shift makes it 128 times the sum.
inline void start(Halves& sum, const std::int32_t* starts) {
    sum = {zero_ints(), vshrq_n_s32(vnegq_s32(vld1q_s32(starts)), 8)};
}
// Returns sum + the products of four bytes of a with four bytes of b.
inline Ints add_dot_bytes(Ints sum, int8x16_t a, int8x16_t b) {
#if defined(__GNUC__)
    // With the intrinsic, GCC needs a flag -march that contradicts the flags of the library.
    asm(".arch armv8.2-a+dotprod\n\tsdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
    return sum;
#else
    return vdotq_s32(sum, a, b);
#endif
}
inline Halves add_dot(Halves sum, Pairs w, Halves a) {
    const int8x16_t weights = vreinterpretq_s8_s16(w);
    return {add_dot_bytes(sum.upper, weights, vreinterpretq_s8_s32(a.upper)),
            add_dot_bytes(sum.lower, weights, vreinterpretq_s8_s32(a.lower))};
}
inline void add_to(float* z, const float* from, Halves sum, const Rows& x, std::size_t r, const float* scales) {
    add_to(z, from, vaddq_s32(vshlq_n_s32(sum.upper, 8), sum.lower), x, r, scales);
}

}  // namespace

void neondot_int8(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                  const Sums& sums) {
    multiply_panels<Quad>(m, first, n_panels, x, rows, sums);
}

}  // namespace lstmgen::kernels
