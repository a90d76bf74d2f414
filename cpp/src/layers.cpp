#include "layers.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "packed_matrix.hpp"
#include "portable_math.hpp"

namespace lstmgen {

using kernels::KernelTable;
using kernels::kGates;
using kernels::kPanel;
using kernels::WeightType;

namespace {

// The numbers of one gate, which lie in packed order, side by side.
void unpack_gate(const float* z, std::size_t g, std::size_t gates, std::size_t stride, float* gate) {
    for (std::size_t j = 0; j < stride; j += kPanel) std::copy_n(z + packed_column(g, j, gates), kPanel, gate + j);
}

// ---- Layers that work step by step, without state -------------------------------------------------------------------

class Embedding final : public Layer {
public:
    Embedding(const LayerDescription& d, Container& file)
        : Layer(d), type_(file.next().type), rows_(d.input_size * stride()) {
        const std::vector<float> values = file.floats(&scales_);
        for (std::size_t i = 0; i < d.input_size; ++i)
            std::copy_n(values.data() + i * outputs(), outputs(), rows_.data() + i * stride());
    }
    bool reads_ids() const noexcept override { return true; }
    std::size_t nbytes() const noexcept override { return rows_.nbytes(); }
    void step(const KernelTable&, const Input* in, std::size_t lanes, const Output& out, float*) const override {
        for (std::size_t i = 0; i < lanes; ++i)
            std::copy_n(rows_.data() + in->ids[in->row(i) * in->stride] * stride(), stride(), out.y + i * out.stride);
    }

    void write(ArrayWriter& file) const override {
        file.array(nullptr, 0);
        for (std::size_t i = 0; i < input_size(); ++i)
            for (std::size_t j = 0; j < outputs(); ++j) {
                const float number = rows_[i * stride() + j];
                std::uint16_t halves[2];
                std::memcpy(halves, &number, sizeof halves);
                const bool scaled = type_ == WeightType::int8 && scales_[j] != 0.0f;
                const auto step = static_cast<std::int8_t>(scaled ? std::lround(number / scales_[j]) : 0);
                switch (type_) {
                    case WeightType::f32: file.more(&number, sizeof number); break;
                    case WeightType::bf16: file.more(&halves[1], sizeof halves[1]); break;
                    case WeightType::int8: file.more(&step, sizeof step); break;
                }
            }
        if (type_ == WeightType::int8) file.floats(scales_);
    }

private:
    WeightType type_;
    std::vector<float> scales_;
    AlignedBuffer<float> rows_;
};

class Dense final : public Layer {
public:
    Dense(const KernelTable& kernels, const LayerDescription& d, Container& file)
        : Layer(d), matrix_(kernels, file.next(), 1, {d.raw, true, d.inputs[0] == 0}), activation_(d.activation) {
        read_matrix(file, {&matrix_});
        matrix_.set_bias(file.floats());
    }
    bool reads_ids() const noexcept override { return true; }
    std::size_t nbytes() const noexcept override { return matrix_.nbytes(); }
    std::size_t scratch_size(std::size_t lanes, std::size_t) const noexcept override {
        return matrix_.scratch_size(lanes);
    }
    void step(const KernelTable& kernels, const Input* in, std::size_t lanes, const Output& out,
              float* scratch) const override {
        matrix_.apply(kernels, *in, lanes, out.y, out.stride, scratch);
        for (std::size_t i = 0; i < lanes; ++i) activate(kernels, activation_, out.y + i * out.stride, outputs());
    }

