// Lanes of state for one caller: each call advances them by one time step. A window generator runs a lane for each
// window in flight, a carried generator a single one. Only for networks that work step by step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "aligned.hpp"
#include "network.hpp"
#include "workers.hpp"

namespace lstmgen {

class Session {
public:
    /// All lanes start from the zero state. The network and the workers, which share the lanes among them, must outlive
    /// the session. Nothing allocates after construction.
    Session(const Network& network, std::size_t lanes, Workers& workers);

    /// Back to the zero state.
    void reset(std::size_t lane);

    /// Advances `count` lanes from `first` on, the last being followed by the first of all, by one time step: each
    /// reads `id`. The state of all other lanes is lost.
    void advance(std::uint32_t id, std::size_t first, std::size_t count);

    /// Gives a lane the state of a lane of another session of the same network.
    void take(std::size_t lane, const Session& other, std::size_t from);

    /// y (outputs) of a lane.
    void read(std::size_t lane, float* y, Read what);

private:
    struct Buffers {
        AlignedBuffer<float> y[2], c;
        AlignedBuffer<double> sums;
    };

    void advance_lanes(std::size_t first, std::size_t last, float* scratch);
    Input input(const Layer& layer, std::size_t slot, std::size_t lane);
    Output output(std::size_t layer, std::size_t lane);
    /// Whether a layer's output is the same for all lanes: then one row is worked out.
    bool shared(std::size_t layer) const noexcept { return !network_.after_recurrent(layer); }

    const Network& network_;
    std::vector<Buffers> buffers_;  // of each layer: for all lanes in the body, for one in the tail
    std::vector<bool> in_tail_;
    std::size_t lanes_;
    std::uint32_t id_ = 0;                       // input of the newest step
    AlignedBuffer<float> encoded_;               // the same as numbers, where a layer reads those
    std::vector<AlignedBuffer<float>> scratch_;  // one a thread
    std::size_t now_ = 0;                        // which y is the newest
    std::size_t first_ = 0;                      // lane in whose row the newest shared outputs are
    Workers& workers_;
};

}  // namespace lstmgen
