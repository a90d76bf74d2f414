#include "stepper.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "aligned.hpp"

namespace lstmgen {
namespace {

constexpr std::uint64_t kMagic = 0x6c73746d73746174;  // "lstmstat"

}  // namespace

Stepper::Stepper(const Network& network) : network_(network), in_tail_(network.layers().size()) {
    for (const std::size_t i : network.tail()) in_tail_[i] = true;
    std::size_t at = round_up(sizeof(Header), kAlignment), scratch = 0;
    const auto place = [&at](std::size_t bytes) {
        const std::size_t start = at;
        at += round_up(bytes, kAlignment);
        return start;
    };
    for (const auto& layer : network.layers()) {
        Offsets o;
        const std::size_t bytes = layer->stride() * sizeof(float);
        o.y[0] = o.y[1] = place(bytes);
        if (layer->stateful()) o.y[1] = place(bytes);
        if (layer->has_cell()) o.c = place(bytes);
        o.sums = place(layer->sums_size() * sizeof(double));
        layers_.push_back(o);
        if (at / sizeof(float) > kMaxFloats) throw std::bad_alloc();
        scratch = std::max(scratch, layer->scratch_size(1, 1));
    }
    if (network.needs_encoding()) numbers_ = place(network.info().input_size * sizeof(float));
    scratch_ = place(scratch * sizeof(float));
    nbytes_ = at;
    saved_size_ = write_state(StateKind::steps, network.info(), nullptr, 0, [](StateWriter&) {});
    for (const auto& layer : network.layers()) saved_size_ += layer->saved_size();
}

void Stepper::init(void* state) const noexcept {
    std::memset(state, 0, nbytes_);
    const Header header{kMagic, this, 0};
    std::memcpy(state, &header, sizeof header);
}

bool Stepper::owns(const void* state) const noexcept {
    Header header;
    std::memcpy(&header, state, sizeof header);
    return header.magic == kMagic && header.owner == this && header.now <= 1;
}

std::size_t Stepper::save(const void* state, void* to, std::size_t capacity) const noexcept {
    if (!to || capacity < saved_size_) return saved_size_;
    std::byte* const base = static_cast<std::byte*>(const_cast<void*>(state));
    const auto now = static_cast<std::size_t>(static_cast<const Header*>(state)->now);
    return write_state(StateKind::steps, network_.info(), to, capacity, [&](StateWriter& out) {
        for (std::size_t i = 0; i < layers_.size(); ++i) network_.layers()[i]->save(output(base, i, now), out);
    });
}

void Stepper::load(void* state, const void* from, std::size_t bytes) const {
    StateReader in(StateKind::steps, network_.info(), from, bytes);
    in.expect(saved_size_ - (bytes - in.left()));
    init(state);
    std::byte* const base = static_cast<std::byte*>(state);
    for (std::size_t i = 0; i < layers_.size(); ++i) network_.layers()[i]->load(in, output(base, i, 0));
}

Output Stepper::output(std::byte* base, std::size_t i, std::size_t now) const noexcept {
    const Layer& layer = *network_.layers()[i];
    const Offsets& o = layers_[i];
    const auto floats = [base](std::size_t at) { return reinterpret_cast<float*>(base + at); };
    if (!layer.stateful()) return {floats(o.y[now]), layer.stride()};
    return {floats(o.y[now]),
            layer.stride(),
            floats(o.y[now ^ 1]),
            layer.has_cell() ? floats(o.c) : nullptr,
            reinterpret_cast<double*>(base + o.sums),
            layer.sums_size()};
}

void Stepper::step(void* state, const std::uint32_t* id, const float* x, float* y) const {
    std::byte* const base = static_cast<std::byte*>(state);
    Header& header = *static_cast<Header*>(state);
    const auto now = static_cast<std::size_t>(header.now ^= 1);
    const auto floats = [base](std::size_t at) { return reinterpret_cast<float*>(base + at); };
    const std::size_t size = network_.info().input_size;
    if (id && network_.needs_encoding()) {
        network_.encode(*id, floats(numbers_));
        x = floats(numbers_);
    }
    std::array<Input, kMaxInputs> in;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        if (in_tail_[i] && !y) continue;
        const Layer& layer = *network_.layers()[i];
        for (std::size_t slot = 0; slot < layer.sources().size(); ++slot) {
            const std::size_t source = layer.sources()[slot];
            if (source > 0)
                in[slot] = {nullptr, floats(layers_[source - 1].y[now]), network_.layers()[source - 1]->stride()};
            else if (id && network_.reads_ids(layer, slot))
                in[slot] = {id, nullptr, 1};
            else
                in[slot] = {nullptr, x, size};
        }
        layer.step(network_.kernels(), in.data(), 1, output(base, i, now), floats(scratch_));
    }
    if (y) network_.finish(floats(layers_.back().y[now]), Read::output, y);
}

}  // namespace lstmgen
