// Layers that make one vector of all steps. The vector so far is the output of each step.
#include "layers/stateful.hpp"
#include "portable_math.hpp"

namespace lstmgen {

using kernels::KernelTable;

namespace {

// Sums: those of the weighted steps, of the weights, and the greatest score so far, which the
// weights are relative to.
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
            if (total == 0.0 || score > top) {  // total is at least 1 after the first step
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

// Sums: those of the steps, and their number.
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

// The maximum so far is y of the step before; the sum is 0 where there was none.
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
