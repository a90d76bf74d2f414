#include "state_layout.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "aligned.hpp"

namespace lstmgen {

StateLayout::StateLayout(const Network& network, std::size_t lanes, std::size_t tail_lanes, std::size_t begin)
    : network_(network), layers_(network.layers().size()), nbytes_(round_up(begin, kAlignment)) {
    const auto place = [this](std::size_t bytes) {
        const std::size_t start = nbytes_;
        nbytes_ += round_up(bytes, kAlignment);
        return start;
    };
    for (const std::size_t i : network.tail()) layers_[i].in_tail = true;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        const Layer& layer = *network.layers()[i];
        Places& places = layers_[i];
        const std::size_t rows = places.in_tail ? tail_lanes : lanes, bytes = rows * layer.stride() * sizeof(float);
        places.y[0] = places.y[1] = place(bytes);
        if (layer.stateful()) places.y[1] = place(bytes);
        if (layer.has_cell()) places.c = place(bytes);
        places.sums = place(rows * layer.sums_size() * sizeof(double));
        if (nbytes_ / sizeof(float) > kMaxFloats) throw std::bad_alloc();
    }
}

StateLayout::Places StateLayout::at(std::size_t i, std::size_t row) const noexcept {
    const Layer& layer = *network_.layers()[i];
    Places places = layers_[i];
    if (places.in_tail) return places;
    const std::size_t floats = row * layer.stride() * sizeof(float);
    places.y[0] += floats;
    places.y[1] += floats;
    places.c += floats;
    places.sums += row * layer.sums_size() * sizeof(double);
    return places;
}

Output StateLayout::output(std::byte* memory, std::size_t i, std::size_t row, std::size_t now) const noexcept {
    const Layer& layer = *network_.layers()[i];
    const Places places = at(i, row);
    const auto floats = [memory](std::size_t place) { return reinterpret_cast<float*>(memory + place); };
    if (!layer.stateful()) return {floats(places.y[0]), layer.stride()};
    return {floats(places.y[now]),
            layer.stride(),
            floats(places.y[now ^ 1]),
            layer.has_cell() ? floats(places.c) : nullptr,
            reinterpret_cast<double*>(memory + places.sums),
            layer.sums_size()};
}

ConstOutput StateLayout::output(const std::byte* memory, std::size_t i, std::size_t row,
                                std::size_t now) const noexcept {
    const Layer& layer = *network_.layers()[i];
    const Places places = at(i, row);
    const auto floats = [memory](std::size_t place) { return reinterpret_cast<const float*>(memory + place); };
    if (!layer.stateful()) return {floats(places.y[0]), layer.stride()};
    return {floats(places.y[now]), layer.stride(), layer.has_cell() ? floats(places.c) : nullptr,
            reinterpret_cast<const double*>(memory + places.sums), layer.sums_size()};
}

void StateLayout::clear(std::byte* memory, std::size_t row, std::size_t n, std::size_t now) const noexcept {
    for (const std::size_t i : network_.body()) {
        if (!network_.layers()[i]->stateful()) continue;
        const Output o = output(memory, i, row, now);
        std::memset(o.y, 0, n * o.stride * sizeof *o.y);
        if (o.c) std::memset(o.c, 0, n * o.stride * sizeof *o.c);
        std::memset(o.sums, 0, n * o.sums_stride * sizeof *o.sums);
    }
}

void StateLayout::copy(const StateLayout& other, const std::byte* source, std::size_t from, std::size_t source_now,
                       std::byte* memory, std::size_t to, std::size_t now) const noexcept {
    if (source == memory && from == to) return;
    for (const std::size_t i : network_.body()) {
        if (!network_.layers()[i]->stateful()) continue;
        const ConstOutput in = other.output(source, i, from, source_now);
        const Output out = output(memory, i, to, now);
        std::copy_n(in.y, in.stride, out.y);
        if (in.c) std::copy_n(in.c, in.stride, out.c);
        std::copy_n(in.sums, in.sums_stride, out.sums);
    }
}

void StateLayout::save(const std::byte* memory, std::size_t row, std::size_t now, StateWriter& out) const noexcept {
    for (const std::size_t i : network_.body()) network_.layers()[i]->save(output(memory, i, row, now), out);
}

void StateLayout::load(std::byte* memory, std::size_t row, std::size_t now, StateReader& in) const {
    for (const std::size_t i : network_.body()) network_.layers()[i]->load(in, output(memory, i, row, now));
}

}  // namespace lstmgen
