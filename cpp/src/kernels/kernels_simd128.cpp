#include "vec_simd128.hpp"

#include "kernels.inl"

namespace lstmgen::kernels {

const KernelTable simd128_table = make_table("simd128", kPairs, {Rounding::int16, multiply_panels<std::int8_t>});

}  // namespace lstmgen::kernels
