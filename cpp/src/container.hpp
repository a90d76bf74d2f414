// The file: GGUF bytes -> checked description. The only code that touches untrusted bytes; docs/format.md is its
// specification.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "activations.hpp"
#include "aligned.hpp"
#include "lstmgen/lstmgen.hpp"

namespace lstmgen {

struct Tensor {
    std::size_t rows = 1, columns = 0;  // a vector has one row
    bool bf16 = false;
    const std::byte* data = nullptr;  // rows * columns values, C order
};

enum class LayerType { embedding, lstm, dense, affine, activation };

struct LayerDescription {
    LayerType type{};
    std::string name;
    std::size_t inputs = 0, outputs = 0;
    Activation activation = Activation::linear, recurrent_activation = Activation::sigmoid;
    bool return_sequences = false;
    std::vector<Tensor> tensors;  // in the order of the specification
};

struct SelfTest {
    std::vector<std::uint32_t> ids;
    std::vector<float> features;
    std::vector<double> output;
    double tolerance = 0.0;
};

/// Everything in a model file. The tensors point into `bytes`.
struct Container {
    ModelInfo info;
    std::vector<LayerDescription> layers;
    SelfTest self_test;
    AlignedBuffer<std::byte> bytes;
};

/// Both throw Error: code io if the file cannot be read, code format if anything in it breaks the specification.
Container read_container(const std::string& path);
Container read_container(const void* data, std::size_t size, const std::string& name);

}  // namespace lstmgen
