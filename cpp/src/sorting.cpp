#include "sorting.hpp"

#include <algorithm>

namespace lstmgen {

void sort_ids(std::vector<std::uint32_t>& ids, bool (*less)(const void* order, std::uint32_t a, std::uint32_t b),
              const void* order) {
    std::sort(ids.begin(), ids.end(), [=](std::uint32_t a, std::uint32_t b) { return less(order, a, b); });
}

}  // namespace lstmgen
