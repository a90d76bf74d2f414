// The public class Model: loading, facts, predict.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>
#include <string>
#include <type_traits>

#include "checks.hpp"
#include "container.hpp"
#include "float_mode.hpp"
#include "isa.hpp"
#include "kept.hpp"
#include "lstmgen/lstmgen.hpp"
#include "message.hpp"
#include "network.hpp"
#include "sequence.hpp"

namespace lstmgen {
namespace {

constexpr std::size_t kLanes = 96;  // the most sequences of a batch that run at once
constexpr std::size_t kRows = 64;   // the most rows (steps * lanes) of a piece of the sequences
constexpr double kFloats = 0x1p24;  // the most floats of memory, if one lane fits

void check_steps(const ModelInfo& info, std::size_t steps) {
    if (steps == 0) refuse({"steps: expected at least 1, found 0"});
    if (info.fixed_steps && steps != info.window)
        refuse({"steps: expected % (the network takes no other number), found %", info.window, steps});
}

// Returns batch * rows * size: the numbers of a batch with `rows` rows for each sequence. Throws
// Error if no memory holds as many.
std::size_t count(std::size_t batch, std::size_t steps, std::size_t rows, std::size_t size) {
    const std::optional<std::size_t> all = product(batch, rows), n = all ? product(*all, size) : all;
    if (!n) refuse({"batch and steps: expected fewer, found % and %", batch, steps});
    return *n;
}

// Computes y (batch, steps of the output, outputs) from x (batch, steps, size). Unless `all`, y has
// only the last step. T is float or std::uint32_t. `exact` is as in SequenceEvaluator. `done` is as
// in Model::predict.
template <class T>
void predict_all(const Network& network, const T* x, std::size_t size, std::size_t batch, std::size_t steps, float* y,
                 bool all, bool exact = false, std::atomic<std::size_t>* done = nullptr) {
    const ModelInfo& info = network.info();
    if (batch == 0) return;
    const FloatMode mode;
    check_steps(info, steps);
    constexpr bool features = std::is_same_v<T, float>;
    // Returns how many things of `each` floats fit kFloats: at most `most`, at least 1.
    const auto fitting = [](double each, std::size_t most) {
        return kFloats / each >= static_cast<double>(most) ? most
                                                           : std::max<std::size_t>(1, std::size_t(kFloats / each));
    };
    const double lane = SequenceEvaluator::size(network, kLanes, info.whole ? steps : 1, features) / kLanes;
    const std::size_t lanes = kernels::chunk_of(batch, fitting(lane, std::min(batch, kLanes)));
    const std::size_t most = std::min(steps, std::max<std::size_t>(1, kRows / lanes));
    const std::size_t piece = info.whole ? steps : fitting(lane * static_cast<double>(lanes), most);
    const SequenceEvaluator* running = nullptr;
    const double of_a_step = SequenceEvaluator::work(network, steps) / static_cast<double>(steps);
    const Continue counted = [&] {
        *done = std::min(batch * steps, static_cast<std::size_t>(running->done() / std::max(1.0, of_a_step)));
        return !network.keep_going() || network.keep_going()();
    };
    SequenceEvaluator evaluator(network, lanes, piece, features, done ? counted : network.keep_going(), exact);
    running = &evaluator;
    const std::size_t row = info.outputs * (all ? network.layers().back()->shape().steps_for(steps) : 1);
    for (std::size_t first = 0; first < batch; first += lanes) {
        const std::size_t n = std::min(lanes, batch - first);
        evaluator.reset(n);
        float* to = y + first * row;
        for (std::size_t t = 0; t < steps; t += piece) {
            const bool last = t + piece >= steps;
            const T* const from = x + (first * steps + t) * size;
            evaluator.run(from, steps * size, std::min(piece, steps - t), last, Read::output);
            if (!last && !(all && info.output_sequence)) continue;
            const std::size_t end = evaluator.output_steps(), begin = all ? 0 : end - 1;
            for (std::size_t i = 0; i < n; ++i)
                for (std::size_t j = begin; j < end; ++j)
                    evaluator.read(i, j, to + i * row + (j - begin) * info.outputs);
            to += end * info.outputs;
        }
    }
}

// Throws Error if the self-test would take more work or memory than a file of `size` bytes may ask
// for.
void check_budget(const Network& network, const SelfTest& test, std::uint64_t size, const std::string& name) {
    const bool features = network.info().encoding == Encoding::features;
    const double bytes = static_cast<double>(size);
    const double work = SequenceEvaluator::work(network, test.steps), most_work = 0x1p28 + 8192.0 * bytes;
    const std::size_t steps = network.info().whole ? test.steps : std::min(test.steps, kRows);
    const double memory = static_cast<double>(network.info().nbytes) +
                          sizeof(float) * SequenceEvaluator::size(network, 1, steps, features);
    const double most_memory = 0x1p24 + 64.0 * bytes;
    const auto check = [&](double found, double most, const char* what) {
        if (found <= most) return;
        fail_format({"%: the self-test of % steps: expected at most %% for a file of % bytes, found %", name,
                     test.steps, static_cast<std::uint64_t>(most), what, size, static_cast<std::uint64_t>(found)});
    };
    check(work, most_work, " multiply-adds");
    check(memory, most_memory, " bytes of memory");
}

// Throws Error unless the network gives the output that the file expects. That output comes from
// exact inputs, so inputs are not rounded to bf16 here.
void self_test(const Network& network, const SelfTest& test, const std::string& name) {
    const ModelInfo& info = network.info();
    std::vector<float> last(info.outputs);
    try {
        if (info.encoding == Encoding::features)
            predict_all(network, test.features.data(), info.input_size, 1, test.steps, last.data(), false, true);
        else
            predict_all(network, test.ids.data(), 1, 1, test.steps, last.data(), false, true);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::stopped) throw;
        fail(ErrorCode::format, {"%: the self-test: %", name, error.what()});
    }
    for (std::size_t i = 0; i < info.outputs; ++i)
        if (!(std::abs(last[i] - test.output[i]) <= test.tolerance))
            fail(ErrorCode::format,
                 {"%: the self-test failed: output %: expected %, found %", name, i, test.output[i], last[i]});
}

std::shared_ptr<const Network> build(std::unique_ptr<Source> source, const std::string& name,
                                     const LoadOptions& options) {
    const FloatMode mode;
    const std::uint64_t size = source->size();
    const auto file = open_container(std::move(source), name, options.keep_going);
    const kernels::KernelTable& kernels = choose_kernels(options.isa, file->info.dtype == "int8");
    SelfTest test;
    auto network = std::make_shared<const Network>(*file, test, kernels, options.keep_going);
    check_budget(*network, test, size, name);
    self_test(*network, test, name);
    return network;
}

}  // namespace

