#include "tensor.hpp"

#include "kept.hpp"

namespace lstmgen {

using kernels::WeightType;

namespace {

template <class T>
T value(const std::byte* from, std::size_t i) {
    T number;
    std::memcpy(&number, from + i * sizeof number, sizeof number);
    return number;
}

}  // namespace

LSTMGEN_KEPT void to_floats(const std::byte* from, WeightType type, std::size_t n, float* to) {
    switch (type) {
        case WeightType::f32: std::memcpy(to, from, n * sizeof(float)); break;
        case WeightType::bf16:
            for (std::size_t i = 0; i < n; ++i) {
                const std::uint32_t bits = std::uint32_t{value<std::uint16_t>(from, i)} << 16;
                std::memcpy(to + i, &bits, sizeof bits);
            }
            break;
        case WeightType::int8:
            for (std::size_t i = 0; i < n; ++i) to[i] = static_cast<float>(value<std::int8_t>(from, i));
    }
}

LSTMGEN_KEPT void drop_least(std::byte* numbers, std::size_t n) {
    std::uint32_t least;
    std::memcpy(&least, &kernels::kLeastBf16, sizeof least);
    for (std::size_t i = 0; i < n; ++i) {
        auto bits = value<std::uint16_t>(numbers, i);
        const std::uint32_t magnitude = bits & 0x7fffu;
        if (magnitude > 0 && magnitude < least >> 16) bits = 0;
        std::memcpy(numbers + i * sizeof bits, &bits, sizeof bits);
    }
}

LSTMGEN_KEPT void drop_below(float least, float* x, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {  // without a branch, so that it becomes vector code
        std::uint32_t bits;
        std::memcpy(&bits, x + i, sizeof bits);
        const float magnitude = x[i] < 0.0f ? -x[i] : x[i];
        bits &= magnitude < least ? 0u : ~0u;
        std::memcpy(x + i, &bits, sizeof bits);
    }
}

LSTMGEN_KEPT bool any_subnormal(const std::byte* from, WeightType type, std::size_t n) {
    std::uint32_t found = 0;
    if (type == WeightType::bf16)
        for (std::size_t i = 0; i < n; ++i)
            found |= std::uint32_t{(value<std::uint16_t>(from, i) & 0x7fffu) - 1u < 0x7fu};
    else if (type == WeightType::f32)
        for (std::size_t i = 0; i < n; ++i)
            found |= std::uint32_t{(value<std::uint32_t>(from, i) & 0x7fffffffu) - 1u < 0x7fffffu};
    return found != 0;
}

LSTMGEN_KEPT void drop_subnormal(std::byte* numbers, WeightType type, std::size_t n) {
    const std::size_t size = Tensor::bytes_of(type);
    for (std::size_t i = 0; i < n; ++i)
        if (any_subnormal(numbers + i * size, type, 1)) std::memset(numbers + i * size, 0, size);
}

LSTMGEN_KEPT bool all_finite(const std::byte* from, WeightType type, std::size_t n) {
    std::uint32_t bad = 0;
    if (type == WeightType::bf16)
        for (std::size_t i = 0; i < n; ++i) bad |= (value<std::uint16_t>(from, i) & 0x7f80) == 0x7f80;
    else if (type == WeightType::f32)
        for (std::size_t i = 0; i < n; ++i) bad |= (value<std::uint32_t>(from, i) & 0x7f800000) == 0x7f800000;
    return bad == 0;
}

}  // namespace lstmgen
