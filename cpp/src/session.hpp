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
    /// All lanes start from the zero state. The network must outlive the session. Nothing allocates after construction.
    Session(const Network& network, std::size_t lanes, std::size_t threads);

    /// Back to the zero state.
    void reset(std::size_t lane);

    /// Advances lanes [0, lanes) by one time step. Lane i reads ids[i * stride]; a stride of 0 gives all lanes the
    /// same. The lanes are shared among the threads.
    void advance(const std::uint32_t* ids, std::size_t stride, std::size_t lanes);

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
    bool shared(std::size_t layer) const noexcept { return input_stride_ == 0 && !network_.after_recurrent(layer); }

    const Network& network_;
    std::vector<Buffers> buffers_;  // of each layer: for all lanes in the body, for one in the tail
    std::vector<bool> in_tail_;
    std::vector<std::uint32_t> ids_;             // input of the newest step
    AlignedBuffer<float> encoded_;               // the same as numbers, where a layer reads those
    std::size_t input_stride_ = 0;               // 0: ids_ and encoded_ hold one row, for all lanes
    std::vector<AlignedBuffer<float>> scratch_;  // one a thread
    std::size_t now_ = 0;                        // which y is the newest
    Workers workers_;
};

}  // namespace lstmgen
