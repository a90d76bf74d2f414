// Tells whether a caller is using an object that belongs to one caller at a time.
#pragma once

#include <atomic>

namespace lstmgen {

/// A flag that one caller holds at a time. It never waits: taking it either works at once or fails.
class InUse {
public:
    /// Returns false if another caller holds the flag.
    bool take() noexcept { return !taken_.exchange(true, std::memory_order_acquire); }
    void give_back() noexcept { taken_.store(false, std::memory_order_release); }

private:
    static_assert(std::atomic<bool>::is_always_lock_free);
    std::atomic<bool> taken_{false};
};

}  // namespace lstmgen
