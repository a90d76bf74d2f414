// Tests of states as bytes, on the network of data/README.md.
#include "state.hpp"

#include <doctest.h>

#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "crc32.hpp"
#include "environment.hpp"
#include "lstmgen/lstmgen.hpp"
#include "random.hpp"
#include "tiny.hpp"

using namespace lstmgen;

namespace {

Generator primed(const Model& model, std::size_t refresh) {
    GeneratorOptions options;
    options.refresh = refresh;
    options.sampler.seed = 42;
    options.sampler.repeat_penalty = 1.2;
    options.sampler.logit_bias = {{3, 0.5}};
    Generator generator(model, options);
    generator.feed(model.info().prime);
    return generator;
}

std::vector<std::uint32_t> draw(Generator& generator, std::size_t n) {
    std::vector<std::uint32_t> ids(n);
    for (auto& id : ids) id = generator.next();
    return ids;
}

Generator load(const Model& model, const std::vector<std::uint8_t>& state) {
    return Generator::load_state(model, state.data(), state.size());
}

}  // namespace

TEST_CASE("the random numbers are those of std::mt19937_64, before and after a state") {
    const Model model = Model::load(kPath);
    for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{5489}, ~std::uint64_t{0}}) {
        std::mt19937_64 want(seed);
        Random found(seed);
        for (int i = 0; i < 2000; ++i) REQUIRE(found() == want());
        std::vector<std::byte> state(4000);
        StateWriter out(StateKind::generator, model.info(), state.data());
        found.save(out);
        StateReader in(StateKind::generator, model.info(), state.data(), out.end());
        Random later(1);
        later.load(in);
        for (int i = 0; i < 700; ++i) REQUIRE(later() == want());
    }
}

TEST_CASE("a loaded generator goes on as the saved one does, on every instruction set") {
    for (const std::size_t refresh : {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{12}, SIZE_MAX}) {
        std::vector<std::vector<std::uint8_t>> states;
        std::vector<std::uint32_t> want;
        {
            const Model model = Model::load(kPath);
            Generator generator = primed(model, refresh);
            for (int i = 0; i < 40; ++i) {
                states.push_back(generator.save_state());
                want.push_back(generator.next());
            }
        }
        for (const std::string& isa : supported_isas()) {
            choose_isa(isa);
            const Model model = Model::load(kPath);
            choose_isa("");
            for (std::size_t i = 0; i < states.size(); ++i) {
                Generator generator = load(model, states[i]);
                CHECK(generator.save_state() == states[i]);
                CHECK(draw(generator, 40 - i) ==
                      std::vector<std::uint32_t>(want.begin() + std::ptrdiff_t(i), want.end()));
            }
        }
    }
}

TEST_CASE("a state before the first element is one, too") {
    const Model model = Model::load(kPath);
    for (const std::size_t refresh : {0, 1, 5, 50}) {
        GeneratorOptions options;
        options.refresh = refresh;
        Generator generator(model, options), other = load(model, generator.save_state());
        CHECK_THROWS_AS(other.next(), Error);
        generator.feed(model.info().prime);
        other.feed(model.info().prime);
        CHECK(draw(other, 30) == draw(generator, 30));
    }
}

TEST_CASE("a buffer that is too short is left alone") {
    const Model model = Model::load(kPath);
    Generator generator = primed(model, 0);
    const auto state = generator.save_state();
    std::vector<std::uint8_t> buffer(state.size(), 7);
    CHECK(generator.save_state(buffer.data(), state.size() - 1) == state.size());
    CHECK(buffer == std::vector<std::uint8_t>(state.size(), 7));
    CHECK(generator.save_state(buffer.data(), state.size()) == state.size());
    CHECK(buffer == state);
}

TEST_CASE("a state that is cut off or damaged is an error, wherever it is") {
    const Model model = Model::load(kPath);
    for (const std::size_t refresh : {0, 1, 50}) {
        Generator generator = primed(model, refresh);
        const auto state = generator.save_state();
        for (std::size_t size = 0; size < state.size(); ++size)
            CHECK_THROWS_AS(Generator::load_state(model, state.data(), size), Error);
        for (std::size_t bit = 0; bit < state.size() * 8; bit += bit < 1000 ? 1 : 13) {
            auto flipped = state;
            flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ 1 << bit % 8);
            CHECK_THROWS_AS(load(model, flipped), Error);
        }
    }
}

TEST_CASE("a forged state is an error, or is drawn from") {
    const Model model = Model::load(kPath);
    std::mt19937_64 random(1);
    for (const std::size_t refresh : {0, 1, 5, 50}) {
        Generator generator = primed(model, refresh);
        auto state = generator.save_state();
        const std::size_t end = state.size() - 4;
        for (int i = 0; i < 1000; ++i) {
            auto forged = state;
            for (int j = 0; j < 3; ++j) {
                // Half of the changes hit the part that holds sizes.
                const std::size_t at = 20 + random() % (random() % 2 ? end - 28 : 100);
                const std::uint64_t bits[] = {
                    0, 1, 64, 1 << 20, SIZE_MAX, random(), 0x7ff0000000000000, 0x7fc000007fc00000};
                std::memcpy(forged.data() + at, &bits[random() % 8], 8);
            }
            Crc32 crc;
            crc.update(reinterpret_cast<const std::byte*>(forged.data()), end);
            const std::uint32_t sum = crc.value();
            std::memcpy(forged.data() + end, &sum, sizeof sum);
            try {
                Generator found = load(model, forged);
                const std::uint32_t fed = 1;
                if (i % 2) found.feed(&fed, 1);
                for (const std::uint32_t id : draw(found, 20)) REQUIRE(id < model.info().outputs);
            } catch (const Error&) {
            }
        }
    }
}
