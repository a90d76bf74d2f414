#include "vec_baseline.hpp"

#include "kernels.inl"

const lstmgen::kernels::KernelTable lstmgen::kernels::baseline_table = lstmgen::kernels::make_table("baseline");
