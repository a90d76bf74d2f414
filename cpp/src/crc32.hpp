// The checksum CRC-32 (ISO-HDLC), as in zlib.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lstmgen {

class Crc32 {
public:
    /// Adds p (n bytes) to the checksum.
    void update(const std::byte* p, std::size_t n);
    std::uint32_t value() const { return ~state_; }

private:
    std::uint32_t state_ = ~std::uint32_t{0};
};

}  // namespace lstmgen
