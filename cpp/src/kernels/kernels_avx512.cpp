#include "vec_avx512.hpp"

#include "kernels.inl"

namespace lstmgen::kernels {

// Without VNNI, products with int8 are left to AVX2: few processors have AVX-512 alone.
const KernelTable avx512_table = make_table("avx512", avx2_rounded_product);
const KernelTable avx512vnni_table = make_table("avx512vnni", avx512vnni_rounded_product);

}  // namespace lstmgen::kernels
