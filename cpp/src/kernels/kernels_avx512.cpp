#include "vec_avx512.hpp"

#include "kernels.inl"

const lstmgen::kernels::KernelTable lstmgen::kernels::avx512_table = lstmgen::kernels::make_table("avx512");
