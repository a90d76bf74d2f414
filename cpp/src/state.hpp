// A paused sequence as bytes, the same on every machine: a header that names the model, numbers in
// little-endian order, and their checksum. Whoever has something to save writes it, and reads it in
// the same order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "lstmgen/lstmgen.hpp"

namespace lstmgen {

enum class StateKind : std::uint32_t { generator = 1, steps = 2 };

/// Counts the bytes, and puts them into memory of the caller if there is some. Neither allocates
/// nor throws.
class StateWriter {
public:
    /// To a null pointer, only counts.
    StateWriter(StateKind kind, const ModelInfo& model, void* to) noexcept;

    void bytes(const void* from, std::size_t n) noexcept;
    template <class T>
    void number(T x) noexcept {
        static_assert(std::is_arithmetic_v<T>);
        bytes(&x, sizeof x);
    }
    void size(std::size_t n) noexcept { number<std::uint64_t>(n); }
    /// Appends the checksum. Bytes in all.
    std::size_t end() noexcept;

private:
    std::byte* to_;
    std::size_t size_ = 0;
};

/// Throws Error: code format if the bytes are no state, or a damaged one, invalid_argument if it is
/// one of another kind or model.
class StateReader {
public:
    StateReader(StateKind kind, const ModelInfo& model, const void* from, std::size_t size);

    void bytes(void* to, std::size_t n);
    template <class T>
    T number() {
        static_assert(std::is_arithmetic_v<T>);
        T x;
        bytes(&x, sizeof x);
        return x;
    }
    /// A number that is at most `most`.
    std::size_t size(std::size_t most);
    /// The id of one of `n` elements, or `other`.
    std::uint32_t id(std::size_t n, std::uint32_t other = 0);
    std::size_t left() const noexcept { return left_; }
    /// So many bytes must be left.
    void expect(std::size_t left) const;

private:
    static std::size_t limited(std::uint64_t n, std::size_t most);

    const std::byte* from_;
    std::size_t left_;
};

/// What `save(out)` writes into a StateWriter, put into `to` if it fits into `capacity` bytes.
/// Bytes that it takes.
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
