// Products of bf16 with bf16. The other functions are those of kernels_avx512.cpp.
#include "vec_avx512.hpp"

#include "products.inl"

namespace lstmgen::kernels {

void avx512bf16_bf16(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                     const Sums& sums) {
    multiply_panels<Bf16>(m, first, n_panels, x, rows, sums);
}

}  // namespace lstmgen::kernels
