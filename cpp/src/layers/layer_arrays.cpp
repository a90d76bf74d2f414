#include "layers/layer_arrays.hpp"

#include <algorithm>
#include <stdexcept>

namespace lstmgen {
namespace {

// Returns the item of this name in [begin, end). A missing name is a mistake in the library, not in
// the file.
template <class T>
const T& find(const T* begin, const T* end, std::string_view name) {
    const T* const at = std::find_if(begin, end, [&](const T& each) { return each.name == name; });
    if (at == end) throw std::logic_error("a layer and its row of the schema name different arrays");
    return *at;
}

}  // namespace

const Tensor& LayerArrays::shape(std::string_view name) const {
    return find(layer_.arrays.begin(), layer_.arrays.end(), name).tensor;
}

PackedMatrix LayerArrays::matrix(std::string_view name, std::size_t gates, Use use) const {
    return {kernels_, shape(name), gates, use};
}

PackedMatrix LayerArrays::part(std::string_view name, std::size_t gates, std::size_t first, std::size_t count) const {
    return {kernels_, shape(name), gates, first, count};
}

void LayerArrays::read(std::initializer_list<Destination> destinations) {
    for (const ArrayDescription& array : layer_.arrays) {
        const Destination& to = find(destinations.begin(), destinations.end(), array.name);
        if (to.numbers)
            *to.numbers = file_.floats(to.scales);
        else if (to.second)
            read_matrix(file_, {to.matrix, to.second});
        else
            read_matrix(file_, {to.matrix});
    }
}

}  // namespace lstmgen
