// Products of rows with packed matrices, over the primitives of a vec_<isa>.hpp.
//
// One summation order everywhere, in the product of one row and of many, whatever the vector width: k ascends (with
// bf16 pair by pair, the second of a pair first, as vdpbf16ps does) in chains of kFloatChain fused multiply-adds, each
// from zero, whose sums are added to the output one after the other. So results are the same bits on every instruction
// set and for any number of lanes; and the rounding errors of a long sum are those of a few short ones, which a single
// chain over 600 terms would make 2 to 3 times Keras's own. Products with int8 are sums of integers, exact in any
// order, in chains of kIntChain.
//
// Needs from the including file: <cstring>, Vec, kWidth, load, load_low, load_high, store, set, fma, mul, add; Ints,
// Pairs, zero_ints, load_pairs, set_pair, add_dot, to_floats; and the tile sizes kTileRows x kTilePanels (many rows)
// and kRowPanels (one row).

namespace lstmgen::kernels {
namespace {

constexpr std::size_t kVecs = kPanel / kWidth;  // vectors in one row of a panel

inline Rows rows_behind(const Rows& x, std::size_t r) {
    if (!x.rounded) return {x.x + r * x.stride, x.stride, nullptr, 0, nullptr};
    return {nullptr, 0, x.rounded + r * x.rounded_stride, x.rounded_stride, x.scales ? x.scales + r : nullptr};
}

// sums (R rows, N vectors) += number i of each row times w.
template <std::size_t R, std::size_t N>
inline void multiply(const Rows& x, std::size_t i, const Vec (&w)[N], Vec (&sums)[R][N]) {
    for (std::size_t r = 0; r < R; ++r) {
        const Vec a = set(x.x[r * x.stride + i]);
        for (std::size_t j = 0; j < N; ++j) sums[r][j] = fma(a, w[j], sums[r][j]);
    }
}

// One chain: sums (R rows, N vectors) += the numbers [begin, end) of each row times those rows of the panels.
template <std::size_t R, std::size_t N>
inline void chain(const float* panels, std::size_t k, const Rows& x, std::size_t begin, std::size_t end,
                  Vec (&sums)[R][N]) {
    for (std::size_t i = begin; i < end; ++i) {
        Vec w[N];
        for (std::size_t j = 0; j < N; ++j) w[j] = load(panels + (j / kVecs * k + i) * kPanel + j % kVecs * kWidth);
        multiply(x, i, w, sums);
    }
}

template <std::size_t R, std::size_t N>
inline void chain(const std::uint16_t* panels, std::size_t k, const Rows& x, std::size_t begin, std::size_t end,
                  Vec (&sums)[R][N]) {
    const auto pairs = [&](std::size_t i, std::size_t j) {
        return panels + (j / kVecs * k + i) * kPanel + j % kVecs * 2 * kWidth;
    };
    Vec w[N];
    std::size_t i = begin;
    for (; i + 1 < end; i += 2) {
        if constexpr (R == 1) {  // each pair at once: many of them would not stay in registers
            const Vec low = set(x.x[i]), high = set(x.x[i + 1]);
            for (std::size_t j = 0; j < N; ++j)
                sums[0][j] = fma(low, load_low(pairs(i, j)), fma(high, load_high(pairs(i, j)), sums[0][j]));
        } else {
            for (std::size_t j = 0; j < N; ++j) w[j] = load_high(pairs(i, j));
            multiply(x, i + 1, w, sums);
            for (std::size_t j = 0; j < N; ++j) w[j] = load_low(pairs(i, j));
            multiply(x, i, w, sums);
        }
    }
    if (i == end) return;
    for (std::size_t j = 0; j < N; ++j) w[j] = load_low(pairs(i, j));
    multiply(x, i, w, sums);
}

// Pairs of rounded numbers: int8 times int16, or bf16.
template <class W, class Sum, std::size_t R, std::size_t N>
inline void chain(const W* panels, std::size_t k, const Rows& x, std::size_t begin, std::size_t end,
                  Sum (&sums)[R][N]) {
    const auto pair_of = [&](std::size_t r, std::size_t i) {
        std::int32_t pair;
        std::memcpy(&pair, x.rounded + r * x.rounded_stride + i, sizeof pair);
        return set_pair(pair);
    };
    for (std::size_t i = begin; i < end; i += 2) {
        const auto weights = [&](std::size_t j) {
            return load_pairs(panels + (j / kVecs * k + i) * kPanel + j % kVecs * 2 * kWidth);
        };
        if constexpr (R == 1) {  // each vector at once: many of them would not stay in registers
            const Pairs a = pair_of(0, i);
            for (std::size_t j = 0; j < N; ++j) sums[0][j] = add_dot(sums[0][j], weights(j), a);
        } else {
            Pairs w[N];
            for (std::size_t j = 0; j < N; ++j) w[j] = weights(j);
            for (std::size_t r = 0; r < R; ++r) {
                const Pairs a = pair_of(r, i);
                for (std::size_t j = 0; j < N; ++j) sums[r][j] = add_dot(sums[r][j], w[j], a);
            }
        }
    }
}

template <class W>  // of the weights
struct Chain {
    using Sum = Vec;
    static constexpr std::size_t length = kFloatChain;
};
template <>
struct Chain<std::int8_t> {
    using Sum = Ints;
    static constexpr std::size_t length = kIntChain;
};

inline void clear(Vec& sum) { sum = set(0.0f); }
inline void clear(Ints& sum) { sum = zero_ints(); }
// z += sum, of row r and the columns from j on
inline void add_to(float* z, Vec sum, const Rows&, std::size_t, const float*, std::size_t) {
    store(z, add(load(z), sum));
}
inline void add_to(float* z, Ints sum, const Rows& x, std::size_t r, const float* scales, std::size_t j) {
    store(z, add(load(z), mul(to_floats(sum), mul(set(x.scales[r]), load(scales + j)))));
}

// z (R rows, P panels) += x . panels. Each chain stays in registers. A function for each size, since the registers do
// not suffice for what several have in common.
template <std::size_t R, std::size_t P, class W>
LSTMGEN_NOINLINE void tile(const W* panels, const Matrix& m, const float* scales, const Rows& x, float* z,
                           std::size_t z_stride) {
    constexpr std::size_t n = P * kVecs, length = Chain<W>::length;
    const std::size_t k = packed_rows(m.type, m.k);
    for (std::size_t begin = 0; begin < m.k; begin += length) {
        const std::size_t end = m.k - begin < length ? m.k : begin + length;
        typename Chain<W>::Sum sums[R][n];
        for (std::size_t r = 0; r < R; ++r)
            for (std::size_t j = 0; j < n; ++j) clear(sums[r][j]);
        chain(panels, k, x, begin, end, sums);
        for (std::size_t r = 0; r < R; ++r)
            for (std::size_t j = 0; j < n; ++j)
                add_to(z + r * z_stride + j * kWidth, sums[r][j], x, r, scales, j * kWidth);
    }
}

// Panels [first, last) of a matrix, and what they are multiplied with.
template <class W>
struct Product {
    const Matrix& m;
    std::size_t first, last;
    const Rows& x;
    std::size_t rows;
    float* z;  // of the first panel
    std::size_t z_stride;

