// What an instruction set provides. This is the only header that the kernels and the rest of the
// library share.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(_MSC_VER)
#define LSTMGEN_NOINLINE __declspec(noinline)
#else
#define LSTMGEN_NOINLINE __attribute__((noinline))
#endif

namespace lstmgen::kernels {

/// Outputs in a panel of a packed matrix, and units in a block of an LSTM layer.
constexpr std::size_t kPanel = 16;
/// Gates of an LSTM layer (i, f, c, o) and of a GRU layer (z, r, h).
constexpr std::size_t kGates = 4, kGruGates = 3;

/// The activations that are vectorised; all others are in activations.cpp.
enum class Function { linear, relu, sigmoid, hard_sigmoid, hard_sigmoid_keras2, tanh };

/// The type of the numbers of a matrix.
enum class WeightType { f32, bf16, int8 };

/// A weight of bf16 that is multiplied as bf16, not as a float.
enum class Bf16 : std::uint16_t {};
/// A weight of int8 in a matrix with four interleaved rows.
enum class Quad : std::int8_t {};

/// Stands for no row in place of the number of a row.
constexpr std::uint32_t kNoRow = 0xffffffff;

/// How a matrix lies in memory. Its columns are cut into panels of 16.
///
/// `interleaved_rows` rows (1, 2 or 4) form a group: the numbers of one column lie next to each
/// other, the upper row first. `adjacent_panels` panels form a block: a group of rows of one panel
/// is followed by the same group of the next panel. The last block may have fewer panels.
///
/// A matrix of 4 rows and 32 columns, 2 panels, where 20 stands for row 2, column 0 ("2,16": row 2,
/// column 16):
///
///     {1, 1}: floats, one panel after the other        {1, 2}: floats, two panels adjacent
///     panel 0   00  01  02 .. 0,15                     00  01 .. 0,15   0,16  0,17 .. 0,31
///               10  11  12 .. 1,15                     10  11 .. 1,15   1,16  1,17 .. 1,31
///               20  21  22 .. 2,15                     20  21 .. 2,15   2,16  2,17 .. 2,31
///               30  31  32 .. 3,15                     30  31 .. 3,15   3,16  3,17 .. 3,31
///     panel 1   0,16  0,17 .. 0,31
///               1,16  1,17 .. 1,31
///               2,16  2,17 .. 2,31
///               3,16  3,17 .. 3,31
///
///     {2, 1}: bf16 or int8 in pairs                    {4, 2}: int8 in quads, two panels adjacent
///     panel 0   00 10  01 11 .. 0,15 1,15              00 10 20 30 .. 3,15  0,16 1,16 .. 3,31
///               20 30  21 31 .. 2,15 3,15
///     panel 1   0,16 1,16 .. 0,31 1,31
///               2,16 3,16 .. 2,31 3,31
struct Layout {
    std::size_t interleaved_rows, adjacent_panels;

