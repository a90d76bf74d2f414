// Where the memory of weights, states and working buffers comes from.
#pragma once

#include <cstddef>

namespace lstmgen {

/// Of an embedder; without functions, operator new.
struct Allocator {
    void* (*allocate)(void* user, std::size_t bytes, std::size_t alignment) = nullptr;
    void (*release)(void* user, void* memory, std::size_t bytes) = nullptr;
    void* user = nullptr;

    /// Throws std::bad_alloc.
    void* take(std::size_t bytes) const;
    void give_back(void* memory, std::size_t bytes) const noexcept;
};

/// The allocator of buffers that this thread makes while a UseAllocator lives; each buffer
/// remembers its own.
const Allocator& current_allocator() noexcept;

class UseAllocator {
public:
    explicit UseAllocator(const Allocator& allocator) noexcept;
    ~UseAllocator();
    UseAllocator(const UseAllocator&) = delete;
    UseAllocator& operator=(const UseAllocator&) = delete;

private:
    const Allocator* before_;
};

}  // namespace lstmgen
