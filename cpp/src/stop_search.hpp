// The stops of one sequence: where it ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "lstmgen/vocabulary.hpp"
#include "state.hpp"

namespace lstmgen {

using Stops = std::vector<std::vector<std::uint32_t>>;

/// Throws Error unless each stop has an element at least, and ids below `outputs`.
void check_stops(const Stops& stops, std::size_t outputs);

/// Follows one sequence. The search begins with the first element after `set` or `restart`. Copies
/// share the stops. Only `set` and `load` allocate.
class StopSearch {
public:
    /// Searches for these stops from now on. They have at most LSTMGEN_MAX_LOOKBACK elements each.
    void set(const Stops& stops, std::size_t outputs);
    /// Forgets what was drawn so far.
    void restart() noexcept {
        drawn_ = 0;
        found_ = false;
    }
    /// An element was drawn. `ids` (n) are the last elements, this one included.
    void drawn(const std::uint32_t* ids, std::size_t n) noexcept;
    /// Whether the last element has completed a stop.
    bool found() const noexcept { return found_; }
    explicit operator bool() const noexcept { return sought_ != nullptr; }
    Stops stops() const { return sought_ ? sought_->stops : Stops(); }

    void save(StateWriter& out) const noexcept;
    void load(StateReader& in, std::size_t outputs);

private:
    struct Sought {
        Stops stops;
        StopMatcher matcher;
    };
    std::shared_ptr<const Sought> sought_;  // null: no stops
    std::size_t drawn_ = 0;                 // elements since the search began, at most longest()
    bool found_ = false;
};

}  // namespace lstmgen
