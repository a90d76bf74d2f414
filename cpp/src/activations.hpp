// The activations that Keras names.
#pragma once

#include <cstddef>
#include <string_view>

#include "kernels/kernel_table.hpp"

namespace lstmgen {

enum class Activation {
    linear,
    relu,
    sigmoid,
    hard_sigmoid,
    hard_sigmoid_keras2,
    tanh,  // vectorised: the kernels' functions, in their order
    relu6,
    leaky_relu,
    elu,
    selu,
    celu,
    hard_tanh,
    softmax,
    log_softmax,
    softplus,
    softsign,
    exponential,
    silu,
    hard_silu,
    gelu,
    gelu_tanh,
    mish,
    log_sigmoid,
    tanh_shrink,
    soft_shrink,
    hard_shrink,
    squareplus,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
};

/// By its name in the file. False if there is none of that name.
bool parse_activation(std::string_view name, Activation& activation);

std::string_view activation_name(Activation activation);

constexpr bool is_vectorised(Activation a) { return a <= Activation::tanh; }
constexpr kernels::Function kernel_function(Activation a) { return static_cast<kernels::Function>(a); }

/// row[0..n) = activation(row), as keras.activations does; the vectorised ones may also change row
/// up to the next multiple of 16. The others are computed in double precision and rounded once.
void activate(const kernels::KernelTable& kernels, Activation activation, float* row, std::size_t n);

}  // namespace lstmgen
