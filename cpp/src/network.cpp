#include "network.hpp"

#include <algorithm>
#include <cstring>

#include "isa.hpp"

namespace lstmgen {

using kernels::KernelTable;
using kernels::kGates;
using kernels::kPanel;

namespace {

template <class T>
T value(const Tensor& tensor, std::size_t i) {
    T v;
    std::memcpy(&v, tensor.data + i * sizeof(T), sizeof(T));
    return v;
}

std::vector<float> floats(const Tensor& tensor) {
    std::vector<float> values(tensor.rows * tensor.columns);
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (tensor.bf16) {
            const std::uint32_t bits = std::uint32_t{value<std::uint16_t>(tensor, i)} << 16;
            std::memcpy(&values[i], &bits, sizeof bits);
        } else {
            values[i] = value<float>(tensor, i);
        }
    }
    return values;
}

// Column j of gate g of a layer with `units` columns a gate goes to this column of the packed matrix.
std::size_t packed_column(std::size_t g, std::size_t j, std::size_t gates) {
    return (j / kPanel * gates + g) * kPanel + j % kPanel;
}

template <class T>
AlignedBuffer<T> pack(const Tensor& matrix, std::size_t gates, std::size_t panels) {
    AlignedBuffer<T> packed(panels * matrix.rows * kPanel);
    const std::size_t units = matrix.columns / gates;
    for (std::size_t g = 0; g < gates; ++g)
        for (std::size_t j = 0; j < units; j += kPanel) {
            const std::size_t n = std::min(kPanel, units - j);
            T* const panel = packed.data() + packed_column(g, j, gates) * matrix.rows;
            for (std::size_t k = 0; k < matrix.rows; ++k)
                std::memcpy(panel + k * kPanel, matrix.data + (k * matrix.columns + g * units + j) * sizeof(T),
                            n * sizeof(T));
        }
    return packed;
}

// ---- Layers ---------------------------------------------------------------------------------------------------------

class Embedding final : public Layer {
public:
    explicit Embedding(const LayerDescription& d) : Layer(d.inputs, d.outputs), rows_(d.inputs * stride()) {
        const std::vector<float> values = floats(d.tensors[0]);
        for (std::size_t i = 0; i < d.inputs; ++i)
            std::copy_n(values.data() + i * d.outputs, d.outputs, rows_.data() + i * stride());
    }
    bool reads_ids() const noexcept override { return true; }
    std::size_t nbytes() const noexcept override { return rows_.nbytes(); }
    void step(const KernelTable&, const Input& in, std::size_t lanes, const Output& out, float*) const override {
        for (std::size_t i = 0; i < lanes; ++i)
            std::copy_n(rows_.data() + in.ids[i * in.stride] * stride(), stride(), out.y + i * out.stride);
    }

private:
    AlignedBuffer<float> rows_;
};

class Dense final : public Layer {
public:
    explicit Dense(const LayerDescription& d)
        : Layer(d.inputs, d.outputs), matrix_(d.tensors[0], &d.tensors[1], 1), activation_(d.activation) {}
    bool reads_ids() const noexcept override { return true; }
    std::size_t nbytes() const noexcept override { return matrix_.nbytes(); }
    void step(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
              float*) const override {
        matrix_.apply(kernels, in, lanes, out.y, out.stride);
        for (std::size_t i = 0; i < lanes; ++i) activate(kernels, activation_, out.y + i * out.stride, outputs());
    }

private:
    PackedMatrix matrix_;
    Activation activation_;
};

class Affine final : public Layer {
public:
    explicit Affine(const LayerDescription& d)
        : Layer(d.inputs, d.outputs), scale_(floats(d.tensors[0])), offset_(floats(d.tensors[1])) {}
    std::size_t nbytes() const noexcept override { return 2 * sizeof(float) * scale_.size(); }
    void step(const KernelTable&, const Input& in, std::size_t lanes, const Output& out, float*) const override {
        for (std::size_t i = 0; i < lanes; ++i)
            for (std::size_t j = 0; j < outputs(); ++j)  // one rounding, by way of double, whatever the compiler does
                out.y[i * out.stride + j] =
                    static_cast<float>(static_cast<double>(scale_[j]) * in.x[i * in.stride + j] + offset_[j]);
    }

private:
    std::vector<float> scale_, offset_;
};

class ActivationLayer final : public Layer {
public:
    ActivationLayer(Activation activation, std::size_t size) : Layer(size, size), activation_(activation) {}
    void step(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
              float*) const override {
        for (std::size_t i = 0; i < lanes; ++i) {
            std::copy_n(in.x + i * in.stride, outputs(), out.y + i * out.stride);
            activate(kernels, activation_, out.y + i * out.stride, outputs());
        }
    }

private:
    Activation activation_;
};

class Lstm final : public Layer {
public:
    explicit Lstm(const LayerDescription& d)
        : Layer(d.inputs, d.outputs),
          kernel_(d.tensors[0], &d.tensors[2], kGates),
          recurrent_(d.tensors[1], nullptr, kGates),
          activation_(d.activation),
          recurrent_activation_(d.recurrent_activation),
          fused_(is_vectorised(activation_) && is_vectorised(recurrent_activation_) &&
                 kernels::lstm_step_has(kernel_function(activation_), kernel_function(recurrent_activation_))) {}

