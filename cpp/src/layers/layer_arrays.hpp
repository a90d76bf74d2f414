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

/// The file gives each array once, in its own order. So a layer is made in two steps. First the
/// members take their shapes, by name and in any order. Then `read` fills them, in the order of the
/// file.
class LayerArrays {
public:
    LayerArrays(const kernels::KernelTable& kernels, const LayerDescription& layer, Container& file)
        : kernels_(kernels), layer_(layer), file_(file) {}

    const Tensor& shape(std::string_view name) const;

    /// Returns a matrix of zeros for an array (rows, gates * units).
    PackedMatrix matrix(std::string_view name, std::size_t gates, Use use = {}) const;
    /// Returns a matrix of zeros for `count` of the gates, from `first` on.
    PackedMatrix part(std::string_view name, std::size_t gates, std::size_t first, std::size_t count) const;

    /// The place that an array is read into.
    struct Destination {
        /// Reads the numbers of a vector (columns) or matrix (rows, columns). Numbers of int8 are
        /// multiplied with their scales. If `scales_to` is not null, it gets the scales (columns),
        /// and the numbers stay integers.
        Destination(std::string_view array, std::vector<float>* to, std::vector<float>* scales_to = nullptr)
            : name(array), numbers(to), scales(scales_to) {}
        /// Reads a matrix, or two that take different gates of it. The second may be null.
        Destination(std::string_view array, PackedMatrix* to, PackedMatrix* second_to = nullptr)
            : name(array), matrix(to), second(second_to) {}

        std::string_view name;
        std::vector<float>* numbers = nullptr;  // (columns) or (rows, columns)
        std::vector<float>* scales = nullptr;   // (columns), or null
        PackedMatrix* matrix = nullptr;
        PackedMatrix* second = nullptr;
    };

    /// Reads all arrays of the layer. Each must have a destination. A destination without an array
    /// stays as it is.
    void read(std::initializer_list<Destination> destinations);

private:
    const kernels::KernelTable& kernels_;
    const LayerDescription& layer_;
    Container& file_;
};

}  // namespace lstmgen
