// The elements that were read so far. Elements go in, and the distribution of the next one comes
// out, for several sequences side by side.
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

// A lane starts every `refresh` elements. It reads all elements from its start on. The newest lane
// that has read a full window gives the next distribution; while there is none, the first lane
// does. Older lanes are over. With refresh 1, that lane has read exactly the last `window`
// elements, as predict does for that window. With refresh 0, or without a window, there is one
// lane, and it is never over.
//
// A lane is live if it reads each element as it comes. At the start of a context, only the first
// lane is. To run all of them would delay the first distribution by half a window of steps. The
// other lanes are run from the history in groups when they are about to be needed. The groups grow,
// 1, 2, 4 ... up to kGroup lanes, until all lanes are live. With at most two lanes, all are live
// from the start. Lane k is in window k % in_flight_ of the session.
//
// A network that needs whole windows has no lanes. The window of the last elements is evaluated for
// each distribution.
class Context {
public:
    /// Makes an empty context for `sequences` sequences. `refresh` and `threads` are as in
    /// GeneratorOptions. Long work asks `keep_going`, which must outlive the context. If it stops
    /// them, `append` and `logits` throw Error with the code stopped, and the context is as before.
    /// Throws Error if the network cannot generate in this way. Nothing allocates after
    /// construction.
    Context(std::shared_ptr<const Network> network, std::size_t refresh, std::size_t sequences, std::size_t threads,
            const Continue& keep_going);

    /// Becomes empty again, without allocating.
    void reset();
    /// Throws Error unless `other` has the same network and refresh.
    void expect_like(const Context& other) const;
    /// Becomes a copy of `other`, which has these, without allocating.
    void copy_from(const Context& other);

    const std::shared_ptr<const Network>& network() const noexcept { return network_; }
    std::size_t threads() const noexcept { return workers_ ? workers_->size() : 1; }
    /// Returns how many of the last elements of a prime matter. SIZE_MAX means all, since the state
    /// is carried.
    std::size_t reach() const noexcept { return window_ > 0 ? window_ : SIZE_MAX; }
    bool carried() const noexcept { return window_ == 0; }
    /// Returns whether padding on the left fills a context that is shorter than the window.
    static bool pads(const ModelInfo& info, std::size_t refresh) noexcept;
    /// Prepares for the first elements. At least `n` of them follow at once. If the context pads
    /// and n elements do not fill a window, it reads `window` - 1 elements of padding. If
    /// `keep_going` stops it, it returns false and the context is still empty. Later calls do
    /// nothing.
    bool begin(std::size_t n, const std::function<bool()>& keep_going = {});
    bool begun() const noexcept { return begun_; }
    std::size_t refresh() const noexcept { return refresh_; }
    /// Returns the lanes of one sequence.
    static std::size_t lanes(const ModelInfo& info, std::size_t refresh);
    std::size_t sequences() const noexcept { return sequences_; }
    const ModelInfo& info() const noexcept { return network_->info(); }

    /// Each of the first `sequences` sequences reads its element of `ids` (sequences). With windows
    /// these must be all sequences.
    void append(const std::uint32_t* ids, std::size_t sequences);
    void append(const std::uint32_t* ids) { append(ids, sequences_); }

    /// Returns the logits of the next element: (sequences, outputs). An empty context that pads
    /// stands for a window of padding, and stays empty. Another empty context is an error.
    const float* logits();

    /// Saves what later elements depend on, of a context of one sequence. These are the elements
    /// that the next distribution comes from. If the context no longer has them, they are the state
    /// of the lanes and the distribution.
    void save(StateWriter& out);
    /// Loads what `save` wrote. The context must be empty.
    void load(StateReader& in);

    /// In a carried state: changes how many sequences there are, up to as many as the context was
    /// made for. New ones are in no state: reset or copy them.
    void resize(std::size_t sequences) noexcept;
    /// In a carried state: sequence i becomes empty again.
    void reset_sequence(std::size_t i) noexcept { session_->reset_sequence(i); }
    /// In a carried state: sequence i becomes a copy of sequence `from` of another context of this
    /// network, or of this one. `append` must come before `logits`.
    void copy_sequence(std::size_t i, const Context& other, std::size_t from) noexcept {
        session_->copy_sequence(i, *other.session_, from);
    }

    /// Drops all sequences but `sequences`, indices in ascending order.
    void keep(const std::vector<std::size_t>& sequences);

private:
    // Returns how many lanes have read an element.
    std::size_t started() const { return (elements_ + refresh_ - 1) / refresh_; }
    // Returns the lane that gives the next distribution.
    std::size_t newest_full() const { return elements_ >= window_ ? (elements_ - window_) / refresh_ : 0; }
    // Returns the elements since the start of that lane. With a carried state it is 1 or 0: whether
    // there are any.
    std::size_t newest_read() const {
        return carried() ? std::min<std::size_t>(elements_, 1) : elements_ - newest_full() * refresh_;
    }

    // Returns the lanes that start within n elements, n at least 1.
    std::size_t lanes_after(std::size_t n) const { return carried() ? 1 : (n - 1) / refresh_ + 1; }

    std::size_t first_live() const noexcept { return refresh_ > 0 && session_ && !group_; }
    std::size_t padding_to_come() const noexcept;
    bool pad(const std::function<bool()>& keep_going);
    void evaluate_padding();
    void read_lane();
    void run_group();
    void evaluate_window(std::size_t steps);
    // Returns the ids (sequences) of the element at `at`, counted from 0.
    std::uint32_t* history(std::size_t at) { return history_.data() + at % history_size_ * sequences_; }

    std::shared_ptr<const Network> network_;
    std::size_t window_, refresh_, in_flight_, sequences_;
    const Continue& keep_going_;
    Asking asking_;
    double work_;  // of one step of all sequences, in multiply-adds
    std::unique_ptr<Workers> workers_;
    // session_ has the lanes, and group_ the lanes that are being run from the history. A network
    // that needs whole windows has evaluator_ instead.
    std::unique_ptr<Session> session_, group_;
    std::unique_ptr<SequenceEvaluator> evaluator_;
    std::size_t history_size_ = 0;        // elements of each sequence that history_ holds
    std::vector<std::uint32_t> history_;  // (history_size, sequences), i at i % history_size
    std::size_t live_ = 0;                // lanes below this are live or over
    std::size_t group_size_ = 1;          // lanes of the next group
    std::size_t next_group_ = 0;          // number of elements at which the next group is run
    std::vector<std::uint32_t> windows_;  // (sequences, window), the oldest first
    std::vector<std::uint32_t> fillers_;  // (sequences), the id of padding or kNoElement
    std::vector<float> logits_;           // (sequences, outputs)
    std::size_t elements_ = 0;            // elements read so far, padding included
    bool begun_ = false;                  // padding, if it is needed, has been read
    bool ready_ = false;                  // logits_ are those of the next element
};

}  // namespace lstmgen
