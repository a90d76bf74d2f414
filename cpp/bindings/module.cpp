// The Python module lstmgen._core: the C++ API with arrays for pointers. Everything that users see is in
// python/lstmgen.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lstmgen/lstmgen.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_grammar(py::module_& m);  // grammar.cpp

namespace {

using Ids = py::array_t<std::uint32_t, py::array::c_style>;
using Floats = py::array_t<float, py::array::c_style>;

// Lets Python handle signals now and then while the GIL is released; false once one has raised.
class SignalCheck {
public:
    bool operator()() {
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < std::chrono::milliseconds(20)) return true;
        last_ = now;
        // A daemon thread that outlives the interpreter must not ask for the GIL: it waits for the process to end.
        while (interpreter_is_ending()) std::this_thread::sleep_for(std::chrono::seconds(1));
        const py::gil_scoped_acquire gil;
        return PyErr_CheckSignals() == 0;
    }

private:
    static bool interpreter_is_ending() {
#if PY_VERSION_HEX >= 0x030D0000
        return Py_IsFinalizing() != 0;
#else
        return _Py_IsFinalizing() != 0;
#endif
    }

    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

void require_dims(const py::array& array, py::ssize_t dims) {
    if (array.ndim() != dims)
        throw lstmgen::Error(
            lstmgen::ErrorCode::invalid_argument,
            "expected an array of " + std::to_string(dims) + " dimensions, found " + std::to_string(array.ndim()));
}

// T is float or std::uint32_t.
template <class T>
Floats predict(const lstmgen::Model& model, const py::array_t<T, py::array::c_style>& x) {
    const auto& info = model.info();
    const auto batch = x.shape(0), steps = x.shape(1), outputs = py::ssize_t(info.outputs);
    const auto output_steps = info.output_steps ? py::ssize_t(info.output_steps) : steps;
    Floats y = info.output_sequence ? Floats({batch, output_steps, outputs}) : Floats({batch, outputs});
    const T* const in = x.data();
    float* const out = y.mutable_data();
    const py::gil_scoped_release release;
    model.predict(in, std::size_t(batch), std::size_t(steps), out);
    return y;
}

Floats predict_ids(const lstmgen::Model& model, const Ids& ids) {
    require_dims(ids, 2);
    return predict(model, ids);
}

Floats predict_features(const lstmgen::Model& model, const Floats& x) {
    require_dims(x, 3);
    const auto size = model.info().input_size;
    if (std::size_t(x.shape(2)) != size)
        throw lstmgen::Error(
            lstmgen::ErrorCode::invalid_argument,
            "expected " + std::to_string(size) + " features a step, found " + std::to_string(x.shape(2)));
    return predict(model, x);
}

// A generator with a lock, so that two threads that share one wait for each other.
class Generator {
public:
    Generator(const lstmgen::Model& model, lstmgen::Generator generator)
        : generator_(std::move(generator)), outputs_(model.info().outputs) {}

    void feed(const Ids& ids) {
        require_dims(ids, 1);
        unlocked(
            [&, data = ids.data(), n = std::size_t(ids.size())] { return generator_.feed(data, n, SignalCheck()); });
    }

    std::uint32_t next() {
        std::uint32_t id = 0;
        unlocked([&] {
            id = generator_.next();
            return true;
        });
        return id;
    }

    // Up to `length` elements: fewer if they end with one of `stops`.
    Ids sample(std::size_t length, const std::vector<std::vector<std::uint32_t>>& stops) {
        std::vector<std::uint32_t> ids;
        unlocked([&] {
            SignalCheck keep_going;
            while (ids.size() < length) {
                if (!keep_going()) return false;
                ids.push_back(generator_.next());
                for (const auto& stop : stops)
                    if (ids.size() >= stop.size() && std::equal(stop.rbegin(), stop.rend(), ids.rbegin())) return true;
            }
            return true;
        });
        return Ids(py::ssize_t(ids.size()), ids.data());
    }

    py::array_t<double> probabilities() {
        py::array_t<double> p{py::ssize_t(outputs_)};
        unlocked([&, data = p.mutable_data()] {
            generator_.probabilities(data);
            return true;
        });
        return p;
    }

