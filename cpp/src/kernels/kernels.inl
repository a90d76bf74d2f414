// The only arithmetic. Written once over the primitives of a vec_<isa>.hpp, compiled once per instruction set.
//
// One summation order everywhere, in the product of one row and of many, whatever the vector width: k ascends in chains
// of kChain fused multiply-adds, each from zero, whose sums are added to the output one after the other. So results are
// the same bits on every instruction set and for any number of lanes; and the rounding errors of a long sum are those
// of a few short ones, which a single chain over 600 terms would make 2 to 3 times Keras's own.
//
// Needs from the including file: Vec, kWidth, load, load_bf16, store, set, fma, mul, add, sub, div, min, max,
// pow2_bits, the tile sizes kTileRows x kTilePanels (many rows) and kRowPanels (one row), and kCommonPair. Everything
// stays in an unnamed namespace: no symbol of a file compiled for one instruction set may be merged with that of
// another.

namespace lstmgen::kernels {
namespace {

constexpr std::size_t kVecs = kPanel / kWidth;  // vectors in one row of a panel
constexpr std::size_t kBlock = kGates * kPanel;

// ---- Functions ------------------------------------------------------------------------------------------------------

// N vectors that go through a function side by side: one alone would spend most of its time waiting for itself. A Vec
// among the operands is the same for all N.
template <std::size_t N>
struct Wide {
    Vec v[N];
};

inline Vec at(Vec a, std::size_t) { return a; }
template <std::size_t N>
inline Vec at(const Wide<N>& a, std::size_t i) {
    return a.v[i];
}

template <std::size_t N, class F>
inline Wide<N> each_of(F f) {
    Wide<N> r;
    for (std::size_t i = 0; i < N; ++i) r.v[i] = f(i);
    return r;
}

template <std::size_t N, class B, class C>
inline Wide<N> fma(const Wide<N>& a, const B& b, const C& c) {
    return each_of<N>([&](std::size_t i) { return fma(a.v[i], at(b, i), at(c, i)); });
}
template <std::size_t N, class B>
inline Wide<N> add(const Wide<N>& a, const B& b) {
    return each_of<N>([&](std::size_t i) { return add(a.v[i], at(b, i)); });
}
template <std::size_t N>
inline Wide<N> sub(const Wide<N>& a, Vec b) {
    return each_of<N>([&](std::size_t i) { return sub(a.v[i], b); });
}
template <std::size_t N>
inline Wide<N> mul(const Wide<N>& a, const Wide<N>& b) {
    return each_of<N>([&](std::size_t i) { return mul(a.v[i], b.v[i]); });
}
template <std::size_t N, class A, class B>
inline Wide<N> div(const A& a, const B& b) {
    return each_of<N>([&](std::size_t i) { return div(at(a, i), at(b, i)); });
}

// The constant comes first in min and max, so that a NaN in x stays one on every instruction set.
template <std::size_t N>
inline Wide<N> clamp(const Wide<N>& x, float low, float high) {
    return each_of<N>([&](std::size_t i) { return min(set(high), max(set(low), x.v[i])); });
}

template <std::size_t N>
struct Expm1Parts {
    Wide<N> scale;  // 2^n
    Wide<N> p;      // e^r - 1, where x = n ln 2 + r
};

// For -87.3 <= x <= 88.3 (n in [-126, 127]). p has a relative error under 1.5e-8 before rounding (minimax polynomial).
template <std::size_t N>
inline Expm1Parts<N> expm1_parts(const Wide<N>& x) {
    const Vec magic = set(12582912.0f + 127.0f);  // 1.5 * 2^23 rounds to an integer, 127 is the bias of the exponent
    const Wide<N> shifted = fma(x, set(1.44269504f), magic);
    const Wide<N> n = sub(shifted, magic);
    const Wide<N> r = fma(n, set(2.12194440e-4f), fma(n, set(-0.693359375f), x));
    Wide<N> q = fma(r, set(0x1.6b9d0ap-10f), set(0x1.12286ap-7f));
    q = fma(q, r, set(0x1.5556f4p-5f));
    q = fma(q, r, set(0x1.5554b0p-3f));
    q = fma(q, r, set(0x1.fffffep-2f));
    return {each_of<N>([&](std::size_t i) { return pow2_bits(shifted.v[i]); }), fma(mul(r, r), q, r)};
}

struct Linear {
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        return x;
    }
};
struct Relu {
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        return each_of<N>([&](std::size_t i) { return max(set(0.0f), x.v[i]); });
    }
};
struct Sigmoid {
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        const Wide<N> minus = each_of<N>([&](std::size_t i) { return sub(set(0.0f), x.v[i]); });
        const auto [scale, p] = expm1_parts(clamp(minus, -87.0f, 88.0f));
        return div<N>(set(1.0f), add(fma(scale, p, scale), set(1.0f)));
    }
};
struct HardSigmoid {
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        return div<N>(clamp(add(x, set(3.0f)), 0.0f, 6.0f), set(6.0f));
    }
};
struct HardSigmoidKeras2 {
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        return clamp(fma(x, set(0.2f), set(0.5f)), 0.0f, 1.0f);
    }
};
struct Tanh {  // (e^2x - 1) / (e^2x + 1), from e^2x - 1 without cancellation
    template <std::size_t N>
    static Wide<N> apply(const Wide<N>& x) {
        const auto [scale, p] = expm1_parts(clamp(add(x, x), -20.0f, 20.0f));
        const Wide<N> t = fma(scale, p, sub(scale, set(1.0f)));
        return div<N>(t, add(t, set(2.0f)));
    }
};

