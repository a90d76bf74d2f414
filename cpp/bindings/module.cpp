// The Python module lstmgen._core: the C++ API with arrays in place of pointers. Users see the
// package in python/lstmgen, not this module.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "allocation.hpp"
#include "lstmgen/lstmgen.hpp"
#include "lstmgen/vocabulary.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_grammar(py::module_& m);  // grammar.cpp

namespace {

using Ids = py::array_t<std::uint32_t, py::array::c_style>;
using Floats = py::array_t<float, py::array::c_style>;

// Lets Python handle signals every 20 ms while the GIL is released. A call returns false once a
// signal handler has raised.
class SignalCheck {
public:
    bool operator()() {
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < std::chrono::milliseconds(20)) return true;
        last_ = now;
        // A daemon thread may outlive the interpreter. It must not ask for the GIL then, so it
        // waits for the process to end.
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

// Tells a function of Python every 100 ms how much is done.
class Telling {
public:
    explicit Telling(const std::optional<py::function>& progress) : progress_(progress) {}

    // Returns false once the function has raised.
    bool operator()() {
        const auto now = std::chrono::steady_clock::now();
        if (!progress_ || now - told_ < std::chrono::milliseconds(100)) return true;
        told_ = now;
        const py::gil_scoped_acquire gil;
        try {
            (*progress_)(done_.load());
        } catch (py::error_already_set& error) {
            error.restore();
            return false;
        }
        return true;
    }

