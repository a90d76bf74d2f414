#include "activations.hpp"

#include <algorithm>
#include <cmath>

#include "kept.hpp"
#include "portable_math.hpp"

namespace lstmgen {
namespace {

using Elementwise = double (*)(double);

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
double gelu(double x) { return 0.5 * x * std::erfc(-x * 0.70710678118654752); }
double gelu_tanh(double x) { return 0.5 * x * (1.0 + std::tanh(0.79788456080286536 * (x + 0.044715 * x * x * x))); }
double sparse_plus(double x) { return x <= -1.0 ? 0.0 : x < 1.0 ? 0.25 * (x + 1.0) * (x + 1.0) : x; }
double selu(double x) { return 1.0507009873554804934 * (x > 0.0 ? x : 1.6732632423543772848 * std::expm1(x)); }

struct Entry {
    std::string_view name;
    Elementwise function;  // null: it is vectorised, or it works on the whole row
};

// The order is that of Activation.
constexpr Entry kEntries[] = {
    {"linear", nullptr},
    {"relu", nullptr},
    {"sigmoid", nullptr},
    {"hard_sigmoid", nullptr},
    {"hard_sigmoid_keras2", nullptr},
    {"tanh", nullptr},
    {"relu6", [](double x) { return std::clamp(x, 0.0, 6.0); }},
    {"leaky_relu", [](double x) { return x > 0.0 ? x : 0.2 * x; }},
    {"elu", [](double x) { return x > 0.0 ? x : std::expm1(x); }},
    {"selu", selu},
    {"celu", [](double x) { return x > 0.0 ? x : std::expm1(x); }},
    {"hard_tanh", [](double x) { return std::clamp(x, -1.0, 1.0); }},
    {"softmax", nullptr},
    {"log_softmax", nullptr},
    {"softplus", softplus},
    {"softsign", [](double x) { return x / (1.0 + std::abs(x)); }},
    {"exponential", [](double x) { return std::exp(x); }},
    {"silu", [](double x) { return x * sigmoid(x); }},
    {"hard_silu", [](double x) { return x * std::clamp(x + 3.0, 0.0, 6.0) / 6.0; }},
    {"gelu", gelu},
    {"gelu_tanh", gelu_tanh},
    {"mish", [](double x) { return x * std::tanh(softplus(x)); }},
    {"log_sigmoid", [](double x) { return -softplus(-x); }},
    {"tanh_shrink", [](double x) { return x - std::tanh(x); }},
    {"soft_shrink", [](double x) { return x > 0.5    ? x - 0.5
                                          : x < -0.5 ? x + 0.5
                                                     : 0.0; }},
    {"hard_shrink", [](double x) { return std::abs(x) > 0.5 ? x : 0.0; }},
    {"squareplus", [](double x) { return 0.5 * (x + std::sqrt(x * x + 4.0)); }},
    {"sparse_plus", sparse_plus},
    {"sparse_sigmoid", [](double x) { return std::clamp(0.5 * (x + 1.0), 0.0, 1.0); }},
    {"sparsemax", nullptr},
};
static_assert(std::size(kEntries) == static_cast<std::size_t>(Activation::sparsemax) + 1);

// row (n) = softmax(row), or its logarithm.
void softmax(float* row, std::size_t n, bool logarithm) {
    const double top = *std::max_element(row, row + n);
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) sum += exp_portable(row[i] - top);
    const double log_sum = logarithm ? log_portable(sum) : 0.0;
    for (std::size_t i = 0; i < n; ++i)
        row[i] = static_cast<float>(logarithm ? row[i] - top - log_sum : exp_portable(row[i] - top) / sum);
}

// row (n) = sparsemax(row): Martins and Astudillo, "From softmax to sparsemax", 2016. It subtracts
// the threshold with which the positive parts add up to 1. For the entries above the threshold, it
// is (their sum - 1) / their number. The loop repeats this from below until it stays, in at most n
// passes and without a copy.
void sparsemax(float* row, std::size_t n) {
    double threshold = -HUGE_VAL;
    for (std::size_t kept = n + 1;;) {
        double sum = 0.0;
        std::size_t above = 0;
        for (std::size_t i = 0; i < n; ++i)
            if (row[i] > threshold) {
                sum += row[i];
                ++above;
            }
        if (above == 0 || above == kept) break;
        kept = above;
        threshold = (sum - 1.0) / static_cast<double>(above);
    }
    for (std::size_t i = 0; i < n; ++i) row[i] = static_cast<float>(std::max(row[i] - threshold, 0.0));
}

}  // namespace

LSTMGEN_KEPT bool parse_activation(std::string_view name, Activation& activation) {
    for (std::size_t i = 0; i < std::size(kEntries); ++i)
        if (kEntries[i].name == name) {
            activation = static_cast<Activation>(i);
            return true;
        }
    return false;
}

LSTMGEN_KEPT std::string_view activation_name(Activation activation) {
    return kEntries[static_cast<std::size_t>(activation)].name;
}

void activate(const kernels::KernelTable& kernels, Activation activation, float* row, std::size_t n) {
    constexpr std::size_t panel = kernels::kPanel;
    switch (activation) {
        case Activation::softmax: return softmax(row, n, false);
        case Activation::log_softmax: return softmax(row, n, true);
        case Activation::sparsemax: return sparsemax(row, n);
        default: break;
    }
    if (is_vectorised(activation))
        return kernels.activate(kernel_function(activation), row, (n + panel - 1) / panel * panel);
    const Elementwise function = kEntries[static_cast<std::size_t>(activation)].function;
    for (std::size_t i = 0; i < n; ++i) row[i] = static_cast<float>(function(row[i]));
}

}  // namespace lstmgen
