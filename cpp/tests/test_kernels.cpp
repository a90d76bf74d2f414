// Tests of the kernels: the same bits on every instruction set, and functions within their
// contracts.
#include <doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "aligned.hpp"
#include "environment.hpp"
#include "isa.hpp"
#include "kernels/kernel_table.hpp"
#include "lstmgen/lstmgen.hpp"
#include "packed_matrix.hpp"

using namespace lstmgen;
using namespace lstmgen::kernels;

#ifdef LSTMGEN_TEST_SIMDE
namespace lstmgen::kernels {
extern const KernelTable simde_table, simde_vnni_table, simde_bf16_table, simde_amx_table;
}
#endif

namespace {

std::vector<const KernelTable*> all_tables() {
    std::vector<const KernelTable*> tables = supported_kernels();
#ifdef LSTMGEN_TEST_SIMDE
    tables.insert(tables.begin(), {&simde_amx_table, &simde_bf16_table, &simde_vnni_table, &simde_table});
#endif
    return tables;
}

AlignedBuffer<float> random_floats(std::size_t n, std::uint32_t seed, float scale = 1.0f) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, scale);
    AlignedBuffer<float> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = normal(random);
    return values;
}

bool same_bits(const AlignedBuffer<float>& a, const AlignedBuffer<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.nbytes()) == 0;
}

AlignedBuffer<float> copy(const AlignedBuffer<float>& from) {
    AlignedBuffer<float> to(from.size());
    std::memcpy(to.data(), from.data(), from.nbytes());
    return to;
}

constexpr WeightType kWeightTypes[] = {WeightType::f32, WeightType::bf16, WeightType::int8};

// Random weights of some gates. f32 holds their values: (panels, k, 16).
struct Weights {
    Weights(std::size_t k, std::size_t panels, WeightType type, std::size_t gates = 1)
        : type(type),
          k(k),
          f32(random_floats(k * panels * kPanel, 7)),
          scales(random_floats(panels * kPanel, 9, 0.01f)),
          gates_(gates),
          columns_(panels * kPanel),
          stored_(k * columns_ * Tensor::bytes_of(type)),
          stored_scales_(columns_) {
        const std::size_t units = columns_ / gates;
        for (std::size_t column = 0; column < columns_; ++column) {
            const std::size_t to = packed_column(column / units, column % units, gates);
            stored_scales_[column] = scales[to];
            for (std::size_t i = 0; i < k; ++i) {
                float& weight = f32[(to / kPanel * k + i) * kPanel + to % kPanel];
                std::byte* const at = stored_.data() + (i * columns_ + column) * Tensor::bytes_of(type);
                if (type == WeightType::f32) {
                    std::memcpy(at, &weight, 4);
                } else if (type == WeightType::bf16) {
                    std::uint32_t bits;
                    std::memcpy(&bits, &weight, 4);
                    const auto upper = static_cast<std::uint16_t>(bits >> 16);
                    std::memcpy(at, &upper, 2);
                    bits &= 0xffff0000;
                    std::memcpy(&weight, &bits, 4);
                } else {
                    const auto step = static_cast<std::int8_t>(std::clamp(weight * 50.0f, -127.0f, 127.0f));
                    std::memcpy(at, &step, 1);
                    weight = step * scales[to];
                }
            }
        }
    }
    /// Sets all weights of int8, and their scales.
    void set_all(std::int8_t step, float scale) {
        std::memset(stored_.data(), step, stored_.nbytes());
        std::fill_n(stored_scales_.data(), columns_, scale);
    }
    /// With `exact`, rows are not rounded to bf16. With int8, rows of integers are not rounded.
    Matrix matrix(const KernelTable& table, bool exact = false) const {
        packed_.push_back(
            std::make_unique<PackedMatrix>(table, Tensor{k, columns_, type}, gates_, Use{exact, false, exact}));
        const std::size_t some = std::min<std::size_t>(k, 8);  // in two pieces
        packed_.back()->put(0, some, stored_.data());
        if (some < k)
            packed_.back()->put(some, k - some, stored_.data() + some * Tensor{1, columns_, type}.row_bytes());
        packed_.back()->finish({stored_scales_.data(), stored_scales_.data() + columns_});
        return packed_.back()->view(table);
    }