// Whichever `function` names: for the pairs that are rare, which are not worth a copy of each step.
struct Any {
    Function function;

    template <std::size_t N>
    LSTMGEN_NOINLINE Wide<N> apply(const Wide<N>& x) const {
        switch (function) {
            case Function::linear: return x;
            case Function::relu: return Relu::apply(x);
            case Function::sigmoid: return Sigmoid::apply(x);
            case Function::hard_sigmoid: return HardSigmoid::apply(x);
            case Function::hard_sigmoid_keras2: return HardSigmoidKeras2::apply(x);
            default: return Tanh::apply(x);
        }
    }
};

template <std::size_t N>
inline Wide<N> load_wide(const float* p) {
    return each_of<N>([&](std::size_t i) { return load(p + i * kWidth); });
}
template <std::size_t N>
inline void store_wide(float* p, const Wide<N>& a) {
    for (std::size_t i = 0; i < N; ++i) store(p + i * kWidth, a.v[i]);
}

// x[0..n) = f(x), n a multiple of 16.
template <class F>
inline void map(F f, float* x, std::size_t n) {
    constexpr std::size_t most = 4, panel = kPanel / kWidth, few = panel < most ? panel : most;
    std::size_t i = 0;
    for (; i + most * kWidth <= n; i += most * kWidth) store_wide(x + i, f.apply(load_wide<most>(x + i)));
    for (; i < n; i += few * kWidth) store_wide(x + i, f.apply(load_wide<few>(x + i)));
}

void activate(Function function, float* x, std::size_t n) {
    switch (function) {
        case Function::linear: return;
        case Function::relu: return map(Relu{}, x, n);
        case Function::sigmoid: return map(Sigmoid{}, x, n);
        case Function::hard_sigmoid: return map(HardSigmoid{}, x, n);
        case Function::hard_sigmoid_keras2: return map(HardSigmoidKeras2{}, x, n);
        case Function::tanh: return map(Tanh{}, x, n);
    }
}

// ---- Products -------------------------------------------------------------------------------------------------------

inline Vec load_weights(const float* w) { return load(w); }
inline Vec load_weights(const std::uint16_t* w) { return load_bf16(w); }

// Multiply-adds in one chain.
constexpr std::size_t kChain = 128;