    /// Whether four rows are interleaved, for products of bytes.
    constexpr bool quads() const { return interleaved_rows == 4; }
};

struct Matrix;
struct Rows;

/// How the numbers that a matrix is multiplied with are rounded before.
enum class Rounding {
    none,
    bf16,        ///< to the nearest bfloat16, as floats; numbers below kLeastBf16 to zero
    bf16_pairs,  ///< to the same bfloat16, as 16 bits each
    int16,       ///< to integers: multiples of the greatest magnitude of the row / 32767
    bytes,       ///< to the same integers plus 32768: the upper bytes of a row, then the lower ones
    tiles,       ///< many rows: to the integers, as Rows::tiles says; few rows: as `bytes`
};

/// Where a product goes: z (rows, stride) = from (rows, from_stride) + the product. `from` may be
/// z.
struct Sums {
    float* z;
    std::size_t stride;
    const float* from;
    std::size_t from_stride;  // 0: the same row for all
};

/// sums = x (rows, k) . matrix, for its panels [first, first + n_panels). Column 0 of the sums is
/// the first column of panel `first`.
using Multiply = void(const Matrix& matrix, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                      const Sums& sums);

/// A product of rounded numbers.
struct RoundedProduct {
    Rounding rounding;
    Multiply* multiply;
};

/// A matrix of the shape (k, 16 n_panels). Panel p holds the columns [16 p, 16 p + 16), and
/// place_of tells where it lies. Rows of zeros fill k up to a multiple of layout.interleaved_rows.
/// Products start at a panel that is a multiple of layout.adjacent_panels. They take a multiple of
/// as many panels, or all that are left.
///
/// With int8, the value of a weight is its integer times the scale of its column. Sums of kIntChain
/// products are exact.
struct Matrix {
    const void* panels;  // (k, 16 n_panels) in the order of `layout`, 64-byte aligned
    std::size_t k, n_panels;
    WeightType type;
    Layout layout;
    RoundedProduct rounded;  // for int8, and for bf16 if its inputs are rounded; else empty
    const float* scales;     // (16 n_panels), for int8
    // (chains, 16 n_panels), for quads: -32768 times the sum of the weights of a chain, mod 2^32.
    const std::int32_t* starts;
    // With int8, rows of integers up to 32767 are not rounded, so one-hot equals a gathered row.
    bool keeps_integers;
};

/// Where a panel lies in Matrix::panels: `at` numbers before its first row, and `step` numbers from
/// one group of interleaved rows to the next.
struct Place {
    std::size_t at, step;
};
/// Returns the place of a panel of a matrix (k, 16 n_panels). It is static, so that each file has
/// its own: see kernels.inl.
static constexpr Place place_of(std::size_t panel, Layout layout, std::size_t k, std::size_t n_panels) {
    // A power of two, so that this takes no division.
    const std::size_t rows = (k + layout.interleaved_rows - 1) & ~(layout.interleaved_rows - 1);
    const std::size_t first = panel / layout.adjacent_panels * layout.adjacent_panels, left = n_panels - first;
    const std::size_t adjacent = left < layout.adjacent_panels ? left : layout.adjacent_panels;
    return {(first * rows + (panel - first) * layout.interleaved_rows) * kPanel,
            adjacent * layout.interleaved_rows * kPanel};
}

/// Rows that most products multiply together. Other products have a divisor of it.
constexpr std::size_t kTileOfRows = 6;
/// Rows of a tile of AMX, and the bytes of each.
constexpr std::size_t kAmxRows = 16, kAmxBytes = 64;
/// Rows of which a tile has room for both the upper and the lower bytes.
constexpr std::size_t kFewAmxRows = kAmxRows / 2;

/// Returns the rows of a chunk when `rows` rows are cut into chunks of at most `most`. The chunks
/// are equal up to whole tiles of `tile` rows. A small last chunk would read all weights for a few
/// rows. The function is static, as place_of is.
static constexpr std::size_t chunk_of(std::size_t rows, std::size_t most, std::size_t tile = kTileOfRows) {
    if (rows <= most) return rows;
    const std::size_t chunks = (rows + most - 1) / most, equal = (rows + chunks - 1) / chunks;
    const std::size_t tiles = (equal + tile - 1) / tile * tile;
    return tiles < most ? tiles : most;
}

/// Rows that are multiplied with a matrix. They are floats in `x`, or numbers of 16 bits in
/// `rounded`; the other one is null.
struct Rows {
    const float* x;  // (rows, stride)
    std::size_t stride;
    const std::int16_t* rounded;  // (rows, rounded_stride), zeros after the k-th number
    std::size_t rounded_stride;
    const float* scales;  // (rows), for integers; else null
    // Whether `rounded` is cut into tiles of kAmxRows rows and kAmxBytes numbers: all tiles of the
    // first rows, then those of the next ones. A tile is the upper bytes (kAmxRows, kAmxBytes),
    // then the lower ones. If kFewAmxRows rows or fewer are last, a tile of theirs is the upper
    // bytes (kFewAmxRows, kAmxBytes), then the lower ones, both of the integers plus 32768. What is
    // after the last row, and after the k-th number, is undefined.
    bool tiles = false;
};

/// Weights and inputs of bf16 below this count as zero. So products and sums are multiples of
/// 2^-126, and none is subnormal: vdpbf16ps takes subnormal numbers for zero.
constexpr float kLeastBf16 = 0x1p-56f;

/// Multiply-adds in one chain of floats, and in one of integers. 512 * 128 * 32767 fits 31 bits.
constexpr std::size_t kFloatChain = 128, kIntChain = 512;

/// Returns the numbers from one rounded row of k numbers to the next.
constexpr std::size_t rounded_stride(std::size_t k) { return (k + kAmxBytes - 1) / kAmxBytes * kAmxBytes; }

/// Floats of memory for the scale of a rounded row. They are more than 1, so that rows stay
/// aligned.
constexpr std::size_t kRoundedScale = 16;

/// Returns the floats of memory for rounding `rows` rows of k numbers, with any Rounding.
constexpr std::size_t rounded_size(std::size_t k, std::size_t rows) {
    return rows * (kRoundedScale + rounded_stride(k));
}

/// One time step of a SimpleRNN layer for `rows` lanes. The steps of the other layers share these
/// members.
///
/// Pre-activations have the shape (rows, 16 * gates * blocks) in packed order: for each block of 16
/// units 16 numbers of each gate. They start as `start`. Then the kernel row of `ids` is added (if
/// ids is not null, nor the id kNoRow), then `x . kernel` (if x is not null), then `h_prev .
/// recurrent`. Each product has the order of products.inl.
struct RnnStep {
    std::size_t rows;
    std::size_t blocks;   // of 16 units
    Function activation;  // any for one gate; with more, linear, relu, sigmoid or tanh
    // (rows, start_stride), or (start_period, start_stride): the bias, or the bias plus the input
    // product.
    const float* start;
    std::size_t start_stride;  // 0: the same row for all lanes
    std::size_t start_period;  // above 0: lane i takes row (start_first + i) % start_period
    std::size_t start_first;
    Matrix kernel;             // (inputs, 16 * gates * blocks)
    const std::uint32_t* ids;  // (rows, id_stride), of which the first column counts; or null
    std::size_t id_stride;
    const float* x;  // (rows, x_stride), of which kernel.k columns count; or null
    std::size_t x_stride;
    Matrix recurrent;     // (16 * blocks, 16 * gates * blocks)
    const float* h_prev;  // (rows, h_stride)
    float* h;             // (rows, h_stride)
    std::size_t h_stride;
    // (rounded_size of x + that of h_prev + that of h for `candidate`), one after the other.
    float* rounded;
};

/// One time step of an LSTM layer: the gates i, f, c, o.
struct LstmStep : RnnStep {
    Function recurrent_activation;  // sigmoid, hard_sigmoid or hard_sigmoid_keras2
    float* c;                       // (rows, h_stride)
};

/// Lanes of a GRU step that are in working memory at once.
constexpr std::size_t kGruRows = 64;

/// One time step of a GRU layer: the gates z, r, h. The recurrent product is not added to the
/// pre-activations but summed apart, from `recurrent_start` on.
struct GruStep : RnnStep {
    Function recurrent_activation;  // as in LstmStep
    bool reset_after;               // r * (h . U) instead of (r * h) . U
    const float* recurrent_start;   // (16 * blocks * gates of `recurrent`), in packed order
    // (16 * blocks, 16 * blocks), gate h, unless reset_after. Without reset_after, `recurrent` has
    // only the gates z and r.
    Matrix candidate;
    float* working;  // (min(rows, kGruRows), 32 * blocks), unless reset_after
};

/// The functions and layouts of one instruction set.
struct KernelTable {
    const char* name;

