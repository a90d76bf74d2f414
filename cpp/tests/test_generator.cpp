// Tests of sampling from C++, on the network of data/README.md: LSTM 20 > LSTM 17 > Dense 11
// softmax, one-hot, window 12.
#include <doctest.h>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

#include "environment.hpp"
#include "lstmgen/lstmgen.hpp"
#include "sampler.hpp"
#include "tiny.hpp"

using namespace lstmgen;

namespace {

std::vector<std::uint32_t> sample(const Model& model, GeneratorOptions options, std::size_t n,
                                  std::vector<std::uint32_t> prime = {}) {
    Generator generator(model, options);
    generator.feed(prime.empty() ? model.info().prime : prime);
    std::vector<std::uint32_t> ids(n);
    for (auto& id : ids) id = generator.next();
    return ids;
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a window generator's distributions are predict's on the last window, bit for bit") {
    const Model model = Model::load(kPath);
    const std::size_t window = model.info().window, n = model.info().outputs;
    for (const std::size_t length : {std::size_t{1}, window - 1, window, window + 5}) {
        std::vector<std::uint32_t> context(length);
        for (std::size_t i = 0; i < length; ++i) context[i] = static_cast<std::uint32_t>(i * 7 % n);
        Generator generator(model, options(1));
        generator.feed(context);
        for (int step = 0; step < 40; ++step) {
            std::vector<double> p(n);
            generator.probabilities(p.data());
            const std::size_t steps = std::min(window, context.size());
            std::vector<float> y(n);
            model.predict(context.data() + context.size() - steps, 1, steps, y.data());
            for (std::size_t i = 0; i < n; ++i) REQUIRE(p[i] == doctest::Approx(y[i]).epsilon(1e-6));
            context.push_back(generator.next());
        }
    }
}

TEST_CASE("refresh N predicts from the last T to T + N - 1 elements") {
    const Model model = Model::load(kPath);
    const std::size_t window = model.info().window, n = model.info().outputs;
    for (const std::size_t refresh : {2, 5, 12, 30}) {
        std::vector<std::uint32_t> context = model.info().prime;
        Generator generator(model, options(refresh));
        generator.feed(context);
        for (std::size_t step = 0; step < 70; ++step) {
            std::vector<double> p(n);
            generator.probabilities(p.data());
            const std::size_t steps = window + step % refresh;
            std::vector<float> y(n);
            model.predict(context.data() + context.size() - steps, 1, steps, y.data());
            for (std::size_t i = 0; i < n; ++i) REQUIRE(p[i] == doctest::Approx(y[i]).epsilon(1e-6));
            context.push_back(generator.next());
        }
    }
}

TEST_CASE("the same seed gives the same elements for any number of threads and every instruction set") {
    for (const std::size_t refresh : {0, 1, 5}) {
        const auto want = sample(Model::load(kPath), options(refresh), 300);
        for (const std::string& isa : supported_isas()) {
            choose_isa(isa);
            const Model model = Model::load(kPath);
            choose_isa("");
            CHECK(model.info().isa == isa);
            for (const std::size_t threads : {1, 2, 3, 64})
                CHECK(sample(model, options(refresh, threads), 300) == want);
        }
    }
}

TEST_CASE("the first elements of a seed are pinned, on every machine") {
    const std::vector<std::uint32_t> want = {9, 7, 9, 2, 10, 0, 6, 4, 4,  5, 0, 5, 7, 6, 10, 10, 9, 5, 0, 0,
                                             8, 2, 4, 0, 0,  0, 6, 6, 10, 0, 9, 4, 9, 9, 0,  10, 8, 5, 3, 0};
    CHECK(sample(Model::load(kPath), options(1), want.size()) == want);
}

TEST_CASE("padding that was stopped leaves an empty context") {
    const Model model = Model::load(LSTMGEN_TEST_DATA "/raw.bin");
    const std::vector<std::uint32_t> given = {2, 0, 3};
    for (const std::size_t refresh : {1, 3, 50}) {
        CAPTURE(refresh);
        Generator fresh(model, options(refresh));
        std::vector<double> first(model.info().outputs);
        fresh.probabilities(first.data());
        fresh.feed(given);
        std::vector<std::uint32_t> want(20);
        for (auto& id : want) id = fresh.next();
        for (int calls = 0; calls < static_cast<int>(model.info().window); ++calls) {
            CAPTURE(calls);
            Generator stopped(model, options(refresh));
            int left = calls;
            REQUIRE(!stopped.feed(given.data(), given.size(), [&] { return left-- > 0; }));
            std::vector<double> p(first.size());
            stopped.probabilities(p.data());
            CHECK(p == first);
            stopped = Generator::load_state(model, stopped.save_state().data(), stopped.save_state().size());
            stopped.feed(given);
            for (const std::uint32_t id : want) CHECK(stopped.next() == id);
        }
    }
}

TEST_CASE("many threads share one model") {
    const Model model = Model::load(kPath);
    const auto want = sample(model, options(1), 100);
    std::vector<std::vector<std::uint32_t>> found(16);
    std::vector<std::thread> threads;
    for (auto& ids : found) threads.emplace_back([&] { ids = sample(model, options(1), 100); });
    for (auto& thread : threads) thread.join();
    for (const auto& ids : found) CHECK(ids == want);
}

TEST_CASE("temperature 0 takes the most likely element, and filters drop the others") {
    const Model model = Model::load(kPath);
    std::vector<double> p(model.info().outputs);
    const auto distribution = [&](auto set) {
        GeneratorOptions o = options(1);
        set(o.sampler);
        Generator generator(model, o);
        generator.feed(model.info().prime);
        generator.probabilities(p.data());
        double sum = 0.0;
        std::size_t alive = 0;
        for (const double x : p) {
            sum += x;
            alive += x > 0.0;
        }
        CHECK(sum == doctest::Approx(1.0));
        return alive;
    };
    CHECK(distribution([](SamplerOptions&) {}) == p.size());
    const std::vector<double> plain = p;
    CHECK(distribution([](SamplerOptions& s) { s.temp = 0.0; }) == 1);
    CHECK(p[static_cast<std::size_t>(std::max_element(plain.begin(), plain.end()) - plain.begin())] == 1.0);
    CHECK(distribution([](SamplerOptions& s) { s.top_k = 3; }) == 3);
    CHECK(distribution([](SamplerOptions& s) { s.min_p = 1.0; }) == 1);
    CHECK(distribution([](SamplerOptions& s) { s.top_p = 1e-9; }) == 1);
    CHECK(distribution([](SamplerOptions& s) { s.logit_bias = {{4, -HUGE_VAL}}; }) == p.size() - 1);
    CHECK(p[4] == 0.0);
    distribution([](SamplerOptions& s) { s.temp = 0.5; });
    CHECK(p[0] / p[1] == doctest::Approx(plain[0] / plain[1] * plain[0] / plain[1]));
}

TEST_CASE("a truncated or damaged file is a format error, wherever it is cut or flipped") {
    const std::string bytes = read_file(kPath);
    REQUIRE(bytes.size() > 1000);
    for (std::size_t size = 0; size < bytes.size(); size += size < 4096 ? 1 : 97) {
        try {
            static_cast<void>(Model::from_memory(bytes.data(), size, "cut"));
            FAIL("accepted " << size << " bytes");
        } catch (const Error& error) {
            CHECK(error.code() == ErrorCode::format);
        }
    }
    for (std::size_t bit = 0; bit < bytes.size() * 8; bit += bit < 8 * 4096 ? 1 : 1009) {
        std::string flipped = bytes;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
        CHECK_THROWS_AS(Model::from_memory(flipped.data(), flipped.size()), Error);
    }
}

TEST_CASE("what cannot be done is an error with a reason") {
    const Model model = Model::load(kPath);
    const auto code_of = [](auto f) {
        try {
            static_cast<void>(f());
        } catch (const Error& error) {
            CHECK(std::string(error.what()).size() > 10);
            return error.code();
        }
        FAIL("no error");
        return ErrorCode::io;
    };
    CHECK(code_of([] { return Model::load("no/such.bin"); }) == ErrorCode::io);
    CHECK(code_of([] { return Model::load(LSTMGEN_TEST_DATA); }) == ErrorCode::io);
    CHECK(code_of([&] { return Generator(model, options(1)).next(); }) == ErrorCode::invalid_argument);
    CHECK(code_of([&] { Generator(model, options(1)).feed({11}); }) == ErrorCode::invalid_argument);
    CHECK(code_of([&] {
              GeneratorOptions o;
              o.sampler.temp = -1.0;
              Generator(model, o);
          }) == ErrorCode::invalid_argument);
    const std::uint32_t id = 11;
    float y[11];
    CHECK(code_of([&] { model.predict(&id, 1, 1, y); }) == ErrorCode::invalid_argument);
}

TEST_CASE("64 threads with one model draw what one thread draws") {
    const Model model = Model::load(kPath);
    std::vector<std::vector<std::uint32_t>> drawn(64);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < drawn.size(); ++i)
        threads.emplace_back([&, i] {
            GeneratorOptions o = options(i % 3);
            o.sampler.seed = i;
            drawn[i] = sample(model, o, 40);
        });
    for (std::thread& thread : threads) thread.join();
    for (std::size_t i = 0; i < drawn.size(); ++i) {
        GeneratorOptions o = options(i % 3);
        o.sampler.seed = i;
        CHECK(drawn[i] == sample(model, o, 40));
    }
}

