// Lanes of state that one caller advances, one time step a call. A generator with windows runs a
// lane for each window in flight, a generator that carries its state a single one. Several
// sequences can run side by side. For networks that work step by step.
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
    /// All lanes start from the zero state. The workers share the lanes among them. The network and
    /// the workers must outlive the session. Nothing allocates after construction.
    Session(const Network& network, std::size_t sequences, std::size_t windows, Workers& workers);

    /// Becomes what `other` is: a session of the same network, with as many sequences and windows.
    /// Does not allocate.
    void copy_from(const Session& other) noexcept;

    /// Back to the zero state, in all sequences.
    void reset(std::size_t window);

    /// Advances the `count` windows from `first` on by one time step; the first window follows the
    /// last one. Each lane of sequence i reads ids[i]. All other windows lose their state. With
    /// more than one window, `sequences` must be all that there are; else the first ones may be
    /// advanced alone.
    void advance(const std::uint32_t* ids, std::size_t sequences, std::size_t first, std::size_t count);

    /// Gives a window the state of a window of another session of the same network and as many
    /// sequences.
    void copy_window(std::size_t window, const Session& other, std::size_t from);

    /// The state of a window, where there is one sequence. It is what the next step needs: between
    /// `load` and `read` there must be an `advance`.
    void save(std::size_t window, StateWriter& out) const noexcept;
    void load(std::size_t window, StateReader& in);

    /// Goes on with these sequences only, which are in ascending order.
    void keep(const std::vector<std::size_t>& sequences);

    /// y (sequences, outputs) of a window.
    void read(std::size_t window, float* y, Read what);

private:
    void advance_rows(std::size_t first, std::size_t last, float* scratch);
    void copy_row(std::size_t row, const Session& other, std::size_t from);
    /// What a layer reads as its k-th input, from a row on.
    Input input(const Layer& layer, std::size_t k, std::size_t row);
    Output output(std::size_t layer, std::size_t row) noexcept;
    /// Whether a layer's output is the same in all windows: then those of one window are worked
    /// out.
    bool shared(std::size_t layer) const noexcept { return windows_ > 1 && !network_.after_recurrent(layer); }

    const Network& network_;
    StateLayout layout_;  // rows for all lanes in the body, for one window in the tail
    AlignedBuffer<std::byte> memory_;
    std::size_t sequences_, windows_;
    std::vector<std::uint32_t> ids_;  // input of the newest step
    AlignedBuffer<float> encoded_;    // the same as numbers, where a layer reads those
    std::size_t scratch_size_ = 0;    // floats of one thread
    AlignedBuffer<float> scratch_;    // (threads, scratch_size)
    std::size_t now_ = 0;             // which y is the newest
    std::size_t first_ = 0;           // row at which the newest shared outputs are
    Workers& workers_;
};

}  // namespace lstmgen
