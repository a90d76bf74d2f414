// Products of rows with packed matrices, over the primitives of a vec_<isa>.hpp.
//
// All products add in one order, for one row and for many, whatever the vector width. The terms of
// a sum form chains of kFloatChain fused multiply-adds. In a chain k ascends, from a sum of zero.
// The sums of the chains are added to the output in order. With bf16, k ascends by pairs, and the
// second of a pair comes first, as in vdpbf16ps. So results are the same bits on every instruction
// set and for any number of lanes. Chains also keep rounding errors small: one chain of 600 terms
// would have 2 to 3 times the error of Keras. Products with int8 are sums of integers in chains of
// kIntChain, exact in any order.
//
// The including file provides <cstring>; Vec, kWidth, load, load_low, load_high, store, prefetch,
// set, fma, mul, add; Ints, Pairs, zero_ints, load_pairs, set_pair, add_dot, to_floats; and the
// sizes of tiles. A tile of many rows is kTileRows x kTilePanels, a tile of one row is 1 x
// kRowPanels. kTilePanels panels are adjacent in memory, or fewer (Layout).

namespace lstmgen::kernels {
namespace {

constexpr std::size_t kVecs = kPanel / kWidth;  // vectors in one row of a panel
constexpr bool kOnePanel = kTilePanels == 1;    // whether a tile has one panel

// Returns the sums from row r and column `column` on.
inline Sums sums_after(const Sums& s, std::size_t r, std::size_t column) {
    return {s.z + r * s.stride + column, s.stride, s.from + r * s.from_stride + column, s.from_stride};
}

// Returns the rows of x from row r on. If x is in tiles, r is a multiple of kAmxRows.
inline Rows rows_after(const Rows& x, std::size_t r) {
    if (!x.rounded) return {x.x + r * x.stride, x.stride, nullptr, 0, nullptr};
    return {nullptr, 0, x.rounded + r * x.rounded_stride, x.rounded_stride, x.scales ? x.scales + r : nullptr, x.tiles};
}

// The constants of a kind of weights W: rows that are interleaved, multiply-adds in a chain, rows
// of a tile, panels of a tile of one row; and Sum, the type that a chain sums in. This is the kind
// of two interleaved rows.
template <class W>
struct Kind {
    using Sum = Vec;
    static constexpr std::size_t rows = 2, chain = kFloatChain, tile_rows = kTileRows, row_panels = kRowPanels;

    // Returns the pair of rounded numbers (i, i + 1) of `row` (stride) in all elements of a vector.
    // The rows i and i + 1 of the weights are multiplied with it.
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

// Sets a sum to its start, which is zero but for quads.
inline void start(Vec& sum, const std::int32_t*) { sum = set(0.0f); }
inline void start(Ints& sum, const std::int32_t*) { sum = zero_ints(); }
// z (kWidth) = from (kWidth) + sum, which belongs to row r of x. `scales` (kWidth) are those of the
// columns.
inline void add_to(float* z, const float* from, Vec sum, const Rows&, std::size_t, const float*) {
    store(z, add(load(from), sum));
}
inline void add_to(float* z, const float* from, Ints sum, const Rows& x, std::size_t r, const float* scales) {
    store(z, add(load(from), mul(to_floats(sum), mul(set(x.scales[r]), load(scales)))));
}

// sums (R rows, N vectors) += number i of each row of x times w (N vectors).
template <std::size_t R, std::size_t N>
inline void multiply(const Rows& x, std::size_t i, const Vec (&w)[N], Vec (&sums)[R][N]) {
    for (std::size_t r = 0; r < R; ++r) {
        const Vec a = set(x.x[r * x.stride + i]);
        for (std::size_t j = 0; j < N; ++j) sums[r][j] = fma(a, w[j], sums[r][j]);
    }
}

// The weights that a chain multiplies with: N vectors of one group of rows, across several panels.
// S panels are adjacent in memory.
template <class W, std::size_t S>
struct Weights {
    const W* at;       // the group of the first panel; numbers in the order of Layout
    std::size_t step;  // numbers to the next group of rows
    std::size_t jump;  // numbers to the next S panels
    const W* ahead;    // what the next chain reads: the second-level cache gets it meanwhile
    std::size_t pace;  // numbers of `ahead` for a group of rows