TEST_CASE("a number that is not finite never makes a banned element likely") {
    SamplerOptions o;
    o.logit_bias = {{0, -HUGE_VAL}};
    Sampler sampler(3, o);
    const float logits[] = {HUGE_VALF, 1.0f, NAN};
    sampler.set_logits(logits);
    CHECK(sampler.draw() == 1);
    CHECK(sampler.log_probability(1) == doctest::Approx(0.0));
}

TEST_CASE("the probability of the last drawn element is that of the distribution it came from") {
    const Model model = Model::load(kPath);
    for (const std::size_t refresh : {std::size_t{1}, std::size_t{0}}) {
        GeneratorOptions o = options(refresh);
        o.sampler.temp = 0.8;
        o.sampler.min_p = 0.02;
        Generator generator(model, o);
        CHECK(std::isnan(generator.log_probability()));
        generator.feed(model.info().prime);
        std::vector<double> p(model.info().outputs);
        for (int i = 0; i < 40; ++i) {
            generator.probabilities(p.data());
            const std::uint32_t id = generator.next();
            const double log_p = generator.log_probability();
            CHECK(log_p == doctest::Approx(std::log(p[id])).epsilon(1e-12));
            generator.probabilities(p.data());
            generator.feed(&id, 1);
            CHECK(generator.log_probability() == log_p);
            CHECK(generator.clone().log_probability() == log_p);
        }
        generator.reset(1);
        CHECK(std::isnan(generator.log_probability()));
    }
}