    void write(ArrayWriter& file) const override {
        write_matrix(file, {&matrix_});
        file.floats(matrix_.bias_values());
    }

private:
    PackedMatrix matrix_;
    Activation activation_;
};

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

// One number in, one number out. Each is worked out in double and rounded once, whatever the compiler does.
template <class F>
void map_rows(const Input& in, std::size_t lanes, const Output& out, std::size_t size, F f) {
    for (std::size_t i = 0; i < lanes; ++i)
        for (std::size_t j = 0; j < size; ++j)
            out.y[i * out.stride + j] = static_cast<float>(f(static_cast<double>(in.numbers(i)[j]), j));
}

class Affine final : public Layer {
public:
    Affine(const LayerDescription& d, Container& file) : Layer(d), scale_(file.floats()), offset_(file.floats()) {}
    std::size_t nbytes() const noexcept override { return 2 * sizeof(float) * scale_.size(); }
    void step(const KernelTable&, const Input* in, std::size_t lanes, const Output& out, float*) const override {
        map_rows(*in, lanes, out, outputs(), [&](double x, std::size_t j) { return scale_[j] * x + offset_[j]; });
    }

    void write(ArrayWriter& file) const override {
        file.floats(scale_);
        file.floats(offset_);
    }

private:
    std::vector<float> scale_, offset_;
};

class Prelu final : public Layer {
public:
    Prelu(const LayerDescription& d, Container& file) : Layer(d), alpha_(file.floats()) {}
    std::size_t nbytes() const noexcept override { return sizeof(float) * alpha_.size(); }
    void step(const KernelTable&, const Input* in, std::size_t lanes, const Output& out, float*) const override {
        map_rows(*in, lanes, out, outputs(), [&](double x, std::size_t j) { return x > 0.0 ? x : alpha_[j] * x; });
    }

    void write(ArrayWriter& file) const override { file.floats(alpha_); }

private:
    std::vector<float> alpha_;
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
    LayerNorm(const LayerDescription& d, Container& file)
        : Layer(d), scale_(file.floats()), offset_(file.floats()), epsilon_(d.epsilon) {}
    std::size_t nbytes() const noexcept override { return 2 * sizeof(float) * scale_.size(); }
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
    std::vector<float> scale_, offset_;
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
    std::vector<std::size_t> sizes_;
};

// Number by number; the inputs are taken in their order, in double, and the result is rounded once.
class Merge final : public Layer {
public:
    explicit Merge(const LayerDescription& d) : Layer(d), type_(d.type), sizes_(d.input_sizes) {}
    void step(const KernelTable&, const Input* in, std::size_t lanes, const Output& out, float*) const override {
        switch (type_) {
            case LayerType::subtract: return merge(in, lanes, out, [](double a, double b) { return a - b; });
            case LayerType::multiply: return merge(in, lanes, out, [](double a, double b) { return a * b; });
            case LayerType::maximum: return merge(in, lanes, out, [](double a, double b) { return std::max(a, b); });
            case LayerType::minimum: return merge(in, lanes, out, [](double a, double b) { return std::min(a, b); });
            default: return merge(in, lanes, out, [](double a, double b) { return a + b; });
        }
    }

private:
    template <class F>
    void merge(const Input* in, std::size_t lanes, const Output& out, F f) const {
        const double divisor = type_ == LayerType::average ? static_cast<double>(sizes_.size()) : 1.0;
        for (std::size_t i = 0; i < lanes; ++i)
            for (std::size_t j = 0; j < outputs(); ++j) {
                const auto number = [&](std::size_t s) -> double { return in[s].numbers(i)[sizes_[s] == 1 ? 0 : j]; };
                double y = number(0);
                for (std::size_t s = 1; s < sizes_.size(); ++s) y = f(y, number(s));
                out.y[i * out.stride + j] = static_cast<float>(y / divisor);
            }
    }

    LayerType type_;
    std::vector<std::size_t> sizes_;
};

// ---- Layers with state ----------------------------------------------------------------------------------------------

// Where there is a mask, a second input, lanes whose mask is 0 stay as they are.
class Recurrent : public Layer {
public:
    using Layer::Layer;
    bool recurrent() const noexcept final { return true; }

