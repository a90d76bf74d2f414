#include "session.hpp"

#include <algorithm>
#include <cmath>

namespace lstmgen {
namespace {

constexpr std::size_t kTailLanes = 32;
constexpr std::size_t kMaxFloats = std::size_t{1} << 30;  // of all lanes together: 4 GiB

// Lanes and units each have their limits, but a small file may ask for the greatest of both.
void check_size(const Network& network, std::size_t lanes) {
    std::size_t floats = network.info().input_size;  // of one lane; at most 256 layers of 3 * 2^20
    for (std::size_t i = 0; i < network.body_end(); ++i)
        floats += network.layers()[i]->stride() * (network.layers()[i]->recurrent() ? 3 : 1);
    if (floats > kMaxFloats / lanes)
        throw Error(ErrorCode::invalid_argument, "the state of " + std::to_string(lanes) + " windows of " +
                                                     std::to_string(floats) +
                                                     " numbers exceeds 4 GiB: refresh less often, or carry the state");
}

}  // namespace

Session::Session(const Network& network, std::size_t lanes, std::size_t threads)
    : network_(network), workers_(std::min(threads, lanes)) {
    check_size(network, lanes);
    std::size_t scratch = 0;
    for (std::size_t i = 0; i < network.layers().size(); ++i) {
        const Layer& layer = *network.layers()[i];
        scratch = std::max(scratch, layer.scratch_size());
        if (i >= network.body_end()) {
            tail_.emplace_back(std::min(lanes, kTailLanes) * layer.stride());
            continue;
        }
        Buffers buffers;
        for (std::size_t j = 0; j < (layer.recurrent() ? 2 : 1); ++j)
            buffers.y[j] = AlignedBuffer<float>(lanes * layer.stride());
        if (layer.recurrent()) buffers.c = AlignedBuffer<float>(lanes * layer.stride());
        body_.push_back(std::move(buffers));
    }
    const Encoding encoding = network.info().encoding;
    if (encoding == Encoding::scaled || (encoding == Encoding::onehot && !network.layers()[0]->reads_ids()))
        encoded_ = AlignedBuffer<float>(lanes * network.info().input_size);
    for (std::size_t i = 0; i < workers_.size(); ++i) scratch_.emplace_back(scratch);
}

void Session::reset(std::size_t lane) {
    for (std::size_t i = 0; i < network_.body_end(); ++i) {
        if (!network_.layers()[i]->recurrent()) continue;
        const Output o = output(i, lane);
        std::fill_n(body_[i].y[now_].data() + lane * o.stride, o.stride, 0.0f);
        std::fill_n(o.c, o.stride, 0.0f);
    }
}

void Session::advance(const std::uint32_t* ids, std::size_t stride, std::size_t lanes) {
    if (encoded_.size() == 0) return advance(Input{ids, nullptr, stride}, lanes);
    const std::size_t size = network_.info().input_size, rows = stride == 0 ? 1 : lanes;
    for (std::size_t i = 0; i < rows; ++i) {
        if (network_.info().encoding == Encoding::scaled) {
            encoded_[i] =
                static_cast<float>(static_cast<double>(ids[i * stride]) / static_cast<double>(network_.info().outputs));
        } else {
            std::fill_n(encoded_.data() + i * size, size, 0.0f);
            encoded_[i * size + ids[i * stride]] = 1.0f;
        }
    }
    advance(Input{nullptr, encoded_.data(), stride == 0 ? 0 : size}, lanes);
}

void Session::advance(const float* x, std::size_t stride, std::size_t lanes) {
    advance(Input{nullptr, x, stride}, lanes);
}

void Session::advance(const Input& input, std::size_t lanes) {
    now_ ^= 1;
    const std::size_t share = (lanes + workers_.size() - 1) / workers_.size();
    workers_.run([&](std::size_t worker) {
        const std::size_t first = std::min(worker * share, lanes), last = std::min(first + share, lanes);
        if (first < last) advance_lanes(input, first, last, scratch_[worker].data());
    });
}

// Layers before the first recurrent one see the same input in all lanes if the lanes do, so one row is enough there.
void Session::advance_lanes(const Input& input, std::size_t first, std::size_t last, float* scratch) {
    Input in{input.ids ? input.ids + first * input.stride : nullptr, input.x ? input.x + first * input.stride : nullptr,
             input.stride};
    for (std::size_t i = 0; i < network_.body_end(); ++i) {
        const Layer& layer = *network_.layers()[i];
        const bool same = in.stride == 0 && !layer.recurrent();
        const Output out = output(i, first);
        layer.step(network_.kernels(), in, same ? 1 : last - first, out, scratch);
        in = Input{nullptr, out.y, same ? 0 : out.stride};
    }
}

Output Session::output(std::size_t i, std::size_t lane) {
    const Layer& layer = *network_.layers()[i];
    const std::size_t stride = layer.stride();
    Buffers& b = body_[i];
    if (!layer.recurrent()) return {b.y[0].data() + lane * stride, nullptr, nullptr, stride};
    return {b.y[now_].data() + lane * stride, b.y[now_ ^ 1].data() + lane * stride, b.c.data() + lane * stride, stride};
}

void Session::read(std::size_t lane, std::size_t lanes, float* y, std::size_t y_stride, Read what) {
    const std::size_t skip = what == Read::logits && network_.softmax_head() ? 1 : 0;
    for (std::size_t done = 0; done < lanes; done += kTailLanes) {
        const std::size_t n = std::min(kTailLanes, lanes - done);
        const Output last = output(network_.body_end() - 1, lane + done);
        Input in{nullptr, last.y, last.stride};
        for (std::size_t i = network_.body_end(); i + skip < network_.layers().size(); ++i) {
            const Layer& layer = *network_.layers()[i];
            float* const out = tail_[i - network_.body_end()].data();
            layer.step(network_.kernels(), in, n, Output{out, nullptr, nullptr, layer.stride()}, scratch_[0].data());
            in = Input{nullptr, out, layer.stride()};
        }
        for (std::size_t i = 0; i < n; ++i) {
            float* const to = y + (done + i) * y_stride;
            std::copy_n(in.x + i * in.stride, network_.info().outputs, to);
            if (what == Read::logits && !network_.softmax_head())
                for (std::size_t j = 0; j < network_.info().outputs; ++j) to[j] = std::log(to[j]);
        }
    }
}

}  // namespace lstmgen
