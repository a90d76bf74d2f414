// The recurrent layers: LSTM, GRU and SimpleRNN.
#include <algorithm>
#include <memory>
#include "layers/stateful.hpp"
#include "packed_matrix.hpp"

namespace lstmgen {

using kernels::KernelTable;
using kernels::kGates;
using kernels::kGruGates;
using kernels::kPanel;

namespace {

// gate (stride) = the numbers of gate g of z (gates * stride), which is in packed order.
void unpack_gate(const float* z, std::size_t g, std::size_t gates, std::size_t stride, float* gate) {
    for (std::size_t j = 0; j < stride; j += kPanel) std::copy_n(z + packed_column(g, j, gates), kPanel, gate + j);
}

// The base of LSTM, GRU and SimpleRNN. They add a product of the input and a product of the output
// of the step before.
//
// The working memory of a step has three parts: the input product (period, product_size) of inputs
// that lanes share; working_size floats; and memory for rounded rows.
class Cell : public StatefulLayer {
public:
    Cell(const LayerDescription& d, std::size_t gates, const LayerArrays& arrays)
        : StatefulLayer(d), kernel_(arrays.matrix("kernel", gates, {d.raw, false, d.sources[0] == 0})) {
        product_size_ = kernel_.padded_columns();
    }

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
    /// Returns the floats of memory for rounding the rows of all recurrent products.
    virtual std::size_t rounded_size(std::size_t lanes) const noexcept = 0;
    /// Returns the floats of memory for other work.
    virtual std::size_t working_size(std::size_t lanes) const noexcept = 0;

