// Tests of bad arguments to the C++ API, and of changes of generators, on the network of
// data/README.md.
#include <doctest.h>

#include <atomic>
#include <cmath>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "lstmgen/lstmgen.hpp"
#include "tiny.hpp"

using namespace lstmgen;

namespace {

Ids draw(Generator& generator, std::size_t n) {
    Ids ids(n);
    for (std::uint32_t& id : ids) id = generator.next();
    return ids;
}

Generator primed(const Model& model, const GeneratorOptions& o) {
    Generator generator(model, o);
    generator.feed(model.info().prime);
    return generator;
}

// Checks that the error of f is of this kind and says `text`.
template <class F>
void refused(F&& f, const std::string& text, ErrorCode code = ErrorCode::invalid_argument) {
    try {
        static_cast<void>(f());
        FAIL("no error: expected one with '" << text << "'");
    } catch (const Error& error) {
        CHECK(error.code() == code);
        CHECK_MESSAGE(std::string(error.what()).find(text) != std::string::npos, error.what());
    }
}

}  // namespace

TEST_CASE("a generator that is reset is as new, at every refresh and number of threads") {
    const Model model = Model::load(kPath);
    for (const std::size_t refresh : {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{12}, SIZE_MAX})
        for (const std::size_t threads : {1, 3}) {
            Generator fresh = primed(model, options(refresh, threads)), used = primed(model, options(refresh, threads));
            const Ids want = draw(fresh, 60);
            for (const std::size_t before : {0, 1, 30}) {
                draw(used, before);
                used.reset(42);
                CHECK_THROWS_AS(used.next(), Error);  // the context is empty
                used.feed(model.info().prime);
                CHECK(draw(used, 60) == want);
            }
        }
}

TEST_CASE("a clone and a copy go on as the original does, wherever it is") {
    const Model model = Model::load(kPath);
    for (const std::size_t refresh : {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{12}, SIZE_MAX})
        for (const std::size_t threads : {1, 3}) {
            Generator original = primed(model, options(refresh, threads));
            Generator copy = primed(model, options(refresh));
            std::vector<double> p(model.info().outputs);
            for (std::size_t i = 0; i < 40; ++i) {
                // A third of the copies have the distribution already.
                if (i % 3 == 0) original.probabilities(p.data());
                Generator clone = original.clone();
                copy.copy_from(original);
                original.copy_from(original);
                CHECK(clone.save_state() == original.save_state());
                Generator again = original.clone();
                const Ids want = draw(again, 30);
                CHECK(draw(clone, 30) == want);
                CHECK(draw(copy, 30) == want);
                CHECK(original.next() == want[0]);
            }
        }
}

TEST_CASE("a copy of a generator of another kind is refused, and changes neither") {
    const Model model = Model::load(kPath), raw = Model::load(LSTMGEN_TEST_DATA "/raw.bin");
    Generator small(raw, options(1)), large = primed(model, options(1));
    Generator carried = primed(model, options(0)), grammatical = primed(model, options(1));
    grammatical.set_grammar(Grammar(model, "root ::= [a-k]*"));
    SamplerOptions other;
    other.temp = 0.5;
    grammatical.set_options(other);
    draw(large, 1);
    for (auto [to, from, text] : {std::tuple{&small, &large, "same loaded model"},
                                  {&large, &small, "same loaded model"},
                                  {&large, &carried, "same refresh"},
                                  {&large, &grammatical, "same grammar"},
                                  {&grammatical, &large, "same grammar"}}) {
        const auto state = to->save_state(), unchanged = from->save_state();
        refused([to = to, from = from] { return to->copy_from(*from), 0; }, text);
        CHECK(to->save_state() == state);
        CHECK(from->save_state() == unchanged);
    }
}

TEST_CASE("options that change in the middle leave the random numbers and the context alone") {
    const Model model = Model::load(kPath);
    for (const std::size_t refresh : {0, 1, 5}) {
        GeneratorOptions cold = options(refresh);
        cold.sampler.temp = 0.3;
        cold.sampler.repeat_penalty = 1.3;
        Generator hot = primed(model, options(refresh)), other = primed(model, cold);
        const Ids first = draw(hot, 20);
        // Another generator comes to the same place: the same elements, and as many random numbers.
        other.reset(42);
        other.set_options(options(refresh).sampler);
        other.feed(model.info().prime);
        CHECK(draw(other, 20) == first);
        hot.set_options(cold.sampler);
        other.set_options(cold.sampler);
        const Ids second = draw(hot, 20);
        CHECK(draw(other, 20) == second);
        GeneratorOptions bad = cold;
        bad.sampler.logit_bias.assign(model.info().outputs + 1, {0, 1.0});
        refused([&] { return hot.set_options(bad.sampler), 0; }, "logit_bias: expected at most 11 pairs");
        refused([&] { return Generator(model, bad); }, "logit_bias: expected at most 11 pairs");
        bad.sampler = cold.sampler;
        bad.sampler.temp = -1;
        refused([&] { return hot.set_options(bad.sampler), 0; }, "temp");
        CHECK(draw(hot, 20) == draw(other, 20));
    }
}

