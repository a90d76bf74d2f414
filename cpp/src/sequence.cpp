#include "sequence.hpp"

#include <algorithm>
#include <array>

#include "message.hpp"

namespace lstmgen {
namespace {

constexpr std::size_t kProductRows = 64;  // rows of an input product that are computed at once

// Returns the steps that a layer's buffer has room for. A layer with state has one more, in front:
// its output before the first step.
std::size_t slabs(const Layer& layer, std::size_t steps) {
    const std::size_t n = layer.shape().steps_for(steps);
    return layer.stateful() ? n + 1 : n;
}

// Returns the steps that a layer runs.
std::size_t steps_run(const Network& network, const Layer& layer, std::size_t steps) {
    const std::size_t source = layer.sources()[0];
    if (!layer.stateful()) return layer.shape().steps_for(steps);
    return source == 0 ? steps : network.layers()[source - 1]->shape().steps_for(steps);
}

// Returns the numbers that enter at a time step; 0 if only ids do.
std::size_t input_floats(const Network& network, bool features) {
    return features || network.needs_encoding() ? network.info().input_size : 0;
}

// Returns the floats of product_. It serves few lanes: then one pass over the weights serves
// several steps. With many lanes, one step uses the weights well enough while they are in the
// cache.
std::size_t product_size(const Network& network, std::size_t lanes) {
    std::size_t floats = 0;
    for (const auto& layer : network.layers()) floats = std::max(floats, layer->product_size());
    return lanes <= kProductRows / 2 ? floats * kProductRows : 0;
}

// Returns the floats of scratch_. The input product takes up to kProductRows rows at once, even if
// there are fewer lanes.
std::size_t scratch_size(const Network& network, std::size_t lanes) {
    std::size_t floats = 0;
    for (const auto& layer : network.layers())
        floats = std::max(floats, layer->scratch_size(std::max(lanes, kProductRows), 1));
    return floats;
}

}  // namespace

double SequenceEvaluator::size(const Network& network, std::size_t lanes, std::size_t steps, bool features) {
    double lane = static_cast<double>(steps) * static_cast<double>(1 + input_floats(network, features));
    for (const auto& layer : network.layers())
        lane += static_cast<double>(slabs(*layer, steps)) * static_cast<double>(layer->stride()) +
                static_cast<double>(layer->stride() * layer->has_cell() + 2 * layer->sums_size());
    return lane * static_cast<double>(lanes) +
           static_cast<double>(product_size(network, lanes) + scratch_size(network, lanes));
}

double SequenceEvaluator::work(const Network& network, std::size_t steps) {
    double work = 0.0;
    for (const auto& layer : network.layers())
        work += static_cast<double>(steps_run(network, *layer, steps)) * layer->work();
    return work;
}

SequenceEvaluator::SequenceEvaluator(const Network& network, std::size_t lanes, std::size_t steps, bool features,
                                     const Continue& keep_going, bool exact)
    : network_(network), kernels_(network.kernels()), features_(features), asking_(keep_going) {
    if (exact) kernels_.bf16 = {};
    const double floats = size(network, lanes, steps, features);
    if (floats > static_cast<double>(kMaxFloats))
        refuse({"% time steps of this network take % GiB of memory, expected at most %", steps,
                static_cast<std::uint64_t>(floats * 0x1p-28) + 1, kMaxBytes});
    for (const auto& layer : network.layers()) {
        Buffers b;
        b.y = AlignedBuffer<float>(slabs(*layer, steps) * lanes * layer->stride());
        if (layer->has_cell()) b.c = AlignedBuffer<float>(lanes * layer->stride());
        b.sums = AlignedBuffer<double>(lanes * layer->sums_size());
        buffers_.push_back(std::move(b));
    }
    if (!features) ids_.resize(lanes * steps);
    numbers_ = AlignedBuffer<float>(lanes * steps * input_floats(network, features));
    product_ = AlignedBuffer<float>(product_size(network, lanes));
    scratch_ = AlignedBuffer<float>(scratch_size(network, lanes));
}

void SequenceEvaluator::reset(std::size_t lanes) {
    lanes_ = lanes;
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
        Buffers& b = buffers_[i];
        const Layer& layer = *network_.layers()[i];
        if (layer.stateful()) std::fill_n(b.y.data(), lanes * layer.stride(), 0.0f);
        std::fill_n(b.c.data(), b.c.size(), 0.0f);
        std::fill_n(b.sums.data(), b.sums.size(), 0.0);
    }
}

void SequenceEvaluator::run(const std::uint32_t* ids, std::size_t stride, std::size_t steps, bool last, Read what) {
    const std::size_t size = network_.info().input_size;
    for (std::size_t t = 0; t < steps; ++t)
        for (std::size_t i = 0; i < lanes_; ++i) {
            const std::size_t row = t * lanes_ + i;
            ids_[row] = ids[i * stride + t];
            if (network_.needs_encoding()) network_.encode(ids_[row], numbers_.data() + row * size);
        }
    run_layers(steps, last, what);
}