    py::array_t<double> score(const Ids& ids) {
        require_dims(ids, 1);
        py::array_t<double> p{ids.size()};
        unlocked([&, to = p.mutable_data(), from = ids.data(), n = std::size_t(ids.size())] {
            return generator_.score(from, n, to, SignalCheck());
        });
        return p;
    }

    py::bytes save_state() {
        std::vector<std::uint8_t> state;
        unlocked([&] {
            state = generator_.save_state();
            return true;
        });
        return {reinterpret_cast<const char*>(state.data()), state.size()};
    }

private:
    using OwnerId = std::atomic<std::thread::id>;
    struct Owner {
        explicit Owner(OwnerId& of) : id(of) { id = std::this_thread::get_id(); }
        ~Owner() { id = std::thread::id(); }
        OwnerId& id;
    };

    // Runs f without the GIL; f returns false if a signal handler has raised.
    template <class F>
    void unlocked(F&& f) {
        bool finished;
        {
            const py::gil_scoped_release release;
            // A signal handler that runs below a call would wait for that call for ever.
            if (owner_ == std::this_thread::get_id())
                throw lstmgen::Error(lstmgen::ErrorCode::invalid_argument,
                                     "the generator is drawing: a signal handler cannot use it, let it set a flag");
            const std::lock_guard lock(mutex_);
            const Owner owner(owner_);
            finished = f();
        }
        if (!finished) throw py::error_already_set();
    }

    lstmgen::Generator generator_;
    std::size_t outputs_;
    std::mutex mutex_;
    OwnerId owner_{};  // who holds the mutex
};

std::unique_ptr<Generator> make_generator(const lstmgen::Model& model, std::size_t refresh, std::size_t threads,
                                          double temp, std::size_t top_k, double top_p, double min_p,
                                          double repeat_penalty,
                                          std::vector<std::pair<std::uint32_t, double>> logit_bias,
                                          std::uint64_t seed) {
    lstmgen::GeneratorOptions options;
    options.refresh = refresh;
    options.threads = threads;
    options.sampler = {std::move(logit_bias), repeat_penalty, top_k, top_p, min_p, temp, seed};
    return std::make_unique<Generator>(model, lstmgen::Generator(model, options));
}

std::unique_ptr<Generator> load_state(const lstmgen::Model& model, const py::bytes& state, std::size_t threads) {
    const std::string_view view(state);
    const py::gil_scoped_release release;
    return std::make_unique<Generator>(model, lstmgen::Generator::load_state(model, view.data(), view.size(), threads));
}

std::vector<Ids> sample_many(const lstmgen::Model& model, const std::vector<Ids>& primes,
                             const std::vector<double>& temps, const std::vector<std::uint64_t>& seeds,
                             std::size_t length, std::vector<std::vector<std::uint32_t>> stops, std::size_t refresh,
                             std::size_t threads, std::size_t top_k, double top_p, double min_p, double repeat_penalty,
                             const std::vector<std::pair<std::uint32_t, double>>& logit_bias) {
    std::vector<lstmgen::Request> requests;
    for (std::size_t i = 0; i < primes.size(); ++i) {
        require_dims(primes[i], 1);
        requests.push_back({{logit_bias, repeat_penalty, top_k, top_p, min_p, temps.at(i), seeds.at(i)},
                            {primes[i].data(), primes[i].data() + primes[i].size()}});
    }
    std::vector<std::vector<std::uint32_t>> drawn;
    bool finished = true;
    {
        const py::gil_scoped_release release;
        SignalCheck check;
        try {
            drawn = lstmgen::sample_many(model, requests, {length, std::move(stops), refresh, threads},
                                         [&] { return finished = finished && check(); });
        } catch (...) {
            if (finished) throw;  // else the signal handler's exception goes first
        }
    }
    if (!finished) throw py::error_already_set();
    std::vector<Ids> results;
    for (const auto& ids : drawn) results.emplace_back(py::ssize_t(ids.size()), ids.data());
    return results;
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

void bind_errors() {
    static const py::handle format_error =
        py::object(py::module_::import("lstmgen.errors").attr("ModelFormatError")).release();
    py::register_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const lstmgen::Error& error) {
            switch (error.code()) {
                case lstmgen::ErrorCode::io: return py::set_error(PyExc_OSError, error.what());
                case lstmgen::ErrorCode::format: return py::set_error(format_error, error.what());
                case lstmgen::ErrorCode::invalid_argument: return py::set_error(PyExc_ValueError, error.what());
            }
        }
    });
}