    // Sets the members of a step that the three kinds share. Returns the part of `scratch` that has
    // working_size floats.
    template <class Step>
    float* prepare_step(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                        float* scratch, Step& s) const {
        float* const working = scratch + std::max<std::size_t>(1, in.period) * product_size();
        s.rounded = working + working_size(lanes);
        s.rows = lanes;
        s.blocks = stride() / kPanel;
        s.kernel = kernel_.view(kernels);
        if (in.product) {
            s.start = in.product;
            s.start_stride = in.product_stride;
        } else if (in.period > 0) {  // lanes share inputs, so each product is computed once
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

    // z (padded_columns) = the input product of one lane, in packed order. `rounded` has
    // kernel_.rounded_size(1) floats.
    void input_product_of(const KernelTable& kernels, const Input& in, std::size_t lane, float* z,
                          float* rounded) const {
        if (in.product)
            std::copy_n(in.product + lane * in.product_stride, kernel_.padded_columns(), z);
        else
            kernel_.apply(kernels, in.only(lane), 1, z, 0, rounded);
    }

    PackedMatrix kernel_;  // (input_size, gates * units)
};

// The base of LSTM and SimpleRNN, whose gates all have one recurrent matrix and no bias for it.
class CellOfOneMatrix : public Cell {
public:
    CellOfOneMatrix(const LayerDescription& d, std::size_t gates, LayerArrays& arrays)
        : Cell(d, gates, arrays), recurrent_(arrays.matrix("recurrent_kernel", gates)) {
        std::vector<float> bias;
        arrays.read({{"kernel", &kernel_}, {"recurrent_kernel", &recurrent_}, {"bias", &bias}});
        kernel_.set_bias(bias);
        nbytes_ = kernel_.nbytes() + recurrent_.nbytes();
    }

    void write(ArrayWriter& file) const final {
        write_matrix(file, {&kernel_});
        write_matrix(file, {&recurrent_});
        file.floats(kernel_.bias_values());
    }

protected:
    std::size_t rounded_size(std::size_t lanes) const noexcept final { return recurrent_.rounded_size(lanes); }

    PackedMatrix recurrent_;  // (units, gates * units)
};

class Lstm final : public CellOfOneMatrix {
public:
    Lstm(const LayerDescription& d, LayerArrays& arrays)
        : CellOfOneMatrix(d, kGates, arrays),
          activation_(d.activation),
          recurrent_activation_(d.recurrent_activation),
          fused_(is_vectorised(activation_) && is_vectorised(recurrent_activation_) &&
                 kernels::fused_step_has(kernel_function(activation_), kernel_function(recurrent_activation_))) {}

protected:
    std::size_t working_size(std::size_t) const noexcept override { return fused_ ? 0 : 2 * kGates * stride(); }

    void advance(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                 float* scratch) const override {
        if (!fused_) return step_lane_by_lane(kernels, in, lanes, out, scratch);
        kernels::LstmStep s{};
        prepare_step(kernels, in, lanes, out, scratch, s);
        s.activation = kernel_function(activation_);
        s.recurrent_activation = kernel_function(recurrent_activation_);
        s.recurrent = recurrent_.view(kernels);
        s.c = out.c;
        kernels.lstm_step(s);
    }

private:
    // Runs the activations that are not vectorised. Softmax needs all units of a gate at once.
    void step_lane_by_lane(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                           float* scratch) const {
        float* const z = scratch;                    // (4 * stride), in packed order
        float* const gates = z + kGates * stride();  // (4, stride): i, f, c, o
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

    // c (outputs) = f * c + i * g, h (outputs) = o * activation(c), with the gates (4, stride).
    void combine(const KernelTable& kernels, const float* gates, float* c, float* h) const {
        const float *i = gates, *f = gates + stride(), *g = f + stride(), *o = g + stride();
        for (std::size_t j = 0; j < outputs(); ++j)
            h[j] = c[j] = static_cast<float>(static_cast<double>(f[j]) * c[j] + static_cast<double>(i[j]) * g[j]);
        activate(kernels, activation_, h, outputs());
        for (std::size_t j = 0; j < outputs(); ++j) h[j] *= o[j];
    }

    Activation activation_, recurrent_activation_;
    bool fused_;  // whether the kernels have a step with these activations
};

class Gru final : public Cell {
public:
    Gru(const LayerDescription& d, LayerArrays& arrays)
        : Cell(d, kGruGates, arrays),
          reset_after_(d.reset_after),
          recurrent_(arrays.part("recurrent_kernel", kGruGates, 0, d.reset_after ? 3 : 2)),
          activation_(d.activation),
          recurrent_activation_(d.recurrent_activation),
          fused_(is_vectorised(activation_) && is_vectorised(recurrent_activation_) &&
                 kernels::fused_step_has(kernel_function(activation_), kernel_function(recurrent_activation_))) {
        if (!reset_after_) candidate_.reset(new PackedMatrix(arrays.part("recurrent_kernel", kGruGates, 2, 1)));
        std::vector<float> bias, recurrent_bias;
        arrays.read({{"kernel", &kernel_},
                     {"recurrent_kernel", &recurrent_, candidate_.get()},
                     {"bias", &bias},
                     {"recurrent_bias", &recurrent_bias}});
        kernel_.set_bias(bias);
        if (reset_after_) recurrent_.set_bias(recurrent_bias);
        nbytes_ = kernel_.nbytes() + recurrent_.nbytes() + (candidate_ ? candidate_->nbytes() : 0);
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
        s.working = prepare_step(kernels, in, lanes, out, scratch, s);
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
        float* const x_part = scratch;  // (3 n), the input product in packed order
        // (3 n), the recurrent product in packed order. Unless reset_after, it then becomes (2, n):
        // r * h, and its product.
        float* const h_part = scratch + 3 * n;
        float* const z = scratch + 6 * n;  // (n)
        float* const r = scratch + 7 * n;  // (n)
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
    PackedMatrix recurrent_;                   // (units, 3 or 2 * units): z, r, maybe h
    std::unique_ptr<PackedMatrix> candidate_;  // (units, units): h, or null if reset_after
    Activation activation_, recurrent_activation_;
    bool fused_;  // as in Lstm
};

class SimpleRnn final : public CellOfOneMatrix {
public:
    SimpleRnn(const LayerDescription& d, LayerArrays& arrays)
        : CellOfOneMatrix(d, 1, arrays),
          activation_(d.activation),
          fused_(is_vectorised(activation_) &&
                 kernels::fused_step_has(kernel_function(activation_), kernels::Function::sigmoid)) {}

protected:
    std::size_t working_size(std::size_t) const noexcept override { return 0; }

    void advance(const KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                 float* scratch) const override {
        if (fused_) {
            kernels::RnnStep s{};
            prepare_step(kernels, in, lanes, out, scratch, s);
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
    Activation activation_;
    bool fused_;  // as in Lstm
};

}  // namespace

std::unique_ptr<Layer> make_lstm(const LayerDescription& d, LayerArrays& arrays) {
    return std::make_unique<Lstm>(d, arrays);
}

std::unique_ptr<Layer> make_gru(const LayerDescription& d, LayerArrays& arrays) {
    return std::make_unique<Gru>(d, arrays);
}

std::unique_ptr<Layer> make_simple_rnn(const LayerDescription& d, LayerArrays& arrays) {
    return std::make_unique<SimpleRnn>(d, arrays);
}

}  // namespace lstmgen