TEST_CASE("the kernels of a model are chosen for it alone") {
    for (const std::string& isa : supported_isas()) {
        LoadOptions load;
        load.isa = isa;
        CHECK(Model::load(kPath, load).info().isa == isa);
    }
    const std::vector<std::string> isas = supported_isas();
    const bool tiles = isas[0] == "avx512amx";  // they serve only models of int8
    CHECK(Model::load(kPath).info().isa == isas[tiles ? 1 : 0]);
    refused([] { return Model::load(kPath, {"quantum"}); }, "baseline, found 'quantum'");
    refused([] { return Model::load(kPath, {"quantum"}); }, supported_isas()[0]);
}

TEST_CASE("what was moved from is an error") {
    Model model = Model::load(kPath);
    Generator generator = primed(model, options(1));
    const Model kept = std::move(model);
    const Generator taken = std::move(generator);
    const std::string text = "moved from";
    std::uint32_t id = 0;
    float y[11];
    double p[11];
    refused([&] { return model.info().outputs; }, text);
    refused([&] { return model.bytes(); }, text);
    refused([&] { return model.predict(&id, 1, 1, y), 0; }, text);
    refused([&] { return model.predict(y, 1, 1, y), 0; }, text);
    refused([&] { return model.predict_size(1, 1); }, text);
    refused([&] { return Generator(model, {}); }, text);
    refused([&] { return sample_many(model, {}, {}); }, text);
    refused([&] { return measure_limits(model); }, text);
    refused([&] { return Generator::load_state(model, y, sizeof y); }, text);
    refused([&] { return generator.next(); }, text);
    refused([&] { return generator.feed(&id, 1), 0; }, text);
    refused([&] { return generator.probabilities(p), 0; }, text);
    refused([&] { return generator.score(&id, 1, p), 0; }, text);
    refused([&] { return generator.save_state(); }, text);
    refused([&] { return generator.set_options({}), 0; }, text);
    refused([&] { return generator.reset(1), 0; }, text);
    refused([&] { return generator.clone(); }, text);
    refused([&] { return generator.copy_from(taken), 0; }, text);
    generator = taken.clone();
    CHECK_THROWS_AS(taken.clone().copy_from(Generator(kept, options(0))), Error);
    CHECK(generator.next() < 11);
    model = kept;
    CHECK(model.info().outputs == 11);
}

TEST_CASE("null pointers with numbers to read or write are errors, without any they are not") {
    const Model model = Model::load(kPath);
    Generator generator = primed(model, options(1));
    const std::uint32_t id = 0;
    float y[11];
    double p[11];
    const std::string text = "found NULL";
    refused([&] { return model.predict(static_cast<const std::uint32_t*>(nullptr), 1, 1, y), 0; }, text);
    refused([&] { return model.predict(static_cast<const float*>(nullptr), 1, 1, y), 0; }, text);
    refused([&] { return model.predict(&id, 1, 1, nullptr), 0; }, text);
    model.predict(static_cast<const std::uint32_t*>(nullptr), 0, 1, nullptr);
    refused([&] { return generator.feed(nullptr, 1), 0; }, text);
    generator.feed(nullptr, 0);
    refused([&] { return generator.score(nullptr, 1, p), 0; }, text);
    refused([&] { return generator.score(&id, 1, nullptr), 0; }, text);
    generator.score(nullptr, 0, nullptr);
    refused([&] { return generator.probabilities(nullptr), 0; }, text);
    refused([&] { return generator.save_state(nullptr, 8); }, text);
    refused([&] { return Generator::load_state(model, nullptr, 8); }, text);
    refused([&] { return Generator::load_state(model, nullptr, 0); }, "the state", ErrorCode::format);
    refused([&] { return Model::from_memory(nullptr, 8); }, text);
    refused([&] { return Model::from_memory(nullptr, 0); }, text);
}

TEST_CASE("numbers out of range are errors") {
    const Model model = Model::load(kPath);
    const std::uint32_t id = 0;
    float y[11];
    refused([&] { return model.predict(&id, 1, 0, y), 0; }, "steps: expected at least 1, found 0");
    refused([&] { return model.predict(y, 0, 0, y), 0; }, "steps: expected at least 1, found 0");
    refused([&] { return model.predict_size(SIZE_MAX / 2, 4); }, "batch and steps: expected fewer");
    refused([&] { return model.predict(&id, SIZE_MAX / 2 + 1, 2, y), 0; }, "batch and steps: expected fewer");
    CHECK(model.predict_size(3, 5) == 33);
    const std::string threads = "threads: expected at most 1024, found 1025";
    refused([&] { return Generator(model, options(1, 1025)); }, threads);
    const auto state = primed(model, options(1)).save_state();
    refused([&] { return Generator::load_state(model, state.data(), state.size(), 1025); }, "threads");
    ManyOptions many;
    many.length = 4;
    std::vector<Request> requests(2);
    for (Request& request : requests) request.prime = {1};
    many.threads = 1025;
    refused([&] { return sample_many(model, requests, many); }, threads);
    many.threads = 1;
    many.stops = {{1}, {}};
    refused([&] { return sample_many(model, requests, many); }, "stop 1 is empty");
    many.stops = {{1}, {2, 11}};
    refused([&] { return sample_many(model, requests, many); },
            "stop 1: id at position 1: expected below 11, found 11");
    many.stops = {{1}, {2, 10}};
    CHECK(sample_many(model, requests, many).size() == 2);
    requests[1].prime = {3, 11};
    refused([&] { return sample_many(model, requests, many); },
            "sequence 1: prime: id at position 1: expected below 11, found 11");
    requests[1].prime.clear();
    refused([&] { return sample_many(model, requests, many); }, "sequence 1: the prime is empty");
}