void SequenceEvaluator::run(const float* x, std::size_t stride, std::size_t steps, bool last, Read what) {
    const std::size_t size = network_.info().input_size;
    for (std::size_t t = 0; t < steps; ++t)
        for (std::size_t i = 0; i < lanes_; ++i)
            std::copy_n(x + i * stride + t * size, size, numbers_.data() + (t * lanes_ + i) * size);
    drop_subnormal(numbers_.data(), steps * lanes_ * size);
    run_layers(steps, last, what);
}

void SequenceEvaluator::run_layers(std::size_t steps, bool last, Read what) {
    steps_ = steps;
    what_ = what;
    std::array<Input, kMaxInputs> in;
    const std::size_t last_layer = network_.output_layer(what_);
    for (std::size_t i = 0; i <= last_layer; ++i) {
        const Layer& layer = *network_.layers()[i];
        const double work = layer.work() * static_cast<double>(lanes_);
        if (!layer.stateful()) asking_.before(work * static_cast<double>(steps_of(layer.shape())));
        if (layer.stateful()) {
            run_recurrent(i);
        } else if (layer.whole()) {
            rearrange(i);
        } else if (layer.shape().sequence || last) {
            for (std::size_t k = 0; k < layer.sources().size(); ++k) in[k] = input(layer, k);
            const Output out{buffers_[i].y.data(), layer.stride()};
            layer.step(kernels_, in.data(), steps_of(layer.shape()) * lanes_, out, scratch_.data());
        }
    }
}

// Slab 0 of y is the output before the first step, and slab t + 1 is that of step t. A layer that
// gives a vector uses the slabs 0 and 1 in turns. The newest slab is copied to slab 0, where the
// next call reads it.
void SequenceEvaluator::run_recurrent(std::size_t i) {
    const Layer& layer = *network_.layers()[i];
    Buffers& b = buffers_[i];
    std::array<Input, 2> all, in;
    for (std::size_t k = 0; k < layer.sources().size(); ++k) all[k] = input(layer, k);
    const std::size_t steps = steps_run(network_, layer, steps_);
    const std::size_t slab = lanes_ * layer.stride();
    const bool product = layer.product_size() > 0 && product_.size() > 0 && !all[0].ids;
    const std::size_t chunk = product ? kProductRows / lanes_ : 1;
    const auto slab_of = [&](std::size_t t) { return b.y.data() + (layer.shape().sequence ? t : t % 2) * slab; };
    for (std::size_t t = 0; t < steps; ++t) {
        asking_.before(layer.work() * static_cast<double>(lanes_));
        for (std::size_t k = 0; k < layer.sources().size(); ++k) in[k] = all[k].from(t * lanes_);
        if (chunk > 1) {
            if (t % chunk == 0)
                layer.input_product(kernels_, in[0], std::min(chunk, steps - t) * lanes_, product_.data(),
                                    scratch_.data());
            in[0].product = product_.data() + t % chunk * lanes_ * layer.product_size();
            in[0].product_stride = layer.product_size();
        }
        const Output out{slab_of(t + 1), layer.stride(), slab_of(t), b.c.data(), b.sums.data(), layer.sums_size()};
        layer.step(kernels_, in.data(), lanes_, out, scratch_.data());
    }
    if (slab_of(steps) != b.y.data()) std::copy_n(slab_of(steps), slab, b.y.data());
}

void SequenceEvaluator::rearrange(std::size_t i) {
    const Layer& layer = *network_.layers()[i];
    const Input in = input(layer, 0);
    const std::size_t source = layer.sources()[0];
    const std::size_t steps = source == 0 ? steps_ : steps_of(network_.layers()[source - 1]->shape());
    layer.rearrange({in.x, in.stride, steps}, lanes_, {buffers_[i].y.data(), layer.stride(), steps_of(layer.shape())});
}

Input SequenceEvaluator::input(const Layer& layer, std::size_t k) const {
    const std::size_t source = layer.sources()[k];
    if (source > 0) return {nullptr, value(source - 1), network_.layers()[source - 1]->stride()};
    if (!features_ && network_.reads_ids(layer, k)) return {ids_.data(), nullptr, 1};
    return {nullptr, numbers_.data(), network_.info().input_size};
}

const float* SequenceEvaluator::value(std::size_t i) const noexcept {
    const Layer& layer = *network_.layers()[i];
    const bool skip = layer.stateful() && layer.shape().sequence;  // slab 0: before the first step
    return buffers_[i].y.data() + (skip ? lanes_ * layer.stride() : 0);
}

void SequenceEvaluator::read(std::size_t lane, std::size_t t, float* y) const {
    const std::size_t last_layer = network_.output_layer(what_);
    network_.finish(value(last_layer) + (t * lanes_ + lane) * network_.layers()[last_layer]->stride(), what_, y);
}

}  // namespace lstmgen
