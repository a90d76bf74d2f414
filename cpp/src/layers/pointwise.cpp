// Layers that work step by step, without state and without a matrix.
#include <algorithm>
#include <cmath>

#include "layers/layer.hpp"

namespace lstmgen {

using kernels::KernelTable;

namespace {

class ActivationLayer final : public Layer {
public:
    explicit ActivationLayer(const LayerDescription& d) : Layer(d), activation_(d.activation) {}
    void step(const KernelTable& kernels, const Input* in, std::size_t lanes, const Output& out,
              float*) const override {
        for (std::size_t i = 0; i < lanes; ++i) {
            std::copy_n(in->numbers(i), outputs(), out.y + i * out.stride);
            activate(kernels, activation_, out.y + i * out.stride, outputs());
        }
    }

private:
    Activation activation_;
};

// y[j] = f(x[j], j) for each lane and each j below `size`. f works in double, and its result is
// rounded once, whatever the compiler does.
template <class F>
void map_rows(const Input& in, std::size_t lanes, const Output& out, std::size_t size, F f) {
    for (std::size_t i = 0; i < lanes; ++i)
        for (std::size_t j = 0; j < size; ++j)
            out.y[i * out.stride + j] = static_cast<float>(f(static_cast<double>(in.numbers(i)[j]), j));
}

class Affine final : public Layer {
public:
    Affine(const LayerDescription& d, LayerArrays& arrays) : Layer(d) {
        arrays.read({{"scale", &scale_}, {"offset", &offset_}});
        nbytes_ = 2 * sizeof(float) * scale_.size();
    }
    void step(const KernelTable&, const Input* in, std::size_t lanes, const Output& out, float*) const override {
        map_rows(*in, lanes, out, outputs(), [&](double x, std::size_t j) { return scale_[j] * x + offset_[j]; });
    }

    void write(ArrayWriter& file) const override {
        file.floats(scale_);
        file.floats(offset_);
    }

private:
    std::vector<float> scale_, offset_;  // (outputs)
};

class Prelu final : public Layer {
public:
    Prelu(const LayerDescription& d, LayerArrays& arrays) : Layer(d) {
        arrays.read({{"alpha", &alpha_}});
        nbytes_ = sizeof(float) * alpha_.size();
    }
    void step(const KernelTable&, const Input* in, std::size_t lanes, const Output& out, float*) const override {
        map_rows(*in, lanes, out, outputs(), [&](double x, std::size_t j) { return x > 0.0 ? x : alpha_[j] * x; });
    }

    void write(ArrayWriter& file) const override { file.floats(alpha_); }

private:
    std::vector<float> alpha_;  // (outputs)
};

class Rectifier final : public Layer {
public:
    explicit Rectifier(const LayerDescription& d)
        : Layer(d), negative_slope_(d.negative_slope), threshold_(d.threshold), max_value_(d.max_value) {}
    void step(const KernelTable&, const Input* in, std::size_t lanes, const Output& out, float*) const override {
        map_rows(*in, lanes, out, outputs(), [&](double x, std::size_t) {
            return x >= threshold_ ? std::min(x, max_value_) : negative_slope_ * (x - threshold_);
        });
    }

private:
    double negative_slope_, threshold_, max_value_;
};

class LayerNorm final : public Layer {
public:
    LayerNorm(const LayerDescription& d, LayerArrays& arrays) : Layer(d), epsilon_(d.epsilon) {
        arrays.read({{"scale", &scale_}, {"offset", &offset_}});
        nbytes_ = 2 * sizeof(float) * scale_.size();
    }
    void step(const KernelTable&, const Input* in, std::size_t lanes, const Output& out, float*) const override {
        const auto n = static_cast<double>(outputs());
        for (std::size_t i = 0; i < lanes; ++i) {
            const float* const x = in->numbers(i);
            double sum = 0.0, squares = 0.0;
            for (std::size_t j = 0; j < outputs(); ++j) sum += x[j];
            const double mean = sum / n;
            for (std::size_t j = 0; j < outputs(); ++j) squares += (x[j] - mean) * (x[j] - mean);
            const double deviation = std::sqrt(squares / n + epsilon_);
            for (std::size_t j = 0; j < outputs(); ++j)
                out.y[i * out.stride + j] = static_cast<float>(scale_[j] * ((x[j] - mean) / deviation) + offset_[j]);
        }
    }

