#include "activations.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

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
    Elementwise function;  // null: vectorised, or over the whole row
};

// In the order of Activation.
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

constexpr double kLeastExponent = -708.0;  // what is below has a power that counts as 0

// e^x for kLeastExponent < x <= 709, without a branch, so that a loop over it becomes one over vectors.
inline double exp_of(double x) {
    // x = n ln 2 + r with |r| <= ln 2 / 2; the series of e^r to r^13 is exact to 1e-18.
    constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52 rounds to an integer, in the lowest bits
    const double shifted = x * 1.4426950408889634 + magic;
    const double n = shifted - magic;
    const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    double q = 1.0 / 6227020800.0;
    q = q * r + 1.0 / 479001600.0;
    q = q * r + 1.0 / 39916800.0;
    q = q * r + 1.0 / 3628800.0;
    q = q * r + 1.0 / 362880.0;
    q = q * r + 1.0 / 40320.0;
    q = q * r + 1.0 / 5040.0;
    q = q * r + 1.0 / 720.0;
    q = q * r + 1.0 / 120.0;
    q = q * r + 1.0 / 24.0;
    q = q * r + 1.0 / 6.0;
    q = q * r + 0.5;
    const double e = 1.0 + (r + r * r * q);
    std::uint64_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52;
    double scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return e * scale;
}

void softmax(float* row, std::size_t n, bool logarithm) {
    const double top = *std::max_element(row, row + n);
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) sum += exp_portable(row[i] - top);
    const double log_sum = logarithm ? log_portable(sum) : 0.0;
    for (std::size_t i = 0; i < n; ++i)
        row[i] = static_cast<float>(logarithm ? row[i] - top - log_sum : exp_portable(row[i] - top) / sum);
}

// Martins and Astudillo, "From softmax to sparsemax", 2016: subtract the threshold that makes the positive part add up
// to 1. The threshold is the fixed point of "mean excess of the entries above it", reached from below in at most n
// passes, without a copy.
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

bool parse_activation(std::string_view name, Activation& activation) {
    for (std::size_t i = 0; i < std::size(kEntries); ++i)
        if (kEntries[i].name == name) {
            activation = static_cast<Activation>(i);
            return true;
        }
    return false;
}

std::string_view activation_name(Activation activation) { return kEntries[static_cast<std::size_t>(activation)].name; }

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

double exp_portable(double x) {
    if (!(x > kLeastExponent)) return x != x ? x : 0.0;
    return x > 709.0 ? HUGE_VAL : exp_of(x);
}

void exp_portable(double* x, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const double e = exp_of(x[i] > kLeastExponent ? x[i] : kLeastExponent);
        x[i] = e * (x[i] > kLeastExponent ? 1.0 : 0.0);  // no branch
    }
}

double log_portable(double x) {
    if (!(x > 0.0)) return x == 0.0 ? -HUGE_VAL : NAN;
    if (x == HUGE_VAL) return x;
    double n = 0.0;
    if (x < 0x1p-1022) {  // subnormal
        x *= 0x1p54;
        n = -54.0;
    }
    // x = 2^n m with m in [sqrt(1/2), sqrt(2)). ln m = 2 atanh(s) with s = (m - 1) / (m + 1), |s| < 0.172; its series
    // to s^21 is exact to 1e-18.
    std::uint64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    const std::uint64_t shifted = bits + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd);  // of sqrt(1/2)
    n += static_cast<double>(static_cast<std::int64_t>(shifted >> 52) - 1023);
    bits = (shifted & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd;
    double m;
    std::memcpy(&m, &bits, sizeof m);
    const double f = m - 1.0, s = f / (2.0 + f), z = s * s;
    double q = 2.0 / 21.0;
    for (const double c :
         {2.0 / 19.0, 2.0 / 17.0, 2.0 / 15.0, 2.0 / 13.0, 2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0})
        q = q * z + c;
    // 2 s = f - s f, so that the greatest part, f, is exact: ln m = f - (f^2 / 2 - s (f^2 / 2 + q z)).
    const double half = 0.5 * f * f;
    const double low = n * 1.90821492927058770002e-10;  // n ln 2, in two parts
    return n * 6.93147180369123816490e-01 - ((half - (s * (half + q * z) + low)) - f);
}

}  // namespace lstmgen
