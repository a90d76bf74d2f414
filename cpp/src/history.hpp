// The elements that were read or drawn last, and the statistics that the penalties need.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lstmgen {

/// The last elements of a sequence. It knows how often each element occurred, and where the end of
/// the sequence occurred before, without a look at each element. Only the constructor and `reserve`
/// allocate.
class History {
public:
    /// Makes an empty history for ids below n. It remembers the last `capacity` elements.
    History(std::size_t n, std::size_t capacity);
    /// Remembers `capacity` elements from now on. The history must be empty, unless it has this
    /// capacity already.
    void reserve(std::size_t capacity);

    /// Appends an element.
    void accept(std::uint32_t id);
    /// Forgets all elements.
    void clear() noexcept;
    /// Becomes a copy of `other`, which has the same n and capacity.
    void copy_from(const History& other);

    /// Returns the elements that are remembered: (size()), the oldest first.
    const std::uint32_t* ids() const noexcept { return ids_.data() + begin(); }
    std::size_t size() const noexcept { return std::min(end_, capacity_); }

    /// Counts the last `last_n` elements from now on.
    void count(std::size_t last_n);
    /// Returns how often each element occurs among them: (n).
    const std::uint32_t* counts() const noexcept { return counts_.data(); }

    /// Tells whether `for_each_match` will be called. If so, `accept` takes longer.
    void match(bool on);
    /// Calls f(next, length) for each earlier place of the last element among the last `last_n`
    /// elements. The last `length` elements end at this place, too, and `next` follows them.
    template <class F>
    void for_each_match(std::size_t last_n, F&& f) const {
        const std::size_t n = std::min(size(), last_n), start = end_ - n;
        if (n < 2) return;
        for (std::size_t at = end_ - 1, step; (step = previous_[at]) > 0 && at - start >= step;) {
            at -= step;
            f(ids_[at + 1], std::min<std::size_t>(lengths_[at], at - start + 1));
        }
    }

private:
    std::size_t begin() const noexcept { return end_ - size(); }
    // Adds the element at index `at`, the newest, to previous_, last_ and lengths_. `begin` is the
    // index of the oldest.
    void link(std::size_t at, std::size_t begin);
    void rebuild();

    // (2 * capacity), the oldest first, so that the elements remembered are in one piece. When it
    // is full, the last half moves to the front.
    std::vector<std::uint32_t> ids_;
    // (2 * capacity), for each element: the distance back to its last occurrence (0: there is
    // none).
    std::vector<std::uint16_t> previous_;
    // (2 * capacity), for each element: how many elements up to it equal those at the end. Only the
    // places of the last element have a valid length.
    std::vector<std::uint16_t> lengths_;
    std::vector<std::uint64_t> last_;    // (n), 1 + the place of its last occurrence; 0: none
    std::vector<std::uint32_t> counts_;  // (n), occurrences among the last counted_ elements
    std::size_t capacity_ = 0, counted_ = 0;
    std::size_t end_ = 0;      // elements in ids_
    std::uint64_t moved_ = 0;  // place in the sequence of ids_[0]
    bool matching_ = false;    // previous_, lengths_ and last_ are up to date
};

}  // namespace lstmgen
