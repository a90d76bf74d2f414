// This is kernels_avx512amx.cpp with SIMDe, and with a model of the tiles.
#include "vec_simde.hpp"

#include "tile_model.hpp"

#include "../src/kernels/kernels_avx512amx.cpp"
