// Errors of the C API: a status, and a text in a buffer of the thread, which takes no memory that
// could be missing.
#pragma once

#include <cstddef>
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

/// A pointer is NULL that must not be; `what` says which.
lstmgen_status fail_null(const char* what) noexcept;

/// A buffer of the caller has room for `found`, but the result takes `want`.
lstmgen_status fail_short(const char* what, std::size_t want, std::size_t found) noexcept;

/// The status of the exception that is being handled.
lstmgen_status fail_exception() noexcept;

/// What `f` returns, which is a status, or the status of what it throws.
template <class F>
lstmgen_status guarded(F&& f) noexcept {
    try {
        return f();
    } catch (...) {
        return fail_exception();
    }
}

}  // namespace lstmgen
