// One lane of state in the caller's memory, advanced one time step at a time. For networks that
// work step by step.
#pragma once

#include <cstddef>
#include <cstdint>

#include "network.hpp"
#include "state_layout.hpp"

namespace lstmgen {

/// Says where everything lies in a state; immutable, so that threads may share one.
class Stepper {
public:
    /// The network, not a whole() one, must outlive the stepper.
    explicit Stepper(const Network& network);

    std::size_t nbytes() const noexcept { return nbytes_; }
    /// The zero state, in nbytes() bytes that are aligned for a double.
    void init(void* state) const noexcept;
    /// Whether init has made this state.
    bool owns(const void* state) const noexcept;

    /// The input is an id, or input_size features. y (outputs) may be null. Nothing allocates.
    void step(void* state, std::uint32_t id, float* y) const { step(state, &id, nullptr, y); }
    void step(void* state, const float* x, float* y) const { step(state, nullptr, x, y); }

    /// A state as bytes for other processes: written if they fit into `capacity`. How many they
    /// are.
    std::size_t save(const void* state, void* to, std::size_t capacity) const noexcept;
    /// `state` stays as it was if this throws.
    void load(void* state, const void* from, std::size_t bytes) const;

private:
    struct Header {
        std::uint64_t magic;
        const Stepper* owner;
        std::uint64_t now;  // which y is the newest
    };
    void step(void* state, const std::uint32_t* id, const float* x, float* y) const;
    static std::size_t now(const void* state) noexcept {
        return static_cast<std::size_t>(static_cast<const Header*>(state)->now);
    }

    const Network& network_;
    StateLayout layout_;  // after the header
    std::size_t numbers_ = 0, scratch_ = 0, nbytes_ = 0, saved_size_ = 0;
};

}  // namespace lstmgen
