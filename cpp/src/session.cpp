#include "session.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "message.hpp"

namespace lstmgen {
namespace {

// Returns `lanes`. Throws Error if their state exceeds kMaxBytes. A small file may have the
// greatest number of units, and a caller may ask for the greatest number of lanes.
std::size_t checked(const Network& network, std::size_t lanes) {
    // Floats of one lane. At most 256 layers of 5 * 2^20 floats do not overflow.
    std::size_t floats = network.info().input_size;
    for (const std::size_t i : network.body()) {
        const Layer& layer = *network.layers()[i];
        floats +=
            layer.stride() * (layer.stateful() ? 2 : 1) + layer.stride() * layer.has_cell() + 2 * layer.sums_size();
    }
    if (floats > kMaxFloats / lanes)
        refuse({"the state of % windows of % numbers exceeds %: refresh less often, or carry the state", lanes, floats,
                kMaxBytes});
    return lanes;
}

}  // namespace

Session::Session(const Network& network, std::size_t sequences, std::size_t windows, Workers& workers)
    : network_(network),
      layout_(network, checked(network, sequences * windows), sequences),
      memory_(layout_.nbytes()),
      sequences_(sequences),
      windows_(windows),
      ids_(sequences),
      workers_(workers) {
    for (const auto& layer : network.layers())
        scratch_size_ = std::max(scratch_size_, layer->scratch_size(sequences * windows, sequences));
    scratch_size_ = round_up(scratch_size_, kernels::kPanel);
    scratch_ = AlignedBuffer<float>(workers_.size() * scratch_size_);
    if (network.needs_encoding()) encoded_ = AlignedBuffer<float>(sequences * network.info().input_size);
}

void Session::copy_from(const Session& other) noexcept {
    std::memcpy(memory_.data(), other.memory_.data(), memory_.size());
    std::copy(other.ids_.begin(), other.ids_.end(), ids_.begin());
    std::copy_n(other.encoded_.data(), encoded_.size(), encoded_.data());
    now_ = other.now_;
    first_ = other.first_;
}

void Session::reset(std::size_t window) { layout_.clear(memory_.data(), window * sequences_, sequences_, now_); }

void Session::copy_window(std::size_t window, const Session& other, std::size_t from) {
    for (std::size_t i = 0; i < sequences_; ++i) copy_row(window * sequences_ + i, other, from * sequences_ + i);
}

void Session::keep(const std::vector<std::size_t>& sequences) {
    for (std::size_t window = 0, row = 0; window < windows_; ++window)
        for (const std::size_t i : sequences)  // in place: rows only move forward
            copy_row(row++, *this, window * sequences_ + i);
    sequences_ = sequences.size();
}

void Session::copy_row(std::size_t row, const Session& other, std::size_t from) noexcept {
    layout_.copy(other.layout_, other.memory_.data(), from, other.now_, memory_.data(), row, now_);
}

void Session::save(std::size_t window, StateWriter& out) const noexcept {
    layout_.save(memory_.data(), window * sequences_, now_, out);
}

void Session::load(std::size_t window, StateReader& in) { layout_.load(memory_.data(), window * sequences_, now_, in); }

void Session::advance(const std::uint32_t* ids, std::size_t sequences, std::size_t first, std::size_t count) {
    if (count == windows_) first = 0;  // all windows are one piece of rows
    std::copy_n(ids, sequences, ids_.begin());
    for (std::size_t i = 0; encoded_.size() > 0 && i < sequences; ++i)
        network_.encode(ids[i], encoded_.data() + i * network_.info().input_size);
    first_ = first * sequences_;
    now_ ^= 1;
    // A worker's share is a number of whole windows, since it computes the shared outputs for
    // itself. With one window nothing is shared, so a share is a number of sequences.
    const std::size_t unit = windows_ > 1 ? sequences_ : 1, units = windows_ > 1 ? count : sequences;
    const std::size_t share = (units + workers_.size() - 1) / workers_.size();
    const std::size_t rows = windows_ * sequences_;
    workers_.run([&](std::size_t worker) {
        const std::size_t begin = first_ + std::min(worker * share, units) * unit,
                          end = first_ + std::min((worker + 1) * share, units) * unit;
        float* const scratch = scratch_.data() + worker * scratch_size_;
        if (begin < std::min(end, rows)) advance_rows(begin, std::min(end, rows), scratch);
        if (std::max(begin, rows) < end) advance_rows(std::max(begin, rows) - rows, end - rows, scratch);
    });
}

void Session::advance_rows(std::size_t first, std::size_t last, float* scratch) {
    std::array<Input, kMaxInputs> in;
    for (const std::size_t i : network_.body()) {
        const Layer& layer = *network_.layers()[i];
        for (std::size_t k = 0; k < layer.sources().size(); ++k) in[k] = input(layer, k, first);
        layer.step(network_.kernels(), in.data(), shared(i) ? sequences_ : last - first, output(i, first), scratch);
    }
}

// With one window, `row` is also the index of the sequence.
Input Session::input(const Layer& layer, std::size_t k, std::size_t row) {
    const std::size_t source = layer.sources()[k];
    const std::size_t period = windows_ > 1 ? sequences_ : 0;
    if (source > 0) {
        const Output o = output(source - 1, row);
        return {nullptr, o.y, o.stride, shared(source - 1) ? period : 0};
    }
    const std::size_t sequence = windows_ > 1 ? 0 : row, size = network_.info().input_size;
    if (network_.reads_ids(layer, k)) return {ids_.data() + sequence, nullptr, 1, period};
    return {nullptr, encoded_.data() + sequence * size, size, period};
}

Output Session::output(std::size_t layer, std::size_t row) noexcept {
    return layout_.output(memory_.data(), layer, row, now_);
}

void Session::read(std::size_t window, float* y, Read what) {
    std::array<Input, kMaxInputs> in;
    const std::size_t last = network_.output_layer(what), row = window * sequences_;
    for (const std::size_t i : network_.tail()) {
        if (i > last) break;
        const Layer& layer = *network_.layers()[i];
        for (std::size_t k = 0; k < layer.sources().size(); ++k) {
            const std::size_t source = layer.sources()[k];
            in[k] = input(layer, k, source > 0 && shared(source - 1) ? first_ : row);
        }
        layer.step(network_.kernels(), in.data(), sequences_, output(i, row), scratch_.data());
    }
    const Output o = output(last, row);
    for (std::size_t i = 0; i < sequences_; ++i)
        network_.finish(o.y + i * o.stride, what, y + i * network_.info().outputs);
}

}  // namespace lstmgen
