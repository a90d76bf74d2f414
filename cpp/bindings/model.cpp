// lstmgen._core.Model with its layers and facts, and Vocabulary.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "interrupting.hpp"
#include "longest_match.hpp"
#include "lstmgen/vocabulary.hpp"

namespace {

// What the prediction of this thread tells.
thread_local Telling* telling = nullptr;

// The keep_going of all models. Only the main thread of Python handles signals.
bool keeps_going() {
    thread_local SignalCheck check;
    return check() && (!telling || (*telling)());
}

lstmgen::LoadOptions interruptible() {
    lstmgen::LoadOptions options;
    options.keep_going = &keeps_going;
    return options;
}

// T is float or std::uint32_t.
template <class T>
Floats predict(const lstmgen::Model& model, const py::array_t<T, py::array::c_style>& x,
               const std::optional<py::function>& progress) {
    const auto& info = model.info();
    const auto batch = x.shape(0), steps = x.shape(1), outputs = py::ssize_t(info.outputs);
    const auto output_steps = steps > 0 ? py::ssize_t(model.predict_size(1, std::size_t(steps)) / info.outputs) : 0;
    Floats y = info.output_sequence ? Floats({batch, output_steps, outputs}) : Floats({batch, outputs});
    const T* const in = x.data();
    float* const out = y.mutable_data();
    Telling told(progress);
    const py::gil_scoped_release release;
    struct Scope {
        explicit Scope(Telling& told) : outer(std::exchange(telling, &told)) {}
        ~Scope() { telling = outer; }
        Telling* outer;
    } const scope(told);
    model.predict(in, std::size_t(batch), std::size_t(steps), out, told.done());
    return y;
}

Floats predict_ids(const lstmgen::Model& model, const Ids& ids, const std::optional<py::function>& progress) {
    require_dims(ids, 2);
    return predict(model, ids, progress);
}

Floats predict_features(const lstmgen::Model& model, const Floats& x, const std::optional<py::function>& progress) {
    require_dims(x, 3);
    const auto size = model.info().input_size;
    if (std::size_t(x.shape(2)) != size)
        throw lstmgen::Error(
            lstmgen::ErrorCode::invalid_argument,
            "expected " + std::to_string(size) + " features a step, found " + std::to_string(x.shape(2)));
    return predict(model, x, progress);
}

const char* encoding_name(lstmgen::Encoding encoding) {
    switch (encoding) {
        case lstmgen::Encoding::onehot: return "onehot";
        case lstmgen::Encoding::index: return "index";
        case lstmgen::Encoding::scaled: return "scaled";
        case lstmgen::Encoding::features: return "features";
        case lstmgen::Encoding::raw: return "raw";
    }
    return "";
}

void bind_layer(py::module_& m) {
    using lstmgen::LayerInfo;
    py::class_<LayerInfo>(m, "LayerInfo", checked_allocation())
        .def_readonly("type", &LayerInfo::type)
        .def_readonly("name", &LayerInfo::name)
        .def_readonly("sources", &LayerInfo::sources)
        .def_readonly("input_size", &LayerInfo::input_size)
        .def_readonly("outputs", &LayerInfo::outputs)
        .def_readonly("activation", &LayerInfo::activation)
        .def_readonly("recurrent_activation", &LayerInfo::recurrent_activation)
        .def_readonly("return_sequences", &LayerInfo::return_sequences)
        .def("__repr__", [](const LayerInfo& layer) {
            std::string text = "<lstmgen layer " + std::string(py::repr(py::str(layer.name))) + ": " + layer.type +
                               " " + std::to_string(layer.input_size) + " -> " + std::to_string(layer.outputs);
            for (const std::string& activation : {layer.activation, layer.recurrent_activation})
                if (!activation.empty()) text += ", " + activation;
            return text + ">";
        });
}

// Returns the elements as the file names them. Those of the kind "bytes" are named <0x01> to
// <0xFF>.
std::vector<std::string> element_names(const lstmgen::ModelInfo& info) {
    std::vector<std::string> names = info.vocabulary;
    if (info.vocabulary_kind == "bytes") {
        constexpr char digits[] = "0123456789ABCDEF";
        for (std::string& name : names) {
            if (name.empty()) continue;
            const auto byte = static_cast<unsigned char>(name[0]);
            name = {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
        }
    }
    return names;
}

void bind_info(py::module_& m) {
    using lstmgen::ModelInfo;
    py::class_<ModelInfo>(m, "ModelInfo", checked_allocation())
        .def_readonly("name", &ModelInfo::name)
        .def_readonly("description", &ModelInfo::description)
        .def_readonly("author", &ModelInfo::author)
        .def_readonly("license", &ModelInfo::license)
        .def_readonly("source_url", &ModelInfo::source_url)
        .def_readonly("card", &ModelInfo::card)
        .def_readonly("grammar", &ModelInfo::grammar)
        .def_readonly("keras_version", &ModelInfo::keras_version)
        .def_readonly("dtype", &ModelInfo::dtype)
        .def_readonly("isa", &ModelInfo::isa)
        .def_property_readonly("encoding", [](const ModelInfo& info) { return encoding_name(info.encoding); })
        .def_readonly("input_size", &ModelInfo::input_size)
        .def_readonly("input_values", &ModelInfo::input_values)
        .def_readonly("outputs", &ModelInfo::outputs)
        .def_readonly("window", &ModelInfo::window)
        .def_readonly("output_sequence", &ModelInfo::output_sequence)
        .def_readonly("output_steps", &ModelInfo::output_steps)
        .def_readonly("whole", &ModelInfo::whole)
        .def_readonly("fixed_steps", &ModelInfo::fixed_steps)
        .def_readonly("labels", &ModelInfo::labels)
        .def_readonly("predictor", &ModelInfo::predictor)
        .def_property_readonly("vocabulary", &element_names)
        .def_readonly("vocabulary_kind", &ModelInfo::vocabulary_kind)
        .def_readonly("prime", &ModelInfo::prime)
        .def_readonly("padding", &ModelInfo::padding)
        .def_readonly("zero_padding", &ModelInfo::zero_padding)
        .def_readonly("layers", &ModelInfo::layers)
        .def_readonly("nbytes", &ModelInfo::nbytes);
}

void bind_vocabulary(py::module_& m) {
    using lstmgen::LongestMatch;
    using lstmgen::Vocabulary;
    py::class_<Vocabulary>(m, "Vocabulary", checked_allocation())
        .def(py::init<const std::vector<std::string>&, const std::string&>(), "elements"_a, "kind"_a)
        .def(
            "encode",
            [](const Vocabulary& vocabulary, const std::string& text) {
                const std::vector<std::uint32_t> ids = vocabulary.encode(text);
                return Ids(py::ssize_t(ids.size()), ids.data());
            },
            "text"_a)
        .def(
            "decode",
            [](const Vocabulary& vocabulary, const Ids& ids) {
                require_dims(ids, 1);
                return vocabulary.decode(ids.data(), std::size_t(ids.size()));
            },
            "ids"_a);
    py::class_<LongestMatch>(m, "LongestMatch", checked_allocation())
        .def(py::init([](const std::vector<std::string>& elements) {
                 std::vector<std::uint32_t> ids;
                 for (std::size_t i = 0; i < elements.size(); ++i)
                     if (!elements[i].empty()) ids.push_back(std::uint32_t(i));
                 const py::gil_scoped_release release;
                 return LongestMatch(elements, ids);
             }),
             "elements"_a)
        .def(
            "find",
            [](const LongestMatch& match, const py::bytes& text) {
                const std::string_view view(text);
                Ids found{py::ssize_t(view.size())};
                std::uint32_t* const to = found.mutable_data();
                const py::gil_scoped_release release;
                match.find(view, to);
                return found;
            },
            "text"_a);
}

}  // namespace

void bind_model(py::module_& m) {
    using lstmgen::Model;
    bind_layer(m);
    bind_info(m);
    py::class_<Model>(m, "Model", checked_allocation())
        .def_static(
            "load",
            [](const std::string& path) {
                const py::gil_scoped_release release;
                return Model::load(path, interruptible());
            },
            "path"_a)
        .def_static(
            "from_bytes",
            [](const py::bytes& bytes, const std::string& name) {
                const std::string_view view(bytes);
                const py::gil_scoped_release release;
                return Model::from_memory(view.data(), view.size(), name, interruptible());
            },
            "data"_a, "name"_a)
        .def("to_bytes",
             [](const Model& model) {
                 std::string bytes;
                 {
                     const py::gil_scoped_release release;
                     bytes = model.bytes();
                 }
                 return py::bytes(bytes);
             })
        .def_property_readonly("info", &Model::info)
        .def("predict_ids", &predict_ids, "ids"_a, "progress"_a.none(true) = py::none())
        .def("predict_features", &predict_features, "x"_a, "progress"_a.none(true) = py::none());
    bind_vocabulary(m);
    m.def(
        "check_stops",
        [](const Model& model, const IdLists& ids, const std::vector<std::string>& texts) {
            lstmgen::StopMatcher(model, ids, texts);
        },
        "model"_a, "ids"_a, "texts"_a);
    m.def(
        "measure_limits",
        [](const Model& model) {
            const py::gil_scoped_release release;
            const auto limits = lstmgen::measure_limits(model);
            return std::pair(limits.macs_per_second, limits.bytes_per_second);
        },
        "model"_a);
    m.def("supported_isas", &lstmgen::supported_isas);
}
