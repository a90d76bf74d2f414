#include "memory.hpp"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <new>

#include "aligned.hpp"

namespace lstmgen {
namespace {

constexpr Allocator kDefault;
thread_local const Allocator* current = &kDefault;  // set by UseAllocator

constexpr std::size_t kHugePage = std::size_t{1} << 21;  // bytes

// Returns where memory of operator new begins: at a huge page if it holds one.
std::align_val_t alignment_of([[maybe_unused]] std::size_t bytes) {
#ifdef __linux__
    if (bytes >= kHugePage) return std::align_val_t{kHugePage};
#endif
    return std::align_val_t{kAlignment};
}

// Asks the system for huge pages in place of all that `memory` fills. Weights of many pages miss
// the processor's tables of pages. Nothing depends on the answer, but time.
void ask_for_huge_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#ifdef __linux__
    if (bytes >= kHugePage) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
}

}  // namespace

LSTMGEN_KEPT void* Allocator::take(std::size_t bytes) const {
    if (bytes == 0) bytes = 1;
    if (allocate) {
        void* const memory = allocate(user, bytes, kAlignment);
        if (!memory) throw std::bad_alloc();
        return memory;
    }
    void* const memory = ::operator new(bytes, alignment_of(bytes));
    ask_for_huge_pages(memory, bytes);
    return memory;
}

LSTMGEN_KEPT void Allocator::give_back(void* memory, std::size_t bytes) const noexcept {
    if (bytes == 0) bytes = 1;
    if (release)
        release(user, memory, bytes);
    else
        ::operator delete(memory, alignment_of(bytes));
}

LSTMGEN_KEPT LSTMGEN_CALLED const Allocator& current_allocator() noexcept { return *current; }

UseAllocator::UseAllocator(const Allocator& allocator) noexcept : before_(current) { current = &allocator; }
UseAllocator::~UseAllocator() { current = before_; }

}  // namespace lstmgen