    WeightType type;
    std::size_t k;
    AlignedBuffer<float> f32, scales;

private:
    std::size_t gates_, columns_;
    AlignedBuffer<std::byte> stored_;  // as in a file
    AlignedBuffer<float> stored_scales_;
    mutable std::vector<std::unique_ptr<PackedMatrix>> packed_;
};

AlignedBuffer<float> rounded(std::size_t{1} << 20);  // memory for rounded rows of all products

// Returns x as a bf16: rounded to nearest, ties to even; zero below kLeastBf16.
template <class T>
T to_bf16(T x) {
    if (std::abs(x) < kLeastBf16) return 0;
    int exponent;
    std::frexp(x, &exponent);
    return std::ldexp(std::nearbyint(std::ldexp(x, 8 - exponent)), exponent - 8);
}

// Returns the greatest error of a product with weights of this type, relative to its size. It is
// against the exact product of the rounded rows.
double epsilon(WeightType type) { return type == WeightType::int8 ? 1e-3 : 2e-5; }

constexpr Function kActivations[] = {Function::linear, Function::relu, Function::sigmoid, Function::tanh};
constexpr Function kGateActivations[] = {Function::sigmoid, Function::hard_sigmoid, Function::hard_sigmoid_keras2};

// The members that the steps of all recurrent layers share.
template <class Step>
void set_common(Step& s, const KernelTable& table, std::size_t rows, std::size_t blocks, Function activation,
                const AlignedBuffer<float>& bias, const Weights& kernel, const AlignedBuffer<float>& x,
                std::size_t inputs, const Weights& recurrent, const AlignedBuffer<float>& h_prev,
                AlignedBuffer<float>& h) {
    s.rows = rows;
    s.blocks = blocks;
    s.activation = activation;
    s.start = bias.data();
    s.kernel = kernel.matrix(table);
    s.x = x.data();
    s.x_stride = inputs;
    s.recurrent = recurrent.matrix(table);
    s.h_prev = h_prev.data();
    s.h = h.data();
    s.h_stride = blocks * kPanel;
    s.rounded = rounded.data();
}

double exact(Function f, double x) {
    switch (f) {
        case Function::linear: return x;
        case Function::relu: return std::max(x, 0.0);
        case Function::sigmoid: return 1.0 / (1.0 + std::exp(-x));
        case Function::hard_sigmoid: return std::clamp(x + 3.0, 0.0, 6.0) / 6.0;
        case Function::hard_sigmoid_keras2: return std::clamp(0.2 * x + 0.5, 0.0, 1.0);
        case Function::tanh: return std::tanh(x);
    }
    return 0.0;
}

// Returns gate g, unit j of start + x . w in double. x is rounded for bf16. start may be null.
template <class T>
double pre_activation(const float* start, const T* x, const Weights& w, std::size_t gates, std::size_t g,
                      std::size_t j) {
    const std::size_t panel = j / kPanel * gates + g;
    double sum = start ? start[panel * kPanel + j % kPanel] : 0.0;
    for (std::size_t k = 0; k < w.k; ++k) {
        const double number = w.type == WeightType::bf16 ? to_bf16(x[k]) : x[k];
        sum += number * w.f32[(panel * w.k + k) * kPanel + j % kPanel];
    }
    return sum;
}

double ulp(float y) { return std::nextafter(std::abs(y), HUGE_VALF) - static_cast<double>(std::abs(y)); }

// Returns a * b + c, rounded once.
float fused(float a, float b, float c) {
#if defined(__MINGW32__)  // whose fmaf rounds twice: here the sum is rounded to odd in between
    const double product = double(a) * b, sum = product + c, back = sum - product;
    const double error = (product - (sum - back)) + (c - back);
    std::uint64_t bits;
    std::memcpy(&bits, &sum, sizeof bits);
    if (error != 0.0 && bits % 2 == 0) bits = (error > 0) == (sum > 0) ? bits + 1 : bits - 1;
    double odd;
    std::memcpy(&odd, &bits, sizeof odd);
    return static_cast<float>(odd);
#else
    return std::fma(a, b, c);
#endif
}

}  // namespace

