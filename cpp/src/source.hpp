// The bytes of a model: in memory, or in a file that is read once, piece by piece.
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
    /// The first n bytes, at most size(). They stay until more of them are asked for.
    virtual const std::byte* prefix(std::size_t n) = 0;
    /// What `next` gives first: byte `position`, which is in the prefix or right after it.
    virtual void begin(std::size_t position) = 0;
    /// The next n bytes, which must be there. They stay until the next call.
    virtual const std::byte* next(std::size_t n) = 0;
};

/// Throws Error, with code io, if the file cannot be read. So do prefix and next.
std::unique_ptr<Source> file_source(const std::string& path);
std::unique_ptr<Source> memory_source(const void* data, std::size_t size);

}  // namespace lstmgen
