#include "vec_avx2.hpp"

#include "kernels.inl"

const lstmgen::kernels::KernelTable lstmgen::kernels::avx2_table = lstmgen::kernels::make_table("avx2");