TEST_CASE("a product adds up chains of 128 fused multiply-adds in one order on every instruction set") {
    struct Kind {
        WeightType type;
        bool exact;
    };
    const auto check = [](const KernelTable& table, Kind kind, std::size_t rows, std::size_t panels, std::size_t k) {
        const Weights w(k, panels, kind.type);
        const bool bf16 = kind.type == WeightType::bf16;
        const auto x = random_floats(rows * k, 1);
        auto z = random_floats(rows * panels * kPanel, 2);
        auto want = copy(z);
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t j = 0; j < panels * kPanel; ++j)
                for (std::size_t begin = 0; begin < k; begin += 128) {
                    float chain = 0.0f;
                    for (std::size_t i = begin; i < std::min(k, begin + 128); ++i) {
                        const std::size_t other = i ^ 1,
                                          at = bf16 && other < k ? other : i;  // second first
                        const float number = x[r * k + at];
                        chain = fused(bf16 && !kind.exact ? to_bf16(number) : number,
                                      w.f32[(j / kPanel * k + at) * kPanel + j % kPanel], chain);
                    }
                    want[r * panels * kPanel + j] += chain;
                }
        table.gemm(w.matrix(table, kind.exact), panels, x.data(), k, rows, z.data(), panels * kPanel, rounded.data());
        CAPTURE(std::string(table.name));
        CAPTURE(rows);
        CAPTURE(panels);
        CAPTURE(k);
        REQUIRE(same_bits(z, want));
    };
    for (const KernelTable* table : all_tables())
        for (const Kind kind : {Kind{WeightType::f32, true}, {WeightType::bf16, true}, {WeightType::bf16, false}})
            for (const std::size_t rows : {1, 2, 5, 6, 7, 13})
                for (const std::size_t panels : {1, 3, 4, 8, 9})
                    for (const std::size_t k : {1, 2, 17, 128, 300}) check(*table, kind, rows, panels, k);
}

TEST_CASE("products of bf16 are the same bits on every set for numbers of any size, also those that are not finite") {
    constexpr std::size_t k = 37, columns = 2 * kPanel, rows = 7;
    std::mt19937 random(3);
    const auto any = [&](std::uint32_t exponents) {  // in steps of 2, from 2^-127 on
        const auto bits = static_cast<std::uint32_t>((random() & 0x807fffff) | (random() % exponents) << 24);
        float value;
        std::memcpy(&value, &bits, sizeof value);
        return value;
    };
    const float special[] = {HUGE_VALF, -HUGE_VALF, std::nanf(""), -0.0f, 0x1p-56f, 0x1.fep-57f, 1e-45f, 3.4e38f};
    for (const std::uint32_t exponents : {36u, 60u, 127u})
        for (const float other : special) {
            std::vector<std::uint16_t> weights(k * columns);
            for (auto& w : weights) {
                const float value = any(exponents);
                std::memcpy(&w, reinterpret_cast<const std::byte*>(&value) + 2, sizeof w);
            }
            std::vector<float> x(rows * k);
            for (float& value : x) value = any(exponents);
            x[2 * k + 5] = other;
            const auto product = [&](const KernelTable& table) {
                PackedMatrix matrix(table, Tensor{k, columns, WeightType::bf16}, 1, {false, true});
                matrix.put(0, k, reinterpret_cast<const std::byte*>(weights.data()));
                matrix.finish({});
                std::vector<float> z(rows * columns), scratch(matrix.scratch_size(rows));
                matrix.apply(table, {nullptr, x.data(), k}, rows, z.data(), columns, scratch.data());
                return z;
            };
            const std::vector<float> want = product(baseline_table);
            for (const KernelTable* table : all_tables()) {
                const std::vector<float> found = product(*table);
                for (std::size_t i = 0; i < found.size(); ++i) {
                    CAPTURE(std::string(table->name));
                    CAPTURE(other);
                    if (std::isnan(want[i]))
                        REQUIRE(std::isnan(found[i]));
                    else
                        REQUIRE(std::memcmp(&found[i], &want[i], sizeof(float)) == 0);
                }
            }
        }
}

