// The kernels: the same bits on every instruction set, and functions within their contracts.
#include <doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "aligned.hpp"
#include "isa.hpp"
#include "kernels/kernel_table.hpp"
#include "lstmgen/lstmgen.hpp"

using namespace lstmgen;
using namespace lstmgen::kernels;

#ifdef LSTMGEN_TEST_SIMDE
namespace lstmgen::kernels {
extern const KernelTable simde_table;
}
#endif

namespace {

std::vector<const KernelTable*> all_tables() {
    std::vector<const KernelTable*> tables = supported_kernels();
#ifdef LSTMGEN_TEST_SIMDE
    tables.insert(tables.begin(), &simde_table);
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

struct Weights {
    Weights(std::size_t k, std::size_t panels, WeightType type)
        : type(type), k(k), f32(random_floats(k * panels * kPanel, 7)) {
        if (type == WeightType::bf16) {
            bf16 = AlignedBuffer<std::uint16_t>(f32.size());
            for (std::size_t i = 0; i < f32.size(); ++i) {
                std::uint32_t bits;
                std::memcpy(&bits, &f32[i], 4);
                bf16[i] = static_cast<std::uint16_t>(bits >> 16);
                bits &= 0xffff0000;
                std::memcpy(&f32[i], &bits, 4);  // what bf16 stands for
            }
        }
    }
    Matrix matrix() const {
        return {type == WeightType::bf16 ? static_cast<const void*>(bf16.data()) : f32.data(), k, type};
    }

    WeightType type;
    std::size_t k;
    AlignedBuffer<float> f32;
    AlignedBuffer<std::uint16_t> bf16;
};

double ulp(float y) { return std::nextafter(std::abs(y), HUGE_VALF) - static_cast<double>(std::abs(y)); }

}  // namespace

TEST_CASE("a product adds up chains of 128 fused multiply-adds with k ascending, on every instruction set") {
    for (const KernelTable* table : all_tables())
        for (const WeightType type : {WeightType::f32, WeightType::bf16})
            for (const std::size_t rows : {1, 2, 5, 6, 7, 13})
                for (const std::size_t panels : {1, 3, 4, 8, 9})
                    for (const std::size_t k : {1, 2, 17, 128, 300}) {
                        CAPTURE(std::string(table->name));
                        CAPTURE(rows);
                        CAPTURE(panels);
                        const Weights w(k, panels, type);
                        const auto x = random_floats(rows * k, 1);
                        auto z = random_floats(rows * panels * kPanel, 2);
                        auto want = copy(z);
                        for (std::size_t r = 0; r < rows; ++r)
                            for (std::size_t j = 0; j < panels * kPanel; ++j)
                                for (std::size_t begin = 0; begin < k; begin += 128) {
                                    float chain = 0.0f;
                                    for (std::size_t i = begin; i < std::min(k, begin + 128); ++i)
                                        chain = std::fma(x[r * k + i],
                                                         w.f32[(j / kPanel * k + i) * kPanel + j % kPanel], chain);
                                    want[r * panels * kPanel + j] += chain;
                                }
                        table->gemm(w.matrix(), panels, x.data(), k, rows, z.data(), panels * kPanel);
                        REQUIRE(same_bits(z, want));
                    }
}

TEST_CASE("gather adds a row of the matrix, as a product with a one-hot vector does") {
    constexpr std::size_t k = 11, panels = 5, rows = 3;
    const std::uint32_t ids[rows] = {10, 0, 4};
    AlignedBuffer<float> x(rows * k);
    for (std::size_t r = 0; r < rows; ++r) x[r * k + ids[r]] = 1.0f;
    for (const KernelTable* table : all_tables())
        for (const WeightType type : {WeightType::f32, WeightType::bf16}) {
            CAPTURE(std::string(table->name));
            const Weights w(k, panels, type);
            auto z = random_floats(rows * panels * kPanel, 2);
            auto want = copy(z);
            table->gather(w.matrix(), panels, ids, 1, rows, z.data(), panels * kPanel);
            table->gemm(w.matrix(), panels, x.data(), k, rows, want.data(), panels * kPanel);
            CHECK(same_bits(z, want));
        }
}

TEST_CASE("an LSTM step gives the same bits on every instruction set and for any number of lanes") {
    constexpr std::size_t blocks = 3, units = blocks * kPanel, inputs = 5;
    const Weights kernel(inputs, blocks * kGates, WeightType::f32), recurrent(units, blocks * kGates, WeightType::f32);
    const auto bias = random_floats(blocks * kGates * kPanel, 3);
    for (const Function act : {Function::linear, Function::relu, Function::sigmoid, Function::tanh})
        for (const Function rec : {Function::sigmoid, Function::hard_sigmoid, Function::hard_sigmoid_keras2}) {
            REQUIRE(lstm_step_has(act, rec));
            constexpr std::size_t most = 200;
            const auto x = random_floats(most * inputs, 4), h_prev = random_floats(most * units, 5, 0.5f),
                       c0 = random_floats(most * units, 6);
            const auto run = [&](const KernelTable& table, std::size_t rows, AlignedBuffer<float>& c) {
                AlignedBuffer<float> h(most * units);
                LstmStep s{rows,     blocks,   act,      rec,    bias.data(),        kernel.matrix(),
                           nullptr,  0,        x.data(), inputs, recurrent.matrix(), h_prev.data(),
                           h.data(), c.data(), units};
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
        setenv("LSTMGEN_ISA", table->name, 1);
        CHECK(std::string(choose_kernels().name) == table->name);
    }
    setenv("LSTMGEN_ISA", "mmx", 1);
    CHECK_THROWS_AS(choose_kernels(), Error);
    unsetenv("LSTMGEN_ISA");
    CHECK(&choose_kernels() == supported_kernels().front());
}
