// This is kernels_avx512vnni.cpp with SIMDe.
#include "vec_simde.hpp"

#include "../src/kernels/kernels_avx512vnni.cpp"