TEST_CASE("gather adds a row of the matrix, as a product with a one-hot vector does, or nothing, as one with zeros") {
    constexpr std::size_t panels = 5, rows = 4;
    for (const std::size_t k : {11, 600})
        for (const KernelTable* table : all_tables())
            for (const WeightType type : kWeightTypes) {
                CAPTURE(std::string(table->name));
                CAPTURE(k);
                const std::uint32_t ids[rows] = {static_cast<std::uint32_t>(k - 1), 0, kNoRow, 4};
                AlignedBuffer<float> x(rows * k);
                for (std::size_t r = 0; r < rows; ++r)
                    if (ids[r] != kNoRow) x[r * k + ids[r]] = 1.0f;
                const Weights w(k, panels, type);
                auto z = random_floats(rows * panels * kPanel, 2);
                auto want = copy(z);
                const Matrix m = w.matrix(*table, true);
                table->gather(m, panels, ids, 1, rows, z.data(), panels * kPanel);
                table->gemm(m, panels, x.data(), k, rows, want.data(), panels * kPanel, rounded.data());
                CHECK(same_bits(z, want));
            }
}

TEST_CASE("with int8, integers up to 32767 are multiplied as they are where they come in, and nothing else is") {
    constexpr std::size_t k = 5;
    const Weights w(k, 1, WeightType::int8);
    const auto is_exact = [&](const KernelTable& table, float last, bool keeps) {
        const float x[k] = {30001.0f, -7.0f, 3.0f, 0.0f, last};
        AlignedBuffer<float> z(kPanel);
        table.gemm(w.matrix(table, keeps), 1, x, k, 1, z.data(), kPanel, rounded.data());
        bool exact = true;
        for (std::size_t j = 0; j < kPanel; ++j) {
            double sum = 0.0;
            for (std::size_t i = 0; i < k; ++i) sum += std::round(x[i] * double(w.f32[i * kPanel + j]) / w.scales[j]);
            exact = exact && z[j] == static_cast<float>(sum) * w.scales[j];
        }
        return exact;
    };
    for (const KernelTable* table : all_tables()) {
        CAPTURE(std::string(table->name));
        CHECK(is_exact(*table, -1.0f, true));
        CHECK(is_exact(*table, 32767.0f, true));
        CHECK(!is_exact(*table, -1.0f, false));
        CHECK(!is_exact(*table, 12345.5f, true));
        CHECK(!is_exact(*table, 32768.0f, true));
        CHECK(!is_exact(*table, -40000.0f, true));
    }
}

TEST_CASE("a product with int8 is exact but for rounding its rows to 16 bits, and the same bits on every set") {
    for (const std::size_t rows : {1, 2, 4, 7, 8, 9, 13, 24, 35})
        for (const std::size_t panels : {1, 3, 4, 9})
            for (const std::size_t k : {1, 2, 17, 65, 128, 513, 1100}) {
                CAPTURE(rows);
                CAPTURE(panels);
                CAPTURE(k);
                const Weights w(k, panels, WeightType::int8);
                const auto x = random_floats(rows * k, 1);
                AlignedBuffer<float> want(rows * panels * kPanel);
                baseline_table.gemm(w.matrix(baseline_table), panels, x.data(), k, rows, want.data(), panels * kPanel,
                                    rounded.data());
                for (std::size_t r = 0; r < rows; ++r) {
                    float most = 0.0f;
                    for (std::size_t i = 0; i < k; ++i) most = std::max(most, std::abs(x[r * k + i]));
                    for (std::size_t j = 0; j < panels * kPanel; ++j) {
                        double sum = 0.0, weights = 0.0;
                        for (std::size_t i = 0; i < k; ++i) {
                            const double weight = w.f32[(j / kPanel * k + i) * kPanel + j % kPanel];
                            sum += x[r * k + i] * weight;
                            weights += std::abs(weight);
                        }
                        REQUIRE(std::abs(want[r * panels * kPanel + j] - sum) <= 1.001 * weights * most / 65534 + 1e-6);
                    }
                }
                for (const KernelTable* table : all_tables()) {
                    CAPTURE(std::string(table->name));
                    AlignedBuffer<float> z(rows * panels * kPanel);
                    table->gemm(w.matrix(*table), panels, x.data(), k, rows, z.data(), panels * kPanel, rounded.data());
                    REQUIRE(same_bits(z, want));
                }
            }
}