    // Null if there is nobody to tell.
    std::atomic<std::size_t>* done() { return progress_ ? &done_ : nullptr; }

private:
    const std::optional<py::function>& progress_;
    std::atomic<std::size_t> done_{0};
    std::chrono::steady_clock::time_point told_ = std::chrono::steady_clock::now();
};

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

void require_dims(const py::array& array, py::ssize_t dims) {
    if (array.ndim() != dims)
        throw lstmgen::Error(
            lstmgen::ErrorCode::invalid_argument,
            "expected an array of " + std::to_string(dims) + " dimensions, found " + std::to_string(array.ndim()));
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

using IdLists = std::vector<std::vector<std::uint32_t>>;

// Calls f(name, member) for each option of a sampler.
template <class Options, class F>
void for_each_option(Options& options, F&& f) {
#define VISIT(name, ...) f(#name, options.name);
    LSTMGEN_SAMPLER_NUMBERS(VISIT)
#undef VISIT
#define VISIT(name) f(#name, options.name);
    LSTMGEN_SAMPLER_LISTS(VISIT)
#undef VISIT
    f("logit_bias", options.logit_bias);
    f("seed", options.seed);
}

// Sets the options that `given` names; the others keep their values.
void set_by_name(lstmgen::SamplerOptions& options, const py::dict& given) {
    std::size_t known = 0;
    for_each_option(options, [&](const char* name, auto& member) {
        if (!given.contains(name)) return;
        member = py::cast<std::decay_t<decltype(member)>>(given[name]);
        ++known;
    });
    if (known != given.size())
        throw py::type_error("the engine does not know one of these options: " + std::string(py::str(py::list(given))));
}

py::dict by_name(const lstmgen::SamplerOptions& options) {
    py::dict named;
    for_each_option(options, [&](const char* name, const auto& member) { named[name] = member; });
    return named;
}

// A generator that refuses a second call during the first. The second one may come from another
// thread or from a signal handler.
class Generator {
public:
    Generator(const lstmgen::Model& model, lstmgen::Generator generator)
        : generator_(std::move(generator)), outputs_(model.info().outputs) {}

    std::unique_ptr<Generator> clone() {
        std::unique_ptr<Generator> other;
        alone([&] {
            other.reset(new Generator(generator_.clone(), outputs_));
            return true;
        });
        other->set_logits_processor(processor_);
        return other;
    }

    void copy_from(Generator& other) {
        if (&other == this) return;
        const Use use(other.in_use_);
        alone([&] {
            generator_.copy_from(other.generator_);
            return true;
        });
        set_logits_processor(other.processor_);
    }

    // `processor` is a function of two arrays, ids (count) and logits (outputs), or None.
    void set_logits_processor(const py::object& processor) {
        alone([&] {
            generator_.set_logits_processor(processor.is_none() ? nullptr : &Generator::process, this);
            return true;
        });
        processor_ = processor;
    }

    py::array_t<double> logits() {
        py::array_t<double> logits{py::ssize_t(outputs_)};
        alone([&, data = logits.mutable_data()] {
            generator_.logits(data);
            return true;
        });
        return logits;
    }

    std::uint32_t draw(const py::array_t<double, py::array::c_style>& logits) {
        if (logits.ndim() != 1 || std::size_t(logits.shape(0)) != outputs_)
            throw py::value_error("expected one number for each element");
        std::uint32_t id = 0;
        alone([&, data = logits.data()] {
            generator_.go_on();
            id = generator_.draw(data);
            return true;
        });
        return id;
    }

    std::pair<std::vector<std::uint32_t>, std::vector<double>> likeliest(std::size_t most) {
        most = std::min(most, outputs_);
        std::vector<std::uint32_t> ids(most);
        std::vector<double> log_p(most);
        alone([&] {
            const std::size_t n = generator_.likeliest(most, ids.data(), log_p.data());
            ids.resize(n);
            log_p.resize(n);
            return true;
        });
        return {ids, log_p};
    }

    py::dict options() {
        lstmgen::SamplerOptions options;
        alone([&] {
            options = generator_.options();
            return true;
        });
        return by_name(options);
    }

    void set_options(const py::dict& given) {
        lstmgen::SamplerOptions options;
        alone([&] {
            options = generator_.options();
            return true;
        });
        set_by_name(options, given);
        const bool given_seed = given.contains("seed");
        alone([&] {
            generator_.set_options(options);
            if (given_seed) generator_.set_seed(options.seed);
            return true;
        });
    }

    void feed(const Ids& ids) {
        require_dims(ids, 1);
        alone([&, data = ids.data(), n = std::size_t(ids.size())] { return generator_.feed(data, n, SignalCheck()); });
    }

    std::uint32_t next() {
        std::uint32_t id = 0;
        alone([&] {
            id = generator_.next();
            return true;
        });
        return id;
    }

    void set_grammar(const lstmgen::Grammar* grammar, std::uint64_t length) {
        alone([&] {
            generator_.set_grammar(grammar ? *grammar : lstmgen::Grammar(), length);
            return true;
        });
    }

    void set_grammar_length(std::uint64_t length) {
        alone([&] {
            generator_.set_grammar_length(length);
            return true;
        });
    }

    std::optional<lstmgen::Grammar> grammar() {
        lstmgen::Grammar found;
        alone([&] {
            found = generator_.grammar();
            return true;
        });
        return found ? std::optional(found) : std::nullopt;
    }

    bool ended() {
        bool ended = false;
        alone([&] {
            ended = generator_.ended();
            return true;
        });
        return ended;
    }

    void set_stops(const IdLists& ids, const std::vector<std::string>& texts) {
        alone([&] {
            generator_.set_stops(ids, texts);
            return true;
        });
    }

    std::pair<IdLists, std::vector<py::bytes>> stops() {
        IdLists ids;
        std::vector<std::string> texts;
        alone([&] {
            ids = generator_.stops();
            texts = generator_.stop_texts();
            return true;
        });
        return {std::move(ids), {texts.begin(), texts.end()}};
    }

    // Draws up to `length` elements. It ends early where a grammar ends, and after a stop. A stop
    // before the first element does not count.
    Ids sample(std::size_t length) {
        std::vector<std::uint32_t> ids;
        alone([&] {
            SignalCheck keep_going;
            generator_.go_on();
            while (ids.size() < length) {
                if (!keep_going()) return false;
                if (generator_.ended()) return true;
                ids.push_back(generator_.next());
            }
            return true;
        });
        return Ids(py::ssize_t(ids.size()), ids.data());
    }

    py::array_t<double> probabilities() {
        py::array_t<double> p{py::ssize_t(outputs_)};
        alone([&, data = p.mutable_data()] {
            generator_.probabilities(data);
            return true;
        });
        return p;
    }

    double log_probability() {
        double log_p = 0.0;
        alone([&] {
            log_p = generator_.log_probability();
            return true;
        });
        return log_p;
    }

    py::array_t<double> score(const Ids& ids) {
        require_dims(ids, 1);
        py::array_t<double> p{ids.size()};
        alone([&, to = p.mutable_data(), from = ids.data(), n = std::size_t(ids.size())] {
            return generator_.score(from, n, to, SignalCheck());
        });
        return p;
    }

    py::bytes save_state() {
        std::vector<std::uint8_t> state;
        alone([&] {
            state = generator_.save_state();
            return true;
        });
        return {reinterpret_cast<const char*>(state.data()), state.size()};
    }

private:
    Generator(lstmgen::Generator generator, std::size_t outputs)
        : generator_(std::move(generator)), outputs_(outputs) {}

    // Calls the Python function with copies of ids (ids_count) and logits (count), which it may
    // keep. The function changes the logits in place, or returns others.
    static void process(void* user, const std::uint32_t* ids, std::size_t ids_count, double* logits,
                        std::size_t count) {
        const py::gil_scoped_acquire gil;
        const Ids last(py::ssize_t(ids_count), ids);
        const py::array_t<double> numbers(py::ssize_t(count), logits);
        const py::object result = static_cast<Generator*>(user)->processor_(last, numbers);
        py::array_t<double, py::array::c_style | py::array::forcecast> changed = numbers;
        if (!result.is_none()) changed = py::cast<decltype(changed)>(result);
        if (changed.ndim() != 1 || std::size_t(changed.shape(0)) != count)
            throw py::value_error("logits_processor: expected None or " + std::to_string(count) +
                                  " numbers as its result");
        for (py::ssize_t i = 0; i < py::ssize_t(count); ++i) logits[i] = changed.at(i);
    }

    struct Use {
        explicit Use(std::atomic<bool>& flag) : in_use(flag) {
            if (in_use.exchange(true, std::memory_order_acquire))
                throw std::runtime_error(
                    "the stream is in use: by another thread, or by the call that this signal handler interrupted");
        }
        ~Use() { in_use.store(false, std::memory_order_release); }
        std::atomic<bool>& in_use;
    };

    // Runs f without the GIL. f returns false if a signal handler has raised.
    template <class F>
    void alone(F&& f) {
        bool finished;
        {
            const py::gil_scoped_release release;
            // The use ends before the wait for the GIL, which another thread may hold for long.
            const Use use(in_use_);
            finished = f();
        }
        if (!finished) throw py::error_already_set();
    }

    lstmgen::Generator generator_;
    std::size_t outputs_;
    std::atomic<bool> in_use_{false};
    py::object processor_ = py::none();
};

std::unique_ptr<Generator> make_generator(const lstmgen::Model& model, const py::dict& sampler, std::size_t refresh,
                                          std::size_t threads) {
    lstmgen::GeneratorOptions options;
    options.refresh = refresh;
    options.threads = threads;
    set_by_name(options.sampler, sampler);
    return std::make_unique<Generator>(model, lstmgen::Generator(model, options));
}

std::unique_ptr<Generator> load_state(const lstmgen::Model& model, const py::bytes& state, std::size_t threads) {
    const std::string_view view(state);
    const py::gil_scoped_release release;
    return std::make_unique<Generator>(model, lstmgen::Generator::load_state(model, view.data(), view.size(), threads));
}

std::pair<std::vector<Ids>, std::vector<double>> sample_many(
    const lstmgen::Model& model, const std::vector<Ids>& primes, const std::vector<py::dict>& samplers,
    std::size_t length, IdLists stops, std::vector<std::string> stop_texts, std::size_t refresh, std::size_t threads,
    bool scores, const lstmgen::Grammar* grammar, bool finish, const std::vector<std::size_t>& grammar_primes,
    const std::optional<py::function>& progress) {
    std::vector<lstmgen::Request> requests(primes.size());
    for (std::size_t i = 0; i < primes.size(); ++i) {
        require_dims(primes[i], 1);
        set_by_name(requests[i].sampler, samplers.at(i));
        requests[i].prime.assign(primes[i].data(), primes[i].data() + primes[i].size());
        if (grammar) requests[i].grammar_prime = grammar_primes.at(i);
    }
    lstmgen::ManyOptions options;
    options.length = length;
    options.stops = std::move(stops);
    options.stop_texts = std::move(stop_texts);
    options.refresh = refresh;
    options.threads = threads;
    if (grammar) options.grammar = *grammar;
    options.finish = finish;
    std::vector<double> found(scores ? primes.size() : 0);
    if (scores) options.scores = found.data();
    IdLists drawn;
    bool finished = true;
    {
        const py::gil_scoped_release release;
        SignalCheck check;
        Telling tell(progress);
        options.done = tell.done();
        try {
            drawn = lstmgen::sample_many(model, requests, options,
                                         [&] { return finished = finished && check() && tell(); });
        } catch (...) {
            if (finished) throw;  // else the signal handler's exception goes first
        }
    }
    if (!finished) throw py::error_already_set();
    std::vector<Ids> results;
    for (const auto& ids : drawn) results.emplace_back(py::ssize_t(ids.size()), ids.data());
    return {std::move(results), std::move(found)};
}

const char* ending_name(lstmgen::Ending ending) {
    switch (ending) {
        case lstmgen::Ending::none: return nullptr;
        case lstmgen::Ending::length: return "length";
        case lstmgen::Ending::stop: return "stop";
        case lstmgen::Ending::grammar: return "grammar";
        case lstmgen::Ending::error: return "error";
    }
    return nullptr;
}

// A batch that collects what its sequences draw, until Python takes it.
class Batch {
public:
    Batch(const lstmgen::Model& model, std::size_t most, std::size_t threads)
        : batch_(model, most, threads), outputs_(model.info().outputs), news_(most) {}

    // With `likeliest` n, each element comes with its log-probability and with those of the n
    // likeliest ones; -1: with none.
    std::uint64_t join(const Ids& prime, const py::dict& sampler, std::uint64_t length, IdLists stops,
                       std::vector<std::string> stop_texts, std::size_t refresh, const lstmgen::Grammar* grammar,
                       bool finish, std::size_t grammar_prime, int likeliest, bool scored) {
        require_dims(prime, 1);
        lstmgen::BatchRequest request;
        set_by_name(request.sampler, sampler);
        request.prime.assign(prime.data(), prime.data() + prime.size());
        request.grammar_prime = grammar ? grammar_prime : 0;
        request.length = length;
        request.stops = std::move(stops);
        request.stop_texts = std::move(stop_texts);
        request.refresh = refresh;
        if (grammar) request.grammar = *grammar;
        request.finish = finish;
        request.scored = scored;
        const py::gil_scoped_release release;
        const std::size_t i = batch_.join(std::move(request));
        news_[i] = News();
        news_[i].likeliest = likeliest < 0 ? -1 : int(std::min(std::size_t(likeliest), outputs_));
        return news_[i].sequence = next_++;
    }

    void leave(std::uint64_t sequence) {
        const std::size_t i = find(sequence);
        const py::gil_scoped_release release;
        batch_.leave(i);
        news_[i] = News();
    }

    void pause(std::uint64_t sequence) {
        const std::size_t i = find(sequence);
        const py::gil_scoped_release release;
        batch_.pause(i);
    }

    void resume(std::uint64_t sequence) {
        const std::size_t i = find(sequence);
        const py::gil_scoped_release release;
        batch_.resume(i);
    }

    std::size_t size() const {
        const py::gil_scoped_release release;
        return batch_.size();
    }

    // Makes `steps` steps. It ends earlier after `seconds`, and if all that is left rests. If there
    // is a limit of time, it ends after the first element of a sequence, which somebody waits for.
    // Returns a tuple for each sequence with news: number, ids, ending, error, score,
    // log-probabilities or None. What was drawn before an exception is in the result of the next
    // call.
    py::list advance(std::size_t steps, double seconds) {
        {
            const py::gil_scoped_release release;
            const auto start = std::chrono::steady_clock::now();
            for (std::size_t i = 0; i < steps && batch_.size() > batch_.resting(); ++i) {
                bool first = false;
                for (const lstmgen::BatchElement& element : batch_.step()) first |= note(element);
                if (first && seconds < kNoLimit) break;
                if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() >= seconds) break;
            }
        }
        py::list all;
        for (News& news : over_) all.append(tuple(news));
        over_.clear();
        for (News& news : news_) {
            if (news.ids.empty()) continue;
            all.append(tuple(news));
            news.clear();
        }
        return all;
    }

private:
    static constexpr double kNoLimit = 1e9;  // seconds

    struct News {
        std::uint64_t sequence = 0;  // 0: there is none
        int likeliest = -1;
        bool begun = false;
        std::vector<std::uint32_t> ids, other_ids, counts;
        std::vector<double> log_p, other_log_p;
        lstmgen::Ending ending = lstmgen::Ending::none;
        std::string error;
        double score = 0.0;

        void clear() {
            ids.clear();
            other_ids.clear();
            counts.clear();
            log_p.clear();
            other_log_p.clear();
        }
    };

    std::size_t find(std::uint64_t sequence) const {
        for (std::size_t i = 0; i < news_.size(); ++i)
            if (news_[i].sequence == sequence) return i;
        throw py::value_error("the sequence is over, or has left");
    }

    static py::tuple tuple(const News& news) {
        py::object logs = py::none();
        if (news.likeliest >= 0) logs = py::make_tuple(news.log_p, news.counts, news.other_ids, news.other_log_p);
        const Ids ids(py::ssize_t(news.ids.size()), news.ids.data());
        return py::make_tuple(news.sequence, ids, ending_name(news.ending), news.error, news.score, logs);
    }

    // Returns whether it is the first element of its sequence.
    bool note(const lstmgen::BatchElement& element) {
        const std::size_t i = element.sequence;
        News& news = news_[i];
        if (element.drawn) {
            news.ids.push_back(element.id);
            if (news.likeliest >= 0) {
                const std::size_t at = news.other_ids.size(), most = std::size_t(news.likeliest);
                news.log_p.push_back(batch_.log_probability(i));
                news.other_ids.resize(at + most);
                news.other_log_p.resize(at + most);
                const std::size_t n =
                    batch_.likeliest(i, most, news.other_ids.data() + at, news.other_log_p.data() + at);
                news.other_ids.resize(at + n);
                news.other_log_p.resize(at + n);
                news.counts.push_back(std::uint32_t(n));
            }
        }
        const bool first = !news.begun;
        news.begun = true;
        if (element.ending == lstmgen::Ending::none) return first;
        news.ending = element.ending;
        news.score = batch_.score(i);
        news.error = batch_.error(i);
        over_.push_back(std::move(news));
        news = News();
        return first;
    }

    lstmgen::Batch batch_;
    std::size_t outputs_;
    std::vector<News> news_;  // of the sequences that are not over, by their numbers in batch_
    std::vector<News> over_;
    std::uint64_t next_ = 1;
};

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
                case lstmgen::ErrorCode::stopped:
                    // A signal handler has raised, and its exception is set.
                    if (!PyErr_Occurred()) py::set_error(PyExc_RuntimeError, error.what());
                    return;
                case lstmgen::ErrorCode::busy: return py::set_error(PyExc_RuntimeError, error.what());
                case lstmgen::ErrorCode::ended:
                case lstmgen::ErrorCode::invalid_argument: return py::set_error(PyExc_ValueError, error.what());
            }
        }
    });
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

