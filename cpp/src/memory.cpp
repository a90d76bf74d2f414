#include "memory.hpp"

#include <new>

#include "aligned.hpp"

namespace lstmgen {
namespace {

constexpr Allocator kDefault;
thread_local const Allocator* current = &kDefault;  // set by UseAllocator

}  // namespace

LSTMGEN_KEPT void* Allocator::take(std::size_t bytes) const {
    if (bytes == 0) bytes = 1;
    if (!allocate) return ::operator new(bytes, std::align_val_t{kAlignment});
    void* const memory = allocate(user, bytes, kAlignment);
    if (!memory) throw std::bad_alloc();
    return memory;
}

LSTMGEN_KEPT void Allocator::give_back(void* memory, std::size_t bytes) const noexcept {
    if (bytes == 0) bytes = 1;
    if (release)
        release(user, memory, bytes);
    else
        ::operator delete(memory, std::align_val_t{kAlignment});
}

LSTMGEN_KEPT LSTMGEN_CALLED const Allocator& current_allocator() noexcept { return *current; }

UseAllocator::UseAllocator(const Allocator& allocator) noexcept : before_(current) { current = &allocator; }
UseAllocator::~UseAllocator() { current = before_; }

}  // namespace lstmgen
