// Lanes of state for one caller: each call advances them by one time step. The only mechanism there is: predict runs a
// lane for each row of the batch, a window generator one for each window in flight, a carried generator a single one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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

    /// Advances lanes [0, lanes) by one time step. Lane i reads ids[i * stride], or input_size features from x + i *
    /// stride; a stride of 0 gives all lanes the same. The lanes are shared among the threads.
    void advance(const std::uint32_t* ids, std::size_t stride, std::size_t lanes);
    void advance(const float* x, std::size_t stride, std::size_t lanes);

    enum class Read {
        output,  ///< what the network puts out
        logits,  ///< numbers whose softmax is proportional to the output; the output itself is normalised so
    };
    /// y (lanes, y_stride) of the lanes [lane, lane + lanes).
    void read(std::size_t lane, std::size_t lanes, float* y, std::size_t y_stride, Read what);

private:
    struct Buffers {
        AlignedBuffer<float> y[2], c;
    };

    void advance(const Input& input, std::size_t lanes);
    void advance_lanes(const Input& input, std::size_t first, std::size_t last, float* scratch);
    Output output(std::size_t layer, std::size_t lane);

    const Network& network_;
    std::vector<Buffers> body_;                  // of the layers before body_end, for all lanes
    std::vector<AlignedBuffer<float>> tail_;     // of the others, for kTailLanes lanes
    AlignedBuffer<float> encoded_;               // input as numbers, where the first layer does not read ids
    std::vector<AlignedBuffer<float>> scratch_;  // one a thread
    std::size_t now_ = 0;                        // which y is the newest
    Workers workers_;
};

}  // namespace lstmgen
