// Lanes of state that one caller advances, one time step in a call. A generator with windows has a
// lane for each window in flight. A generator that carries its state has one lane. Several
// sequences can run side by side. A session is for networks that work step by step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "aligned.hpp"
#include "network.hpp"
#include "state.hpp"
#include "state_layout.hpp"
#include "workers.hpp"

namespace lstmgen {

/// Each of `sequences` sequences has `windows` lanes. The lane of sequence i in a window is row
/// window * sequences + i.
class Session {
public:
    /// Makes lanes in the zero state. The workers share the lanes among them. The network and the
    /// workers must outlive the session. Throws Error if the memory exceeds kMaxBytes. Nothing
    /// allocates after construction.
    Session(const Network& network, std::size_t sequences, std::size_t windows, Workers& workers);

    /// Becomes a copy of `other`, a session of the same network with as many sequences and windows.
    /// Does not allocate.
    void copy_from(const Session& other) noexcept;

    /// Returns a window of all sequences to the zero state.
    void reset(std::size_t window);

    /// Advances the `count` windows from `first` on by one time step. Window 0 follows the last
    /// window. Each lane of sequence i reads ids[i] of `ids` (sequences). All other windows lose
    /// their state. With more than one window, `sequences` must be all sequences. With one window,
    /// it may be fewer: then the first ones are advanced.
    void advance(const std::uint32_t* ids, std::size_t sequences, std::size_t first, std::size_t count);

    /// Gives a window the state of window `from` of another session, which has the same network and
    /// as many sequences.
    void copy_window(std::size_t window, const Session& other, std::size_t from);

    /// Saves the state of a window of the only sequence. It is what the next step needs, so after
    /// `load` an `advance` must come before `read`.
    void save(std::size_t window, StateWriter& out) const noexcept;
    void load(std::size_t window, StateReader& in);

    /// Drops all sequences but `sequences`, indices in ascending order.
    void keep(const std::vector<std::size_t>& sequences);

    /// With one window: from now on there are `sequences` sequences, at most as many as the session
    /// was made for. New ones are in no state: reset or copy them.
    void resize(std::size_t sequences) noexcept { sequences_ = sequences; }
    /// With one window: returns sequence i to the zero state.
    void reset_sequence(std::size_t i) noexcept { layout_.clear(memory_.data(), i, 1, now_); }
    /// With one window: gives sequence i the state of sequence `from` of another session of the
    /// same network with one window. It may be this one.
    void copy_sequence(std::size_t i, const Session& other, std::size_t from) noexcept { copy_row(i, other, from); }

    /// y (sequences, outputs) = the output of a window, or its logits.
    void read(std::size_t window, float* y, Read what);

private:
    /// Advances the rows [first, last) of all layers of the body. `scratch` is (scratch_size).
    void advance_rows(std::size_t first, std::size_t last, float* scratch);
    void copy_row(std::size_t row, const Session& other, std::size_t from) noexcept;
    /// Returns the k-th input of a layer, from a row on.
    Input input(const Layer& layer, std::size_t k, std::size_t row);
    /// Returns where a layer writes, from a row on.
    Output output(std::size_t layer, std::size_t row) noexcept;
    /// Returns whether a layer's output is the same in all windows. Then it has one row for each
    /// sequence.
    bool shared(std::size_t layer) const noexcept { return windows_ > 1 && !network_.after_recurrent(layer); }

    const Network& network_;
    StateLayout layout_;               // all lanes in the body, the lanes of one window in the tail
    AlignedBuffer<std::byte> memory_;  // (layout_.nbytes()), as layout_ says
    std::size_t sequences_, windows_;
    std::vector<std::uint32_t> ids_;  // (sequences), the input of the newest step
    AlignedBuffer<float> encoded_;    // (sequences, input_size), the same, if a layer reads numbers
    std::size_t scratch_size_ = 0;    // floats of one thread
    AlignedBuffer<float> scratch_;    // (threads, scratch_size)
    std::size_t now_ = 0;             // which of the two y of a layer with state is the newest
    std::size_t first_ = 0;           // row at which the newest shared outputs begin
    Workers& workers_;
};

}  // namespace lstmgen