    void write(ArrayWriter& file) const override {
        file.floats(scale_);
        file.floats(offset_);
    }

private:
    std::vector<float> scale_, offset_;  // (outputs)
    double epsilon_;
};

class Mask final : public Layer {
public:
    explicit Mask(const LayerDescription& d) : Layer(d), value_(d.value) {}
    void step(const KernelTable&, const Input* in, std::size_t lanes, const Output& out, float*) const override {
        for (std::size_t i = 0; i < lanes; ++i) {
            bool equal = true;
            if (in->ids)
                equal = in->ids[in->row(i) * in->stride] == value_;
            else
                for (std::size_t j = 0; j < input_size(); ++j) equal = equal && in->numbers(i)[j] == value_;
            out.y[i * out.stride] = equal ? 0.0f : 1.0f;
        }
    }

private:
    double value_;
};

class Concatenate final : public Layer {
public:
    explicit Concatenate(const LayerDescription& d) : Layer(d), sizes_(d.input_sizes) {}
    void step(const KernelTable&, const Input* in, std::size_t lanes, const Output& out, float*) const override {
        for (std::size_t i = 0; i < lanes; ++i) {
            float* y = out.y + i * out.stride;
            for (std::size_t s = 0; s < sizes_.size(); ++s) y = std::copy_n(in[s].numbers(i), sizes_[s], y);
        }
    }

private:
    std::vector<std::size_t> sizes_;  // (inputs), numbers of each
};

enum class Operation { add, subtract, multiply, average, maximum, minimum };

// Combines inputs number by number, in their order. It works in double and rounds the result once.
// An input of size 1 counts for all numbers.
class Merge final : public Layer {
public:
    Merge(const LayerDescription& d, Operation operation) : Layer(d), operation_(operation), sizes_(d.input_sizes) {}
    void step(const KernelTable&, const Input* in, std::size_t lanes, const Output& out, float*) const override {
        switch (operation_) {
            case Operation::subtract: return combine(in, lanes, out, [](double a, double b) { return a - b; });
            case Operation::multiply: return combine(in, lanes, out, [](double a, double b) { return a * b; });
            case Operation::maximum: return combine(in, lanes, out, [](double a, double b) { return std::max(a, b); });
            case Operation::minimum: return combine(in, lanes, out, [](double a, double b) { return std::min(a, b); });
            case Operation::add:
            case Operation::average: return combine(in, lanes, out, [](double a, double b) { return a + b; });
        }
    }

private:
    template <class F>
    void combine(const Input* in, std::size_t lanes, const Output& out, F f) const {
        const double divisor = operation_ == Operation::average ? static_cast<double>(sizes_.size()) : 1.0;
        for (std::size_t i = 0; i < lanes; ++i)
            for (std::size_t j = 0; j < outputs(); ++j) {
                const auto number = [&](std::size_t s) -> double { return in[s].numbers(i)[sizes_[s] == 1 ? 0 : j]; };
                double y = number(0);
                for (std::size_t s = 1; s < sizes_.size(); ++s) y = f(y, number(s));
                out.y[i * out.stride + j] = static_cast<float>(y / divisor);
            }
    }

    Operation operation_;
    std::vector<std::size_t> sizes_;  // (inputs), numbers of each
};

}  // namespace

std::unique_ptr<Layer> make_affine(const LayerDescription& d, LayerArrays& arrays) {
    return std::make_unique<Affine>(d, arrays);
}

std::unique_ptr<Layer> make_layer_norm(const LayerDescription& d, LayerArrays& arrays) {
    return std::make_unique<LayerNorm>(d, arrays);
}

std::unique_ptr<Layer> make_activation(const LayerDescription& d, LayerArrays&) {
    return std::make_unique<ActivationLayer>(d);
}

std::unique_ptr<Layer> make_prelu(const LayerDescription& d, LayerArrays& arrays) {
    return std::make_unique<Prelu>(d, arrays);
}

std::unique_ptr<Layer> make_rectifier(const LayerDescription& d, LayerArrays&) {
    return std::make_unique<Rectifier>(d);
}

std::unique_ptr<Layer> make_mask(const LayerDescription& d, LayerArrays&) { return std::make_unique<Mask>(d); }

std::unique_ptr<Layer> make_concatenate(const LayerDescription& d, LayerArrays&) {
    return std::make_unique<Concatenate>(d);
}

std::unique_ptr<Layer> make_add(const LayerDescription& d, LayerArrays&) {
    return std::make_unique<Merge>(d, Operation::add);
}

std::unique_ptr<Layer> make_subtract(const LayerDescription& d, LayerArrays&) {
    return std::make_unique<Merge>(d, Operation::subtract);
}

std::unique_ptr<Layer> make_multiply(const LayerDescription& d, LayerArrays&) {
    return std::make_unique<Merge>(d, Operation::multiply);
}

std::unique_ptr<Layer> make_average(const LayerDescription& d, LayerArrays&) {
    return std::make_unique<Merge>(d, Operation::average);
}

std::unique_ptr<Layer> make_maximum(const LayerDescription& d, LayerArrays&) {
    return std::make_unique<Merge>(d, Operation::maximum);
}

std::unique_ptr<Layer> make_minimum(const LayerDescription& d, LayerArrays&) {
    return std::make_unique<Merge>(d, Operation::minimum);
}

}  // namespace lstmgen