    void step(const KernelTable& kernels, const Input* in, std::size_t lanes, const Output& out,
              float* scratch) const final {
        if (inputs().size() == 1) return advance(kernels, *in, lanes, out, scratch);
        const auto present = [&](std::size_t i) { return *in[1].numbers(i) != 0.0f; };
        for (std::size_t first = 0, last; first < lanes; first = last) {
            last = first + 1;
            while (last < lanes && present(last) == present(first)) ++last;
            const Output some = out.from(first);
            if (present(first))
                advance(kernels, in->from(first), last - first, some, scratch);
            else
                std::copy_n(some.y_before, (last - first) * out.stride, some.y);
        }
    }

protected:
    virtual void advance(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                         float* scratch) const = 0;
};

// LSTM, GRU and SimpleRNN: a product of the input, and one of the output of the step before.
class Cell : public Recurrent {
public:
    Cell(const KernelTable& kernels, const LayerDescription& d, std::size_t gates, Container& file)
        : Recurrent(d), kernel_(kernels, file.next(), gates, {d.raw, false, d.inputs[0] == 0}) {
        read_matrix(file, {&kernel_});
    }

    bool reads_ids() const noexcept final { return true; }
    std::size_t product_size() const noexcept final { return kernel_.padded_columns(); }
    void input_product(const KernelTable& kernels, const Input& in, std::size_t rows, float* z,
                       float* scratch) const final {
        kernel_.apply(kernels, in, rows, z, product_size(), scratch);
    }
    std::size_t scratch_size(std::size_t lanes, std::size_t period) const noexcept final {
        const std::size_t step = kernel_.rounded_size(lanes) + rounded_size(lanes);
        return period * product_size() + working_size(lanes) +
               std::max(step, kernel_.scratch_size(std::max(lanes, period)));
    }

protected:
    /// Floats of memory that rounding the rows of all recurrent products needs, and for other work.
    virtual std::size_t rounded_size(std::size_t lanes) const noexcept = 0;
    virtual std::size_t working_size(std::size_t lanes) const noexcept = 0;

    // What the steps of the three kinds have in common. Gives the memory for other work, in `scratch` behind the input
    // product of the inputs that several lanes share.
    template <class Step>
    float* fill(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out, float* scratch,
                Step& s) const {
        float* const working = scratch + std::max<std::size_t>(1, in.period) * product_size();
        s.rounded = working + working_size(lanes);
        s.rows = lanes;
        s.blocks = stride() / kPanel;
        s.kernel = kernel_.view(kernels);
        if (in.product) {
            s.start = in.product;
            s.start_stride = in.product_stride;
        } else if (in.period > 0) {  // the same for several lanes: once is enough
            kernel_.apply(kernels, {in.ids, in.x, in.stride}, in.period, scratch, product_size(), s.rounded);
            s.start = scratch;
            if (in.period > 1) {
                s.start_stride = product_size();
                s.start_period = in.period;
                s.start_first = in.first;
            }
        } else {
            s.start = kernel_.bias();
            s.ids = in.ids;
            s.id_stride = in.stride;
            s.x = in.x;
            s.x_stride = in.stride;
        }
        s.h_prev = out.y_before;
        s.h = out.y;
        s.h_stride = out.stride;
        return working;
    }

    // z (padded_columns) = the input product of one lane
    void input_product_of(const KernelTable& kernels, const Input& in, std::size_t lane, float* z,
                          float* rounded) const {
        if (in.product)
            std::copy_n(in.product + lane * in.product_stride, kernel_.padded_columns(), z);
        else
            kernel_.apply(kernels, in.only(lane), 1, z, 0, rounded);
    }

    PackedMatrix kernel_;
};

class Lstm final : public Cell {
public:
    Lstm(const KernelTable& kernels, const LayerDescription& d, Container& file)
        : Cell(kernels, d, kGates, file),
          recurrent_(kernels, file.next(), kGates),
          activation_(d.activation),
          recurrent_activation_(d.recurrent_activation),
          fused_(is_vectorised(activation_) && is_vectorised(recurrent_activation_) &&
                 kernels::fused_step_has(kernel_function(activation_), kernel_function(recurrent_activation_))) {
        read_matrix(file, {&recurrent_});
        kernel_.set_bias(file.floats());
    }

    std::size_t nbytes() const noexcept override { return kernel_.nbytes() + recurrent_.nbytes(); }
    bool has_c() const noexcept override { return true; }

