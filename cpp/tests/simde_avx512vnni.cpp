// kernels_avx512vnni.cpp by SIMDe.
#include "vec_simde.hpp"

#include "../src/kernels/kernels_avx512vnni.cpp"