void bind_model(py::module_& m) {
    using lstmgen::Model;
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
}

void bind_vocabulary(py::module_& m) {
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
}

void bind_generator(py::module_& m) {
    py::class_<Generator>(m, "Generator", checked_allocation())
        .def(py::init(&make_generator), "model"_a, "sampler"_a, py::kw_only(), "refresh"_a, "threads"_a)
        .def_static("load_state", &load_state, "model"_a, "state"_a, py::kw_only(), "threads"_a)
        .def("clone", &Generator::clone)
        .def("options", &Generator::options)
        .def("set_options", &Generator::set_options, "given"_a)
        .def("save_state", &Generator::save_state)
        .def("feed", &Generator::feed, "ids"_a)
        .def("next", &Generator::next)
        .def("sample", &Generator::sample, "length"_a)
        .def("set_stops", &Generator::set_stops, "ids"_a, "texts"_a)
        .def("stops", &Generator::stops)
        .def("probabilities", &Generator::probabilities)
        .def("log_probability", &Generator::log_probability)
        .def("score", &Generator::score, "ids"_a)
        .def("copy_from", &Generator::copy_from, "other"_a)
        .def("logits", &Generator::logits)
        .def("draw", &Generator::draw, "logits"_a)
        .def("likeliest", &Generator::likeliest, "most"_a)
        .def("set_grammar", &Generator::set_grammar, "grammar"_a.none(true), "length"_a)
        .def("set_grammar_length", &Generator::set_grammar_length, "length"_a)
        .def("grammar", &Generator::grammar)
        .def("ended", &Generator::ended)
        .def("set_logits_processor", &Generator::set_logits_processor, "processor"_a.none(true));
}

