#include "layers/stateful.hpp"

#include <algorithm>

namespace lstmgen {

StatefulLayer::~StatefulLayer() = default;

void StatefulLayer::step(const kernels::KernelTable& kernels, const Input* in, std::size_t lanes, const Output& out,
                         float* scratch) const {
    if (sources().size() == 1) return advance(kernels, *in, lanes, out, scratch);
    const auto present = [&](std::size_t i) { return *in[1].numbers(i) != 0.0f; };
    for (std::size_t first = 0, last; first < lanes; first = last) {
        last = first + 1;
        while (last < lanes && present(last) == present(first)) ++last;
        const Output chunk = out.from(first);
        if (present(first))
            advance(kernels, in->from(first), last - first, chunk, scratch);
        else
            std::copy_n(chunk.y_before, (last - first) * out.stride, chunk.y);
    }
}

}  // namespace lstmgen
