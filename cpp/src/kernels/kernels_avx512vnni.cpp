// Products with int8. All else is in kernels_avx512.cpp.
//
// The instruction multiplies unsigned bytes with signed ones. So the rounded numbers, plus 32768,
// are taken apart into upper and lower bytes; what that adds to a sum does not depend on them, and
// is taken off where it starts. All modulo 2^32: the true sum fits.
#include "vec_avx512.hpp"

#include "products.inl"

namespace lstmgen::kernels {
namespace {

struct Halves {  // with the upper bytes, and the lower ones
    Ints upper, lower;
};

template <>
struct Kind<Quad> {
    using Sum = Halves;
    static constexpr std::size_t rows = 4, chain = kIntChain, tile_rows = 3;

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
inline void add_to(float* z, Halves sum, const Rows& x, std::size_t r, const float* scales) {
    add_to(z, add_ints(times_256(sum.upper), sum.lower), x, r, scales);
}

}  // namespace

void avx512vnni_int8(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                     float* z, std::size_t z_stride) {
    multiply_panels<Quad>(m, first, n_panels, x, rows, z, z_stride);
}

}  // namespace lstmgen::kernels