void bind_batch(py::module_& m) {
    py::class_<Batch>(m, "Batch", checked_allocation())
        .def(py::init<const lstmgen::Model&, std::size_t, std::size_t>(), "model"_a, "most"_a, "threads"_a)
        .def("join", &Batch::join, "prime"_a, "sampler"_a, py::kw_only(), "length"_a, "stops"_a, "stop_texts"_a,
             "refresh"_a, "grammar"_a.none(true), "finish"_a, "grammar_prime"_a, "likeliest"_a, "scored"_a)
        .def("leave", &Batch::leave, "sequence"_a)
        .def("pause", &Batch::pause, "sequence"_a)
        .def("resume", &Batch::resume, "sequence"_a)
        .def("size", &Batch::size)
        .def("advance", &Batch::advance, "steps"_a, "seconds"_a);
}

}  // namespace

// The macro's own function gets another name, so that another one can stand before it.
#define PyInit__core make_core
PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
    m.doc() = "The engine of lstmgen. Use the package, not this module.";
    bind_errors();
    bind_layer(m);
    bind_info(m);
    bind_model(m);
    bind_vocabulary(m);
    bind_generator(m);
    bind_batch(m);
    bind_grammar(m);
    m.def("sampler_defaults", [] { return by_name({}); });
    m.def("sample_many", &sample_many, "model"_a, "primes"_a, "samplers"_a, py::kw_only(), "length"_a, "stops"_a,
          "stop_texts"_a = std::vector<std::string>(), "refresh"_a, "threads"_a, "scores"_a = false,
          "grammar"_a.none(true) = py::none(), "finish"_a = true, "grammar_primes"_a = std::vector<std::size_t>(),
          "progress"_a.none(true) = py::none());
    m.def(
        "check_stops",
        [](const lstmgen::Model& model, const IdLists& ids, const std::vector<std::string>& texts) {
            lstmgen::StopMatcher(model, ids, texts);
        },
        "model"_a, "ids"_a, "texts"_a);
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
#undef PyInit__core

// Python calls this in each interpreter that imports the module. Before 3.12, Python cannot refuse
// the module itself in a second interpreter. There the locks of pybind11 would wait for ever.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
    if (PyInterpreterState_Get() == PyInterpreterState_Main()) return make_core();
    PyErr_SetString(
        PyExc_ImportError,
        "lstmgen._core works in the main interpreter only, not in a subinterpreter: use threads or processes");
    return nullptr;
}
