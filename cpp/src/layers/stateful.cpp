#include "layers/stateful.hpp"

#include <algorithm>

namespace lstmgen {
namespace {

// States below this become zero. Without it, a state that fades goes through subnormal numbers,
// which are 50 times slower on many processors. 2^-64 is far below the rounding of other states.
constexpr float kLeastState = 0x1p-64f;

}  // namespace

StatefulLayer::~StatefulLayer() = default;

void StatefulLayer::step(const kernels::KernelTable& kernels, const Input* in, std::size_t lanes, const Output& out,
                         float* scratch) const {
    const auto advance = [&](const Input& from, std::size_t n, const Output& to) {
        this->advance(kernels, from, n, to, scratch);
        kernels.drop_below(kLeastState, to.y, n * to.stride);
        if (has_cell()) kernels.drop_below(kLeastState, to.c, n * to.stride);
    };
    if (sources().size() == 1) return advance(*in, lanes, out);
    const auto present = [&](std::size_t i) { return *in[1].numbers(i) != 0.0f; };
    for (std::size_t first = 0, last; first < lanes; first = last) {
        last = first + 1;
        while (last < lanes && present(last) == present(first)) ++last;
        const Output chunk = out.from(first);
        if (present(first))
            advance(in->from(first), last - first, chunk);
        else
            std::copy_n(chunk.y_before, (last - first) * out.stride, chunk.y);
    }
}

}  // namespace lstmgen
