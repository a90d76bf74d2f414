// Layers with one matrix: Embedding picks a row of it, Dense multiplies a row with it.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "layers/layer.hpp"
#include "packed_matrix.hpp"

namespace lstmgen {

using kernels::KernelTable;
using kernels::WeightType;

namespace {

class Embedding final : public Layer {
public:
    Embedding(const LayerDescription& d, LayerArrays& arrays)
        : Layer(d), type_(arrays.shape("embeddings").type), rows_(d.input_size * stride()) {
        std::vector<float> values;  // (input_size, outputs)
        arrays.read({{"embeddings", &values, &scales_}});
        nbytes_ = rows_.nbytes();
        const bool int8 = type_ == WeightType::int8;
        if (int8 && std::find(scales_.begin(), scales_.end(), 0.0f) != scales_.end())
            integers_.assign(values.begin(), values.end());
        for (std::size_t i = 0; i < d.input_size; ++i)
            for (std::size_t j = 0; j < outputs(); ++j)
                rows_[i * stride() + j] = values[i * outputs() + j] * (int8 ? scales_[j] : 1.0f);
    }
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
                std::int8_t step = 0;
                if (!integers_.empty())
                    step = integers_[i * outputs() + j];
                else if (type_ == WeightType::int8)
                    step = static_cast<std::int8_t>(std::lround(number / scales_[j]));
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
    std::vector<float> scales_;  // (outputs), for int8; else empty
    AlignedBuffer<float> rows_;  // (input_size, stride)
    // (input_size, outputs) of int8, if a scale is 0: then rows_ does not tell them; else empty.
    std::vector<std::int8_t> integers_;
};

class Dense final : public Layer {
public:
    Dense(const LayerDescription& d, LayerArrays& arrays)
        : Layer(d), matrix_(arrays.matrix("kernel", 1, {d.raw, true, d.sources[0] == 0})), activation_(d.activation) {
        std::vector<float> bias;  // (outputs)
        arrays.read({{"kernel", &matrix_}, {"bias", &bias}});
        matrix_.set_bias(bias);
        nbytes_ = matrix_.nbytes();
    }
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
    PackedMatrix matrix_;  // (input_size, outputs)
    Activation activation_;
};

}  // namespace

std::unique_ptr<Layer> make_embedding(const LayerDescription& d, LayerArrays& arrays) {
    return std::make_unique<Embedding>(d, arrays);
}

std::unique_ptr<Layer> make_dense(const LayerDescription& d, LayerArrays& arrays) {
    return std::make_unique<Dense>(d, arrays);
}

}  // namespace lstmgen
