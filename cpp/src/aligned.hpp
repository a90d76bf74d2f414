// Memory that vector instructions read.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace lstmgen {

// Sizes of files and matrices are checked against limits that need 64 bits.
static_assert(sizeof(std::size_t) >= 8, "lstmgen needs a 64-bit system");

constexpr std::size_t kAlignment = 64;

constexpr std::size_t round_up(std::size_t n, std::size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/// `size` zeroed values, 64-byte aligned.
template <class T>
class AlignedBuffer {
public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(std::size_t size) : data_(new (std::align_val_t{kAlignment}) T[size]()), size_(size) {}

    T* data() noexcept { return data_.get(); }
    const T* data() const noexcept { return data_.get(); }
    std::size_t size() const noexcept { return size_; }
    std::size_t nbytes() const noexcept { return size_ * sizeof(T); }
    T& operator[](std::size_t i) noexcept { return data_.get()[i]; }
    const T& operator[](std::size_t i) const noexcept { return data_.get()[i]; }

private:
    struct Free {
        void operator()(T* p) const noexcept { ::operator delete[](p, std::align_val_t{kAlignment}); }
    };
    std::unique_ptr<T[], Free> data_;
    std::size_t size_ = 0;
};

}  // namespace lstmgen