TEST_CASE("a second caller of a generator gets an error, and the first one goes on") {
    const Model model = Model::load(kPath);
    const Ids ids(40, 3);
    Generator generator = primed(model, options(1)), want = primed(model, options(1)), third = generator.clone();
    int calls = 0;
    std::uint32_t other = 0;
    const auto inside = [&] {  // uses the generator inside its callback, from two threads
        if (++calls != 5) return true;
        const auto use = [&] {
            refused([&] { return generator.next(); }, "in use", ErrorCode::busy);
            refused([&] { return generator.feed(&other, 1), 0; }, "in use", ErrorCode::busy);
            refused([&] { return generator.save_state(); }, "in use", ErrorCode::busy);
            refused([&] { return generator.reset(1), 0; }, "in use", ErrorCode::busy);
            refused([&] { return generator.set_options({}), 0; }, "in use", ErrorCode::busy);
            refused([&] { return generator.clone(); }, "in use", ErrorCode::busy);
            refused([&] { return third.copy_from(generator), 0; }, "in use", ErrorCode::busy);
            refused([&] { return generator.copy_from(third), 0; }, "in use", ErrorCode::busy);
        };
        use();
        std::thread(use).join();
        return true;
    };
    CHECK(generator.feed(ids.data(), ids.size(), inside));
    CHECK(calls >= 40);
    want.feed(ids);
    CHECK(draw(generator, 30) == draw(want, 30));
}

TEST_CASE("of many threads on one generator each element is drawn by one, or is an error") {
    const Model model = Model::load(kPath);
    Generator generator = primed(model, options(0)), alone = primed(model, options(0));
    std::atomic<std::size_t> drawn{0}, busy{0}, wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int j = 0; j < 500; ++j) {
                try {
                    if (generator.next() >= 11) ++wrong;
                    ++drawn;
                } catch (const Error& error) {
                    ++(error.code() == ErrorCode::busy ? busy : wrong);
                }
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(drawn + busy == 2000);
    draw(alone, drawn);
    CHECK(generator.save_state() == alone.save_state());
}

TEST_CASE("keep_going stops a load, a prediction and a generator, which is as before") {
    std::size_t asked = 0, most = SIZE_MAX;
    LoadOptions load;
    load.keep_going = [&] { return ++asked < most; };
    const auto is_stopped = [](auto&& f) {
        try {
            f();
        } catch (const Error& error) {
            return error.code() == ErrorCode::stopped;
        }
        return false;
    };
    const Model model = Model::load(kPath, load);
    const std::size_t asked_by_load = asked;
    CHECK(asked_by_load > 8);  // for each array at least
    for (most = 1; most <= asked_by_load; ++most) {
        asked = 0;
        CHECK(is_stopped([&] { static_cast<void>(Model::load(kPath, load)); }));
    }
    most = SIZE_MAX;

    asked = 0;
    CHECK(model.bytes().size() > 1000);
    CHECK(asked > 4);  // for each array
    most = 3;
    asked = 0;
    CHECK(is_stopped([&] { static_cast<void>(model.bytes()); }));
    most = SIZE_MAX;

    const std::size_t batch = 3000, window = model.info().window;
    const Ids ids(batch * window);
    std::vector<float> y(batch * model.info().outputs);
    asked = 0;
    model.predict(ids.data(), batch, window, y.data());
    CHECK(asked > 2);
    most = asked = 1;
    CHECK(is_stopped([&] { model.predict(ids.data(), batch, window, y.data()); }));

    for (const std::size_t refresh : {0, 1, 3}) {
        most = SIZE_MAX;
        Generator generator = primed(model, options(refresh)), other = primed(model, options(refresh));
        const Ids want = draw(other, 4000);
        Ids found;
        std::size_t stops = 0;
        asked = 0;
        most = 1;
        while (found.size() < want.size()) {
            std::uint32_t id = 0;
            if (is_stopped([&] { id = generator.next(); })) {
                ++stops;
                asked = 0;
                most = stops % 2 + 1;  // the next time it may ask once, or stops at once
            } else {
                found.push_back(id);
            }
        }
        CHECK(stops > 1);
        CHECK(found == want);
    }

    most = 1;
    asked = 1;
    ManyOptions many;
    many.length = 4000;
    CHECK(is_stopped([&] { static_cast<void>(sample_many(model, {Request{{}, model.info().prime}}, many)); }));
}
