#include "tensor.hpp"

namespace lstmgen {

using kernels::WeightType;

std::vector<float> floats(const Tensor& tensor) {
    std::vector<float> values(tensor.rows * tensor.columns);
    for (std::size_t i = 0; i < values.size(); ++i) {
        switch (tensor.type) {
            case WeightType::f32: values[i] = tensor.value<float>(i); break;
            case WeightType::bf16: {
                const std::uint32_t bits = std::uint32_t{tensor.value<std::uint16_t>(i)} << 16;
                std::memcpy(&values[i], &bits, sizeof bits);
                break;
            }
            case WeightType::int8:
                values[i] = static_cast<float>(tensor.value<std::int8_t>(i)) * tensor.scale(i % tensor.columns);
        }
    }
    return values;
}

bool all_finite(const Tensor& t) {
    const std::size_t n = t.rows * t.columns;
    std::uint32_t bad = 0;
    if (t.type == WeightType::int8) return all_finite({1, t.columns, WeightType::f32, t.scales, nullptr});
    if (t.type == WeightType::bf16) {
        for (std::size_t i = 0; i < n; ++i) bad |= (t.value<std::uint16_t>(i) & 0x7f80) == 0x7f80;
    } else {
        for (std::size_t i = 0; i < n; ++i) bad |= (t.value<std::uint32_t>(i) & 0x7f800000) == 0x7f800000;
    }
    return bad == 0;
}

}  // namespace lstmgen
