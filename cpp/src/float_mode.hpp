// The rounding of floats while the library computes.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#else
#include <cfenv>
#endif

namespace lstmgen {

/// Makes this thread round to nearest, keep subnormal numbers and trap nothing, whatever the
/// program has set, so that a seed gives the same text in all programs. The end of its life gives
/// the program its own mode back, with its own flags. If the mode is right already, which takes a
/// few cycles to find out, nothing is changed.
class FloatMode {
public:
    FloatMode(const FloatMode&) = delete;
    FloatMode& operator=(const FloatMode&) = delete;

#if defined(__x86_64__) || defined(_M_X64)
    FloatMode() noexcept : saved_(_mm_getcsr()) {
        if (changed()) _mm_setcsr(kWanted);
    }
    ~FloatMode() {
        if (changed()) _mm_setcsr(saved_);
    }

private:
    static constexpr unsigned kFlags = 0x3f, kWanted = 0x1f80;  // all exceptions are masked
    bool changed() const noexcept { return (saved_ & ~kFlags) != kWanted; }
    unsigned saved_;
#elif defined(__aarch64__)
    FloatMode() noexcept : saved_(get()) {
        if (saved_ != 0) set(0);
    }
    ~FloatMode() {
        if (saved_ != 0) set(saved_);
    }

private:
    static std::uint64_t get() noexcept {
        std::uint64_t mode;
        asm volatile("mrs %0, fpcr" : "=r"(mode));
        return mode;
    }
    static void set(std::uint64_t mode) noexcept { asm volatile("msr fpcr, %0" : : "r"(mode) : "memory"); }
    std::uint64_t saved_;
#else
    FloatMode() noexcept : saved_(std::fegetround()) {
        if (saved_ != 0) std::fesetround(0);  // FE_TONEAREST, where there is any other
    }
    ~FloatMode() {
        if (saved_ > 0) std::fesetround(saved_);
    }

private:
    int saved_;
#endif
};

}  // namespace lstmgen
