// Measures what this machine can do at best.
#include <algorithm>
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
    MachineLimits limits;
    for (int i = 0; i < kTries; ++i) {
        double macs = 0.0;
        const double time = seconds([&] { macs = kernels.fma_peak(1 << 20); });
        limits.macs_per_second = std::max(limits.macs_per_second, macs / time);
    }
    // A block of the size of the weights is read so often that one try takes a few milliseconds.
    const AlignedBuffer<std::byte> weights(round_up(std::max<std::size_t>(model.info().nbytes, 1024), 1024));
    const std::size_t passes = (std::size_t{64} << 20) / weights.size() + 1;
    volatile float sink = 0.0f;
    for (int i = 0; i < kTries; ++i) {
        const double time = seconds([&] {
            for (std::size_t j = 0; j < passes; ++j) sink = sink + kernels.read(weights.data(), weights.size());
        });
        limits.bytes_per_second =
            std::max(limits.bytes_per_second, static_cast<double>(passes * weights.size()) / time);
    }
    return limits;
}

}  // namespace lstmgen
