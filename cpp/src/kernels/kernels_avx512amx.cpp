// Products of int8 with many rows, on the tiles of AMX. The other functions are those of
// kernels_avx512.cpp.
//
// A tile is a matrix of 16 rows of 64 bytes. One instruction adds the product of two of them to a
// tile of sums. Two such products, of the upper and of the lower bytes, make one of 16-bit numbers.
// Weights need no other layout: 16 groups of four rows of a panel are a tile.
#include "vec_avx512.hpp"

#include "products.inl"

namespace lstmgen::kernels {
namespace {

constexpr std::size_t kAmxTile = kAmxRows * kAmxBytes;

// The shapes of the tiles, as the processor reads them.
struct alignas(64) Shapes {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};
};

// Gives `rows` rows to the tiles that hold rows of x, or sums of them.
void shape_tiles(std::size_t rows) {
    Shapes shapes;
    for (std::size_t i = 0; i < 8; ++i) {
        shapes.row_bytes[i] = kAmxBytes;
        shapes.rows[i] = static_cast<std::uint8_t>(i < 6 ? rows : kAmxRows);
    }
    _tile_loadconfig(&shapes);
}

// The weights of a panel that one chain multiplies with.
struct PanelOfQuads {
    const std::byte* at;
    std::size_t step;                      // bytes to the next four rows
    alignas(64) std::byte last[kAmxTile];  // the rows after the last whole tile, then zeros
};

// Sets the panel to the rows [begin, end) of panel `p`.
void set_panel(const Matrix& m, std::size_t p, std::size_t begin, std::size_t end, PanelOfQuads& panel) {
    const Place place = place_of(p, m.layout, m.k, m.n_panels);
    panel.at = static_cast<const std::byte*>(m.panels) + place.at + begin / 4 * place.step;
    panel.step = place.step;
    const std::size_t rest = (end - begin) % kAmxBytes, whole = (end - begin - rest) / 4;
    if (rest == 0) return;
    std::memset(panel.last, 0, kAmxTile);
    for (std::size_t i = 0; i < (rest + 3) / 4; ++i)
        std::memcpy(panel.last + i * kAmxBytes, panel.at + (whole + i) * panel.step, kAmxBytes);
}

// sums (2 P, 16, 16) = x . panels, for n numbers of 16 rows: the sums of the upper bytes, then
// those of the lower ones, for each panel. x is in tiles.
template <std::size_t P>
inline void sum_tiles(const std::byte* x, std::size_t n, const PanelOfQuads (&panels)[P],
                      std::int32_t (&sums)[2 * P][kAmxRows * kPanel]) {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (P > 1) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (std::size_t k = 0; k < n; k += kAmxBytes, x += 2 * kAmxTile) {
        const bool whole = k + kAmxBytes <= n;
        _tile_loadd(4, x, kAmxBytes);
        _tile_loadd(5, x + kAmxTile, kAmxBytes);
        const std::byte* const w = whole ? panels[0].at + k / 4 * panels[0].step : panels[0].last;
        _tile_loadd(6, w, whole ? panels[0].step : kAmxBytes);
        _tile_dpbssd(0, 4, 6);
        _tile_dpbusd(1, 5, 6);
        if constexpr (P > 1) {
            const std::byte* const w1 = whole ? panels[1].at + k / 4 * panels[1].step : panels[1].last;
            _tile_loadd(7, w1, whole ? panels[1].step : kAmxBytes);
            _tile_dpbssd(2, 4, 7);
            _tile_dpbusd(3, 5, 7);
        }
    }
    _tile_stored(0, sums[0], kAmxBytes);
    _tile_stored(1, sums[1], kAmxBytes);
    if constexpr (P > 1) {
        _tile_stored(2, sums[2], kAmxBytes);
        _tile_stored(3, sums[3], kAmxBytes);
    }
}

// to = x . panels [first, first + P). The tiles have the shape of `tile` rows, of which `rows` are
// a multiple.
template <std::size_t P>
void multiply_tiles(const Matrix& m, std::size_t first, const Rows& x, std::size_t rows, std::size_t tile, Sums to) {
    PanelOfQuads panels[P];
    alignas(64) std::int32_t sums[2 * P][kAmxRows * kPanel];
    const float* const scales = m.scales + first * kPanel;
    for (std::size_t begin = 0; begin < m.k; begin += kIntChain) {
        const std::size_t end = m.k - begin < kIntChain ? m.k : begin + kIntChain;
        for (std::size_t p = 0; p < P; ++p) set_panel(m, first + p, begin, end, panels[p]);
        for (std::size_t r = 0; r < rows; r += tile) {
            const auto* const from = reinterpret_cast<const std::byte*>(x.rounded + r * x.rounded_stride);
            sum_tiles(from + begin * 2 * kAmxRows, end - begin, panels, sums);
            for (std::size_t i = 0; i < tile; ++i)
                for (std::size_t p = 0; p < P; ++p) {
                    const Ints upper = load_ints(sums[2 * p] + i * kPanel),
                               lower = load_ints(sums[2 * p + 1] + i * kPanel);
                    const Sums at = sums_after(to, r + i, p * kPanel);
                    add_to(at.z, at.from, add_ints(times_256(upper), lower), x, r + i, scales + p * kPanel);
                }
        }
        to = {to.z, to.stride, to.z, to.stride};
    }
}

// The same for n_panels panels.
void multiply_rows(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                   std::size_t tile, const Sums& sums) {
    shape_tiles(tile);
    std::size_t p = 0;
    for (; p + 2 <= n_panels; p += 2) multiply_tiles<2>(m, first + p, x, rows, tile, sums_after(sums, 0, p * kPanel));
    if (p < n_panels) multiply_tiles<1>(m, first + p, x, rows, tile, sums_after(sums, 0, p * kPanel));
}

}  // namespace

void avx512amx_int8(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                    const Sums& sums) {
    if (!x.tiles) return avx512vnni_int8(m, first, n_panels, x, rows, sums);
    const std::size_t rest = rows % kAmxRows, whole = rows - rest;
    if (whole > 0) multiply_rows(m, first, n_panels, x, whole, kAmxRows, sums);
    if (rest > 0) multiply_rows(m, first, n_panels, rows_after(x, whole), rest, rest, sums_after(sums, whole, 0));
    // Released tiles are not saved when the system switches tasks, and other code finds none.
    _tile_release();
}

}  // namespace lstmgen::kernels
