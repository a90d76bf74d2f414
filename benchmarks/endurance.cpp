// Runs long: loads and frees a model many times, and draws very many elements with a carried state.
// It prints the memory and the speed of each tenth. Both must stay flat. The speed is by the time
// of the processor, so that other programs change little.
//
//     lstmgen_endurance model.bin [CYCLES [ELEMENTS]]
//
// Lines are "cycles: N at R a second, M MiB" and "elements: N at R a second, M MiB".
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include "lstmgen/lstmgen.hpp"

namespace {

// Returns the MiB of this process that are in memory; 0 where the system does not tell.
double mebibytes() {
    std::ifstream status("/proc/self/statm");
    double all = 0.0, resident = 0.0;
    status >> all >> resident;
    return resident * 4096.0 / (1 << 20);
}

// Does f() n times. Prints the speed and the memory after each tenth. Returns the growth of the
// memory from the end of the first tenth to the end of the last, in MiB.
template <class F>
double repeat(const char* what, std::size_t n, F f) {
    double first = 0.0, last = 0.0;
    for (std::size_t tenth = 0; tenth < 10; ++tenth) {
        const std::clock_t begin = std::clock();
        for (std::size_t i = 0; i < n / 10; ++i) f();
        const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
        last = mebibytes();
        if (tenth == 0) first = last;
        std::printf("%s: %zu at %.0f a second, %.1f MiB\n", what, (tenth + 1) * (n / 10),
                    static_cast<double>(n / 10) / seconds, last);
        std::fflush(stdout);
    }
    return last - first;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: lstmgen_endurance model.bin [CYCLES [ELEMENTS]]\n");
        return 2;
    }
    const std::size_t cycles = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 10000;
    const std::size_t elements = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1000000000;
    lstmgen::GeneratorOptions options;
    options.refresh = 0;
    double grown = repeat("cycles", cycles, [&] {
        const auto model = lstmgen::Model::load(argv[1]);
        lstmgen::Generator generator(model, options);
        generator.feed(model.info().prime);
        if (generator.next() >= model.info().outputs) std::abort();
    });
    const auto model = lstmgen::Model::load(argv[1]);
    lstmgen::Generator generator(model, options);
    generator.feed(model.info().prime);
    grown += repeat("elements", elements, [&] {
        if (generator.next() >= model.info().outputs) std::abort();
    });
    std::printf("the memory grew by %.1f MiB\n", grown);
    return grown > 1.0;
}
