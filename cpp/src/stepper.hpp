// One lane of state in the caller's memory, which is advanced one time step at a time. A stepper is
// for networks that work step by step.
#pragma once

#include <cstddef>
#include <cstdint>

#include "network.hpp"
#include "state_layout.hpp"

namespace lstmgen {

/// Knows where everything lies in a state: a Header, the places of StateLayout, `numbers_` and
/// `scratch_`. It is immutable, so that threads may share one. In all functions `state` has
/// nbytes() bytes and is aligned for a double.
class Stepper {
public:
    /// Makes a stepper. The network must outlive it, and must not have info().whole.
    explicit Stepper(const Network& network);

    std::size_t nbytes() const noexcept { return nbytes_; }
    /// Makes `state` the zero state.
    void init(void* state) const noexcept;
    /// Returns whether init of this stepper has made the state.
    bool owns(const void* state) const noexcept;

    /// Runs one time step with an id. y (outputs) gets the output; it may be null. Nothing
    /// allocates.
    void step(void* state, std::uint32_t id, float* y) const { step(state, &id, nullptr, y); }
    /// Does the same with the features x (input_size).
    void step(void* state, const float* x, float* y) const { step(state, nullptr, x, y); }

    /// Writes a state for other processes into `to` (capacity bytes), if it fits. Returns its
    /// bytes.
    std::size_t save(const void* state, void* to, std::size_t capacity) const noexcept;
    /// Makes `state` the one saved in `from` (bytes). If this throws, `state` stays as it was.
    void load(void* state, const void* from, std::size_t bytes) const;

private:
    /// The first bytes of a state.
    struct Header {
        std::uint64_t magic;
        const Stepper* owner;
        std::uint64_t now;  // which y of the layers with state is the newest
    };
    /// One of `id` (1) and `x` (input_size) is null. `y` (outputs) gets the output, or is null.
    void step(void* state, const std::uint32_t* id, const float* x, float* y) const;
    static std::size_t now(const void* state) noexcept {
        return static_cast<std::size_t>(static_cast<const Header*>(state)->now);
    }

    const Network& network_;
    StateLayout layout_;       // its places begin after the header
    std::size_t numbers_ = 0;  // bytes from the start to the encoded input: (input_size) floats
    std::size_t scratch_ = 0;  // bytes from the start to the working memory of one layer's step
    std::size_t nbytes_ = 0, saved_size_ = 0;
};

}  // namespace lstmgen
