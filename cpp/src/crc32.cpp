#include "crc32.hpp"

#include <array>

#include "kept.hpp"

namespace lstmgen {
namespace {

constexpr std::uint32_t kPolynomial = 0xedb88320;  // bit 31 is the constant term
constexpr std::size_t kLongEnough = 4096;          // bytes that are worth four parts side by side

// tables[k][b] is the CRC of the byte b followed by k bytes of zeros.
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

Tables make_tables() {
    Tables t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t c = i;
        for (int bit = 0; bit < 8; ++bit) c = c >> 1 ^ (c & 1 ? kPolynomial : 0u);
        t[0][i] = c;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t i = 0; i < 256; ++i) t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 255];
    return t;
}

// Returns the state after the bytes p (8). Source: Kounavis and Berry, "A systematic approach to
// building high performance software-based CRC generators", 2005.
inline std::uint32_t eight(const Tables& tables, std::uint32_t state, const std::byte* p) {
    const auto byte = [p](std::size_t i) { return std::to_integer<std::uint32_t>(p[i]); };
    const std::uint32_t low = (byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24) ^ state;
    const std::uint32_t high = byte(4) | byte(5) << 8 | byte(6) << 16 | byte(7) << 24;
    return tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
           tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^ tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
}

// Returns the product of two polynomials, modulo the polynomial of the CRC.
std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
    std::uint32_t product = 0;
    for (std::uint32_t bit = std::uint32_t{1} << 31; bit != 0; bit >>= 1) {
        if (a & bit) product ^= b;
        b = b >> 1 ^ (b & 1 ? kPolynomial : 0u);
    }
    return product;
}

// Returns x ^ (8 n), modulo the polynomial. n bytes of zeros multiply a state by this.
std::uint32_t zeros(std::size_t n) {
    std::uint32_t product = std::uint32_t{1} << 31, power = std::uint32_t{1} << 23;
    for (; n > 0; n >>= 1) {
        if (n & 1) product = multiply(product, power);
        power = multiply(power, power);
    }
    return product;
}

}  // namespace

LSTMGEN_KEPT void Crc32::update(const std::byte* p, std::size_t n) {
    static const Tables tables = make_tables();
    if (n >= kLongEnough) {  // four parts side by side hide the latency of the look-ups
        const std::size_t part = n / 32 * 8;
        const std::byte *const p1 = p + part, *const p2 = p1 + part, *const p3 = p2 + part;
        std::uint32_t s0 = state_, s1 = 0, s2 = 0, s3 = 0;
        for (std::size_t at = 0; at < part; at += 8) {
            s0 = eight(tables, s0, p + at);
            s1 = eight(tables, s1, p1 + at);
            s2 = eight(tables, s2, p2 + at);
            s3 = eight(tables, s3, p3 + at);
        }
        const std::uint32_t skip = zeros(part);
        s1 ^= multiply(skip, s0);
        s2 ^= multiply(skip, s1);
        state_ = s3 ^ multiply(skip, s2);
        p += 4 * part;
        n -= 4 * part;
    }
    for (; n >= 8; p += 8, n -= 8) state_ = eight(tables, state_, p);
    for (; n > 0; ++p, --n) state_ = tables[0][(state_ ^ std::to_integer<std::uint32_t>(*p)) & 255] ^ state_ >> 8;
}

}  // namespace lstmgen