    void write(ArrayWriter& file) const override {
        write_matrix(file, {&kernel_});
        write_matrix(file, {&recurrent_});
        file.floats(kernel_.bias_values());
    }

protected:
    std::size_t rounded_size(std::size_t lanes) const noexcept override { return recurrent_.rounded_size(lanes); }
    std::size_t working_size(std::size_t) const noexcept override { return fused_ ? 0 : 2 * kGates * stride(); }

    void advance(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                 float* scratch) const override {
        if (!fused_) return step_lane_by_lane(kernels, in, lanes, out, scratch);
        kernels::LstmStep s{};
        fill(kernels, in, lanes, out, scratch, s);
        s.activation = kernel_function(activation_);
        s.recurrent_activation = kernel_function(recurrent_activation_);
        s.recurrent = recurrent_.view(kernels);
        s.c = out.c;
        kernels.lstm_step(s);
    }

private:
    // For the activations that are not vectorised, and softmax, which needs all units of a gate at once.
    void step_lane_by_lane(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                           float* scratch) const {
        float* const z = scratch;
        float* const gates = z + kGates * stride();  // i, f, c, o
        float* const rounded = gates + kGates * stride();
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            input_product_of(kernels, in, lane, z, rounded);
            kernels.gemm(recurrent_.view(kernels), recurrent_.panels(), out.y_before + lane * out.stride, 0, 1, z, 0,
                         rounded);
            for (std::size_t g = 0; g < kGates; ++g) {
                float* const gate = gates + g * stride();
                unpack_gate(z, g, kGates, stride(), gate);
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

    PackedMatrix recurrent_;
    Activation activation_, recurrent_activation_;
    bool fused_;
};

class Gru final : public Cell {
public:
    Gru(const KernelTable& kernels, const LayerDescription& d, Container& file)
        : Cell(kernels, d, 3, file),
          reset_after_(d.reset_after),
          recurrent_(kernels, file.next(), 3, 0, d.reset_after ? 3 : 2),
          activation_(d.activation),
          recurrent_activation_(d.recurrent_activation),
          fused_(is_vectorised(activation_) && is_vectorised(recurrent_activation_) &&
                 kernels::fused_step_has(kernel_function(activation_), kernel_function(recurrent_activation_))) {
        if (reset_after_) {
            read_matrix(file, {&recurrent_});
        } else {
            candidate_ = std::make_unique<PackedMatrix>(kernels, file.next(), 3, 2, 1);
            read_matrix(file, {&recurrent_, candidate_.get()});
        }
        kernel_.set_bias(file.floats());
        if (reset_after_) recurrent_.set_bias(file.floats());
    }

    std::size_t nbytes() const noexcept override {
        return kernel_.nbytes() + recurrent_.nbytes() + (candidate_ ? candidate_->nbytes() : 0);
    }

    void write(ArrayWriter& file) const override {
        write_matrix(file, {&kernel_});
        if (reset_after_)
            write_matrix(file, {&recurrent_});
        else
            write_matrix(file, {&recurrent_, candidate_.get()});
        file.floats(kernel_.bias_values());
        if (reset_after_) file.floats(recurrent_.bias_values());
    }

protected:
    std::size_t rounded_size(std::size_t lanes) const noexcept override {
        return recurrent_.rounded_size(lanes) + (candidate_ ? candidate_->rounded_size(lanes) : 0);
    }
    std::size_t working_size(std::size_t lanes) const noexcept override {
        if (!fused_) return 8 * stride();
        return reset_after_ ? 0 : std::min(lanes, kernels::kGruRows) * 2 * stride();
    }

    void advance(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                 float* scratch) const override {
        if (!fused_) return step_lane_by_lane(kernels, in, lanes, out, scratch);
        kernels::GruStep s{};
        s.working = fill(kernels, in, lanes, out, scratch, s);
        s.activation = kernel_function(activation_);
        s.recurrent_activation = kernel_function(recurrent_activation_);
        s.reset_after = reset_after_;
        s.recurrent_start = recurrent_.bias();
        s.recurrent = recurrent_.view(kernels);
        if (candidate_) s.candidate = candidate_->view(kernels);
        kernels.gru_step(s);
    }

private:
    void step_lane_by_lane(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                           float* scratch) const {
        const std::size_t n = stride(), gates = reset_after_ ? 3 : 2;
        float* const x_part = scratch;          // 3 n, in packed order
        float* const h_part = scratch + 3 * n;  // 3 n, in packed order; at last r * h, and its product
        float* const z = scratch + 6 * n;
        float* const r = scratch + 7 * n;
        float* const rounded = scratch + 8 * n;
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            const float* const before = out.y_before + lane * out.stride;
            float* const h = out.y + lane * out.stride;
            input_product_of(kernels, in, lane, x_part, rounded);
            recurrent_.apply(kernels, {nullptr, before, 0}, 1, h_part, 0, rounded);
            for (std::size_t g = 0; g < 2; ++g) {
                float* const gate = g == 0 ? z : r;
                for (std::size_t j = 0; j < outputs(); ++j)
                    gate[j] = x_part[packed_column(g, j, 3)] + h_part[packed_column(g, j, gates)];
                activate(kernels, recurrent_activation_, gate, outputs());
            }
            if (reset_after_) {
                for (std::size_t j = 0; j < outputs(); ++j)
                    h[j] = static_cast<float>(static_cast<double>(r[j]) * h_part[packed_column(2, j, 3)] +
                                              x_part[packed_column(2, j, 3)]);
            } else {
                for (std::size_t j = 0; j < outputs(); ++j) h_part[j] = r[j] * before[j];
                candidate_->apply(kernels, {nullptr, h_part, 0}, 1, h_part + n, 0, rounded);
                for (std::size_t j = 0; j < outputs(); ++j) h[j] = x_part[packed_column(2, j, 3)] + h_part[n + j];
            }
            activate(kernels, activation_, h, outputs());
            for (std::size_t j = 0; j < outputs(); ++j)
                h[j] = static_cast<float>(static_cast<double>(z[j]) * before[j] +
                                          (1.0 - static_cast<double>(z[j])) * h[j]);
        }
    }

    bool reset_after_;
    PackedMatrix recurrent_;                   // of z, r, and h if reset_after
    std::unique_ptr<PackedMatrix> candidate_;  // of h otherwise
    Activation activation_, recurrent_activation_;
    bool fused_;
};

class SimpleRnn final : public Cell {
public:
    SimpleRnn(const KernelTable& kernels, const LayerDescription& d, Container& file)
        : Cell(kernels, d, 1, file),
          recurrent_(kernels, file.next(), 1),
          activation_(d.activation),
          fused_(is_vectorised(activation_) &&
                 kernels::fused_step_has(kernel_function(activation_), kernels::Function::sigmoid)) {
        read_matrix(file, {&recurrent_});
        kernel_.set_bias(file.floats());
    }

