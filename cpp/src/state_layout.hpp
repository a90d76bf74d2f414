// Where the numbers of a graph of layers lie in memory, for networks that work step by step.
// Sessions and steppers both use it. They differ in who owns the memory.
#pragma once

#include <cstddef>
#include <vector>

#include "network.hpp"

namespace lstmgen {

/// Places of all values and states in one block of memory. Immutable, so that threads may share
/// one.
///
/// A layer of the network's body has a row for each lane. A layer of the tail, whose value is
/// computed when the output is read, has `tail_lanes` rows. For it, the functions below ignore
/// `row`, and begin at row 0. In all of them `memory` has nbytes() bytes.
class StateLayout {
public:
    /// Makes a layout. The first place is `begin` bytes after the start of the memory. Throws
    /// std::bad_alloc if the places take more than kMaxFloats floats. The network must outlive the
    /// layout.
    StateLayout(const Network& network, std::size_t lanes, std::size_t tail_lanes, std::size_t begin = 0);

    /// Returns the bytes up to the end of the last place.
    std::size_t nbytes() const noexcept { return nbytes_; }
    bool in_tail(std::size_t layer) const noexcept { return layers_[layer].in_tail; }

    /// Returns where a layer writes, from a row on. `now`, 0 or 1, says which y of a layer with
    /// state is the newest.
    Output output(std::byte* memory, std::size_t layer, std::size_t row, std::size_t now) const noexcept;
    ConstOutput output(const std::byte* memory, std::size_t layer, std::size_t row, std::size_t now) const noexcept;

    /// Sets the rows [row, row + n) to the zero state.
    void clear(std::byte* memory, std::size_t row, std::size_t n, std::size_t now) const noexcept;
    /// Gives row `to` the state of row `from` of other memory, which may be the same. `other` is
    /// its layout, of the same network.
    void copy(const StateLayout& other, const std::byte* source, std::size_t from, std::size_t source_now,
              std::byte* memory, std::size_t to, std::size_t now) const noexcept;

    /// Saves the state of one row of all layers, in the order of the body.
    void save(const std::byte* memory, std::size_t row, std::size_t now, StateWriter& out) const noexcept;
    void load(std::byte* memory, std::size_t row, std::size_t now, StateReader& in) const;

private:
    /// Where the buffers of one layer begin, in bytes from the start of the memory.
    struct Places {
        std::size_t y[2] = {};  // (rows, stride) floats each; without state both are one place
        std::size_t c = 0;      // (rows, stride) floats
        std::size_t sums = 0;   // (rows, sums_size) doubles
        bool in_tail = false;
    };
    Places at(std::size_t layer, std::size_t row) const noexcept;

    const Network& network_;
    std::vector<Places> layers_;  // (layers)
    std::size_t nbytes_ = 0;
};

}  // namespace lstmgen
