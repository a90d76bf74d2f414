// Errors of the C API: a status, and a text in a buffer of the thread. The buffer is static, so an
// error needs no memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "lstmgen/lstmgen.h"

namespace lstmgen {

/// Sets lstmgen_last_error() by a format of printf. Returns `status`.
#if defined(__MINGW32__)
__attribute__((format(gnu_printf, 2, 3)))
#elif defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
lstmgen_status fail(lstmgen_status status, const char* format, ...) noexcept;

/// Fails because the pointer that `what` names is NULL.
lstmgen_status fail_null(const char* what) noexcept;

/// Fails unless `magic`, the first member of what a handle points to, has the value of its kind.
/// It is null if the handle `what` is NULL. `ended` says how such a handle ends.
lstmgen_status check_handle(const std::atomic<std::uint64_t>* magic, std::uint64_t expected, const char* what,
                            const char* ended = "freed") noexcept;

/// Fails because the caller's buffer `what` has room for `found` values, but the result takes
/// `want`.
lstmgen_status fail_short(const char* what, std::size_t want, std::size_t found) noexcept;

/// Fails with the status of the exception that is being handled.
lstmgen_status fail_exception() noexcept;

#ifdef __cpp_exceptions  // notes.cpp is compiled without
/// Returns the status that `f` returns, or the status of its exception.
template <class F>
lstmgen_status guarded(F&& f) noexcept {
    try {
        return f();
    } catch (...) {
        return fail_exception();
    }
}
#endif

}  // namespace lstmgen
