// The base class of layers with state. It applies the mask.
#pragma once

#include <cstddef>

#include "layers/layer.hpp"

namespace lstmgen {

/// A layer whose second input, if it has one, is a mask. A lane whose mask is 0 keeps its state.
class StatefulLayer : public Layer {
public:
    using Layer::Layer;
    ~StatefulLayer() override;

    void step(const kernels::KernelTable& kernels, const Input* in, std::size_t lanes, const Output& out,
              float* scratch) const final;

protected:
    /// Does what `step` does, for lanes whose mask is not 0.
    virtual void advance(const kernels::KernelTable& kernels, const Input& in, std::size_t lanes, const Output& out,
                         float* scratch) const = 0;
};

}  // namespace lstmgen
