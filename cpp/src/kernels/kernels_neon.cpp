#include "vec_neon.hpp"

#include "kernels.inl"

const lstmgen::kernels::KernelTable lstmgen::kernels::neon_table = lstmgen::kernels::make_table("neon");