    using Tile = void(const W*, const Matrix&, const float*, const Rows&, float*, std::size_t);

    std::size_t left() const { return last - first; }
    // As many of the rows from r on as go in such tiles, of `size` rows; gives the row behind them.
    LSTMGEN_NOINLINE std::size_t run(Tile* tile, std::size_t size, std::size_t r) const {
        const W* const panels = static_cast<const W*>(m.panels) + first * packed_rows(m.type, m.k) * kPanel;
        const float* const scales = m.scales ? m.scales + first * kPanel : nullptr;
        for (; r + size <= rows; r += size) tile(panels, m, scales, rows_behind(x, r), z + r * z_stride, z_stride);
        return r;
    }
    void advance(std::size_t panels) {
        first += panels;
        z += panels * kPanel;
    }
};

// The rows from r on in tiles of R, and what is left in smaller ones.
template <std::size_t R, std::size_t P, class W>
inline void rows_from(std::size_t r, const Product<W>& p) {
    r = p.run(tile<R, P, W>, R, r);
    if constexpr (R > 1) rows_from<(R > 4 ? 4 : R / 2), P>(r, p);
}

// All rows times P panels. Panels outside, rows inside: a panel stays in the first-level cache while all rows pass.
template <std::size_t P, class W>
inline void panels_times_rows(Product<W>& p) {
    rows_from<kTileRows, P>(0, p);
    p.advance(P);
}

// z (rows, z_stride) += x . panels [first, first + n_panels)
template <class W>
void multiply_panels(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                     float* z, std::size_t z_stride) {
    static_assert(kTilePanels == 1 || kTilePanels == 4);
    Product<W> p{m, first, first + n_panels, x, rows, z, z_stride};
    if (rows == 1)  // enough panels at once to hide the latency of the multiply-add
        for (; p.left() >= kRowPanels; p.advance(kRowPanels)) p.run(tile<1, kRowPanels, W>, 1, 0);
    if constexpr (kTilePanels == 4) {  // threes until fours go up: also for a block of a GRU
        while (p.left() % 4 > 0 && p.left() > 2 && p.left() != 5) panels_times_rows<3>(p);
        while (p.left() >= 4) panels_times_rows<4>(p);
    }
    while (p.left() > 0) panels_times_rows<1>(p);
}

}  // namespace
}  // namespace lstmgen::kernels