// z (R rows, P panels) += x . panels. Each chain stays in registers.
template <std::size_t R, std::size_t P, class W>
inline void tile(const W* panels, std::size_t k, const float* x, std::size_t x_stride, float* z, std::size_t z_stride) {
    constexpr std::size_t n = P * kVecs;
    for (std::size_t begin = 0; begin < k; begin += kChain) {
        const std::size_t end = k - begin < kChain ? k : begin + kChain;
        Vec acc[R][n];
        for (std::size_t r = 0; r < R; ++r)
            for (std::size_t j = 0; j < n; ++j) acc[r][j] = set(0.0f);
        for (std::size_t i = begin; i < end; ++i) {
            Vec w[n];
            for (std::size_t p = 0; p < P; ++p)
                for (std::size_t v = 0; v < kVecs; ++v)
                    w[p * kVecs + v] = load_weights(panels + (p * k + i) * kPanel + v * kWidth);
            for (std::size_t r = 0; r < R; ++r) {
                const Vec a = set(x[r * x_stride + i]);
                for (std::size_t j = 0; j < n; ++j) acc[r][j] = fma(a, w[j], acc[r][j]);
            }
        }
        for (std::size_t r = 0; r < R; ++r)
            for (std::size_t j = 0; j < n; ++j) {
                float* const to = z + r * z_stride + j * kWidth;
                store(to, add(load(to), acc[r][j]));
            }
    }
}

// The last rows, fewer than kTileRows.
template <std::size_t R, std::size_t P, class W>
void tile_tail(std::size_t rows, const W* panels, std::size_t k, const float* x, std::size_t x_stride, float* z,
               std::size_t z_stride) {
    if constexpr (R > 0) {
        if (rows == R)
            tile<R, P>(panels, k, x, x_stride, z, z_stride);
        else
            tile_tail<R - 1, P>(rows, panels, k, x, x_stride, z, z_stride);
    }
}

// Panels outside, rows inside: a panel stays in the first-level cache while all rows pass.
template <std::size_t P, class W>
std::size_t panels_times_rows(const W* panels, std::size_t k, std::size_t first, std::size_t n_panels, const float* x,
                              std::size_t x_stride, std::size_t rows, float* z, std::size_t z_stride) {
    for (; first + P <= n_panels; first += P) {
        const W* const w = panels + first * k * kPanel;
        std::size_t r = 0;
        for (; r + kTileRows <= rows; r += kTileRows)
            tile<kTileRows, P>(w, k, x + r * x_stride, x_stride, z + r * z_stride + first * kPanel, z_stride);
        tile_tail<kTileRows - 1, P>(rows - r, w, k, x + r * x_stride, x_stride, z + r * z_stride + first * kPanel,
                                    z_stride);
    }
    return first;
}

template <class W>
void gemm_typed(const W* panels, std::size_t k, std::size_t n_panels, const float* x, std::size_t x_stride,
                std::size_t rows, float* z, std::size_t z_stride) {
    std::size_t p = 0;
    if (rows == 1) {  // enough panels at once to hide the latency of the multiply-add
        for (; p + kRowPanels <= n_panels; p += kRowPanels)
            tile<1, kRowPanels>(panels + p * k * kPanel, k, x, 0, z + p * kPanel, 0);
    }
    if constexpr (kTilePanels > 1)
        p = panels_times_rows<kTilePanels>(panels, k, p, n_panels, x, x_stride, rows, z, z_stride);
    if constexpr (kTilePanels > 3)  // a block of a GRU
        p = panels_times_rows<3>(panels, k, p, n_panels, x, x_stride, rows, z, z_stride);
    if constexpr (kTilePanels > 2) p = panels_times_rows<2>(panels, k, p, n_panels, x, x_stride, rows, z, z_stride);
    panels_times_rows<1>(panels, k, p, n_panels, x, x_stride, rows, z, z_stride);
}

