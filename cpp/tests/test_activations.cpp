// The functions that must be the same on every machine.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest.h>

#include <cmath>
#include <random>

#include "activations.hpp"

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

TEST_CASE("every activation has the name that finds it") {
    for (int i = 0; i <= static_cast<int>(Activation::sparsemax); ++i) {
        Activation found;
        REQUIRE(parse_activation(activation_name(static_cast<Activation>(i)), found));
        CHECK(found == static_cast<Activation>(i));
    }
    Activation found;
    CHECK_FALSE(parse_activation("Tanh", found));
}
