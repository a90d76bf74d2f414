// Measures the time to start, the time for one element, and the gain of more threads.
//
// Usage: lstmgen_steps model.bin [elements]
//
// Elements are drawn with a carried state, as in an audio callback. The times are those of
// lstmgen_generator_next.
#include <lstmgen/lstmgen.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

double milliseconds_since(Clock::time_point start) { return seconds(Clock::now() - start) * 1e3; }

// Ends the program unless a call has succeeded.
void require(lstmgen_status status) {
    if (status == LSTMGEN_OK) return;
    std::fprintf(stderr, "%s\n", lstmgen_last_error());
    std::exit(1);
}

lstmgen_generator* create(lstmgen_model* model) {
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    options.refresh = 0;
    lstmgen_generator* generator = nullptr;
    require(lstmgen_generator_create(model, &options, &generator));
    require(lstmgen_generator_feed_prime(generator));
    return generator;
}

// Returns the elements in a second of `threads` threads, each with its own generator.
double throughput(lstmgen_model* model, std::size_t threads, std::size_t elements) {
    std::vector<lstmgen_generator*> generators;
    for (std::size_t i = 0; i < threads; ++i) generators.push_back(create(model));
    const auto draw = [&](std::size_t i) {
        std::uint32_t id;
        for (std::size_t n = 0; n < elements; ++n) require(lstmgen_generator_next(generators[i], &id));
    };
    const auto start = Clock::now();
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back(draw, i);
    draw(0);
    for (std::thread& thread : others) thread.join();
    const double time = seconds(Clock::now() - start);
    for (lstmgen_generator*& generator : generators) lstmgen_generator_free(&generator);
    return static_cast<double>(threads * elements) / time;
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t elements = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1000000;
    lstmgen_model* model = nullptr;
    const auto beginning = Clock::now();
    if (argc < 2 || elements == 0 || lstmgen_model_load_path(argv[1], nullptr, &model) != LSTMGEN_OK) {
        std::fprintf(stderr, "usage: lstmgen_steps model.bin [elements]\n%s\n", lstmgen_last_error());
        return 2;
    }

    const double loaded = milliseconds_since(beginning);
    lstmgen_generator* generator = create(model);
    const double primed = milliseconds_since(beginning);
    std::uint32_t first;
    require(lstmgen_generator_next(generator, &first));
    std::size_t prime = 0;
    require(lstmgen_model_number(model, LSTMGEN_NUMBER_PRIME, &prime));
    std::printf("first element after %.1f ms: %.1f to load, %.1f for the %zu elements of the prime\n",
                milliseconds_since(beginning), loaded, primed - loaded, prime);

    std::vector<float> times(elements);
    for (float& time : times) {
        std::uint32_t id;
        const auto start = Clock::now();
        require(lstmgen_generator_next(generator, &id));
        time = static_cast<float>(seconds(Clock::now() - start) * 1e6);
    }
    lstmgen_generator_free(&generator);
    std::sort(times.begin(), times.end());
    const auto part = [&](double p) { return times[static_cast<std::size_t>(p * static_cast<double>(elements - 1))]; };
    std::printf("%zu elements, microseconds each: median %.1f, 99 %% %.1f, 99.99 %% %.1f, worst %.1f\n", elements,
                part(0.5), part(0.99), part(0.9999), times.back());

    // One thread and more threads run by turns, since the load of the machine changes. The median
    // of the ratios counts.
    for (const std::size_t threads : {std::size_t{2}, std::size_t{64}}) {
        std::vector<double> ratios;
        for (int i = 0; i < 9; ++i) {
            const double one = throughput(model, 1, elements / 50 + 1);
            ratios.push_back(throughput(model, threads, elements / 50 * 2 / threads + 1) / one);
        }
        std::sort(ratios.begin(), ratios.end());
        std::printf(
            "%zu generators on one model in %zu threads: %.2f times the elements of one (%.2f to %.2f in 9 runs)\n",
            threads, threads, ratios[4], ratios.front(), ratios.back());
    }
    lstmgen_model_release(&model);
}
