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
    tanh,  // up to here vectorised: kernels::Function, in its order
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

/// Finds an activation by its name in the file. Returns false if there is none of that name.
bool parse_activation(std::string_view name, Activation& activation);

/// Returns the name of an activation in the file.
std::string_view activation_name(Activation activation);

constexpr bool is_vectorised(Activation a) { return a <= Activation::tanh; }
constexpr kernels::Function kernel_function(Activation a) { return static_cast<kernels::Function>(a); }

/// row (n) = activation(row), as keras.activations does. A vectorised activation also changes the
/// numbers up to the next multiple of 16, which the row must have. The others are computed in
/// double and rounded once.
void activate(const kernels::KernelTable& kernels, Activation activation, float* row, std::size_t n);

}  // namespace lstmgen
