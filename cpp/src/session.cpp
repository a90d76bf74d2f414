#include "session.hpp"

#include <algorithm>
#include <array>

namespace lstmgen {
namespace {

// Lanes and units each have their limits, but a small file may ask for the greatest of both.
void check_size(const Network& network, std::size_t lanes) {
    std::size_t floats = network.info().input_size;  // of one lane; at most 256 layers of 5 * 2^20
    for (const std::size_t i : network.body()) {
        const Layer& layer = *network.layers()[i];
        floats += layer.stride() * (layer.recurrent() ? 2 : 1) + layer.stride() * layer.has_c() + 2 * layer.sums_size();
    }
    if (floats > kMaxFloats / lanes)
        throw Error(ErrorCode::invalid_argument, "the state of " + std::to_string(lanes) + " windows of " +
                                                     std::to_string(floats) + " numbers exceeds " + kMaxBytes +
                                                     ": refresh less often, or carry the state");
}

}  // namespace

Session::Session(const Network& network, std::size_t lanes, Workers& workers)
    : network_(network), in_tail_(network.layers().size()), lanes_(lanes), workers_(workers) {
    check_size(network, lanes);
    for (const std::size_t i : network.tail()) in_tail_[i] = true;
    std::size_t scratch = 0;
    for (std::size_t i = 0; i < network.layers().size(); ++i) {
        const Layer& layer = *network.layers()[i];
        scratch = std::max(scratch, layer.scratch_size(lanes));
        Buffers b;
        const std::size_t rows = in_tail_[i] ? 1 : lanes;
        for (std::size_t j = 0; j < (layer.recurrent() ? 2 : 1); ++j)
            b.y[j] = AlignedBuffer<float>(rows * layer.stride());
        if (layer.has_c()) b.c = AlignedBuffer<float>(rows * layer.stride());
        b.sums = AlignedBuffer<double>(rows * layer.sums_size());
        buffers_.push_back(std::move(b));
    }
    if (network.needs_encoding()) encoded_ = AlignedBuffer<float>(network.info().input_size);
    for (std::size_t i = 0; i < workers_.size(); ++i) scratch_.emplace_back(scratch);
}

void Session::reset(std::size_t lane) {
    for (const std::size_t i : network_.body()) {
        const Layer& layer = *network_.layers()[i];
        if (!layer.recurrent()) continue;
        const Output o = output(i, lane);
        std::fill_n(o.y, o.stride, 0.0f);
        if (o.c) std::fill_n(o.c, o.stride, 0.0f);
        std::fill_n(o.sums, o.sums_stride, 0.0);
    }
}

void Session::take(std::size_t lane, const Session& other, std::size_t from) {
    for (const std::size_t i : network_.body()) {
        const Layer& layer = *network_.layers()[i];
        if (!layer.recurrent()) continue;
        const Output to = output(i, lane), o = const_cast<Session&>(other).output(i, from);
        std::copy_n(o.y, o.stride, to.y);
        if (o.c) std::copy_n(o.c, o.stride, to.c);
        std::copy_n(o.sums, o.sums_stride, to.sums);
    }
}

void Session::advance(std::uint32_t id, std::size_t first, std::size_t count) {
    if (count == lanes_) first = 0;  // all of them: in one piece
    id_ = id;
    first_ = first;
    if (encoded_.size() > 0) network_.encode(id, encoded_.data());
    now_ ^= 1;
    const std::size_t share = (count + workers_.size() - 1) / workers_.size();
    workers_.run([&](std::size_t worker) {
        const std::size_t begin = first + std::min(worker * share, count),
                          end = first + std::min((worker + 1) * share, count);
        float* const scratch = scratch_[worker].data();
        if (begin < std::min(end, lanes_)) advance_lanes(begin, std::min(end, lanes_), scratch);
        if (std::max(begin, lanes_) < end) advance_lanes(std::max(begin, lanes_) - lanes_, end - lanes_, scratch);
    });
}

// Layers that no recurrent one precedes see the same input in all lanes, so one row is enough there.
void Session::advance_lanes(std::size_t first, std::size_t last, float* scratch) {
    std::array<Input, kMaxInputs> in;
    for (const std::size_t i : network_.body()) {
        const Layer& layer = *network_.layers()[i];
        for (std::size_t slot = 0; slot < layer.inputs().size(); ++slot) in[slot] = input(layer, slot, first);
        layer.step(network_.kernels(), in.data(), shared(i) ? 1 : last - first, output(i, first), scratch);
    }
}

Input Session::input(const Layer& layer, std::size_t slot, std::size_t lane) {
    const std::size_t source = layer.inputs()[slot];
    if (source > 0) {
        const Output o = output(source - 1, lane);
        return {nullptr, o.y, shared(source - 1) || in_tail_[source - 1] ? 0 : o.stride};
    }
    if (network_.reads_ids(layer, slot)) return {&id_, nullptr, 0};
    return {nullptr, encoded_.data(), 0};
}

Output Session::output(std::size_t i, std::size_t lane) {
    const Layer& layer = *network_.layers()[i];
    Buffers& b = buffers_[i];
    if (in_tail_[i]) lane = 0;
    const std::size_t at = lane * layer.stride();
    if (!layer.recurrent()) return {b.y[0].data() + at, layer.stride()};
    return {b.y[now_].data() + at,
            layer.stride(),
            b.y[now_ ^ 1].data() + at,
            layer.has_c() ? b.c.data() + at : nullptr,
            b.sums.data() + lane * layer.sums_size(),
            layer.sums_size()};
}

void Session::read(std::size_t lane, float* y, Read what) {
    std::array<Input, kMaxInputs> in;
    const std::size_t head = network_.head(what);
    for (const std::size_t i : network_.tail()) {
        if (i > head) break;
        const Layer& layer = *network_.layers()[i];
        for (std::size_t slot = 0; slot < layer.inputs().size(); ++slot) {
            const std::size_t source = layer.inputs()[slot];
            in[slot] = input(layer, slot, source > 0 && shared(source - 1) ? first_ : lane);
        }
        layer.step(network_.kernels(), in.data(), 1, output(i, lane), scratch_[0].data());
    }
    network_.finish(output(head, lane).y, what, y);
}

}  // namespace lstmgen
