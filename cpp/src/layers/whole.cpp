// Layers that need all time steps at once. They move numbers and compute nothing.
#include <algorithm>
#include "layers/layer.hpp"

namespace lstmgen {

namespace {

void reverse(const Layer& layer, const Sequence<const float>& in, std::size_t lanes, const Sequence<float>& out) {
    for (std::size_t t = 0; t < out.steps; ++t)
        for (std::size_t i = 0; i < lanes; ++i)
            std::copy_n(in.x + ((in.steps - 1 - t) * lanes + i) * in.stride, layer.outputs(),
                        out.x + (t * lanes + i) * out.stride);
}

void repeat(const Layer& layer, const Sequence<const float>& in, std::size_t lanes, const Sequence<float>& out) {
    for (std::size_t t = 0; t < out.steps; ++t)
        for (std::size_t i = 0; i < lanes; ++i)
            std::copy_n(in.x + i * in.stride, layer.outputs(), out.x + (t * lanes + i) * out.stride);
}

void reshape(const Layer& layer, const Sequence<const float>& in, std::size_t lanes, const Sequence<float>& out) {
    for (std::size_t i = 0; i < lanes; ++i) {
        std::size_t from = 0, step = 0;  // the next number of the input is in[step][lane][from]
        for (std::size_t t = 0; t < out.steps; ++t)
            for (std::size_t j = 0; j < layer.outputs(); ++j) {
                out.x[(t * lanes + i) * out.stride + j] = in.x[(step * lanes + i) * in.stride + from];
                if (++from == layer.input_size()) {
                    from = 0;
                    ++step;
                }
            }
    }
}

void transpose(const Layer& layer, const Sequence<const float>& in, std::size_t lanes, const Sequence<float>& out) {
    for (std::size_t t = 0; t < out.steps; ++t)
        for (std::size_t i = 0; i < lanes; ++i)
            for (std::size_t j = 0; j < layer.outputs(); ++j)
                out.x[(t * lanes + i) * out.stride + j] = in.x[(j * lanes + i) * in.stride + t];
}

}  // namespace

std::unique_ptr<Layer> make_reverse(const LayerDescription& d, LayerArrays&) {
    return std::unique_ptr<Layer>(new Layer(d, reverse));
}

std::unique_ptr<Layer> make_reshape(const LayerDescription& d, LayerArrays&) {
    return std::unique_ptr<Layer>(new Layer(d, reshape));
}

std::unique_ptr<Layer> make_repeat(const LayerDescription& d, LayerArrays&) {
    return std::unique_ptr<Layer>(new Layer(d, repeat));
}

std::unique_ptr<Layer> make_transpose(const LayerDescription& d, LayerArrays&) {
    return std::unique_ptr<Layer>(new Layer(d, transpose));
}

}  // namespace lstmgen
