// Memory that vector instructions read, and the limits of its size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>

#include "memory.hpp"

namespace lstmgen {

constexpr std::size_t kAlignment = 64;

/// The most floats of a state or sequence, and the same limit in bytes for messages. It is lower
/// where addresses have 32 bits.
constexpr bool k64Bit = sizeof(std::size_t) >= 8;
constexpr std::size_t kMaxFloats = std::size_t{1} << (k64Bit ? 30 : 27);
constexpr const char* kMaxBytes = k64Bit ? "4 GiB" : "512 MiB";
/// The most bytes of a file.
constexpr std::uint64_t kMaxFile = std::uint64_t{4} * kMaxFloats;

constexpr std::size_t round_up(std::size_t n, std::size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// An array of `size` values, 64-byte aligned, in memory of current_allocator(). The values are
/// zero unless it is made Raw.
template <class T>
class AlignedBuffer {
    static_assert(std::is_trivially_destructible_v<T>);

public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(std::size_t size) : AlignedBuffer(size, Raw{}) {
        std::uninitialized_value_construct_n(data(), size);
    }

    /// Asks for values that are not zeroed, since they will all be written.
    struct Raw {};
    AlignedBuffer(std::size_t size, Raw) : data_(take(size), Free{current_allocator(), size}), size_(size) {
        static_assert(std::is_trivially_default_constructible_v<T>);
    }

    T* data() noexcept { return data_.get(); }
    const T* data() const noexcept { return data_.get(); }
    std::size_t size() const noexcept { return size_; }
    std::size_t nbytes() const noexcept { return size_ * sizeof(T); }
    T& operator[](std::size_t i) noexcept { return data_.get()[i]; }
    const T& operator[](std::size_t i) const noexcept { return data_.get()[i]; }

private:
    struct Free {
        Allocator allocator;
        std::size_t size = 0;
        void operator()(T* p) const noexcept { allocator.give_back(p, size * sizeof(T)); }
    };

    static T* take(std::size_t size) {
        if (size > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_array_new_length();
        return static_cast<T*>(current_allocator().take(size * sizeof(T)));
    }

    std::unique_ptr<T[], Free> data_;  // (size()), 64-byte aligned
    std::size_t size_ = 0;
};

}  // namespace lstmgen