    bool recurrent() const noexcept override { return true; }
    bool reads_ids() const noexcept override { return true; }
    std::size_t nbytes() const noexcept override { return kernel_.nbytes() + recurrent_.nbytes(); }
    std::size_t scratch_size() const noexcept override { return kernel_.padded_columns() + kGates * stride(); }

    void step(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
              float* scratch) const override {
        if (!fused_) return step_lane_by_lane(kernels, in, lanes, out, scratch);
        kernels::LstmStep s{};
        s.rows = lanes;
        s.blocks = stride() / kPanel;
        s.activation = kernel_function(activation_);
        s.recurrent_activation = kernel_function(recurrent_activation_);
        s.kernel = kernel_.view();
        if (in.x && in.stride == 0) {  // the same for all lanes: once is enough
            kernel_.apply(kernels, in, 1, scratch, 0);
            s.start = scratch;
        } else {
            s.start = kernel_.bias();
            s.ids = in.ids;
            s.id_stride = in.stride;
            s.x = in.x;
            s.x_stride = in.stride;
        }
        s.recurrent = recurrent_.view();
        s.h_prev = out.y_before;
        s.h = out.y;
        s.c = out.c;
        s.h_stride = out.stride;
        kernels.lstm_step(s);
    }

private:
    // For the activations that are not vectorised, and softmax, which needs all units of a gate at once.
    void step_lane_by_lane(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                           float* scratch) const {
        float* const z = scratch;
        float* const gates = scratch + kernel_.padded_columns();  // i, f, c, o, then act(c)
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            const Input one{in.ids ? in.ids + lane * in.stride : nullptr, in.x ? in.x + lane * in.stride : nullptr, 0};
            kernel_.apply(kernels, one, 1, z, 0);
            kernels.gemm(recurrent_.view(), recurrent_.panels(), out.y_before + lane * out.stride, 0, 1, z, 0);
            for (std::size_t g = 0; g < kGates; ++g) {
                float* const gate = gates + g * stride();
                for (std::size_t j = 0; j < stride(); j += kPanel)
                    std::copy_n(z + packed_column(g, j, kGates), kPanel, gate + j);
                activate(kernels, g == 2 ? activation_ : recurrent_activation_, gate, outputs());
            }
            combine(kernels, gates, out.c + lane * out.stride, out.y + lane * out.stride);
        }
    }

