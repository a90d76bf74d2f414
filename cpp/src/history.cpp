#include "history.hpp"

#include "kept.hpp"

namespace lstmgen {

LSTMGEN_KEPT History::History(std::size_t n, std::size_t capacity) : last_(n), counts_(n) { reserve(capacity); }

LSTMGEN_KEPT void History::reserve(std::size_t capacity) {
    capacity_ = capacity;
    ids_.resize(2 * capacity);
    previous_.resize(2 * capacity);
    lengths_.resize(2 * capacity);
}

LSTMGEN_KEPT void History::clear() noexcept {
    end_ = 0;
    std::fill(counts_.begin(), counts_.end(), 0u);
    std::fill(last_.begin(), last_.end(), 0u);
}

LSTMGEN_KEPT void History::copy_from(const History& other) {
    const auto n = static_cast<std::ptrdiff_t>(other.end_);
    std::copy_n(other.ids_.begin(), n, ids_.begin());
    if (other.matching_) {
        std::copy_n(other.previous_.begin(), n, previous_.begin());
        std::copy_n(other.lengths_.begin(), n, lengths_.begin());
        std::copy(other.last_.begin(), other.last_.end(), last_.begin());
    }
    std::copy(other.counts_.begin(), other.counts_.end(), counts_.begin());
    counted_ = other.counted_;
    end_ = other.end_;
    moved_ = other.moved_;
    matching_ = other.matching_;
}

LSTMGEN_KEPT void History::accept(std::uint32_t id) {
    if (capacity_ == 0) return;
    if (end_ == ids_.size()) {
        const auto half = static_cast<std::ptrdiff_t>(capacity_);
        std::copy(ids_.begin() + half, ids_.end(), ids_.begin());
        std::copy(previous_.begin() + half, previous_.end(), previous_.begin());
        std::copy(lengths_.begin() + half, lengths_.end(), lengths_.begin());
        end_ = capacity_;
        moved_ += capacity_;
    }
    ids_[end_] = id;
    if (counted_ > 0) {
        ++counts_[id];
        if (end_ >= counted_) --counts_[ids_[end_ - counted_]];
    }
    ++end_;
    if (matching_) link(end_ - 1, begin());
}

LSTMGEN_KEPT void History::count(std::size_t last_n) {
    counted_ = last_n;
    std::fill(counts_.begin(), counts_.end(), 0u);
    for (std::size_t i = end_ - std::min(end_, last_n); i < end_; ++i) ++counts_[ids_[i]];
}

LSTMGEN_KEPT void History::match(bool on) {
    if (on && !matching_) rebuild();
    matching_ = on;
}

// Updates previous_, last_ and lengths_ for the element at `at`, the newest. A match at j is one
// longer than the match at j - 1 was before: L'[j] = L[j - 1] + 1. The loop goes from the last
// place to the first, so that L[j - 1] still has its old value.
void History::link(std::size_t at, std::size_t begin) {
    const std::uint32_t id = ids_[at];
    const std::uint64_t place = moved_ + at, before = last_[id];
    previous_[at] = static_cast<std::uint16_t>(before > moved_ + begin ? place + 1 - before : 0);
    last_[id] = place + 1;
    for (std::size_t j = at, step; (step = previous_[j]) > 0 && j - begin >= step;) {
        j -= step;
        const bool longer = j > begin && ids_[j - 1] == ids_[at - 1];
        lengths_[j] =
            static_cast<std::uint16_t>(std::min<std::size_t>(longer ? lengths_[j - 1] : 0, capacity_ - 1) + 1);
    }
}

// Computes previous_, last_ and lengths_ anew, in linear time. The lengths are the Z-function of
// the sequence read backwards (Gusfield, Algorithms on Strings, 1.4).
void History::rebuild() {
    std::fill(last_.begin(), last_.end(), 0u);
    const std::size_t first = begin(), n = end_ - first;
    for (std::size_t at = first; at < end_; ++at) {
        std::uint64_t& last = last_[ids_[at]];
        previous_[at] = static_cast<std::uint16_t>(last > 0 ? moved_ + at + 1 - last : 0);
        last = moved_ + at + 1;
    }
    const auto back = [this](std::size_t i) { return end_ - 1 - i; };
    // [left, right) is the match that reaches farthest.
    for (std::size_t k = 1, left = 0, right = 0; k < n; ++k) {
        std::size_t z = k < right ? std::min<std::size_t>(right - k, lengths_[back(k - left)]) : 0;
        while (k + z < n && ids_[back(z)] == ids_[back(k + z)]) ++z;
        if (k + z > right) {
            left = k;
            right = k + z;
        }
        lengths_[back(k)] = static_cast<std::uint16_t>(z);
    }
}

}  // namespace lstmgen
