// What the fuzzers share: bytes as choices, checksums that are right again after a mutation, and a
// bound on the time of one input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "container.hpp"
#include "crc32.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace fuzz {

inline void require(bool condition) {
    if (!condition) std::abort();
}

/// Ends the program if one input takes more than a second of the processor, or as many as are given,
/// all threads together. The time by the clock does not count. The sanitizers, which make a program
/// slower, are not taken off.
class Second {
public:
    explicit Second(double seconds = 1) : seconds_(seconds), begin_(std::clock()) {}
    ~Second() {
        if (left() >= 0) return;
        std::fprintf(stderr, "an input took more than %g s of the processor\n", seconds_);
        std::abort();
    }
    /// Returns the seconds that the input may still take.
    double left() const { return seconds_ - static_cast<double>(std::clock() - begin_) / CLOCKS_PER_SEC; }

private:
    double seconds_;
    std::clock_t begin_;
};

/// Reads choices from an input. After its end all are 0.
class Choices {
public:
    Choices(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
    bool empty() const { return left_ == 0; }
    std::uint8_t byte() {
        if (left_ == 0) return 0;
        --left_;
        return *data_++;
    }
    /// Returns a number: small, at a limit, or any.
    std::size_t number() {
        const std::uint8_t kind = byte();
        if (kind < 160) return kind % 16;
        if (kind < 200) return std::size_t{1} << byte() % 64;
        if (kind < 220) return SIZE_MAX - byte();
        return std::size_t{byte()} << 8 | byte();
    }

private:
    const std::uint8_t* data_;
    std::size_t left_;
};

inline std::string read_file(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    require(!bytes.empty());
    return bytes;
}

/// Returns where the value of a key of a `.bin` lies, or 0.
inline std::size_t value_of(std::string_view file, std::string_view key, std::size_t nbytes) {
    const std::size_t at = file.find(key);
    const std::size_t value = at + key.size() + sizeof(std::uint32_t);  // after the type
    return at == file.npos || value + nbytes > file.size() ? 0 : value;
}

/// Makes the checksum of a `.bin` right. With `loose`, its self-test allows any finite output.
inline void mend(std::uint8_t* data, std::size_t size, bool loose) {
    std::string file(reinterpret_cast<const char*>(data), size);
    const double wide = 1e300;
    if (const std::size_t at = value_of(file, "lstmgen.selftest.tolerance", sizeof wide); loose && at > 0)
        std::memcpy(file.data() + at, &wide, sizeof wide);
    if (const std::size_t at = value_of(file, "lstmgen.checksum", 4); at > 0) lstmgen::set_checksum(file, at);
    std::memcpy(data, file.data(), size);
}

/// Mutates a `.bin`: anywhere, or a number after the name of one of its keys.
inline std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed, bool loose) {
    const std::string_view file(reinterpret_cast<const char*>(data), size);
    const unsigned kind = seed % 8;
    if (kind < 3 && size > 64) {
        const std::size_t at = file.find("lstmgen.", seed / 8 % (size / 2));
        static constexpr std::uint64_t numbers[] = {0,   1,     2,     16,      63,         64,        255,
                                                    256, 65535, 65536, 1 << 20, 0xffffffff, 1ULL << 63};
        const std::uint64_t number = numbers[seed / 64 % 13];
        const std::size_t places = at == file.npos ? 0 : std::min<std::size_t>(size - at, 64);
        const std::size_t place = places < 16 ? 0 : 8 + seed / 1024 % (places - 12);
        if (place > 0) std::memcpy(data + at + place, &number, 4);
    } else {
        size = LLVMFuzzerMutate(data, size, max_size);
    }
    if (kind != 7) mend(data, size, loose);
    return size;
}

}  // namespace fuzz
