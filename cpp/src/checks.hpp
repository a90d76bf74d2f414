// Checks of the arguments of public functions, in C++ and in C.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace lstmgen {

/// Returns a * b, or nothing if no memory holds that many numbers.
std::optional<std::size_t> product(std::size_t a, std::size_t b) noexcept;

/// Throws Error if `pointer` is null although n > 0 numbers are read from it or written to it.
void check_pointer(const void* pointer, std::size_t n, const char* name);

/// Throws Error if there are more threads than LSTMGEN_MAX_THREADS.
void check_threads(std::size_t threads);

/// Throws Error if one of the ids (n) is not below `limit`. `name` says what they are.
void check_ids(const std::uint32_t* ids, std::size_t n, std::size_t limit, const char* name = "id");

}  // namespace lstmgen
