// The elements that were read or drawn lately, and what the penalties ask of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lstmgen {

/// The last elements of a sequence. It answers two questions in less time than a look at each of them: how often each
/// element occurred, and where the end of the sequence occurred before. Only the constructor and `reserve` allocate.
class History {
public:
    /// Of a sequence of `n` different elements; remembers the last `capacity` of them.
    History(std::size_t n, std::size_t capacity);
    /// Remembers as many from now on. Nothing may have been accepted yet, unless it remembers as many already.
    void reserve(std::size_t capacity);

    void accept(std::uint32_t id);
    /// Forgets all elements.
    void clear() noexcept;
    /// Becomes what `other` is, which is of as many elements and remembers as many.
    void copy_from(const History& other);

    /// What is remembered, the oldest first.
    const std::uint32_t* ids() const noexcept { return ids_.data() + begin(); }
    std::size_t size() const noexcept { return std::min(end_, capacity_); }

    /// Counts the last `last_n` elements from now on.
    void count(std::size_t last_n);
    /// How often each element occurs among them.
    const std::uint32_t* counts() const noexcept { return counts_.data(); }

    /// Whether `for_each_match` is going to be asked. While it is, `accept` takes longer.
    void match(bool on);
    /// Calls f(next, length) for each earlier place, among the last `last_n` elements, where the last element occurred:
    /// the last `length` elements stand there, too, and `next` is the element after them.
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
    void link(std::size_t at, std::size_t begin);
    void rebuild();

    // Twice as many as are remembered, so that these lie in one piece. At the end of it the last half moves to the
    // front.
    std::vector<std::uint32_t> ids_;
    // Of each place: how far it is back to the last occurrence of its element (0: there is none), and how many elements
    // up to this place are the same as those at the end. The lengths hold only where the last element stands.
    std::vector<std::uint16_t> previous_, lengths_;
    std::vector<std::uint64_t> last_;  // of each element, 1 + the place of its last occurrence in the sequence; or 0
    std::vector<std::uint32_t> counts_;
    std::size_t capacity_ = 0, counted_ = 0;
    std::size_t end_ = 0;      // in ids_
    std::uint64_t moved_ = 0;  // places by which ids_ has been moved on
    bool matching_ = false;
};

}  // namespace lstmgen
