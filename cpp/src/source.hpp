// The bytes of a model. They are in memory, or in a file that is read once, piece by piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace lstmgen {

class Source {
public:
    virtual ~Source() = default;
    virtual std::uint64_t size() const noexcept = 0;
    /// Returns the first n bytes, n at most size(). They stay valid until more are asked for.
    virtual const std::byte* prefix(std::size_t n) = 0;
    /// Makes `next` start at byte `position`, which is in the prefix or right after it.
    virtual void begin(std::size_t position) = 0;
    /// Returns the next n bytes. The caller makes sure that there are as many. They stay valid
    /// until the next call.
    virtual const std::byte* next(std::size_t n) = 0;
};

/// Opens the file at `path`. Throws Error with the code io if it cannot be read, and so do prefix
/// and next.
std::unique_ptr<Source> file_source(const std::string& path);
/// Reads from data (size), which must outlive the source.
std::unique_ptr<Source> memory_source(const void* data, std::size_t size);

}  // namespace lstmgen
