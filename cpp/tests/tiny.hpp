#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lstmgen/lstmgen.hpp"

const std::string kPath = LSTMGEN_TEST_DATA "/tiny.bin";

using Ids = std::vector<std::uint32_t>;

// Returns options with the seed 42.
inline lstmgen::GeneratorOptions options(std::size_t refresh, std::size_t threads = 1) {
    lstmgen::GeneratorOptions o;
    o.refresh = refresh;
    o.threads = threads;
    o.sampler.seed = 42;
    return o;
}