void gemm_from(const Matrix& m, std::size_t first, std::size_t n_panels, const float* x, std::size_t x_stride,
               std::size_t rows, float* z, std::size_t z_stride) {
    const std::size_t offset = first * m.k * kPanel;
    if (m.type == WeightType::f32)
        gemm_typed(static_cast<const float*>(m.panels) + offset, m.k, n_panels, x, x_stride, rows, z, z_stride);
    else
        gemm_typed(static_cast<const std::uint16_t*>(m.panels) + offset, m.k, n_panels, x, x_stride, rows, z, z_stride);
}

template <class W>
void gather_typed(const W* panels, std::size_t k, std::size_t n_panels, const std::uint32_t* ids, std::size_t id_stride,
                  std::size_t rows, float* z, std::size_t z_stride) {
    for (std::size_t r = 0; r < rows; ++r) {
        const W* const row = panels + ids[r * id_stride] * kPanel;
        for (std::size_t p = 0; p < n_panels; ++p)
            for (std::size_t v = 0; v < kPanel; v += kWidth) {
                float* const to = z + r * z_stride + p * kPanel + v;
                store(to, add(load(to), load_weights(row + p * k * kPanel + v)));
            }
    }
}

void gather_from(const Matrix& m, std::size_t first, std::size_t n_panels, const std::uint32_t* ids,
                 std::size_t id_stride, std::size_t rows, float* z, std::size_t z_stride) {
    const std::size_t offset = first * m.k * kPanel;
    if (m.type == WeightType::f32)
        gather_typed(static_cast<const float*>(m.panels) + offset, m.k, n_panels, ids, id_stride, rows, z, z_stride);
    else
        gather_typed(static_cast<const std::uint16_t*>(m.panels) + offset, m.k, n_panels, ids, id_stride, rows, z,
                     z_stride);
}

// ---- Recurrent layers -----------------------------------------------------------------------------------------------

// Pre-activations of a group of blocks for a chunk of lanes live in a buffer that fits the first-level cache.
constexpr std::size_t kChunkRows = 96;
constexpr std::size_t kBuffer = kChunkRows * kBlock;

// z (rows, 16 * n_panels) = the step's start and input product, for some panels and the lanes from r on.
template <class Step>
inline void input_product(const Step& s, std::size_t first, std::size_t n_panels, std::size_t r, std::size_t rows,
                          float* z) {
    const std::size_t stride = n_panels * kPanel;
    for (std::size_t j = 0; j < rows; ++j)
        for (std::size_t v = 0; v < stride; v += kWidth)
            store(z + j * stride + v, load(s.start + (r + j) * s.start_stride + first * kPanel + v));
    if (s.ids) gather_from(s.kernel, first, n_panels, s.ids + r * s.id_stride, s.id_stride, rows, z, stride);
    if (s.x) gemm_from(s.kernel, first, n_panels, s.x + r * s.x_stride, s.x_stride, rows, z, stride);
}

// The pair that nearly all networks have is compiled into the steps, where arithmetic is so fast that it pays.
template <class F>
inline void with_activations(Function activation, Function recurrent_activation, F f) {
    if constexpr (kCommonPair)
        if (activation == Function::tanh && recurrent_activation == Function::sigmoid) return f(Tanh{}, Sigmoid{});
    f(Any{activation}, Any{recurrent_activation});
}

// Vectors that go through a cell side by side.
constexpr std::size_t kCellVecs = kVecs < 2 ? kVecs : 2;

// ---- LSTM -----------------------------------------------------------------------------------------------------------

// The gates of one block of 16 units, in place.
template <class Act, class Rec>
inline void gates(Act act, Rec rec, float* z) {
    map(rec, z, 2 * kPanel);
    map(act, z + 2 * kPanel, kPanel);
    map(rec, z + 3 * kPanel, kPanel);
}

// c = f * c + i * g, h = o * act(c), for one block.
template <class Act>
inline void cell(Act act, const float* z, float* c, float* h) {
    constexpr std::size_t n = kCellVecs;
    for (std::size_t v = 0; v < kPanel; v += n * kWidth) {
        const auto i = load_wide<n>(z + v), f = load_wide<n>(z + kPanel + v), g = load_wide<n>(z + 2 * kPanel + v);
        const auto state = fma(f, load_wide<n>(c + v), mul(i, g));
        store_wide(c + v, state);
        store_wide(h + v, mul(load_wide<n>(z + 3 * kPanel + v), act.apply(state)));
    }
}