TEST_CASE("another seed starts other random numbers in the same context") {
    const Model model = Model::load(kPath);
    Generator generator(model, options(1));
    generator.feed(model.info().prime);
    Generator other = generator.clone();
    CHECK(generator.options().seed == 42);
    for (int i = 0; i < 9; ++i) static_cast<void>(other.next());
    other.copy_from(generator);
    other.set_seed(7);
    CHECK(other.options().seed == 7);
    GeneratorOptions seven = options(1);
    seven.sampler.seed = 7;
    for (const std::uint32_t id : sample(model, seven, 30)) CHECK(other.next() == id);
    for (const std::uint32_t id : sample(model, options(1), 30)) CHECK(generator.next() == id);
}

TEST_CASE("options are told by the names that the list of numbers has, and keep the seed") {
    const Model model = Model::load(kPath);
    Generator generator(model, options(1));
    SamplerOptions o;
    double value = 0.5;
#define SET(name, least, ...) o.name = static_cast<decltype(o.name)>((value += 0.02) + ((least) > 0.0 ? (least) : 0.0));
    LSTMGEN_SAMPLER_NUMBERS(SET)
#undef SET
    o.top_k = 3;
    o.mirostat = 2;
    o.ban = {1};
    o.allow = {1, 2};
    o.dry_sequence_breakers = {3};
    o.seed = 1;
    o.logit_bias = {{1, 0.5}};
    generator.set_options(o);
    const SamplerOptions found = generator.options();
#define COMPARE(name, ...) CHECK(found.name == o.name);
    LSTMGEN_SAMPLER_NUMBERS(COMPARE)
#undef COMPARE
    CHECK(found.logit_bias == o.logit_bias);
    CHECK(found.seed == 42);
    const auto state = generator.save_state();
    const SamplerOptions loaded = Generator::load_state(model, state.data(), state.size()).options();
#define COMPARE(name, ...) CHECK(loaded.name == o.name);
    LSTMGEN_SAMPLER_NUMBERS(COMPARE)
#undef COMPARE
}