void bind_layer(py::module_& m) {
    using lstmgen::LayerInfo;
    py::class_<LayerInfo>(m, "LayerInfo")
        .def_readonly("type", &LayerInfo::type)
        .def_readonly("name", &LayerInfo::name)
        .def_readonly("sources", &LayerInfo::sources)
        .def_readonly("inputs", &LayerInfo::inputs)
        .def_readonly("outputs", &LayerInfo::outputs)
        .def_readonly("activation", &LayerInfo::activation)
        .def_readonly("recurrent_activation", &LayerInfo::recurrent_activation)
        .def_readonly("return_sequences", &LayerInfo::return_sequences);
}

void bind_info(py::module_& m) {
    using lstmgen::ModelInfo;
    py::class_<ModelInfo>(m, "ModelInfo")
        .def_readonly("name", &ModelInfo::name)
        .def_readonly("description", &ModelInfo::description)
        .def_readonly("author", &ModelInfo::author)
        .def_readonly("license", &ModelInfo::license)
        .def_readonly("source_url", &ModelInfo::source_url)
        .def_readonly("card", &ModelInfo::card)
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
        .def_readonly("vocabulary", &ModelInfo::vocabulary)
        .def_readonly("vocabulary_kind", &ModelInfo::vocabulary_kind)
        .def_readonly("prime", &ModelInfo::prime)
        .def_readonly("padding", &ModelInfo::padding)
        .def_readonly("zero_padding", &ModelInfo::zero_padding)
        .def_readonly("layers", &ModelInfo::layers)
        .def_readonly("nbytes", &ModelInfo::nbytes);
}

void bind_model(py::module_& m) {
    using lstmgen::Model;
    py::class_<Model>(m, "Model")
        .def_static(
            "load",
            [](const std::string& path) {
                const py::gil_scoped_release release;
                return Model::load(path);
            },
            "path"_a)
        .def_static(
            "from_bytes",
            [](const py::bytes& bytes, const std::string& name) {
                const std::string_view view(bytes);
                const py::gil_scoped_release release;
                return Model::from_memory(view.data(), view.size(), name);
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
        .def("predict_ids", &predict_ids, "ids"_a)
        .def("predict_features", &predict_features, "x"_a);
}

void bind_generator(py::module_& m) {
    py::class_<Generator>(m, "Generator")
        .def(py::init(&make_generator), "model"_a, py::kw_only(), "refresh"_a, "threads"_a, "temp"_a, "top_k"_a,
             "top_p"_a, "min_p"_a, "repeat_penalty"_a, "logit_bias"_a, "seed"_a)
        .def_static("load_state", &load_state, "model"_a, "state"_a, py::kw_only(), "threads"_a)
        .def("save_state", &Generator::save_state)
        .def("feed", &Generator::feed, "ids"_a)
        .def("next", &Generator::next)
        .def("sample", &Generator::sample, "length"_a, "stops"_a)
        .def("probabilities", &Generator::probabilities)
        .def("score", &Generator::score, "ids"_a);
}

}  // namespace

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
    m.doc() = "The engine of lstmgen. Use the package, not this module.";
    bind_errors();
    bind_layer(m);
    bind_info(m);
    bind_model(m);
    bind_generator(m);
    bind_grammar(m);
    m.def("sample_many", &sample_many, "model"_a, "primes"_a, "temps"_a, "seeds"_a, py::kw_only(), "length"_a,
          "stops"_a, "refresh"_a, "threads"_a, "top_k"_a, "top_p"_a, "min_p"_a, "repeat_penalty"_a, "logit_bias"_a);
    m.def(
        "measure_limits",
        [](const lstmgen::Model& model) {
            const py::gil_scoped_release release;
            const auto limits = lstmgen::measure_limits(model);
            return std::pair(limits.macs_per_second, limits.bytes_per_second);
        },
        "model"_a);
    m.def("supported_isas", &lstmgen::supported_isas);
}
