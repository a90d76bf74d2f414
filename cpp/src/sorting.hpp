// Sorting of ids. Each use of std::sort would be a copy of it of 1 kB.
#pragma once

#include <cstdint>
#include <vector>

namespace lstmgen {

/// Sorts ids. `less(order, a, b)` tells whether a comes before b.
void sort_ids(std::vector<std::uint32_t>& ids, bool (*less)(const void* order, std::uint32_t a, std::uint32_t b),
              const void* order);

/// Sorts ids in ascending order. Each stays once.
void sort_once(std::vector<std::uint32_t>& ids);

/// Sorts ids. `less(a, b)` tells whether a comes before b.
template <class Less>
void sort_ids(std::vector<std::uint32_t>& ids, const Less& less) {
    const auto call = [](const void* order, std::uint32_t a, std::uint32_t b) {
        return (*static_cast<const Less*>(order))(a, b);
    };
    sort_ids(ids, call, &less);
}

}  // namespace lstmgen