    std::size_t nbytes() const noexcept override { return kernel_.nbytes() + recurrent_.nbytes(); }

    void write(ArrayWriter& file) const override {
        write_matrix(file, {&kernel_});
        write_matrix(file, {&recurrent_});
        file.floats(kernel_.bias_values());
    }

protected:
    std::size_t rounded_size(std::size_t lanes) const noexcept override { return recurrent_.rounded_size(lanes); }
    std::size_t working_size(std::size_t) const noexcept override { return 0; }

    void advance(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                 float* scratch) const override {
        if (fused_) {
            kernels::RnnStep s{};
            fill(kernels, in, lanes, out, scratch, s);
            s.activation = kernel_function(activation_);
            s.recurrent = recurrent_.view(kernels);
            return kernels.rnn_step(s);
        }
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            float* const h = out.y + lane * out.stride;
            input_product_of(kernels, in, lane, h, scratch);
            kernels.gemm(recurrent_.view(kernels), recurrent_.panels(), out.y_before + lane * out.stride, 0, 1, h, 0,
                         scratch);
            activate(kernels, activation_, h, outputs());
        }
    }

private:
    PackedMatrix recurrent_;
    Activation activation_;
    bool fused_;
};

// Sums: those of the weighted steps, of the weights, and the greatest score so far, which the weights are relative to.
class AttentionPool final : public Recurrent {
public:
    AttentionPool(const LayerDescription& d, Container& file)
        : Recurrent(d), weights_(file.floats()), epsilon_(d.epsilon) {}
    std::size_t nbytes() const noexcept override { return sizeof(float) * weights_.size(); }
    std::size_t sums_size() const noexcept override { return outputs() + 2; }