template <class Act, class Rec>
void lstm_step_typed(const LstmStep& s, Act act, Rec rec) {
    alignas(64) float z[kBuffer];
    const std::size_t group = s.rows == 1 ? kBuffer / kBlock : 1;
    for (std::size_t b = 0; b < s.blocks; b += group) {
        const std::size_t blocks = s.blocks - b < group ? s.blocks - b : group;
        const std::size_t stride = blocks * kBlock;
        for (std::size_t r = 0; r < s.rows; r += kChunkRows) {
            const std::size_t rows = s.rows - r < kChunkRows ? s.rows - r : kChunkRows;
            input_product(s, b * kGates, blocks * kGates, r, rows, z);
            gemm_from(s.recurrent, b * kGates, blocks * kGates, s.h_prev + r * s.h_stride, s.h_stride, rows, z, stride);
            // All gates first: they do not wait for one another, as the cell does for its gates.
            for (std::size_t i = 0; i < rows * blocks; ++i) gates(act, rec, z + i * kBlock);
            for (std::size_t j = 0; j < rows; ++j)
                for (std::size_t i = 0; i < blocks; ++i) {
                    const std::size_t at = (r + j) * s.h_stride + (b + i) * kPanel;
                    cell(act, z + j * stride + i * kBlock, s.c + at, s.h + at);
                }
        }
    }
}

void lstm_step(const LstmStep& s) {
    with_activations(s.activation, s.recurrent_activation, [&](auto act, auto rec) { lstm_step_typed(s, act, rec); });
}

// ---- GRU ------------------------------------------------------------------------------------------------------------

constexpr std::size_t kGruGates = 3, kGruBlock = kGruGates * kPanel;
constexpr std::size_t kGruBuffer = kGruRows * kGruBlock;

// u (rows, stride) = start (stride), or zeros.
inline void start_rows(const float* start, std::size_t rows, std::size_t stride, float* u) {
    for (std::size_t j = 0; j < rows; ++j)
        for (std::size_t v = 0; v < stride; v += kWidth) store(u + j * stride + v, start ? load(start + v) : set(0.0f));
}

// a[0..n) = f(a + u)
template <class F>
inline void map_sum(F f, float* a, const float* u, std::size_t n) {
    constexpr std::size_t few = kVecs < 4 ? kVecs : 4;
    for (std::size_t v = 0; v < n; v += few * kWidth)
        store_wide(a + v, f.apply(add(load_wide<few>(a + v), load_wide<few>(u + v))));
}

// z * h + (1 - z) * g
template <std::size_t N>
inline Wide<N> blend(const Wide<N>& z, const Wide<N>& h, const Wide<N>& g) {
    const auto rest = each_of<N>([&](std::size_t i) { return sub(set(1.0f), z.v[i]); });
    return fma(z, h, mul(rest, g));
}

