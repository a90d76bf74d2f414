// The instructions of AMX that kernels_avx512amx.cpp uses, in plain C++. With them the tests run it
// on any processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace tile_model {

struct Tile {
    std::size_t rows, row_bytes;
    unsigned char bytes[16][64];
};
inline thread_local Tile tiles[8];
inline thread_local bool shaped = false;

inline Tile& tile(int i) {
    if (!shaped) throw std::logic_error("a tile is used without a shape");
    return tiles[i];
}

inline void load_shapes(const void* from) {
    const auto* const shapes = static_cast<const unsigned char*>(from);
    if (shapes[0] != 1) throw std::logic_error("the palette is not 1");
    for (int i = 0; i < 8; ++i) {
        std::uint16_t row_bytes;
        std::memcpy(&row_bytes, shapes + 16 + 2 * i, sizeof row_bytes);
        if (shapes[48 + i] > 16 || row_bytes > 64) throw std::logic_error("the shape of a tile is too large");
        tiles[i] = {shapes[48 + i], row_bytes, {}};
    }
    shaped = true;
}
inline void release() { shaped = false; }
inline void zero(int i) { std::memset(tile(i).bytes, 0, sizeof tile(i).bytes); }
inline void load(int i, const void* from, std::size_t stride) {
    zero(i);
    for (std::size_t r = 0; r < tile(i).rows; ++r)
        std::memcpy(tile(i).bytes[r], static_cast<const unsigned char*>(from) + r * stride, tile(i).row_bytes);
}
inline void store(int i, void* to, std::size_t stride) {
    for (std::size_t r = 0; r < tile(i).rows; ++r)
        std::memcpy(static_cast<unsigned char*>(to) + r * stride, tile(i).bytes[r], tile(i).row_bytes);
}

// sum (M, N) += a (M, K bytes) . b (K / 4, N quads of signed bytes). A is the type of the bytes of
// a.
template <class A>
void add_dots(int to, int left, int right) {
    Tile &sums = tile(to), &a = tile(left), &b = tile(right);
    if (a.rows != sums.rows || a.row_bytes != 4 * b.rows || b.row_bytes != sums.row_bytes)
        throw std::logic_error("the shapes of the tiles do not match");
    for (std::size_t m = 0; m < sums.rows; ++m)
        for (std::size_t n = 0; n < sums.row_bytes / 4; ++n) {
            std::uint32_t sum;
            std::memcpy(&sum, sums.bytes[m] + 4 * n, sizeof sum);
            for (std::size_t k = 0; k < a.row_bytes; ++k)
                sum += static_cast<std::uint32_t>(static_cast<A>(a.bytes[m][k]) *
                                                  static_cast<std::int8_t>(b.bytes[k / 4][4 * n + k % 4]));
            std::memcpy(sums.bytes[m] + 4 * n, &sum, sizeof sum);
        }
}

}  // namespace tile_model

#define _tile_loadconfig tile_model::load_shapes
#define _tile_release tile_model::release
#define _tile_zero tile_model::zero
#define _tile_loadd tile_model::load
#define _tile_stored tile_model::store
#define _tile_dpbssd tile_model::add_dots<std::int8_t>
#define _tile_dpbusd tile_model::add_dots<std::uint8_t>
