// Tests of the functions that must give the same numbers on every machine.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest.h>

#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "activations.hpp"
#include "isa.hpp"
#include "portable_math.hpp"

using namespace lstmgen;

TEST_CASE("exp_portable is within 2 units in the last place of e^x") {
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> number(-708.0, 709.0);
    double worst = 0.0;
    for (int i = 0; i < 1000000; ++i) {
        const double x = i % 2 ? number(random) : number(random) / 700.0, want = std::exp(x);
        worst = std::max(worst, std::abs(exp_portable(x) - want) / (std::nextafter(want, HUGE_VAL) - want));
    }
    CHECK(worst <= 2.0);
    CHECK(exp_portable(0.0) == 1.0);
    CHECK(exp_portable(-1e300) == 0.0);
    CHECK(exp_portable(-HUGE_VAL) == 0.0);
    CHECK(exp_portable(710.0) == HUGE_VAL);
    CHECK(std::isnan(exp_portable(NAN)));
}

TEST_CASE("exp_portable gives for an array what it gives for each number, and what all kernels give") {
    std::mt19937_64 random(2);
    std::uniform_real_distribution<double> number(-720.0, 709.0);
    for (std::size_t n = 0; n < 100; ++n) {
        std::vector<double> x(n);
        for (std::size_t i = 0; i < n; ++i) x[i] = i % 7 == 3 ? -HUGE_VAL : number(random);
        std::vector<double> powers = x;
        const double total = exp_portable(powers.data(), n);
        double sum = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
            CHECK(powers[i] == exp_portable(x[i]));
            sum += powers[i];
        }
        CHECK(total == sum);
        for (const kernels::KernelTable* table : supported_kernels()) {
            CAPTURE(table->name);
            std::vector<double> same = x;
            CHECK(table->exponentials(same.data(), n) == total);
            for (std::size_t i = 0; i < n; ++i) CHECK(same[i] == powers[i]);
        }
    }
}

TEST_CASE("log_portable is within 2 units in the last place of ln x") {
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> exponent(-744.0, 709.0), around(0.4, 2.5);
    double worst = 0.0;
    const auto check = [&](double x) {
        const double want = std::log(x);
        const double unit = std::nextafter(std::abs(want), HUGE_VAL) - std::abs(want);
        worst = std::max(worst, std::abs(log_portable(x) - want) / unit);
    };
    for (int i = 0; i < 1000000; ++i) check(i % 2 ? std::exp(exponent(random)) : around(random));
    for (int n = 1; n < 53; ++n) {  // ever closer to 1
        check(1.0 + std::ldexp(1.0, -n));
        check(1.0 - std::ldexp(1.0, -n));
    }
    CHECK(worst <= 2.0);
    CHECK(log_portable(1.0) == 0.0);
    CHECK(log_portable(0.0) == -HUGE_VAL);
    CHECK(log_portable(-0.0) == -HUGE_VAL);
    CHECK(log_portable(HUGE_VAL) == HUGE_VAL);
    CHECK(std::isnan(log_portable(-1.0)));
    CHECK(std::isnan(log_portable(NAN)));
}

TEST_CASE("the bits of log_portable are pinned, on every machine") {
    const std::pair<double, double> table[] = {{0x1p-1, -0x1.62e42fefa39efp-1},
                                               {0x1.999999999999ap-4, -0x1.26bb1bbb55515p+1},
                                               {0x1p+1, 0x1.62e42fefa39efp-1},
                                               {0x1.8p+1, 0x1.193ea7aad030ap+0},
                                               {0x1.6a09e667f3bccp-1, -0x1.62e42fefa39f1p-2},
                                               {0x1.6a09e667f3bcdp-1, -0x1.62e42fefa39eep-2},
                                               {0x1.56e1fc2f8f359p-997, -0x1.5963447f87fb5p+9},
                                               {0x0.0000000000001p-1022, -0x1.74385446d71c3p+9},
                                               {0x1.7e43c8800759cp+996, 0x1.5963447f87fb5p+9},
                                               {0x1.0000000000001p+0, 0x1.fffffffffffffp-53},
                                               {0x1.fffffffffffffp-1, -0x1p-53},
                                               {0x1.7f62b6ae7d567p-7, -0x1.1caec247b627dp+2}};
    for (const auto& [x, want] : table) CHECK(log_portable(x) == want);
}

TEST_CASE("every activation has the name that finds it") {
    for (int i = 0; i <= static_cast<int>(Activation::sparsemax); ++i) {
        Activation found;
        REQUIRE(parse_activation(activation_name(static_cast<Activation>(i)), found));
        CHECK(found == static_cast<Activation>(i));
    }
    Activation found;
    CHECK_FALSE(parse_activation("Tanh", found));
}
