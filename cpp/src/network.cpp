#include "network.hpp"

#include <algorithm>

#include "portable_math.hpp"

namespace lstmgen {
namespace {

LayerInfo layer_info(const LayerDescription& d) {
    LayerInfo info;
    info.type = d.type->name;
    info.name = d.name;
    info.sources = d.sources;
    info.input_size = d.input_size;
    info.outputs = d.shape.size;
    if (d.type->has_key("activation")) info.activation = activation_name(d.activation);
    if (d.type->has_key("recurrent_activation")) info.recurrent_activation = activation_name(d.recurrent_activation);
    info.return_sequences = d.return_sequences;
    return info;
}

// Sets `raw` of the layers that read numbers of the input before any matrix has changed them.
void mark_raw(std::vector<LayerDescription>& layers) {
    std::vector<unsigned char> raw = {1};  // (values): 0 is the input, j + 1 is layer j
    for (LayerDescription& d : layers) {
        // A mask is only compared with 0.
        const std::size_t read = d.type->has(trait::merge) ? d.sources.size() : 1;
        for (std::size_t i = 0; i < read; ++i) d.raw = d.raw || raw[d.sources[i]];
        raw.push_back(d.raw && !d.type->multiplies());
    }
}

}  // namespace

Network::Network(Container& file, SelfTest& test, const kernels::KernelTable& kernels, Continue keep_going)
    : kernels_(kernels), keep_going_(std::move(keep_going)) {
    std::vector<LayerInfo> infos;
    for (const LayerDescription& d : file.layers) infos.push_back(layer_info(d));

    const LayerDescription& last_layer = file.layers.back();
    const bool dense = last_layer.type->has(trait::activates) && last_layer.type->multiplies();
    if (last_layer.type->has(trait::activates)) {
        // Keras trains a linear last layer with from_logits=True. The output of log_softmax is
        // logits, too.
        if (last_layer.activation == Activation::softmax)
            output_kind_ = OutputKind::softmax;
        else if (last_layer.activation == Activation::log_softmax ||
                 (dense && last_layer.activation == Activation::linear))
            output_kind_ = OutputKind::logits;
    }
    if (dense && output_kind_ == OutputKind::softmax) {
        // Softmax becomes a separate layer, so that logits can be read before it.
        file.layers.resize(file.layers.size() + 1);
        LayerDescription &last = file.layers[file.layers.size() - 2], &softmax = file.layers.back();
        softmax.type = find_layer_type("activation");
        softmax.sources.assign(1, file.layers.size() - 1);
        softmax.input_size = last.shape.size;
        softmax.shape = last.shape;
        softmax.activation = Activation::softmax;
        last.activation = Activation::linear;
    }
    mark_raw(file.layers);
    for (const LayerDescription& d : file.layers) {
        LayerArrays arrays(kernels_, d, file);
        layers_.push_back(d.type->make(d, arrays));
    }
    test = file.finish();
    file_prefix_ = file.file_prefix();
    checksum_at_ = file.checksum_at;
    info_ = std::move(file.info);
    info_.layers = std::move(infos);
    split_layers();

    const bool ids = info_.encoding == Encoding::onehot;
    needs_encoding_ = is_number(info_.encoding);
    for (const auto& layer : layers_)
        for (std::size_t k = 0; ids && k < layer->sources().size(); ++k)
            needs_encoding_ = needs_encoding_ || (layer->sources()[k] == 0 && !reads_ids(*layer, k));
    for (const auto& layer : layers_) info_.nbytes += layer->nbytes();
    info_.isa = kernels_.name;
}

void Network::split_layers() {
    // (values), whether a layer with state needs it: 0 is the input, j + 1 is layer j.
    std::vector<unsigned char> needed(layers_.size() + 1);
    for (std::size_t i = layers_.size(); i-- > 0;) {
        needed[i + 1] = needed[i + 1] || layers_[i]->stateful();
        for (const std::size_t j : layers_[i]->sources()) needed[j] = needed[j] || needed[i + 1];
    }
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        (needed[i + 1] ? body_ : tail_).push_back(i);
        bool after = layers_[i]->stateful();
        for (const std::size_t j : layers_[i]->sources()) after = after || (j > 0 && after_recurrent_[j - 1]);
        after_recurrent_.push_back(after);
    }
}

bool Network::reads_ids(const Layer& layer, std::size_t k) const noexcept {
    return info_.encoding == Encoding::index || (info_.encoding == Encoding::onehot && k == 0 && layer.reads_ids());
}

void Network::encode(std::uint32_t id, float* row) const {
    std::fill_n(row, info_.input_size, 0.0f);
    if (id == kNoElement) return;
    if (info_.encoding == Encoding::scaled)
        *row = static_cast<float>(static_cast<double>(id) / static_cast<double>(info_.outputs));
    else if (info_.encoding == Encoding::raw)
        *row = info_.input_values.empty() ? static_cast<float>(id) : info_.input_values[id];
    else
        row[id] = 1.0f;
    if (is_number(info_.encoding)) drop_subnormal(row, 1);
}

std::string Network::file() const {
    std::string bytes;
    bytes.reserve(file_prefix_.size() + info_.nbytes);
    bytes = file_prefix_;
    ArrayWriter writer(bytes, keep_going_);
    for (const auto& layer : layers_) layer->write(writer);
    set_checksum(bytes, checksum_at_, keep_going_);
    return bytes;
}

std::size_t Network::output_layer(Read what) const noexcept {
    const bool skip = what == Read::logits && output_kind_ == OutputKind::softmax;
    return skip ? layers_.back()->sources()[0] - 1 : layers_.size() - 1;
}

void Network::finish(const float* row, Read what, float* y) const {
    std::copy_n(row, info_.outputs, y);
    if (what == Read::output || output_kind_ != OutputKind::other) return;
    for (std::size_t j = 0; j < info_.outputs; ++j) y[j] = static_cast<float>(log_portable(y[j]));
}

}  // namespace lstmgen