template <class Act, class Rec>
void gru_step_reset_after(const GruStep& s, Act act, Rec rec) {
    alignas(64) float a[kGruBuffer], u[kGruBuffer];  // products of the input and of h
    constexpr std::size_t n = kCellVecs;
    const std::size_t group = s.rows == 1 ? kGruRows : 1;
    for (std::size_t b = 0; b < s.blocks; b += group) {
        const std::size_t blocks = s.blocks - b < group ? s.blocks - b : group;
        const std::size_t stride = blocks * kGruBlock;
        for (std::size_t r = 0; r < s.rows; r += kGruRows) {
            const std::size_t rows = s.rows - r < kGruRows ? s.rows - r : kGruRows;
            input_product(s, b * kGruGates, blocks * kGruGates, r, rows, a);
            start_rows(s.recurrent_start + b * kGruBlock, rows, stride, u);
            gemm_from(s.recurrent, b * kGruGates, blocks * kGruGates, s.h_prev + r * s.h_stride, s.h_stride, rows, u,
                      stride);
            for (std::size_t i = 0; i < rows * blocks; ++i)
                map_sum(rec, a + i * kGruBlock, u + i * kGruBlock, 2 * kPanel);
            for (std::size_t j = 0; j < rows; ++j)
                for (std::size_t i = 0; i < blocks; ++i)
                    for (std::size_t v = 0; v < kPanel; v += n * kWidth) {
                        const float* const gate = a + j * stride + i * kGruBlock + v;
                        const auto reset = load_wide<n>(gate + kPanel);
                        const auto part = load_wide<n>(u + j * stride + i * kGruBlock + 2 * kPanel + v);
                        const auto g = act.apply(fma(reset, part, load_wide<n>(gate + 2 * kPanel)));
                        const std::size_t at = (r + j) * s.h_stride + (b + i) * kPanel + v;
                        store_wide(s.h + at, blend(load_wide<n>(gate), load_wide<n>(s.h_prev + at), g));
                    }
        }
    }
}

// All r must be known before the first h . U: what waits for it is in `working`, for each block z and the input product
// of h; r * h stands in the place of the new h.
template <class Act, class Rec>
void gru_step_reset_before(const GruStep& s, Act act, Rec rec) {
    alignas(64) float a[kGruBuffer], u[kGruBuffer];
    constexpr std::size_t n = kCellVecs, pair = 2 * kPanel;
    const std::size_t group = s.rows == 1 ? kGruRows : 1, group_h = s.rows == 1 ? kGruRows : kGruGates;
    const std::size_t working_stride = pair * s.blocks;
    for (std::size_t r = 0; r < s.rows; r += kGruRows) {
        const std::size_t rows = s.rows - r < kGruRows ? s.rows - r : kGruRows;
        const float* const h_prev = s.h_prev + r * s.h_stride;
        float* const h = s.h + r * s.h_stride;
        for (std::size_t b = 0; b < s.blocks; b += group) {
            const std::size_t blocks = s.blocks - b < group ? s.blocks - b : group;
            input_product(s, b * kGruGates, blocks * kGruGates, r, rows, a);
            start_rows(nullptr, rows, blocks * pair, u);
            gemm_from(s.recurrent, b * 2, blocks * 2, h_prev, s.h_stride, rows, u, blocks * pair);
            for (std::size_t i = 0; i < rows * blocks; ++i) map_sum(rec, a + i * kGruBlock, u + i * pair, pair);
            for (std::size_t j = 0; j < rows; ++j)
                for (std::size_t i = 0; i < blocks; ++i)
                    for (std::size_t v = 0; v < kPanel; v += kWidth) {
                        const float* const gate = a + (j * blocks + i) * kGruBlock + v;
                        float* const to = s.working + j * working_stride + (b + i) * pair + v;
                        const std::size_t at = j * s.h_stride + (b + i) * kPanel + v;
                        store(to, load(gate));
                        store(to + kPanel, load(gate + 2 * kPanel));
                        store(h + at, mul(load(gate + kPanel), load(h_prev + at)));
                    }
        }
        for (std::size_t b = 0; b < s.blocks; b += group_h) {
            const std::size_t blocks = s.blocks - b < group_h ? s.blocks - b : group_h;
            start_rows(nullptr, rows, blocks * kPanel, u);
            gemm_from(s.candidate, b, blocks, h, s.h_stride, rows, u, blocks * kPanel);
            for (std::size_t j = 0; j < rows; ++j)
                for (std::size_t i = 0; i < blocks; ++i)
                    for (std::size_t v = 0; v < kPanel; v += n * kWidth) {
                        float* const gate = s.working + j * working_stride + (b + i) * pair + v;
                        const auto part = load_wide<n>(u + (j * blocks + i) * kPanel + v);
                        const auto g = act.apply(add(load_wide<n>(gate + kPanel), part));
                        const auto before = load_wide<n>(h_prev + j * s.h_stride + (b + i) * kPanel + v);
                        store_wide(gate, blend(load_wide<n>(gate), before, g));
                    }
        }
        for (std::size_t j = 0; j < rows; ++j)
            for (std::size_t b = 0; b < s.blocks; ++b)
                for (std::size_t v = 0; v < kPanel; v += kWidth)
                    store(h + j * s.h_stride + b * kPanel + v, load(s.working + j * working_stride + b * pair + v));
    }
}

