#include "sorting.hpp"

#include <algorithm>

namespace lstmgen {

void sort_ids(std::vector<std::uint32_t>& ids, bool (*less)(const void* order, std::uint32_t a, std::uint32_t b),
              const void* order) {
    std::sort(ids.begin(), ids.end(), [=](std::uint32_t a, std::uint32_t b) { return less(order, a, b); });
}

void sort_once(std::vector<std::uint32_t>& ids) {
    sort_ids(ids, [](std::uint32_t a, std::uint32_t b) { return a < b; });
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

}  // namespace lstmgen