    void combine(const KernelTable& kernels, const float* gates, float* c, float* h) const {
        const float *i = gates, *f = gates + stride(), *g = f + stride(), *o = g + stride();
        for (std::size_t j = 0; j < outputs(); ++j)
            h[j] = c[j] = static_cast<float>(static_cast<double>(f[j]) * c[j] + static_cast<double>(i[j]) * g[j]);
        activate(kernels, activation_, h, outputs());
        for (std::size_t j = 0; j < outputs(); ++j) h[j] *= o[j];
    }

    PackedMatrix kernel_, recurrent_;
    Activation activation_, recurrent_activation_;
    bool fused_;
};

std::unique_ptr<Layer> make_layer(const LayerDescription& d) {
    switch (d.type) {
        case LayerType::embedding: return std::make_unique<Embedding>(d);
        case LayerType::lstm: return std::make_unique<Lstm>(d);
        case LayerType::dense: return std::make_unique<Dense>(d);
        case LayerType::affine: return std::make_unique<Affine>(d);
        case LayerType::activation: return std::make_unique<ActivationLayer>(d.activation, d.outputs);
    }
    return nullptr;
}

LayerInfo layer_info(const LayerDescription& d) {
    constexpr const char* types[] = {"embedding", "lstm", "dense", "affine", "activation"};
    LayerInfo info;
    info.type = types[static_cast<std::size_t>(d.type)];
    info.name = d.name;
    info.inputs = d.inputs;
    info.outputs = d.outputs;
    if (d.type != LayerType::embedding && d.type != LayerType::affine) info.activation = activation_name(d.activation);
    if (d.type == LayerType::lstm) info.recurrent_activation = activation_name(d.recurrent_activation);
    info.return_sequences = d.return_sequences;
    return info;
}

}  // namespace

PackedMatrix::PackedMatrix(const Tensor& matrix, const Tensor* bias, std::size_t gates)
    : rows_(matrix.rows), panels_(gates * round_up(matrix.columns / gates, kPanel) / kPanel), bias_(panels_ * kPanel) {
    if (matrix.bf16)
        bf16_ = pack<std::uint16_t>(matrix, gates, panels_);
    else
        f32_ = pack<float>(matrix, gates, panels_);
    const std::size_t units = matrix.columns / gates;
    for (std::size_t i = 0; bias && i < matrix.columns; ++i)
        bias_[packed_column(i / units, i % units, gates)] = value<float>(*bias, i);
}

kernels::Matrix PackedMatrix::view() const noexcept {
    if (bf16_.size() > 0) return {bf16_.data(), rows_, kernels::WeightType::bf16};
    return {f32_.data(), rows_, kernels::WeightType::f32};
}

void PackedMatrix::apply(const KernelTable& kernels, const Input& input, std::size_t lanes, float* z,
                         std::size_t z_stride) const {
    for (std::size_t i = 0; i < lanes; ++i) std::copy_n(bias_.data(), bias_.size(), z + i * z_stride);
    if (input.ids)
        kernels.gather(view(), panels_, input.ids, input.stride, lanes, z, z_stride);
    else
        kernels.gemm(view(), panels_, input.x, input.stride, lanes, z, z_stride);
}

Network::Network(Container container) : info_(std::move(container.info)), kernels_(choose_kernels()) {
    for (LayerDescription& d : container.layers) {
        info_.layers.push_back(layer_info(d));
        // A softmax becomes a layer of its own, so that logits can be had without it.
        const bool softmax = d.type == LayerType::dense && d.activation == Activation::softmax;
        if (softmax) d.activation = Activation::linear;
        layers_.push_back(make_layer(d));
        if (softmax) layers_.push_back(std::make_unique<ActivationLayer>(Activation::softmax, d.outputs));
        if (d.type == LayerType::lstm) body_end_ = layers_.size();
        if (&d == &container.layers.back())
            softmax_head_ = softmax || (d.type == LayerType::activation && d.activation == Activation::softmax);
    }
    for (const auto& layer : layers_) info_.nbytes += layer->nbytes();
    info_.isa = kernels_.name;
}

}  // namespace lstmgen