TEST_CASE("the greatest sums of int8 fit, and numbers that are not finite come through") {
    constexpr std::size_t k = 1024;
    Weights w(k, 1, WeightType::int8);
    w.set_all(-128, 1.0f);
    for (const std::size_t rows : {1, 16})
        for (const KernelTable* table : all_tables()) {
            CAPTURE(std::string(table->name));
            CAPTURE(rows);
            const auto product = [&](float each) {  // of the last row
                AlignedBuffer<float> x(rows * k), z(rows * kPanel);
                for (std::size_t i = 0; i < x.size(); ++i) x[i] = each;
                table->gemm(w.matrix(*table), 1, x.data(), k, rows, z.data(), kPanel, rounded.data());
                return z[(rows - 1) * kPanel];
            };
            CHECK(product(1.0f) == doctest::Approx(-128.0 * k));
            CHECK(product(-1.0f) == doctest::Approx(128.0 * k));
            CHECK(product(0.0f) == 0.0f);
            CHECK(product(1e-40f) == 0.0f);
            CHECK(product(3e38f) == -HUGE_VALF);
            CHECK(std::isnan(product(HUGE_VALF)));
            CHECK(std::isnan(product(std::nanf(""))));
        }
}

TEST_CASE("gather from int8 adds the numbers that a row stands for") {
    constexpr std::size_t k = 11, panels = 5;
    const Weights w(k, panels, WeightType::int8);
    for (const KernelTable* table : all_tables())
        for (std::uint32_t id = 0; id < k; ++id) {
            CAPTURE(std::string(table->name));
            AlignedBuffer<float> z(panels * kPanel);
            table->gather(w.matrix(*table), panels, &id, 0, 1, z.data(), 0);
            for (std::size_t j = 0; j < panels * kPanel; ++j)
                REQUIRE(z[j] == w.f32[(j / kPanel * k + id) * kPanel + j % kPanel]);
        }
}

// Returns the outputs h (rows, units) of a step with the baseline kernels. `run` makes the step
// with the kernels and the number of rows that it is given. Each other table must give the same
// bits.
template <class Run>
AlignedBuffer<float> same_with_each_table(const Run& run, std::size_t rows, std::size_t units) {
    auto want = run(baseline_table, rows);
    for (const KernelTable* table : all_tables())
        for (const std::size_t count : {std::size_t{1}, std::size_t{7}, rows}) {
            CAPTURE(std::string(table->name));
            CAPTURE(count);
            const auto h = run(*table, count);
            CHECK(std::memcmp(h.data(), want.data(), count * units * sizeof(float)) == 0);
        }
    return want;
}

TEST_CASE("an LSTM step gives the same bits on every instruction set and for any number of lanes") {
    constexpr std::size_t blocks = 3, units = blocks * kPanel, inputs = 5;
    const auto bias = random_floats(blocks * kGates * kPanel, 3);
    for (const WeightType type : kWeightTypes)
        for (const Function act : kActivations)
            for (const Function rec : kGateActivations) {
                const Weights kernel(inputs, blocks * kGates, type, kGates),
                    recurrent(units, blocks * kGates, type, kGates);
                REQUIRE(fused_step_has(act, rec));
                constexpr std::size_t most = 200;
                const auto x = random_floats(most * inputs, 4), h_prev = random_floats(most * units, 5, 0.5f),
                           c0 = random_floats(most * units, 6);
                const auto run = [&](const KernelTable& table, std::size_t rows, AlignedBuffer<float>& c) {
                    AlignedBuffer<float> h(most * units);
                    LstmStep s{};
                    set_common(s, table, rows, blocks, act, bias, kernel, x, inputs, recurrent, h_prev, h);
                    s.recurrent_activation = rec;
                    s.c = c.data();
                    table.lstm_step(s);
                    return h;
                };
                auto want_c = copy(c0);
                const auto want = run(baseline_table, most, want_c);
                for (const KernelTable* table : all_tables())
                    for (const std::size_t rows : {std::size_t{1}, std::size_t{7}, most}) {
                        CAPTURE(std::string(table->name));
                        CAPTURE(rows);
                        auto c = copy(c0);
                        const auto h = run(*table, rows, c);
                        CHECK(std::memcmp(h.data(), want.data(), rows * units * sizeof(float)) == 0);
                        CHECK(std::memcmp(c.data(), want_c.data(), rows * units * sizeof(float)) == 0);
                    }
            }
}

