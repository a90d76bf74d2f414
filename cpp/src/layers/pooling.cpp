// Layers that make one vector of all steps. The output of each step is the vector of the steps so
// far.
#include "layers/stateful.hpp"
#include "portable_math.hpp"

namespace lstmgen {

using kernels::KernelTable;

namespace {

// The sums (outputs + 2) of a lane are the sums of the weighted steps (outputs), the sum of the
// weights, and the greatest score so far. Weights are e ^ (score - greatest score).
class AttentionPool final : public StatefulLayer {
public:
    AttentionPool(const LayerDescription& d, LayerArrays& arrays) : StatefulLayer(d), epsilon_(d.epsilon) {
        arrays.read({{"weights", &weights_}});
        nbytes_ = sizeof(float) * weights_.size();
        sums_size_ = outputs() + 2;
    }

    void write(ArrayWriter& file) const override { file.floats(weights_); }

protected:
    void advance(const KernelTable&, const Input& in, std::size_t lanes, const Output& out, float*) const override {
        const std::size_t n = outputs();
        for (std::size_t i = 0; i < lanes; ++i) {
            const float* const x = in.numbers(i);
            double* const sums = out.sums + i * out.sums_stride;
            double &total = sums[n], &top = sums[n + 1];
            double score = 0.0;
            for (std::size_t j = 0; j < n; ++j) score += static_cast<double>(weights_[j]) * x[j];
            if (total == 0.0 || score > top) {  // 0 only at the first step: later it is at least 1
                const double shrink = total == 0.0 ? 0.0 : exp_portable(top - score);
                for (std::size_t j = 0; j <= n; ++j) sums[j] *= shrink;
                top = score;
            }
            const double weight = exp_portable(score - top);
            for (std::size_t j = 0; j < n; ++j) sums[j] += weight * x[j];
            total += weight;
            for (std::size_t j = 0; j < n; ++j)
                out.y[i * out.stride + j] = static_cast<float>(sums[j] / (total + epsilon_));
        }
    }

private:
    std::vector<float> weights_;  // (outputs)
    double epsilon_;
};

// The sums (outputs + 1) of a lane are the sums of the steps (outputs), and their number.
class AveragePool final : public StatefulLayer {
public:
    explicit AveragePool(const LayerDescription& d) : StatefulLayer(d) { sums_size_ = outputs() + 1; }

protected:
    void advance(const KernelTable&, const Input& in, std::size_t lanes, const Output& out, float*) const override {
        const std::size_t n = outputs();
        for (std::size_t i = 0; i < lanes; ++i) {
            double* const sums = out.sums + i * out.sums_stride;
            sums[n] += 1.0;
            for (std::size_t j = 0; j < n; ++j) {
                sums[j] += in.numbers(i)[j];
                out.y[i * out.stride + j] = static_cast<float>(sums[j] / sums[n]);
            }
        }
    }
};

// The maximum so far is y of the step before. The only sum of a lane is 1 after its first step.
class MaxPool final : public StatefulLayer {
public:
    explicit MaxPool(const LayerDescription& d) : StatefulLayer(d) { sums_size_ = 1; }

protected:
    void advance(const KernelTable&, const Input& in, std::size_t lanes, const Output& out, float*) const override {
        for (std::size_t i = 0; i < lanes; ++i) {
            const float* const x = in.numbers(i);
            const float* const before = out.y_before + i * out.stride;
            double& begun = out.sums[i * out.sums_stride];
            for (std::size_t j = 0; j < outputs(); ++j)
                out.y[i * out.stride + j] = begun != 0.0 && !(x[j] > before[j]) ? before[j] : x[j];
            begun = 1.0;
        }
    }
};

}  // namespace

std::unique_ptr<Layer> make_attention_pool(const LayerDescription& d, LayerArrays& arrays) {
    return std::make_unique<AttentionPool>(d, arrays);
}

std::unique_ptr<Layer> make_average_pool(const LayerDescription& d, LayerArrays&) {
    return std::make_unique<AveragePool>(d);
}

std::unique_ptr<Layer> make_max_pool(const LayerDescription& d, LayerArrays&) { return std::make_unique<MaxPool>(d); }

}  // namespace lstmgen