    // Moves on to the next group, in a tile of R rows.
    template <std::size_t R>
    void next() {
        at += step;
        if constexpr (R != Kind<W>::tile_rows || S == 1) return;
        prefetch(ahead);
        ahead += pace;
    }

    const W* operator[](std::size_t j) const {
        return at + j / (S * kVecs) * jump + j % (S * kVecs) * kWidth * Kind<W>::rows;
    }
};

// One chain: sums (R rows, N vectors) += x . weights, for the k in [begin, end). `weights` starts
// at row `begin` of the matrix. This is the chain of float weights.
template <std::size_t S, std::size_t R, std::size_t N>
inline void chain(Weights<float, S> weights, const Rows& x, std::size_t begin, std::size_t end, Vec (&sums)[R][N]) {
    for (std::size_t i = begin; i < end; ++i, weights.template next<R>()) {
        Vec w[N];
        for (std::size_t j = 0; j < N; ++j) w[j] = load(weights[j]);
        multiply(x, i, w, sums);
    }
}

// The same with weights of bf16, which are multiplied as floats.
template <std::size_t S, std::size_t R, std::size_t N>
inline void chain(Weights<std::uint16_t, S> weights, const Rows& x, std::size_t begin, std::size_t end,
                  Vec (&sums)[R][N]) {
    Vec w[N];
    std::size_t i = begin;
    for (; i + 1 < end; i += 2, weights.template next<R>()) {
        if constexpr (R == 1) {  // vector by vector: N vectors of weights would not fit registers
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

// The same with rounded numbers: pairs of int8 times int16, pairs of bf16, quads of int8 times
// bytes.
template <class W, std::size_t S, class Sum, std::size_t R, std::size_t N>
inline void chain(Weights<W, S> weights, const Rows& x, std::size_t begin, std::size_t end, Sum (&sums)[R][N]) {
    const auto numbers = [&](std::size_t r, std::size_t i) {
        return Kind<W>::numbers(x.rounded + r * x.rounded_stride, x.rounded_stride, i);
    };
    for (std::size_t i = begin; i < end; i += Kind<W>::rows, weights.template next<R>()) {
        if constexpr (R == 1) {  // vector by vector, as above
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

// A product of rows with the panels [first, last) of a matrix.
template <class W>
struct Product {
    const Matrix& m;
    std::size_t first, last;  // panels
    const Rows& x;            // (rows, k)
    std::size_t rows;
    Sums sums;                         // (rows), from the column of panel `first` on
    std::size_t begin = 0, end = m.k;  // rows of the matrix that tiles multiply with: whole chains
    // Numbers of the next chain that a tile of tile_rows prefetches with a group of rows. All tiles
    // together go through it once. Spread like this, it costs small matrices nothing.
    std::size_t pace = kOnePanel ? 0 : kTilePanels * kPanel * Kind<W>::rows * Kind<W>::tile_rows / rows + 1;

    std::size_t left() const { return last - first; }
    void advance(std::size_t panels) {
        first += panels;
        sums = sums_after(sums, 0, panels * kPanel);
    }
};

// Tiles of R rows and P panels from row r on, while whole ones fit; one tile, if R is 1. S of the
// panels are adjacent in memory. The sums of a chain stay in registers. Only the first chain adds
// to `from`. Returns the row after the tiles. Each size has its own function: a common one would
// run out of registers. The loop over rows is inside, since finding the panels takes as long as 40
// multiply-adds. A tile of one row multiplies with all chains of the product, others with one.
template <std::size_t R, std::size_t P, std::size_t S, class W>
LSTMGEN_NOINLINE std::size_t tiles(const Product<W>& p, std::size_t r) {
    constexpr std::size_t n = P * kVecs, length = Kind<W>::chain, interleaved = Kind<W>::rows;
    const Matrix& m = p.m;
    const Place place = place_of(p.first, m.layout, m.k, m.n_panels);
    const W* at = static_cast<const W*>(m.panels) + place.at + p.begin / interleaved * place.step;
    const std::size_t jump = S < P ? place_of(p.first + S, m.layout, m.k, m.n_panels).at - place.at : 0;
    const float* const scales = m.scales ? m.scales + p.first * kPanel : nullptr;
    const std::int32_t* starts = m.starts ? m.starts + (p.begin / length * m.n_panels + p.first) * kPanel : nullptr;
    const float* from = p.begin > 0 ? p.sums.z : p.sums.from;
    const std::size_t from_stride = p.begin > 0 ? p.sums.stride : p.sums.from_stride;
    float* z = p.sums.z + r * p.sums.stride;
    from += r * from_stride;
    const W* ahead = at + length / interleaved * place.step;
    for (std::size_t begin = p.begin; R > 1 ? r + R <= p.rows : begin < p.end;) {
        const std::size_t end = R > 1 || p.end - begin < length ? p.end : begin + length;
        const Rows x = rows_after(p.x, r);
        typename Kind<W>::Sum sums[R][n];
        for (std::size_t i = 0; i < R; ++i)
            for (std::size_t j = 0; j < n; ++j) start(sums[i][j], starts + j * kWidth);
        chain(Weights<W, S>{at, place.step, jump, ahead, p.pace}, x, begin, end, sums);
        for (std::size_t i = 0; i < R; ++i)
            for (std::size_t j = 0; j < n; ++j)
                add_to(z + i * p.sums.stride + j * kWidth, from + i * from_stride + j * kWidth, sums[i][j], x, i,
                       scales + j * kWidth);
        if constexpr (R > 1) {
            r += R;
            ahead += length / interleaved * p.pace;
            z += R * p.sums.stride;
            from += R * from_stride;
        } else {
            begin = end;
            from = z;
            at += length / interleaved * place.step;
            if (starts) starts += m.n_panels * kPanel;
        }
    }
    return R > 1 ? r : r + 1;
}

// Returns the rows of the next smaller tile: 6, 4, 2 and 1. With several adjacent panels, the rare
// tiles of fewer panels have fewer sizes.
constexpr std::size_t fewer_rows(std::size_t R, std::size_t P) {
    if (R > 4 && (P == 4 || kOnePanel)) return 4;
    return R > 2 && (P > 1 || kOnePanel) ? 2 : 1;
}

// Multiplies the rows from r on in tiles of R rows, and the rest in smaller tiles.
template <std::size_t R, std::size_t P, class W>
inline void rows_from(std::size_t r, const Product<W>& p) {
    if constexpr (R > 1)
        rows_from<fewer_rows(R, P), P>(tiles<R, P, P>(p, r), p);
    else
        while (r < p.rows) r = tiles<R, P, P>(p, r);
}

// Multiplies all rows with P panels. The loops over panels and over chains are outside, the loop
// over rows inside. So the weights of a chain stay in the first-level cache while all rows pass.
template <std::size_t P, class W>
LSTMGEN_NOINLINE void panels_times_rows(Product<W>& p) {
    for (p.begin = 0; p.begin < p.m.k; p.begin = p.end) {
        p.end = p.m.k - p.begin < Kind<W>::chain ? p.m.k : p.begin + Kind<W>::chain;
        rows_from<Kind<W>::tile_rows, P>(0, p);
    }
    p.begin = 0;
    p.end = p.m.k;
    p.advance(P);
}

// Multiplies one row with row_panels panels at a time, or with a few less. S of them are adjacent
// in memory. This many sums at once hide the latency of the multiply-add.
template <std::size_t S, class W>
inline void row_times_panels(Product<W>& p) {
    constexpr std::size_t panels = Kind<W>::row_panels / S * S;
    for (; p.left() >= panels; p.advance(panels)) tiles<1, panels, S>(p, 0);
}

// sums = x . panels [first, first + n_panels). Column 0 of the sums is the first column of panel
// `first`.
template <class W>
void multiply_panels(const Matrix& m, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                     const Sums& sums) {
    static_assert(kOnePanel || kTilePanels == 4);
    Product<W> p{m, first, first + n_panels, x, rows, sums};
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
