// Products of rows with packed matrices, over the primitives of a vec_<isa>.hpp.
//
// One summation order everywhere, in the product of one row and of many, whatever the vector width:
// k ascends (with bf16 pair by pair, the second of a pair first, as vdpbf16ps does) in chains of
// kFloatChain fused multiply-adds, each from zero, whose sums are added to the output one after the
// other. So results are the same bits on every instruction set and for any number of lanes; and the
// rounding errors of a long sum are those of a few short ones, which a single chain over 600 terms
// would make 2 to 3 times Keras's own. Products with int8 are sums of integers, exact in any order,
// in chains of kIntChain.
//
// Needs from the including file: <cstring>, Vec, kWidth, load, load_low, load_high, store, set,
// fma, mul, add; Ints, Pairs, zero_ints, load_pairs, set_pair, add_dot, to_floats; and the sizes of
// tiles: kTileRows x kTilePanels of many rows, kRowPanels of one. kTilePanels panels lie side by
// side, or fewer (Layout).

namespace lstmgen::kernels {
namespace {

constexpr std::size_t kVecs = kPanel / kWidth;  // vectors in one row of a panel
constexpr bool kOnePanel = kTilePanels == 1;    // whether a tile has one panel

inline Rows rows_after(const Rows& x, std::size_t r) {
    if (!x.rounded) return {x.x + r * x.stride, x.stride, nullptr, 0, nullptr};
    return {nullptr, 0, x.rounded + r * x.rounded_stride, x.rounded_stride, x.scales ? x.scales + r : nullptr};
}

// What goes with weights of a kind: how many rows are interleaved, multiply-adds in a chain, and
// rows of a tile.
template <class W>
struct Kind {
    using Sum = Vec;
    static constexpr std::size_t rows = 2, chain = kFloatChain, tile_rows = kTileRows;

    // Of a row of rounded numbers those that the rows of weights from i on are multiplied with.
    static Pairs numbers(const std::int16_t* row, std::size_t /*stride*/, std::size_t i) {
        std::int32_t pair;
        std::memcpy(&pair, row + i, sizeof pair);
        return set_pair(pair);
    }
};
template <>
struct Kind<float> : Kind<void> {
    static constexpr std::size_t rows = 1;
};
template <>
struct Kind<std::int8_t> : Kind<void> {
    using Sum = Ints;
    static constexpr std::size_t chain = kIntChain;
};

inline void start(Vec& sum, const std::int32_t*) { sum = set(0.0f); }
inline void start(Ints& sum, const std::int32_t*) { sum = zero_ints(); }
// z += sum, of row r
inline void add_to(float* z, Vec sum, const Rows&, std::size_t, const float*) { store(z, add(load(z), sum)); }
inline void add_to(float* z, Ints sum, const Rows& x, std::size_t r, const float* scales) {
    store(z, add(load(z), mul(to_floats(sum), mul(set(x.scales[r]), load(scales)))));
}

// sums (R rows, N vectors) += number i of each row times w.
template <std::size_t R, std::size_t N>
inline void multiply(const Rows& x, std::size_t i, const Vec (&w)[N], Vec (&sums)[R][N]) {
    for (std::size_t r = 0; r < R; ++r) {
        const Vec a = set(x.x[r * x.stride + i]);
        for (std::size_t j = 0; j < N; ++j) sums[r][j] = fma(a, w[j], sums[r][j]);
    }
}

// What a chain multiplies with: N vectors of one row of panels (or of rows that are interleaved),
// of which S panels lie side by side.
template <class W, std::size_t S>
struct Weights {
    const W* at;
    std::size_t step;  // numbers to the next row
    std::size_t jump;  // and to the next S panels

