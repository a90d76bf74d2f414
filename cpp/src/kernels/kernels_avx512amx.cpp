// Products of int8 with many rows, on the tiles of AMX. The other functions are those of
// kernels_avx512.cpp.
//
// A tile is a matrix of 16 rows of 64 bytes. One instruction adds the product of two of them to a
// tile of sums. Two such products, of the upper and of the lower bytes, make one of 16-bit numbers.
// A product takes the same time for few rows. So one of them does for both bytes of the last rows,
// if these are at most kFewAmxRows. Then both bytes are unsigned, as for VNNI. Weights need no
// other layout: 16 groups of four rows of a panel are a tile.
#include "vec_avx512.hpp"

#include "products.inl"

namespace lstmgen::kernels {
namespace {

constexpr std::size_t kAmxTile = kAmxRows * kAmxBytes;

// The shapes of the tiles, as the processor reads them: all have their full size.
struct alignas(64) Shapes {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {kAmxBytes, kAmxBytes, kAmxBytes, kAmxBytes,
                                   kAmxBytes, kAmxBytes, kAmxBytes, kAmxBytes};
    std::uint8_t rows[16] = {kAmxRows, kAmxRows, kAmxRows, kAmxRows, kAmxRows, kAmxRows, kAmxRows, kAmxRows};
};
constexpr Shapes kShapes;

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

// sums (4, 16, 16) = x . two panels, for n numbers of 16 rows: the sums of the upper bytes, then
// those of the lower ones, for each panel. x is in tiles. With few rows, both are in the second
// sums.
inline void sum_tiles(const std::byte* x, std::size_t n, bool few, const PanelOfQuads (&panels)[2],
                      std::int32_t (&sums)[4][kAmxRows * kPanel]) {
    const std::size_t lower = few ? 0 : kAmxTile;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (std::size_t k = 0; k < n; k += kAmxBytes, x += kAmxTile + lower) {
        const bool whole = k + kAmxBytes <= n;
        const auto weights = [&](const PanelOfQuads& p) { return whole ? p.at + k / 4 * p.step : p.last; };
        const std::size_t step = whole ? panels[0].step : kAmxBytes;
        _tile_loadd(5, x + lower, kAmxBytes);
        _tile_loadd(6, weights(panels[0]), step);
        _tile_loadd(7, weights(panels[1]), step);
        if (!few) {
            _tile_loadd(4, x, kAmxBytes);
            _tile_dpbssd(0, 4, 6);
            _tile_dpbssd(2, 4, 7);
        }
        _tile_dpbusd(1, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    if (!few) {
        _tile_stored(0, sums[0], kAmxBytes);
        _tile_stored(2, sums[2], kAmxBytes);
    }
    _tile_stored(1, sums[1], kAmxBytes);
    _tile_stored(3, sums[3], kAmxBytes);
}

// to = x . panels [first, first + n_panels), for one or two panels. One is multiplied twice.
void multiply_tiles(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                    Sums to) {
    PanelOfQuads panels[2];
    alignas(64) std::int32_t sums[4][kAmxRows * kPanel];
    const float* const scales = m.scales + first * kPanel;
    for (std::size_t begin = 0; begin < m.k; begin += kIntChain) {
        const std::size_t end = m.k - begin < kIntChain ? m.k : begin + kIntChain;
        for (std::size_t p = 0; p < 2; ++p) set_panel(m, p < n_panels ? first + p : first, begin, end, panels[p]);
        for (std::size_t r = 0; r < rows; r += kAmxRows) {
            const std::size_t left = rows - r < kAmxRows ? rows - r : kAmxRows;
            const bool few = left <= kFewAmxRows;
            const auto* const from = reinterpret_cast<const std::byte*>(x.rounded + r * x.rounded_stride);
            sum_tiles(from + begin * (few ? kAmxRows : 2 * kAmxRows), end - begin, few, panels, sums);
            for (std::size_t i = 0; i < left; ++i)
                for (std::size_t p = 0; p < n_panels; ++p) {
                    const std::int32_t* const s = sums[2 * p + 1] + i * kPanel;
                    Ints upper = load_ints(sums[2 * p] + i * kPanel), lower = load_ints(s);
                    if (few) {
                        upper = lower;
                        const std::int32_t* const starts =
                            m.starts + (begin / kIntChain * m.n_panels + first + p) * kPanel;
                        lower = add_ints(load_ints(s + kFewAmxRows * kPanel), load_ints(starts));
                    }
                    const Sums at = sums_after(to, r + i, p * kPanel);
                    add_to(at.z, at.from, add_ints(times_256(upper), lower), x, r + i, scales + p * kPanel);
                }
        }
        to = {to.z, to.stride, to.z, to.stride};
    }
}

}  // namespace

void avx512amx_int8(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                    const Sums& sums) {
    if (!x.tiles) return avx512vnni_int8(m, first, n_panels, x, rows, sums);
    _tile_loadconfig(&kShapes);
    for (std::size_t p = 0; p < n_panels; p += 2)
        multiply_tiles(m, first + p, n_panels - p < 2 ? 1 : 2, x, rows, sums_after(sums, 0, p * kPanel));
    // Released tiles are not saved when the system switches tasks, and other code finds none.
    _tile_release();
}

}  // namespace lstmgen::kernels
