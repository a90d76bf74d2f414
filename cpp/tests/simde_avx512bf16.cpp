// kernels_avx512bf16.cpp by SIMDe.
#include "vec_simde.hpp"

#include "../src/kernels/kernels_avx512bf16.cpp"
