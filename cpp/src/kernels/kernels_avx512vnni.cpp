// Products with int8. All else is in kernels_avx512.cpp.
#include "vec_avx512.hpp"

#include "products.inl"

namespace lstmgen::kernels {

void avx512vnni_int8(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                     float* z, std::size_t z_stride) {
    multiply_panels<std::int8_t>(m, first, n_panels, x, rows, z, z_stride);
}

}  // namespace lstmgen::kernels
