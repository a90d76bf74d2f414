// Objects that belong to one caller at a time.
#pragma once

#include <atomic>
#include <memory>

#include "float_mode.hpp"
#include "message.hpp"

namespace lstmgen {

/// A flag that one caller holds at a time. It never waits: acquiring it either works at once or
/// fails.
class InUse {
public:
    /// Returns false if another caller holds the flag.
    bool acquire() noexcept { return !taken_.exchange(true, std::memory_order_acquire); }
    void release() noexcept { taken_.store(false, std::memory_order_release); }

private:
    static_assert(std::atomic<bool>::is_always_lock_free);
    std::atomic<bool> taken_{false};
};

/// Acquires the flag of an object, or throws Error. The flag is null if the object was moved from.
inline void acquire(InUse* flag, const char* name) {
    if (!flag) refuse({"the % was moved from: assign another one to it first", name});
    if (!flag->acquire()) fail(ErrorCode::busy, {"the % is in use: by another thread, or within this callback", name});
}

/// Gives one call the inside of a public class to itself, with the library's rounding of floats.
/// Impl has a flag `in_use`, and a `kName` for errors.
template <class Impl>
class Exclusive {
public:
    /// Throws Error if the object was moved from, or if another call has it.
    explicit Exclusive(const std::unique_ptr<Impl>& impl) : impl_(impl.get()) {
        acquire(impl_ ? &impl_->in_use : nullptr, Impl::kName);
    }
    ~Exclusive() { impl_->in_use.release(); }
    Exclusive(const Exclusive&) = delete;
    Exclusive& operator=(const Exclusive&) = delete;
    Impl* operator->() const noexcept { return impl_; }
    Impl& operator*() const noexcept { return *impl_; }

private:
    FloatMode mode_;
    Impl* impl_;
};

}  // namespace lstmgen
