// The public face of a network.
#include <algorithm>
#include <cmath>
#include <string>

#include "container.hpp"
#include "isa.hpp"
#include "lstmgen/lstmgen.hpp"
#include "network.hpp"
#include "session.hpp"

namespace lstmgen {
namespace {

constexpr std::size_t kPredictLanes = 96;  // rows of a batch at a time

// T is float or std::uint32_t; `size` values of it enter at each time step.
template <class T>
void predict_all(const Network& network, const T* x, std::size_t size, std::size_t batch, std::size_t steps, float* y) {
    const ModelInfo& info = network.info();
    const std::size_t lanes = std::min(batch, kPredictLanes);
    if (lanes == 0) return;
    Session session(network, lanes, 1);
    const std::size_t row = info.outputs * (info.output_sequence ? steps : 1);
    for (std::size_t first = 0; first < batch; first += lanes) {
        const std::size_t n = std::min(lanes, batch - first);
        for (std::size_t i = 0; i < n; ++i) session.reset(i);
        for (std::size_t t = 0; t < steps; ++t) {
            session.advance(x + (first * steps + t) * size, steps * size, n);
            if (info.output_sequence)
                session.read(0, n, y + first * row + t * info.outputs, row, Session::Read::output);
        }
        if (!info.output_sequence) session.read(0, n, y + first * row, row, Session::Read::output);
    }
}

void self_test(const Network& network, const SelfTest& test, const std::string& name) {
    const ModelInfo& info = network.info();
    const bool features = info.encoding == Encoding::features;
    const std::size_t steps = features ? test.features.size() / info.input_size : test.ids.size();
    std::vector<float> y(info.outputs * (info.output_sequence ? steps : 1));
    if (features)
        predict_all(network, test.features.data(), info.input_size, 1, steps, y.data());
    else
        predict_all(network, test.ids.data(), 1, 1, steps, y.data());
    const float* const last = y.data() + y.size() - info.outputs;
    for (std::size_t i = 0; i < info.outputs; ++i)
        if (!(std::abs(last[i] - test.output[i]) <= test.tolerance))
            throw Error(ErrorCode::format, name + ": the self-test failed: output " + std::to_string(i) +
                                               ": expected " + std::to_string(test.output[i]) + ", found " +
                                               std::to_string(last[i]));
}

std::shared_ptr<const Network> build(Container container, const std::string& name) {
    const SelfTest test = std::move(container.self_test);
    auto network = std::make_shared<const Network>(std::move(container));
    self_test(*network, test, name);
    return network;
}

}  // namespace

Model Model::load(const std::string& path) { return Model(build(read_container(path), path)); }

Model Model::from_memory(const void* data, std::size_t size, const std::string& name) {
    return Model(build(read_container(data, size, name), name));
}

const ModelInfo& Model::info() const noexcept { return network_->info(); }

void Model::predict(const float* x, std::size_t batch, std::size_t steps, float* y) const {
    if (info().encoding == Encoding::index)
        throw Error(ErrorCode::invalid_argument, "the network starts with an embedding: expected ids, found features");
    predict_all(*network_, x, info().input_size, batch, steps, y);
}

void Model::predict(const std::uint32_t* ids, std::size_t batch, std::size_t steps, float* y) const {
    if (info().encoding == Encoding::features)
        throw Error(ErrorCode::invalid_argument, "the network reads features: expected features, found ids");
    const std::size_t limit = info().encoding == Encoding::scaled ? info().outputs : info().input_size;
    for (std::size_t i = 0; i < batch * steps; ++i)
        if (ids[i] >= limit)
            throw Error(ErrorCode::invalid_argument, "id at position " + std::to_string(i) + ": expected below " +
                                                         std::to_string(limit) + ", found " + std::to_string(ids[i]));
    predict_all(*network_, ids, 1, batch, steps, y);
}

std::vector<std::string> supported_isas() {
    std::vector<std::string> names;
    for (const kernels::KernelTable* table : supported_kernels()) names.emplace_back(table->name);
    return names;
}

}  // namespace lstmgen