LSTMGEN_KEPT Model Model::load(const std::string& path, const LoadOptions& options) {
    return Model(build(file_source(path), path, options));
}

LSTMGEN_KEPT Model Model::from_memory(const void* data, std::size_t size, const std::string& name,
                                      const LoadOptions& options) {
    check_pointer(data, 1, "data");
    return Model(build(memory_source(data, size), name, options));
}

LSTMGEN_KEPT const std::shared_ptr<const Network>& Model::network() const {
    if (!network_) refuse({"the model was moved from: assign another one to it first"});
    return network_;
}

LSTMGEN_KEPT std::string Model::bytes() const { return network()->file(); }

LSTMGEN_KEPT const ModelInfo& Model::info() const { return network()->info(); }

LSTMGEN_KEPT std::size_t Model::predict_size(std::size_t batch, std::size_t steps) const {
    check_steps(info(), steps);
    return count(batch, steps, network_->layers().back()->shape().steps_for(steps), info().outputs);
}

LSTMGEN_KEPT void Model::predict(const float* x, std::size_t batch, std::size_t steps, float* y,
                                 std::atomic<std::size_t>* done) const {
    check_pointer(y, predict_size(batch, steps), "y");
    if (info().encoding == Encoding::index)
        refuse({"the network starts with an embedding: expected ids, found features"});
    check_pointer(x, count(batch, steps, steps, info().input_size), "the input");
    predict_all(*network_, x, info().input_size, batch, steps, y, true, false, done);
}

LSTMGEN_KEPT void Model::predict(const std::uint32_t* ids, std::size_t batch, std::size_t steps, float* y,
                                 std::atomic<std::size_t>* done) const {
    check_pointer(y, predict_size(batch, steps), "y");
    if (info().encoding == Encoding::features) refuse({"the network reads features: expected features, found ids"});
    const std::size_t n = count(batch, steps, steps, 1);
    check_pointer(ids, n, "the input");
    check_ids(ids, n, id_limit(info()));
    predict_all(*network_, ids, 1, batch, steps, y, true, false, done);
}

LSTMGEN_KEPT std::vector<std::string> supported_isas() {
    std::vector<std::string> names;
    for (const kernels::KernelTable* table : supported_kernels()) names.emplace_back(table->name);
    return names;
}

}  // namespace lstmgen