TEST_CASE("a GRU step is that of Keras, the same bits on every instruction set and for any number of lanes") {
    constexpr std::size_t blocks = 5, units = blocks * kPanel, inputs = 5, most = 150;
    const auto x = random_floats(most * inputs, 4), h_prev = random_floats(most * units, 5, 0.5f);
    const auto bias = random_floats(3 * units, 3), recurrent_bias = random_floats(3 * units, 8);
    for (const WeightType type : kWeightTypes)
        for (const bool reset_after : {false, true}) {
            const std::size_t gates = reset_after ? 3 : 2;  // of the recurrent matrix
            const float* const recurrent_start = reset_after ? recurrent_bias.data() : nullptr;
            const Weights kernel(inputs, blocks * 3, type, 3), recurrent(units, blocks * gates, type, gates),
                candidate(units, blocks, type);
            for (const Function act : kActivations)
                for (const Function rec : kGateActivations) {
                    const auto run = [&](const KernelTable& table, std::size_t rows) {
                        AlignedBuffer<float> h(most * units), working(kGruRows * 2 * units);
                        GruStep s{};
                        set_common(s, table, rows, blocks, act, bias, kernel, x, inputs, recurrent, h_prev, h);
                        s.recurrent_activation = rec;
                        s.reset_after = reset_after;
                        s.recurrent_start = recurrent_start;
                        s.candidate = candidate.matrix(table);
                        s.working = working.data();
                        table.gru_step(s);
                        return h;
                    };
                    const auto want = same_with_each_table(run, most, units);
                    for (const std::size_t row : {std::size_t{0}, std::size_t{77}, most - 1}) {
                        const float *const in = &x[row * inputs], *const before = &h_prev[row * units];
                        const auto gate = [&](std::size_t g, std::size_t j) {
                            return exact(rec, pre_activation(bias.data(), in, kernel, 3, g, j) +
                                                  pre_activation(recurrent_start, before, recurrent, gates, g, j));
                        };
                        std::vector<double> reset(units);
                        for (std::size_t j = 0; j < units; ++j) reset[j] = gate(1, j) * before[j];
                        for (std::size_t j = 0; j < units; ++j) {
                            double g = pre_activation(bias.data(), in, kernel, 3, 2, j);
                            if (reset_after)
                                g += gate(1, j) * pre_activation(recurrent_start, before, recurrent, 3, 2, j);
                            else
                                g += pre_activation(nullptr, reset.data(), candidate, 1, 0, j);
                            const double z = gate(0, j);
                            REQUIRE(want[row * units + j] ==
                                    doctest::Approx(z * before[j] + (1.0 - z) * exact(act, g)).epsilon(epsilon(type)));
                        }
                    }
                }
        }
}

TEST_CASE("a SimpleRNN step is that of Keras, the same bits on every instruction set and for any number of lanes") {
    constexpr std::size_t blocks = 6, units = blocks * kPanel, inputs = 5, most = 200;
    const auto x = random_floats(most * inputs, 4), h_prev = random_floats(most * units, 5, 0.5f),
               bias = random_floats(units, 3);
    for (const WeightType type : kWeightTypes) {
        const Weights kernel(inputs, blocks, type), recurrent(units, blocks, type);
        for (const Function act : kActivations) {
            const auto run = [&](const KernelTable& table, std::size_t rows) {
                AlignedBuffer<float> h(most * units);
                RnnStep s{};
                set_common(s, table, rows, blocks, act, bias, kernel, x, inputs, recurrent, h_prev, h);
                table.rnn_step(s);
                return h;
            };
            const auto want = same_with_each_table(run, most, units);
            for (std::size_t row = 0; row < most; row += 67)
                for (std::size_t j = 0; j < units; ++j) {
                    const double z = pre_activation(bias.data(), &x[row * inputs], kernel, 1, 0, j) +
                                     pre_activation(nullptr, &h_prev[row * units], recurrent, 1, 0, j);
                    REQUIRE(want[row * units + j] == doctest::Approx(exact(act, z)).epsilon(epsilon(type)));
                }
        }
    }
}

TEST_CASE("an input product that is known already gives the same bits as one that the step works out") {
    constexpr std::size_t blocks = 3, units = blocks * kPanel, inputs = 200, rows = 9;
    const Weights kernel(inputs, blocks, WeightType::f32), recurrent(units, blocks, WeightType::f32);
    const auto x = random_floats(rows * inputs, 4), h_prev = random_floats(rows * units, 5),
               bias = random_floats(units, 3);
    for (const KernelTable* table : all_tables()) {
        CAPTURE(std::string(table->name));
        AlignedBuffer<float> want(rows * units), h(rows * units), product(rows * units);
        RnnStep s{};
        set_common(s, *table, rows, blocks, Function::tanh, bias, kernel, x, inputs, recurrent, h_prev, want);
        table->rnn_step(s);
        for (std::size_t r = 0; r < rows; ++r) std::memcpy(&product[r * units], bias.data(), bias.nbytes());
        table->gemm(kernel.matrix(*table), blocks, x.data(), inputs, rows, product.data(), units, rounded.data());
        s.x = nullptr;
        s.start = product.data();
        s.start_stride = units;
        s.h = h.data();
        table->rnn_step(s);
        CHECK(same_bits(h, want));
    }
}

