// What an instruction set provides. The only header that the kernels and the rest of the library
// share.
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

enum class WeightType { f32, bf16, int8 };

/// Weights of bf16 that are multiplied as such, not as floats; and of int8 of which four rows are
/// interleaved.
enum class Bf16 : std::uint16_t {};
enum class Quad : std::int8_t {};

/// In place of the number of a row: none.
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

/// What the numbers that a matrix is multiplied with are rounded to before.
enum class Rounding {
    none,
    bf16,        ///< bfloat16, to nearest; those below kLeastBf16 to zero
    bf16_pairs,  ///< the same, two side by side
    int16,       ///< each row to multiples of its own greatest magnitude / 32767
    bytes,       ///< the same, plus 32768: the upper bytes of a row, then the lower ones
};

/// z (rows, z_stride) += x . matrix, for its panels [first, first + n_panels).
using Multiply = void(const Matrix& matrix, std::size_t first, std::size_t n_panels, const Rows& x, std::size_t rows,
                      float* z, std::size_t z_stride);

/// A product of rounded numbers.
struct RoundedProduct {
    Rounding rounding;
    Multiply* multiply;
};

/// A (k, 16 n_panels) matrix: panel p holds the columns [16 p, 16 p + 16). Where it lies: place_of.
/// Its k is rounded up to a multiple of layout.interleaved_rows by zeros. Products take panels from
/// a multiple of layout.adjacent_panels on, and as many, or all.
///
/// With int8, a weight stands for itself times `scales` of its column. Sums of kIntChain products
/// are exact.
struct Matrix {
    const void* panels;  // 64-byte aligned
    std::size_t k, n_panels;
    WeightType type;
    Layout layout;
    RoundedProduct rounded;      // of the kernels in use; for int8, and for bf16 if its inputs are rounded
    const float* scales;         // (16 n_panels), of int8
    const std::int32_t* starts;  // (chains, 16 n_panels), of quads: -32768 times the sum of the weights, modulo 2^32
    bool keeps_integers;  // with int8, a row of integers up to 32767 is not rounded: one-hot is as a gathered row
};

/// Numbers before the first row of a panel; and to its next row, or rows that are interleaved. (A
/// function of each file that uses it: see kernels.inl.)
struct Place {
    std::size_t at, step;
};
static constexpr Place place_of(std::size_t panel, Layout layout, std::size_t k, std::size_t n_panels) {
    const std::size_t rows = (k + layout.interleaved_rows - 1) / layout.interleaved_rows * layout.interleaved_rows;
    const std::size_t first = panel / layout.adjacent_panels * layout.adjacent_panels, left = n_panels - first;
    const std::size_t adjacent = left < layout.adjacent_panels ? left : layout.adjacent_panels;
    return {(first * rows + (panel - first) * layout.interleaved_rows) * kPanel,
            adjacent * layout.interleaved_rows * kPanel};
}

/// Rows that are multiplied with a matrix: in floats, rounded or not, or in numbers of 16 bits.
struct Rows {
    const float* x;
    std::size_t stride;
    const std::int16_t* rounded;  // (rows, rounded_stride), filled up with zeros
    std::size_t rounded_stride;
    const float* scales;  // of the rows, for int16
};

/// Weights and inputs of bf16 below it count as zero. Their products are multiples of 2^-126, and
/// so are the sums: none is subnormal, which the instruction for such products takes for zero.
constexpr float kLeastBf16 = 0x1p-56f;

/// Multiply-adds in one chain: of floats, and of rounded numbers, where 512 * 128 * 32767 fits 31
/// bits.
constexpr std::size_t kFloatChain = 128, kIntChain = 512;

/// Numbers from one rounded row to the next.
constexpr std::size_t rounded_stride(std::size_t k) { return (k + 31) / 32 * 32; }

constexpr std::size_t kRoundedScale = 16;  // floats for the scale of a rounded row, so that all stay aligned

/// Floats of memory for rounding rows of k numbers, however it is done.
constexpr std::size_t rounded_size(std::size_t k, std::size_t rows) {
    return rows * (kRoundedScale + rounded_stride(k));
}

