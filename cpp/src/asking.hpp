// Asks the caller now and then whether long work shall go on.
#pragma once

#include "lstmgen/lstmgen.hpp"
#include "message.hpp"

namespace lstmgen {

/// Throws Error with the code stopped if `keep_going` is not empty and returns false.
inline void ask(const Continue& keep_going) {
    if (keep_going && !keep_going()) fail(ErrorCode::stopped, {"stopped, as keep_going asked"});
}

/// Asks after about every millisecond of work, so that asking costs nothing.
class Asking {
public:
    /// The function must outlive this.
    explicit Asking(const Continue& keep_going) : keep_going_(keep_going) {}

    /// Counts work that is about to be done, in multiply-adds. Throws Error as `ask` does.
    void before(double work) {
        if (!keep_going_) return;
        work_ += work;
        done_ += work;
        if (work_ < kBetween) return;
        work_ = 0.0;
        ask(keep_going_);
    }

    /// Returns the work that was counted, if there is a function to ask.
    [[nodiscard]] double done() const noexcept { return done_; }

private:
    static constexpr double kBetween = 0x1p22;  // multiply-adds
    const Continue& keep_going_;
    double work_ = 0.0, done_ = 0.0;
};

}  // namespace lstmgen