TEST_CASE("the float mode of the program changes no number, and stays as it was") {
    const auto everything = [] {
        const Model model = Model::load(kPath);
        std::vector<std::uint32_t> ids = sample(model, options(1, 3), 40), more = sample(model, options(0), 300);
        ids.insert(ids.end(), more.begin(), more.end());
        ManyOptions many;
        many.length = 40;
        many.threads = 2;
        const Request request{options(1).sampler, model.info().prime};
        for (const auto& drawn : sample_many(model, {request, request, request}, many))
            ids.insert(ids.end(), drawn.begin(), drawn.end());
        std::vector<float> y(model.predict_size(1, ids.size()));
        model.predict(ids.data(), 1, model.info().window, y.data());
        return std::pair(ids, y);
    };
    const auto want = everything();
    for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
        if (std::fesetround(mode) != 0) continue;  // the processor has no such mode
        const auto found = everything();
        const int after = std::fegetround();
        std::fesetround(FE_TONEAREST);
        CHECK(after == mode);
        CHECK(found == want);
    }
#if defined(__x86_64__) || defined(_M_X64)
    const unsigned before = _mm_getcsr();
    // Flush to zero, subnormals are zero, both, and an invalid operation traps.
    for (const unsigned mode : {0x9f80u, 0x1fc0u, 0x9fc0u, 0x1f00u}) {
        _mm_setcsr(mode);
        const auto found = everything();
        const unsigned after = _mm_getcsr();
        _mm_setcsr(before);
        CHECK((after & ~0x3fu) == mode);
        CHECK(found == want);
    }
#endif
}

TEST_CASE("sequences that join a batch and leave it draw what generators draw") {
    const Model model = Model::load(kPath);
    for (const std::size_t refresh : {std::size_t{0}, std::size_t{1}, std::size_t{5}}) {
        Batch batch(model, 3);
        std::vector<std::vector<std::uint32_t>> drawn(9);
        std::vector<std::size_t> who(3);  // the sequence that has each number
        std::size_t next = 0;
        for (int step = 0; next < drawn.size() || batch.size() > 0; ++step) {
            if (next < drawn.size() && batch.size() < 3 && step % 3 == 0) {
                BatchRequest request;
                request.sampler.seed = next;
                request.prime.assign(1 + 5 * next, 3);
                request.length = 4 + 3 * next;
                request.refresh = refresh;
                who[batch.join(request)] = next++;
            }
            for (const BatchElement& element : batch.step()) {
                CHECK(element.drawn);
                drawn[who[element.sequence]].push_back(element.id);
            }
        }
        for (std::size_t i = 0; i < drawn.size(); ++i) {
            GeneratorOptions alone = options(refresh);
            alone.sampler.seed = i;
            CHECK(drawn[i] == sample(model, alone, 4 + 3 * i, std::vector<std::uint32_t>(1 + 5 * i, 3)));
        }
    }
}

TEST_CASE("what a batch refuses") {
    const Model model = Model::load(kPath);
    CHECK_THROWS_AS(Batch(model, 0), Error);
    CHECK_THROWS_AS(Batch(model, LSTMGEN_MAX_BATCH + 1), Error);
    Batch batch(model, 1);
    CHECK_THROWS_AS(batch.leave(0), Error);
    CHECK_THROWS_AS(static_cast<void>(batch.join({})), Error);  // without a prime
    BatchRequest request;
    request.prime = {1};
    request.refresh = 0;
    const std::size_t sequence = batch.join(request);
    CHECK_THROWS_WITH_AS(static_cast<void>(batch.join(request)), "the batch is full: it has 1 sequences", Error);
    CHECK_THROWS_AS(batch.pause(sequence), Error);
    batch.leave(sequence);
    CHECK(batch.size() == 0);
    Batch other = std::move(batch);
    CHECK_THROWS_AS(static_cast<void>(batch.size()), Error);  // NOLINT: what was moved from says so
}
