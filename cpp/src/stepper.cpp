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

Stepper::Stepper(const Network& network)
    : network_(network), layout_(network, 1, 1, sizeof(Header)), nbytes_(layout_.nbytes()) {
    const auto place = [this](std::size_t floats) {
        const std::size_t start = nbytes_;
        nbytes_ += round_up(floats * sizeof(float), kAlignment);
        return start;
    };
    std::size_t scratch = 0;
    for (const auto& layer : network.layers()) scratch = std::max(scratch, layer->scratch_size(1, 1));
    if (network.needs_encoding()) numbers_ = place(network.info().input_size);
    scratch_ = place(scratch);
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
    return write_state(StateKind::steps, network_.info(), to, capacity, [&](StateWriter& out) {
        layout_.save(static_cast<const std::byte*>(state), 0, now(state), out);
    });
}

void Stepper::load(void* state, const void* from, std::size_t bytes) const {
    StateReader in(StateKind::steps, network_.info(), from, bytes);
    in.expect(saved_size_ - (bytes - in.left()));
    init(state);
    layout_.load(static_cast<std::byte*>(state), 0, now(state), in);
}

void Stepper::step(void* state, const std::uint32_t* id, const float* x, float* y) const {
    std::byte* const base = static_cast<std::byte*>(state);
    Header& header = *static_cast<Header*>(state);
    header.now ^= 1;
    const auto output = [&](std::size_t i) { return layout_.output(base, i, 0, now(state)); };
    const auto floats = [base](std::size_t at) { return reinterpret_cast<float*>(base + at); };
    const std::size_t size = network_.info().input_size;
    if (id && network_.needs_encoding()) {
        network_.encode(*id, floats(numbers_));
        x = floats(numbers_);
    }
    std::array<Input, kMaxInputs> in;
    for (std::size_t i = 0; i < network_.layers().size(); ++i) {
        if (layout_.in_tail(i) && !y) continue;
        const Layer& layer = *network_.layers()[i];
        for (std::size_t k = 0; k < layer.sources().size(); ++k) {
            const std::size_t source = layer.sources()[k];
            if (source > 0)
                in[k] = {nullptr, output(source - 1).y, network_.layers()[source - 1]->stride()};
            else if (id && network_.reads_ids(layer, k))
                in[k] = {id, nullptr, 1};
            else
                in[k] = {nullptr, x, size};
        }
        layer.step(network_.kernels(), in.data(), 1, output(i), floats(scratch_));
    }
    if (y) network_.finish(output(network_.layers().size() - 1).y, Read::output, y);
}

}  // namespace lstmgen
