// The allocators that give memory to weights, states and working buffers.
#pragma once

#include <cstddef>

#include "kept.hpp"

namespace lstmgen {

/// The functions of an embedder, as in lstmgen_allocator. Without them it is operator new.
struct Allocator {
    void* (*allocate)(void* user, std::size_t bytes, std::size_t alignment) = nullptr;
    void (*release)(void* user, void* memory, std::size_t bytes) = nullptr;
    void* user = nullptr;

    /// Returns `bytes` bytes, aligned to kAlignment. Throws std::bad_alloc.
    void* take(std::size_t bytes) const;
    void give_back(void* memory, std::size_t bytes) const noexcept;
};

/// Returns the allocator of the buffers that this thread makes now. Each buffer remembers its own.
const Allocator& current_allocator() noexcept;

/// Makes an allocator the current one of this thread while it lives.
class UseAllocator {
public:
    LSTMGEN_CALLED explicit UseAllocator(const Allocator& allocator) noexcept;
    LSTMGEN_CALLED ~UseAllocator();
    UseAllocator(const UseAllocator&) = delete;
    UseAllocator& operator=(const UseAllocator&) = delete;

private:
    const Allocator* before_;
};

}  // namespace lstmgen