    /// How matrices of each WeightType must lie.
    Layout layouts[3];

    /// z (rows, z_stride) += x (rows, x_stride) . matrix, for the first n_panels panels. `rounded`
    /// has room for rounded_size(matrix.k, rows) floats.
    void (*gemm)(const Matrix& matrix, std::size_t n_panels, const float* x, std::size_t x_stride, std::size_t rows,
                 float* z, std::size_t z_stride, float* rounded);

    /// The products of rounded numbers with matrices of bf16 and of int8.
    RoundedProduct bf16, int8;

    /// Row r of z (rows, z_stride) += row ids[r * id_stride] of the matrix, for the first n_panels
    /// panels. kNoRow adds nothing.
    void (*gather)(const Matrix& matrix, std::size_t n_panels, const std::uint32_t* ids, std::size_t id_stride,
                   std::size_t rows, float* z, std::size_t z_stride);

    void (*lstm_step)(const LstmStep& step);
    void (*gru_step)(const GruStep& step);
    void (*rnn_step)(const RnnStep& step);

    /// x (n) = function(x), n a multiple of 16. Against the exact function, tanh and sigmoid (x >=
    /// -87) are wrong by at most 3 units in the last place, and sigmoid below -87 by at most 1e-37.
    /// The others are exact up to one rounding for each operation.
    void (*activate)(Function function, float* x, std::size_t n);

    /// Makes zeros of the numbers in x (n) with a magnitude below `least`, which is above 0.
    void (*drop_below)(float least, float* x, std::size_t n);

    /// x (n) = e^x, as exp_portable. Returns their sum, added from the first to the last.
    double (*exponentials)(double* x, std::size_t n);

    // The next two measure what the machine can do at best: see limits.cpp.
    /// Does `rounds` rounds of fused multiply-adds in registers. Returns the number of
    /// multiply-adds.
    double (*fma_peak)(std::size_t rounds);
    /// Reads `data` (n bytes), n a multiple of 1024, with vector loads. The result only keeps the
    /// compiler from leaving the reads out.
    float (*read)(const void* data, std::size_t n);
};

/// Returns whether lstm_step and gru_step have this pair of activations. rnn_step has no gate: it
/// asks with any activation of a gate.
constexpr bool fused_step_has(Function activation, Function recurrent_activation) {
    const bool gate = recurrent_activation == Function::sigmoid || recurrent_activation == Function::hard_sigmoid ||
                      recurrent_activation == Function::hard_sigmoid_keras2;
    const bool cell = activation == Function::linear || activation == Function::relu ||
                      activation == Function::sigmoid || activation == Function::tanh;
    return gate && cell;
}

extern const KernelTable baseline_table;
#if defined(__x86_64__) || defined(_M_X64)
extern const KernelTable avx2_table;
extern const KernelTable avx512_table;
extern const KernelTable avx512vnni_table;
extern const KernelTable avx512bf16_table;
extern const KernelTable avx512amx_table;  // if LSTMGEN_AMX is defined
Multiply avx2_int8, avx512vnni_int8, avx512bf16_bf16, avx512amx_int8;
#elif defined(__aarch64__) || defined(_M_ARM64)
extern const KernelTable neon_table;
extern const KernelTable neondot_table;
extern const KernelTable neoni8mm_table;
Multiply neondot_int8, neoni8mm_int8;
#elif defined(__EMSCRIPTEN__)
extern const KernelTable simd128_table;
#endif

}  // namespace lstmgen::kernels