TEST_CASE("every function gives the same bits on every instruction set, for numbers of every kind") {
    std::vector<float> numbers = {0.0f,
                                  -0.0f,
                                  1.0f,
                                  -1.0f,
                                  87.5f,
                                  -87.5f,
                                  1e30f,
                                  -1e30f,
                                  1e-40f,
                                  -1e-40f,
                                  3.0f,
                                  -3.0f,
                                  HUGE_VALF,
                                  -HUGE_VALF,
                                  std::numeric_limits<float>::max(),
                                  std::numeric_limits<float>::denorm_min()};
    std::mt19937 random(1);
    std::uniform_real_distribution<float> near(-10.0f, 10.0f);
    while (numbers.size() < 4096) numbers.push_back(near(random));
    for (const Function f : {Function::linear, Function::relu, Function::sigmoid, Function::hard_sigmoid,
                             Function::hard_sigmoid_keras2, Function::tanh}) {
        std::vector<float> want = numbers;
        baseline_table.activate(f, want.data(), want.size());
        for (const KernelTable* table : all_tables()) {
            CAPTURE(std::string(table->name));
            std::vector<float> y = numbers;
            table->activate(f, y.data(), y.size());
            CHECK(std::memcmp(y.data(), want.data(), y.size() * sizeof(float)) == 0);
            std::vector<float> nan(16, std::numeric_limits<float>::quiet_NaN());
            table->activate(f, nan.data(), nan.size());
            CHECK(std::isnan(nan[0]));
        }
    }
}

TEST_CASE("sigmoid and tanh keep their contracts over all floats (every 211th)") {
    const KernelTable& table = *supported_kernels().front();
    double worst_sigmoid = 0.0, worst_tanh = 0.0, worst_tail = 0.0;
    std::vector<float> x;
    const auto check = [&] {
        x.resize(round_up(x.size(), kPanel));
        std::vector<float> s = x, t = x;
        table.activate(Function::sigmoid, s.data(), s.size());
        table.activate(Function::tanh, t.data(), t.size());
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double sigmoid = 1.0 / (1.0 + std::exp(-static_cast<double>(x[i]))),
                         tanh = std::tanh(static_cast<double>(x[i]));
            if (x[i] >= -87.0f)
                worst_sigmoid = std::max(worst_sigmoid, std::abs(s[i] - sigmoid) / ulp(static_cast<float>(sigmoid)));
            else
                worst_tail = std::max(worst_tail, std::abs(s[i] - sigmoid));
            if (std::abs(x[i]) >= 1e-37f)
                worst_tanh = std::max(worst_tanh, std::abs(t[i] - tanh) / ulp(static_cast<float>(tanh)));
        }
        x.clear();
    };
    for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 211) {
        const auto narrow = static_cast<std::uint32_t>(bits);
        float value;
        std::memcpy(&value, &narrow, sizeof value);
        if (std::isfinite(value)) x.push_back(value);
        if (x.size() == 1 << 16) check();
    }
    check();
    MESSAGE("greatest errors: sigmoid " << worst_sigmoid << " ulp, tanh " << worst_tanh << " ulp");
    CHECK(worst_sigmoid <= 3.0);
    CHECK(worst_tanh <= 3.0);
    CHECK(worst_tail <= 1e-37);
}

TEST_CASE("LSTMGEN_ISA chooses the kernels, and must name some that can run") {
    for (const KernelTable* table : supported_kernels()) {
        choose_isa(table->name);
        CHECK(std::string(choose_kernels("").name) == table->name);
    }
    choose_isa("mmx");
    CHECK_THROWS_AS(choose_kernels(""), Error);
    choose_isa("");
    CHECK(&choose_kernels("") == supported_kernels().front());
}
