#include "checks.hpp"

#include <limits>

#include "lstmgen/lstmgen.hpp"
#include "message.hpp"

namespace lstmgen {

std::optional<std::size_t> product(std::size_t a, std::size_t b) noexcept {
    constexpr std::size_t most = std::numeric_limits<std::size_t>::max() / 16;
    if (a != 0 && b > most / a) return std::nullopt;
    return a * b;
}

void check_pointer(const void* pointer, std::size_t n, const char* name) {
    if (!pointer && n > 0) refuse({"%: expected an address, found NULL", name});
}

void check_threads(std::size_t threads) {
    if (threads > LSTMGEN_MAX_THREADS)
        refuse({"threads: expected at most %, found %", std::size_t{LSTMGEN_MAX_THREADS}, threads});
}

void check_ids(const std::uint32_t* ids, std::size_t n, std::size_t limit, const char* name) {
    for (std::size_t i = 0; i < n; ++i)
        if (ids[i] >= limit) refuse({"% at position %: expected below %, found %", name, i, limit, ids[i]});
}

}  // namespace lstmgen
