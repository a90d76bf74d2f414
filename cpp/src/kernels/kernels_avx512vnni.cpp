// Products with int8. The other functions are those of kernels_avx512.cpp.
//
// The instruction multiplies unsigned bytes with signed ones. So 32768 is added to the rounded
// numbers, and the results are split into upper and lower bytes. The addition changes a sum by
// 32768 times the sum of the weights. Matrix::starts subtracts that. The sums are modulo 2^32,
// which the true sum fits.
#include "vec_avx512.hpp"

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
    static constexpr std::size_t rows = 4, chain = kIntChain, tile_rows = 3, row_panels = kRowPanels;

    // Returns the bytes i to i + 3 of both halves of `row`: (stride) upper ones, (stride) lower
    // ones.
    static Halves numbers(const std::int16_t* row, std::size_t stride, std::size_t i) {
        const auto* const bytes = reinterpret_cast<const std::byte*>(row);
        std::int32_t upper, lower;
        std::memcpy(&upper, bytes + i, sizeof upper);
        std::memcpy(&lower, bytes + stride + i, sizeof lower);
        return {set_pair(upper), set_pair(lower)};
    }
};

inline void start(Halves& sum, const std::int32_t* starts) { sum = {zero_ints(), load_ints(starts)}; }
inline Halves add_dot(Halves sum, Pairs w, Halves a) {
    return {add_dot_bytes(sum.upper, a.upper, w), add_dot_bytes(sum.lower, a.lower, w)};
}
inline void add_to(float* z, const float* from, Halves sum, const Rows& x, std::size_t r, const float* scales) {
    add_to(z, from, add_ints(times_256(sum.upper), sum.lower), x, r, scales);
}

}  // namespace

void avx512vnni_int8(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                     const Sums& sums) {
    multiply_panels<Quad>(m, first, n_panels, x, rows, sums);
}

}  // namespace lstmgen::kernels
