// What has been read so far: elements in, the distribution of the next one out, for several
// sequences side by side.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "network.hpp"
#include "sequence.hpp"
#include "session.hpp"
#include "workers.hpp"

namespace lstmgen {

// A lane starts every `refresh` elements; each reads all elements from its start on. The newest
// lane that has read a full window (or the first, while there is none) gives the next distribution,
// and lanes older than that are over. With refresh 1, that lane has read exactly the last `window`
// elements: what predict computes for that window. With refresh 0, or without a window, there is
// one lane, never over.
//
// Lanes that start with the context are not run along with it, which would take as long as half a
// window of elements before the first one is there. They are run from the history when they are
// about to be needed: one, two, four ... at a time, then so many that at last all lanes are live
// (but not where there are two lanes at most). Lane k is in window k % in_flight_ of the session.
//
// A network that needs whole windows has no lanes: the window of the last elements is evaluated for
// each distribution.
class Context {
public:
    /// Throws Error if the network cannot generate in this way. Nothing allocates after
    /// construction.
    Context(std::shared_ptr<const Network> network, std::size_t refresh, std::size_t sequences, std::size_t threads);

    /// Back to where it was when it was made, without allocating.
    void reset();
    /// Becomes what `other` is, without allocating. Throws Error unless that one has the same
    /// network and refresh.
    void copy_from(const Context& other);

    const std::shared_ptr<const Network>& network() const noexcept { return network_; }
    std::size_t threads() const noexcept { return workers_ ? workers_->size() : 1; }
    /// Elements of a prime that matter; SIZE_MAX: all, since the state is carried.
    std::size_t reach() const noexcept { return window_ > 0 ? window_ : SIZE_MAX; }
    bool carried() const noexcept { return window_ == 0; }
    /// Whether a context that is shorter than the window is filled up with padding on the left.
    static bool pads(const ModelInfo& info, std::size_t refresh) noexcept;
    /// Comes before the first elements, of which at least `n` follow at once. If the context pads
    /// and n elements do not fill a window, it reads all but one element of padding. False, and
    /// still empty, if `keep_going` stopped it. Later calls do nothing.
    bool begin(std::size_t n, const std::function<bool()>& keep_going = {});
    bool begun() const noexcept { return begun_; }
    std::size_t refresh() const noexcept { return refresh_; }
    /// Lanes of one sequence.
    static std::size_t lanes(const ModelInfo& info, std::size_t refresh);
    std::size_t sequences() const noexcept { return sequences_; }
    const ModelInfo& info() const noexcept { return network_->info(); }

    /// Each of the first `sequences` sequences reads an element. With windows it must be all of
    /// them.
    void append(const std::uint32_t* ids, std::size_t sequences);
    void append(const std::uint32_t* ids) { append(ids, sequences_); }

    /// (sequences, outputs): logits of the next element of each. An empty context that pads stands
    /// for a window of nothing but padding, and stays empty; any other is an error.
    const float* logits();

    /// What of the past matters to the future, of one sequence: the elements that the next
    /// distribution comes from or, where these are no longer there, the state of the lanes and that
    /// distribution.
    void save(StateWriter& out);
    /// Into a context that has read nothing.
    void load(StateReader& in);

    /// Goes on with these sequences only, in ascending order.
    void keep(const std::vector<std::size_t>& sequences);

private:
    // Lanes that have read something, and the lane that gives the distribution after what was read.
    std::size_t started() const { return (elements_ + refresh_ - 1) / refresh_; }
    std::size_t newest_full() const { return elements_ >= window_ ? (elements_ - window_) / refresh_ : 0; }
    // Elements since the start of that lane; of a carried state, only whether there are some.
    std::size_t newest_read() const {
        return carried() ? std::min<std::size_t>(elements_, 1) : elements_ - newest_full() * refresh_;
    }

    // Lanes that start within n elements, at least one of them read.
    std::size_t lanes_after(std::size_t n) const { return carried() ? 1 : (n - 1) / refresh_ + 1; }

    std::size_t first_live() const noexcept { return refresh_ > 0 && session_ && !group_; }
    std::size_t padding_to_come() const noexcept;
    bool pad(const std::function<bool()>& keep_going);
    void evaluate_padding();
    void read_lane();
    void run_group();
    void evaluate_window(std::size_t steps);
    std::uint32_t* history(std::size_t at) { return history_.data() + at % history_size_ * sequences_; }

    std::shared_ptr<const Network> network_;
    std::size_t window_, refresh_, in_flight_, sequences_;
    std::unique_ptr<Workers> workers_;
    std::unique_ptr<Session> session_, group_;  // the lanes, and those that are being run from the history; or
    std::unique_ptr<SequenceEvaluator> evaluator_;
    std::size_t history_size_ = 0;        // in elements of each sequence
    std::vector<std::uint32_t> history_;  // (history_size, sequences): element i is at i % history_size
    std::size_t live_ = 0;                // lanes that have read all elements since their start, or are over
    std::size_t group_size_ = 1;
    std::size_t next_group_ = 0;          // elements at which the next group is run
    std::vector<std::uint32_t> windows_;  // (sequences, window), for the evaluator
    std::vector<std::uint32_t> fillers_;  // padding for each sequence
    std::vector<float> logits_;
    std::size_t elements_ = 0;  // read so far, with padding
    bool begun_ = false;        // padding, if it takes some, has been read
    bool ready_ = false;        // the logits are those of the next element
};

}  // namespace lstmgen
