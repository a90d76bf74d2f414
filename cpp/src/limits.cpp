// Measures what this machine can do at best.
#include <algorithm>
#include <array>
#include <chrono>

#include "aligned.hpp"
#include "kept.hpp"
#include "lstmgen/lstmgen.hpp"
#include "network.hpp"

namespace lstmgen {
namespace {

template <class F>
double seconds(F&& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

LSTMGEN_KEPT MachineLimits measure_limits(const Model& model) {
    constexpr int kTries = 7;
    const kernels::KernelTable& kernels = model.network()->kernels();
    // What lstmgen does beside it is a median, too: a best would make every share smaller.
    const auto median = [](std::array<double, kTries>& rates) {
        std::nth_element(rates.begin(), rates.begin() + kTries / 2, rates.end());
        return rates[kTries / 2];
    };
    std::array<double, kTries> rates;
    MachineLimits limits;
    for (double& rate : rates) {
        double macs = 0.0;
        const double time = seconds([&] { macs = kernels.fma_peak(1 << 20); });
        rate = macs / time;
    }
    limits.macs_per_second = median(rates);
    // A block of the size of the weights is read so often that one try takes a few milliseconds.
    const AlignedBuffer<std::byte> weights(round_up(std::max<std::size_t>(model.info().nbytes, 1024), 1024));
    const std::size_t passes = (std::size_t{64} << 20) / weights.size() + 1;
    volatile float sink = 0.0f;
    for (double& rate : rates) {
        const double time = seconds([&] {
            for (std::size_t j = 0; j < passes; ++j) sink = sink + kernels.read(weights.data(), weights.size());
        });
        rate = static_cast<double>(passes * weights.size()) / time;
    }
    limits.bytes_per_second = median(rates);
    return limits;
}

}  // namespace lstmgen
