// A `.bin` of any weights, run by the kernels of all instruction sets of this processor. They give
// the same bits.
#include <vector>

#include "lstmgen/lstmgen.hpp"
#include "support.hpp"

using namespace lstmgen;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max, unsigned seed) {
    return fuzz::mutate(data, size, max, seed | 3, true);  // weights more often than keys
}

namespace {

std::vector<float> outputs(const std::uint8_t* data, std::size_t size, const std::string& isa) {
    const Model model = Model::from_memory(data, size, "input", {isa});
    const ModelInfo& info = model.info();
    if (info.window > 64 || info.input_size > 4096 || info.outputs > 4096) return {};
    std::vector<float> all;
    const std::size_t steps = info.fixed_steps ? info.window : 5;
    for (const std::size_t batch : {1, 7}) {
        std::vector<float> y(model.predict_size(batch, steps));
        if (info.encoding == Encoding::features) {
            std::vector<float> x(batch * steps * info.input_size);
            for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.125f * static_cast<float>(i * 37 % 19) - 1.0f;
            model.predict(x.data(), batch, steps, y.data());
        } else {
            std::vector<std::uint32_t> ids(batch * steps);
            for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::uint32_t>(i * 5 % info.outputs);
            model.predict(ids.data(), batch, steps, y.data());
        }
        for (float& number : y) {
            if (number != number) number = 0.0f;  // the bits of NaN may differ
            all.push_back(number);
        }
    }
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::Second second;
    try {
        const std::vector<float> want = outputs(data, size, "baseline");
        for (const std::string& isa : supported_isas()) {
            const std::vector<float> found = outputs(data, size, isa);
            fuzz::require(found.size() == want.size());
            fuzz::require(want.empty() || std::memcmp(found.data(), want.data(), want.size() * sizeof(float)) == 0);
        }
    } catch (const Error&) {
    }
    return 0;
}
