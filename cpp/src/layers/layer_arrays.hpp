// The arrays of one layer, which its constructor asks for by name.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "container.hpp"
#include "description.hpp"
#include "packed_matrix.hpp"

namespace lstmgen {

/// The file gives arrays in its own order, and each once. So a layer is made in two steps: the
/// members take the shapes, by name and in any order; then `read` fills them, in the order of the
/// file.
class LayerArrays {
public:
    LayerArrays(const kernels::KernelTable& kernels, const LayerDescription& layer, Container& file)
        : kernels_(kernels), layer_(layer), file_(file) {}

    const Tensor& shape(std::string_view name) const;

    /// A matrix of this shape, all zeros so far.
    PackedMatrix matrix(std::string_view name, std::size_t gates, Use use = {}) const;
    /// The same with `count` of the gates, from `first` on.
    PackedMatrix part(std::string_view name, std::size_t gates, std::size_t first, std::size_t count) const;

    /// Where an array goes.
    struct Destination {
        /// The numbers of a vector or matrix. Those of int8 are multiplied by their scales, which
        /// `scales` becomes.
        Destination(std::string_view array, std::vector<float>* to, std::vector<float>* scales_to = nullptr)
            : name(array), numbers(to), scales(scales_to) {}
        /// A matrix, or two that take different gates of it. The second may be null.
        Destination(std::string_view array, PackedMatrix* to, PackedMatrix* second_to = nullptr)
            : name(array), matrix(to), second(second_to) {}

        std::string_view name;
        std::vector<float>* numbers = nullptr;
        std::vector<float>* scales = nullptr;
        PackedMatrix* matrix = nullptr;
        PackedMatrix* second = nullptr;
    };

    /// Reads all arrays of the layer. Each must have a destination; a destination without an array
    /// stays as it is.
    void read(std::initializer_list<Destination> destinations);

private:
    const kernels::KernelTable& kernels_;
    const LayerDescription& layer_;
    Container& file_;
};

}  // namespace lstmgen
