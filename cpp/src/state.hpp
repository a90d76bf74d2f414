// A paused sequence as bytes, which are the same on every machine: a header that names the model,
// numbers in little-endian order, and their checksum. Each class writes its own part, and reads it
// in the same order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "lstmgen/lstmgen.hpp"

namespace lstmgen {

/// What a state belongs to: a generator, or steps in the caller's memory.
enum class StateKind : std::uint32_t { generator = 1, steps = 2 };

/// Counts the bytes of a state, and writes them if it has memory. Neither allocates nor throws.
class StateWriter {
public:
    /// Begins a state at `to`, which has room for all of it. With a null pointer it only counts.
    StateWriter(StateKind kind, const ModelInfo& model, void* to) noexcept;

    /// Appends `from` (n bytes).
    void bytes(const void* from, std::size_t n) noexcept;
    template <class T>
    void number(T x) noexcept {
        static_assert(std::is_arithmetic_v<T>);
        bytes(&x, sizeof x);
    }
    void size(std::size_t n) noexcept { number<std::uint64_t>(n); }
    /// Appends the checksum. Returns the number of all bytes.
    std::size_t end() noexcept;

private:
    std::byte* to_;         // (bytes of the state), its start, or null
    std::size_t size_ = 0;  // bytes so far
};

/// Reads a state. Throws Error with the code format if the bytes are not a state or a damaged one,
/// and with the code invalid_argument if the state is of another kind or model.
class StateReader {
public:
    /// Begins to read `from` (size bytes), which must outlive the reader.
    StateReader(StateKind kind, const ModelInfo& model, const void* from, std::size_t size);

    /// Reads the next n bytes into `to` (n bytes).
    void bytes(void* to, std::size_t n);
    template <class T>
    T number() {
        static_assert(std::is_arithmetic_v<T>);
        T x;
        bytes(&x, sizeof x);
        return x;
    }
    /// Reads a number that is at most `most`.
    std::size_t size(std::size_t most);
    /// Reads an id that is below n, or `other`.
    std::uint32_t id(std::size_t n, std::uint32_t other = 0);
    std::size_t left() const noexcept { return left_; }
    /// Throws Error unless exactly `left` bytes are left.
    void expect(std::size_t left) const;

private:
    static std::size_t limited(std::uint64_t n, std::size_t most);

    const std::byte* from_;  // (left_ and the checksum), the next byte
    std::size_t left_;       // bytes before the checksum
};

/// Writes what `save(out)` writes into a StateWriter, into `to` (capacity bytes) if it fits.
/// Returns the bytes of the state.
template <class F>
std::size_t write_state(StateKind kind, const ModelInfo& model, void* to, std::size_t capacity, F&& save) {
    std::size_t size = 0;
    for (const bool counted : {false, true}) {
        if (counted && (!to || size > capacity)) break;
        StateWriter out(kind, model, counted ? to : nullptr);
        save(out);
        size = out.end();
    }
    return size;
}

}  // namespace lstmgen