void gru_step(const GruStep& s) {
    with_activations(s.activation, s.recurrent_activation, [&](auto act, auto rec) {
        if (s.reset_after)
            gru_step_reset_after(s, act, rec);
        else
            gru_step_reset_before(s, act, rec);
    });
}

// ---- SimpleRNN ------------------------------------------------------------------------------------------------------

void rnn_step(const RnnStep& s) {
    alignas(64) float z[kBuffer];
    const std::size_t group = s.rows == 1 ? kBuffer / kPanel : kGates;
    for (std::size_t b = 0; b < s.blocks; b += group) {
        const std::size_t blocks = s.blocks - b < group ? s.blocks - b : group;
        const std::size_t stride = blocks * kPanel;
        for (std::size_t r = 0; r < s.rows; r += kChunkRows) {
            const std::size_t rows = s.rows - r < kChunkRows ? s.rows - r : kChunkRows;
            input_product(s, b, blocks, r, rows, z);
            gemm_from(s.recurrent, b, blocks, s.h_prev + r * s.h_stride, s.h_stride, rows, z, stride);
            activate(s.activation, z, rows * stride);
            for (std::size_t j = 0; j < rows; ++j)
                for (std::size_t v = 0; v < stride; v += kWidth)
                    store(s.h + (r + j) * s.h_stride + b * kPanel + v, load(z + j * stride + v));
        }
    }
}

void gemm(const Matrix& m, std::size_t n_panels, const float* x, std::size_t x_stride, std::size_t rows, float* z,
          std::size_t z_stride) {
    gemm_from(m, 0, n_panels, x, x_stride, rows, z, z_stride);
}

void gather(const Matrix& m, std::size_t n_panels, const std::uint32_t* ids, std::size_t id_stride, std::size_t rows,
            float* z, std::size_t z_stride) {
    gather_from(m, 0, n_panels, ids, id_stride, rows, z, z_stride);
}

// ---- Limits ---------------------------------------------------------------------------------------------------------

constexpr std::size_t kIndependent = 12;  // chains at once, so that latency does not count

double fma_peak(std::size_t rounds) {
    Vec acc[kIndependent];
    for (Vec& a : acc) a = set(0.5f);
    const Vec scale = set(0.999f), shift = set(0.001f);
    for (std::size_t i = 0; i < rounds; ++i)
        for (Vec& a : acc) a = fma(a, scale, shift);
    float out[kWidth], sum = 0.0f;
    for (const Vec& a : acc) {
        store(out, a);
        for (const float x : out) sum += x;
    }
    // The sum is positive, which the compiler does not know.
    return sum > 0.0f ? static_cast<double>(rounds * kIndependent * kWidth) : 0.0;
}

float read(const void* data, std::size_t n) {
    constexpr std::size_t vecs = 8;
    const float* const p = static_cast<const float*>(data);
    Vec acc[vecs];
    for (Vec& a : acc) a = set(0.0f);
    for (std::size_t i = 0; i < n / sizeof(float); i += vecs * kWidth)
        for (std::size_t j = 0; j < vecs; ++j) acc[j] = max(acc[j], load(p + i + j * kWidth));
    float out[kWidth], sum = 0.0f;
    for (const Vec& a : acc) {
        store(out, a);
        for (const float x : out) sum += x;
    }
    return sum;
}

constexpr KernelTable make_table(const char* name) {
    return {name, gemm, gather, lstm_step, gru_step, rnn_step, activate, fma_peak, read};
}

}  // namespace
}  // namespace lstmgen::kernels