    void write(ArrayWriter& file) const override { file.floats(weights_); }

protected:
    void advance(const KernelTable&, const Input& in, std::size_t lanes, const Output& out, float*) const override {
        const std::size_t n = outputs();
        for (std::size_t i = 0; i < lanes; ++i) {
            const float* const x = in.numbers(i);
            double* const sums = out.sums + i * out.sums_stride;
            double &total = sums[n], &top = sums[n + 1];
            double score = 0.0;
            for (std::size_t j = 0; j < n; ++j) score += static_cast<double>(weights_[j]) * x[j];
            if (total == 0.0 || score > top) {  // total is at least 1 after the first step
                const double shrink = total == 0.0 ? 0.0 : exp_portable(top - score);
                for (std::size_t j = 0; j <= n; ++j) sums[j] *= shrink;
                top = score;
            }
            const double weight = exp_portable(score - top);
            for (std::size_t j = 0; j < n; ++j) sums[j] += weight * x[j];
            total += weight;
            for (std::size_t j = 0; j < n; ++j)
                out.y[i * out.stride + j] = static_cast<float>(sums[j] / (total + epsilon_));
        }
    }

private:
    std::vector<float> weights_;
    double epsilon_;
};

// Sums: those of the steps, and their number.
class AveragePool final : public Recurrent {
public:
    using Recurrent::Recurrent;
    std::size_t sums_size() const noexcept override { return outputs() + 1; }

protected:
    void advance(const KernelTable&, const Input& in, std::size_t lanes, const Output& out, float*) const override {
        const std::size_t n = outputs();
        for (std::size_t i = 0; i < lanes; ++i) {
            double* const sums = out.sums + i * out.sums_stride;
            sums[n] += 1.0;
            for (std::size_t j = 0; j < n; ++j) {
                sums[j] += in.numbers(i)[j];
                out.y[i * out.stride + j] = static_cast<float>(sums[j] / sums[n]);
            }
        }
    }
};

// The maximum so far is y of the step before; the sum is 0 where there was none.
class MaxPool final : public Recurrent {
public:
    using Recurrent::Recurrent;
    std::size_t sums_size() const noexcept override { return 1; }

protected:
    void advance(const KernelTable&, const Input& in, std::size_t lanes, const Output& out, float*) const override {
        for (std::size_t i = 0; i < lanes; ++i) {
            const float* const x = in.numbers(i);
            const float* const before = out.y_before + i * out.stride;
            double& begun = out.sums[i * out.sums_stride];
            for (std::size_t j = 0; j < outputs(); ++j)
                out.y[i * out.stride + j] = begun != 0.0 && !(x[j] > before[j]) ? before[j] : x[j];
            begun = 1.0;
        }
    }
};

// ---- Layers that need all steps at once -----------------------------------------------------------------------------

class Reverse final : public Layer {
public:
    using Layer::Layer;
    void rearrange(const Sequence<const float>& in, std::size_t lanes, const Sequence<float>& out) const override {
        for (std::size_t t = 0; t < out.steps; ++t)
            for (std::size_t i = 0; i < lanes; ++i)
                std::copy_n(in.x + ((in.steps - 1 - t) * lanes + i) * in.stride, outputs(),
                            out.x + (t * lanes + i) * out.stride);
    }
};

class Repeat final : public Layer {
public:
    using Layer::Layer;
    void rearrange(const Sequence<const float>& in, std::size_t lanes, const Sequence<float>& out) const override {
        for (std::size_t t = 0; t < out.steps; ++t)
            for (std::size_t i = 0; i < lanes; ++i)
                std::copy_n(in.x + i * in.stride, outputs(), out.x + (t * lanes + i) * out.stride);
    }
};

class Reshape final : public Layer {
public:
    using Layer::Layer;
    void rearrange(const Sequence<const float>& in, std::size_t lanes, const Sequence<float>& out) const override {
        for (std::size_t i = 0; i < lanes; ++i) {
            std::size_t from = 0, step = 0;  // of the input: number, step
            for (std::size_t t = 0; t < out.steps; ++t)
                for (std::size_t j = 0; j < outputs(); ++j) {
                    out.x[(t * lanes + i) * out.stride + j] = in.x[(step * lanes + i) * in.stride + from];
                    if (++from == input_size()) {
                        from = 0;
                        ++step;
                    }
                }
        }
    }
};

class Transpose final : public Layer {
public:
    using Layer::Layer;
    void rearrange(const Sequence<const float>& in, std::size_t lanes, const Sequence<float>& out) const override {
        for (std::size_t t = 0; t < out.steps; ++t)
            for (std::size_t i = 0; i < lanes; ++i)
                for (std::size_t j = 0; j < outputs(); ++j)
                    out.x[(t * lanes + i) * out.stride + j] = in.x[(j * lanes + i) * in.stride + t];
    }
};

}  // namespace

std::size_t Layer::saved_size() const noexcept {
    return recurrent() ? outputs() * sizeof(float) * (has_c() ? 2 : 1) + sums_size() * sizeof(double) : 0;
}

void Layer::save(const Output& lane, StateWriter& out) const noexcept {
    if (!recurrent()) return;
    out.bytes(lane.y, outputs() * sizeof(float));
    if (has_c()) out.bytes(lane.c, outputs() * sizeof(float));
    out.bytes(lane.sums, sums_size() * sizeof(double));
}

void Layer::load(StateReader& in, const Output& lane) const {
    if (!recurrent()) return;
    in.bytes(lane.y, outputs() * sizeof(float));
    if (has_c()) in.bytes(lane.c, outputs() * sizeof(float));
    in.bytes(lane.sums, sums_size() * sizeof(double));
}

std::unique_ptr<Layer> make_layer(const KernelTable& kernels, const LayerDescription& d, Container& file) {
    switch (d.type) {
        case LayerType::embedding: return std::make_unique<Embedding>(d, file);
        case LayerType::lstm: return std::make_unique<Lstm>(kernels, d, file);
        case LayerType::gru: return std::make_unique<Gru>(kernels, d, file);
        case LayerType::simple_rnn: return std::make_unique<SimpleRnn>(kernels, d, file);
        case LayerType::dense: return std::make_unique<Dense>(kernels, d, file);
        case LayerType::affine: return std::make_unique<Affine>(d, file);
        case LayerType::layer_norm: return std::make_unique<LayerNorm>(d, file);
        case LayerType::activation: return std::make_unique<ActivationLayer>(d);
        case LayerType::prelu: return std::make_unique<Prelu>(d, file);
        case LayerType::rectifier: return std::make_unique<Rectifier>(d);
        case LayerType::mask: return std::make_unique<Mask>(d);
        case LayerType::concatenate: return std::make_unique<Concatenate>(d);
        case LayerType::add:
        case LayerType::subtract:
        case LayerType::multiply:
        case LayerType::average:
        case LayerType::maximum:
        case LayerType::minimum: return std::make_unique<Merge>(d);
        case LayerType::attention_pool: return std::make_unique<AttentionPool>(d, file);
        case LayerType::average_pool: return std::make_unique<AveragePool>(d);
        case LayerType::max_pool: return std::make_unique<MaxPool>(d);
        case LayerType::reverse: return std::make_unique<Reverse>(d);
        case LayerType::reshape: return std::make_unique<Reshape>(d);
        case LayerType::repeat: return std::make_unique<Repeat>(d);
        case LayerType::transpose: return std::make_unique<Transpose>(d);
    }
    return nullptr;
}

}  // namespace lstmgen