/// One time step of a SimpleRNN layer for `rows` lanes, and what those of the other layers share
/// with it.
///
/// Pre-activations are in packed order: for each block of 16 units the gates, 16 numbers each. Each
/// starts as `start`, then adds the kernel row of `ids` (if not null, nor kNoRow), then `x .
/// kernel` (if x is not null), then `h_prev . recurrent`, each product in the order of
/// products.inl.
struct RnnStep {
    std::size_t rows;
    std::size_t blocks;
    Function activation;       // any; with more gates than one linear, relu, sigmoid or tanh
    const float* start;        // (rows, 16 * gates * blocks): the bias, or the bias plus the input product
    std::size_t start_stride;  // 0: the same for all lanes
    std::size_t start_period;  // > 0: so many rows, lane i starts as row (start_first + i) % start_period
    std::size_t start_first;
    Matrix kernel;
    const std::uint32_t* ids;  // (rows, id_stride)
    std::size_t id_stride;
    const float* x;  // (rows, x_stride)
    std::size_t x_stride;
    Matrix recurrent;
    const float* h_prev;  // h_prev, h: (rows, h_stride)
    float* h;
    std::size_t h_stride;
    float* rounded;  // rounded_size of all that is multiplied: x, h_prev, and for `candidate` h
};

/// One time step of an LSTM layer: the gates i, f, c, o.
struct LstmStep : RnnStep {
    Function recurrent_activation;  // sigmoid, hard_sigmoid or hard_sigmoid_keras2
    float* c;                       // (rows, h_stride)
};

/// Lanes whose working memory a GRU step needs at once.
constexpr std::size_t kGruRows = 64;

/// One time step of a GRU layer: the gates z, r, h. The recurrent product has numbers of its own,
/// which start as `recurrent_start`.
struct GruStep : RnnStep {
    Function recurrent_activation;  // as in LstmStep
    bool reset_after;               // r * (h . U) instead of (r * h) . U
    const float* recurrent_start;   // (16 * blocks) for each gate of `recurrent`
    Matrix candidate;               // gate h, unless reset_after: `recurrent` then has z and r alone
    float* working;                 // (the lesser of rows and kGruRows, 32 * blocks), unless reset_after
};

struct KernelTable {
    const char* name;

    /// How the matrices must lie, by WeightType.
    Layout layouts[3];

    /// z (rows, z_stride) += x (rows, x_stride) . matrix, for the first n_panels panels. `rounded`:
    /// rounded_size of x.
    void (*gemm)(const Matrix& matrix, std::size_t n_panels, const float* x, std::size_t x_stride, std::size_t rows,
                 float* z, std::size_t z_stride, float* rounded);

    /// The products of rounded numbers with matrices of these types.
    RoundedProduct bf16, int8;

    /// z (rows, z_stride) += row ids[r * id_stride] of the matrix, or nothing for kNoRow, for the
    /// first n_panels panels.
    void (*gather)(const Matrix& matrix, std::size_t n_panels, const std::uint32_t* ids, std::size_t id_stride,
                   std::size_t rows, float* z, std::size_t z_stride);

    void (*lstm_step)(const LstmStep& step);
    void (*gru_step)(const GruStep& step);
    void (*rnn_step)(const RnnStep& step);

    /// x[0..n) = function(x), n a multiple of 16. Errors against the exact function: sigmoid (x >=
    /// -87) and tanh at most 3 units in the last place, sigmoid below -87 at most 1e-37; the others
    /// are exact up to one rounding an operation.
    void (*activate)(Function function, float* x, std::size_t n);

    // What the machine can do at best, to compare with: see limits.hpp.
    /// Multiply-adds of `rounds` rounds of nothing but fused multiply-adds in registers.
    double (*fma_peak)(std::size_t rounds);
    /// Reads n bytes, a multiple of 1024, with vector loads; the result keeps the compiler from
    /// leaving it out.
    float (*read)(const void* data, std::size_t n);
};

/// Whether lstm_step and gru_step have this pair; of rnn_step, the activation with any gate.
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
Multiply avx2_int8, avx512vnni_int8, avx512bf16_bf16;
#elif defined(__aarch64__) || defined(_M_ARM64)
extern const KernelTable neon_table;
#endif

}  // namespace lstmgen::kernels
