#include "c_errors.hpp"

#include <cstdarg>
#include <cstdio>
#include <new>
#include <stdexcept>

#include "isa.hpp"
#include "kept.hpp"
#include "lstmgen/lstmgen.hpp"

namespace lstmgen {
namespace {

constexpr std::size_t kErrorBytes = 512;

thread_local char last_error[kErrorBytes] = "";  // UTF-8 with a 0 byte at its end

lstmgen_status status_of(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::io: return LSTMGEN_IO;
        case ErrorCode::format: return LSTMGEN_FORMAT;
        case ErrorCode::busy: return LSTMGEN_BUSY;
        case ErrorCode::ended: return LSTMGEN_ENDED;
        case ErrorCode::stopped: return LSTMGEN_STOPPED;
        case ErrorCode::invalid_argument: break;
    }
    return LSTMGEN_INVALID_ARGUMENT;
}

}  // namespace

LSTMGEN_KEPT lstmgen_status fail(lstmgen_status status, const char* format, ...) noexcept {
    va_list arguments;
    va_start(arguments, format);
    const int bytes = std::vsnprintf(last_error, kErrorBytes, format, arguments);
    va_end(arguments);
    if (bytes >= static_cast<int>(kErrorBytes)) {  // cut off: drop a part of a character at the end
        std::size_t end = kErrorBytes - 1;
        while (end > 0 && (static_cast<unsigned char>(last_error[end - 1]) & 0xc0) == 0x80) --end;
        if (end > 0 && (static_cast<unsigned char>(last_error[end - 1]) & 0x80)) --end;
        last_error[end] = '\0';
    }
    return status;
}

LSTMGEN_KEPT lstmgen_status fail_null(const char* what) noexcept {
    return fail(LSTMGEN_INVALID_ARGUMENT, "%s: expected an address, found NULL", what);
}

LSTMGEN_KEPT lstmgen_status check_handle(const std::atomic<std::uint64_t>* magic, std::uint64_t expected,
                                         const char* what, const char* ended) noexcept {
    if (!magic) return fail_null(what);
    if (magic->load(std::memory_order_relaxed) == expected) return LSTMGEN_OK;
    return fail(LSTMGEN_INVALID_ARGUMENT, "%s: expected a handle in use, found one that was %s, or another thing", what,
                ended);
}

lstmgen_status fail_short(const char* what, std::size_t want, std::size_t found) noexcept {
    return fail(LSTMGEN_SHORT_BUFFER, "%s: expected room for %zu, found %zu", what, want, found);
}

lstmgen_status fail_exception() noexcept {
    try {
        throw;
    } catch (const Error& error) {
        if (error.code() == ErrorCode::stopped) return LSTMGEN_STOPPED;  // no failure
        return fail(status_of(error.code()), "%s", error.what());
    } catch (const std::bad_alloc&) {
        return fail(LSTMGEN_OUT_OF_MEMORY, "out of memory");
    } catch (const std::length_error&) {
        return fail(LSTMGEN_OUT_OF_MEMORY, "out of memory: more than any vector holds");
    } catch (const std::exception& error) {
        return fail(LSTMGEN_INTERNAL, "unexpected: %s", error.what());
    } catch (...) {
        return fail(LSTMGEN_INTERNAL, "unexpected: an exception that is no std::exception");
    }
}

}  // namespace lstmgen

using namespace lstmgen;

const char* lstmgen_last_error(void) { return last_error; }

const char* lstmgen_status_name(int status) {
    switch (status) {
        case LSTMGEN_OK: return "ok";
        case LSTMGEN_IO: return "input or output";
        case LSTMGEN_FORMAT: return "format";
        case LSTMGEN_INVALID_ARGUMENT: return "invalid argument";
        case LSTMGEN_OUT_OF_MEMORY: return "out of memory";
        case LSTMGEN_SHORT_BUFFER: return "short buffer";
        case LSTMGEN_WRONG_VERSION: return "wrong version";
        case LSTMGEN_STOPPED: return "stopped";
        case LSTMGEN_BUSY: return "busy";
        case LSTMGEN_INTERNAL: return "internal";
        case LSTMGEN_ENDED: return "ended";
        default: return "unknown status";
    }
}

const char* lstmgen_version(void) { return LSTMGEN_VERSION_STRING; }

size_t lstmgen_version_number(void) { return LSTMGEN_VERSION; }

const char* lstmgen_isa(size_t index) {
    const char* name = nullptr;
    static_cast<void>(guarded([&] {
        const auto tables = supported_kernels();
        if (index < tables.size()) name = tables[index]->name;
        return LSTMGEN_OK;
    }));
    return name;
}
