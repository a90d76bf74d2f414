#include "vec_avx2.hpp"

#include "kernels.inl"

namespace lstmgen::kernels {

void avx2_int8(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
               const Sums& sums) {
    multiply_panels<std::int8_t>(m, first, n_panels, x, rows, sums);
}

const KernelTable avx2_table = make_table("avx2", kPairs, {Rounding::int16, avx2_int8});

}  // namespace lstmgen::kernels