    const W* operator[](std::size_t j) const {
        return at + j / (S * kVecs) * jump + j % (S * kVecs) * kWidth * Kind<W>::rows;
    }
};

// One chain: sums (R rows, N vectors) += the numbers [begin, end) of each row times those rows of
// the panels.
template <std::size_t S, std::size_t R, std::size_t N>
inline void chain(Weights<float, S> weights, const Rows& x, std::size_t begin, std::size_t end, Vec (&sums)[R][N]) {
    for (std::size_t i = begin; i < end; ++i, weights.at += weights.step) {
        Vec w[N];
        for (std::size_t j = 0; j < N; ++j) w[j] = load(weights[j]);
        multiply(x, i, w, sums);
    }
}

template <std::size_t S, std::size_t R, std::size_t N>
inline void chain(Weights<std::uint16_t, S> weights, const Rows& x, std::size_t begin, std::size_t end,
                  Vec (&sums)[R][N]) {
    Vec w[N];
    std::size_t i = begin;
    for (; i + 1 < end; i += 2, weights.at += weights.step) {
        if constexpr (R == 1) {  // each pair at once: many of them would not stay in registers
            const Vec low = set(x.x[i]), high = set(x.x[i + 1]);
            for (std::size_t j = 0; j < N; ++j)
                sums[0][j] = fma(low, load_low(weights[j]), fma(high, load_high(weights[j]), sums[0][j]));
        } else {
            for (std::size_t j = 0; j < N; ++j) w[j] = load_high(weights[j]);
            multiply(x, i + 1, w, sums);
            for (std::size_t j = 0; j < N; ++j) w[j] = load_low(weights[j]);
            multiply(x, i, w, sums);
        }
    }
    if (i == end) return;
    for (std::size_t j = 0; j < N; ++j) w[j] = load_low(weights[j]);
    multiply(x, i, w, sums);
}

// Of rounded numbers: pairs of int8 times int16, or of bf16; quads of int8 times bytes.
template <class W, std::size_t S, class Sum, std::size_t R, std::size_t N>
inline void chain(Weights<W, S> weights, const Rows& x, std::size_t begin, std::size_t end, Sum (&sums)[R][N]) {
    const auto numbers = [&](std::size_t r, std::size_t i) {
        return Kind<W>::numbers(x.rounded + r * x.rounded_stride, x.rounded_stride, i);
    };
    for (std::size_t i = begin; i < end; i += Kind<W>::rows, weights.at += weights.step) {
        if constexpr (R == 1) {  // each vector at once: many of them would not stay in registers
            const auto a = numbers(0, i);
            for (std::size_t j = 0; j < N; ++j) sums[0][j] = add_dot(sums[0][j], load_pairs(weights[j]), a);
        } else {
            Pairs w[N];
            for (std::size_t j = 0; j < N; ++j) w[j] = load_pairs(weights[j]);
            for (std::size_t r = 0; r < R; ++r) {
                const auto a = numbers(r, i);
                for (std::size_t j = 0; j < N; ++j) sums[r][j] = add_dot(sums[r][j], w[j], a);
            }
        }
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

    std::size_t left() const { return last - first; }
    void advance(std::size_t panels) {
        first += panels;
        z += panels * kPanel;
    }
};

// z (R rows from r on, P panels) += x . panels, of which S lie side by side. Each chain stays in
// registers. A function for each size, since the registers do not suffice for what several have in
// common.
template <std::size_t R, std::size_t P, std::size_t S, class W>
LSTMGEN_NOINLINE void tile(const Product<W>& p, std::size_t r) {
    constexpr std::size_t n = P * kVecs, length = Kind<W>::chain, interleaved = Kind<W>::rows;
    const Matrix& m = p.m;
    const Place place = place_of(p.first, m.layout, m.k, m.n_panels);
    const W* const panels = static_cast<const W*>(m.panels) + place.at;
    const std::size_t jump = S < P ? place_of(p.first + S, m.layout, m.k, m.n_panels).at - place.at : 0;
    const Rows x = rows_after(p.x, r);
    const float* const scales = m.scales ? m.scales + p.first * kPanel : nullptr;
    const std::int32_t* starts = m.starts ? m.starts + p.first * kPanel : nullptr;
    float* const z = p.z + r * p.z_stride;
    for (std::size_t begin = 0; begin < m.k; begin += length) {
        const std::size_t end = m.k - begin < length ? m.k : begin + length;
        typename Kind<W>::Sum sums[R][n];
        for (std::size_t i = 0; i < R; ++i)
            for (std::size_t j = 0; j < n; ++j) start(sums[i][j], starts + j * kWidth);
        chain(Weights<W, S>{panels + begin / interleaved * place.step, place.step, jump}, x, begin, end, sums);
        for (std::size_t i = 0; i < R; ++i)
            for (std::size_t j = 0; j < n; ++j)
                add_to(z + i * p.z_stride + j * kWidth, sums[i][j], x, i, scales + j * kWidth);
        if (starts) starts += m.n_panels * kPanel;
    }
}

// As many of the rows from r on as go in such tiles; gives the row behind them.
template <class W>
LSTMGEN_NOINLINE std::size_t run(const Product<W>& p, void (*tile)(const Product<W>&, std::size_t), std::size_t size,
                                 std::size_t r) {
    for (; r + size <= p.rows; r += size) tile(p, r);
    return r;
}

// Rows of the tiles behind those of R: 6, 4, 2 and 1. Where kTilePanels are more than one, fewer
// sizes for fewer panels, which are rare.
constexpr std::size_t fewer_rows(std::size_t R, std::size_t P) {
    if (R > 4 && (P == 4 || kOnePanel)) return 4;
    return R > 2 && (P > 1 || kOnePanel) ? 2 : 1;
}

// The rows from r on in tiles of R, and what is left in smaller ones.
template <std::size_t R, std::size_t P, class W>
inline void rows_from(std::size_t r, const Product<W>& p) {
    r = run(p, tile<R, P, P, W>, R, r);
    if constexpr (R > 1) rows_from<fewer_rows(R, P), P>(r, p);
}

// All rows times P panels. Panels outside, rows inside: a panel stays in the first-level cache
// while all rows pass.
template <std::size_t P, class W>
inline void panels_times_rows(Product<W>& p) {
    rows_from<Kind<W>::tile_rows, P>(0, p);
    p.advance(P);
}

// One row times kRowPanels panels or a few less, of which S lie side by side: enough at once to
// hide the latency of the multiply-add.
template <std::size_t S, class W>
inline void row_times_panels(Product<W>& p) {
    constexpr std::size_t panels = kRowPanels / S * S;
    for (; p.left() >= panels; p.advance(panels)) tile<1, panels, S>(p, 0);
}

// z (rows, z_stride) += x . panels [first, first + n_panels)
template <class W>
void multiply_panels(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                     float* z, std::size_t z_stride) {
    static_assert(kOnePanel || kTilePanels == 4);
    Product<W> p{m, first, first + n_panels, x, rows, z, z_stride};
    if constexpr (kOnePanel) {
        if (rows == 1) row_times_panels<1>(p);
    } else if (m.layout.adjacent_panels == 3) {
        if (rows == 1) row_times_panels<3>(p);
        while (p.left() >= 3) panels_times_rows<3>(p);
    } else {
        if (rows == 1) row_times_panels<4>(p);
        while (p.left() >= 4) panels_times_rows<4>(p);
        if (p.left() == 3) panels_times_rows<3>(p);
    }
    while (p.left() > 0) panels_times_rows<1>(p);
}

}  // namespace
}  // namespace lstmgen::kernels
