#include "layers/layer.hpp"

namespace lstmgen {
namespace {

// Returns Layer::work.
double work_of(const LayerDescription& d) {
    constexpr double padding = kernels::kGates * kernels::kPanel;  // zeros after the columns
    const bool multiplies = !d.type->has(trait::embeds);
    double numbers = static_cast<double>(d.shape.size), work = 0.0;
    for (const std::size_t size : d.input_sizes) numbers += multiplies ? static_cast<double>(size) : 0.0;
    for (const ArrayDescription& array : d.arrays)
        if (multiplies && array.matrix)
            work += static_cast<double>(array.tensor.rows) * (static_cast<double>(array.tensor.columns) + padding);
    return work + 16.0 * (numbers + static_cast<double>(kernels::kPanel));
}

}  // namespace

Layer::Layer(const LayerDescription& d, Rearrange* rearrange)
    : type_(*d.type),
      rearrange_(rearrange),
      sources_(d.sources),
      input_size_(d.input_size),
      shape_(d.shape),
      work_(work_of(d)) {}

Layer::~Layer() = default;

std::size_t Layer::scratch_size(std::size_t, std::size_t) const noexcept { return 0; }
void Layer::step(const kernels::KernelTable&, const Input*, std::size_t, const Output&, float*) const {}
void Layer::input_product(const kernels::KernelTable&, const Input&, std::size_t, float*, float*) const {}
void Layer::write(ArrayWriter&) const {}

std::size_t Layer::saved_size() const noexcept {
    return stateful() ? outputs() * sizeof(float) * (has_cell() ? 2 : 1) + sums_size() * sizeof(double) : 0;
}

void Layer::save(const ConstOutput& lane, StateWriter& out) const noexcept {
    if (!stateful()) return;
    out.bytes(lane.y, outputs() * sizeof(float));
    if (has_cell()) out.bytes(lane.c, outputs() * sizeof(float));
    out.bytes(lane.sums, sums_size() * sizeof(double));
}

void Layer::load(StateReader& in, const Output& lane) const {
    if (!stateful()) return;
    in.bytes(lane.y, outputs() * sizeof(float));
    if (has_cell()) in.bytes(lane.c, outputs() * sizeof(float));
    in.bytes(lane.sums, sums_size() * sizeof(double));
}

}  // namespace lstmgen
