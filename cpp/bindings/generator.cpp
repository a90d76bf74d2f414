// lstmgen._core.Generator.
#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "interrupting.hpp"

namespace {

// A generator that refuses a second call during the first. The second one may come from another
// thread or from a signal handler.
class Generator {
public:
    Generator(const lstmgen::Model& model, lstmgen::Generator generator)
        : generator_(std::move(generator)), outputs_(model.info().outputs) {}

    std::unique_ptr<Generator> clone() {
        std::unique_ptr<Generator> other =
            alone([&] { return std::unique_ptr<Generator>(new Generator(generator_.clone(), outputs_)); });
        other->set_logits_processor(processor_);
        return other;
    }

    void copy_from(Generator& other) {
        if (&other == this) return;
        const Use use(other.in_use_);
        alone([&] { generator_.copy_from(other.generator_); });
        set_logits_processor(other.processor_);
    }

    // `processor` is a function of two arrays, ids (count) and logits (outputs), or None.
    void set_logits_processor(const py::object& processor) {
        alone([&] { generator_.set_logits_processor(processor.is_none() ? nullptr : &Generator::process, this); });
        processor_ = processor;
    }

    py::array_t<double> logits() {
        py::array_t<double> logits{py::ssize_t(outputs_)};
        alone([&, data = logits.mutable_data()] { generator_.logits(data); });
        return logits;
    }

    std::uint32_t draw(const py::array_t<double, py::array::c_style>& logits) {
        if (logits.ndim() != 1 || std::size_t(logits.shape(0)) != outputs_)
            throw py::value_error("expected one number for each element");
        return alone([&, data = logits.data()] {
            generator_.go_on();
            return generator_.draw(data);
        });
    }

    std::pair<std::vector<std::uint32_t>, std::vector<double>> likeliest(std::size_t most) {
        most = std::min(most, outputs_);
        std::vector<std::uint32_t> ids(most);
        std::vector<double> log_p(most);
        alone([&] {
            const std::size_t n = generator_.likeliest(most, ids.data(), log_p.data());
            ids.resize(n);
            log_p.resize(n);
        });
        return {ids, log_p};
    }

    py::dict options() {
        return by_name(alone([&] { return generator_.options(); }));
    }

    void set_options(const py::dict& given) {
        lstmgen::SamplerOptions options = alone([&] { return generator_.options(); });
        set_by_name(options, given);
        const bool given_seed = given.contains("seed");
        alone([&] {
            generator_.set_options(options);
            if (given_seed) generator_.set_seed(options.seed);
        });
    }

    void feed(const Ids& ids) {
        require_dims(ids, 1);
        interruptibly([&, data = ids.data(), n = std::size_t(ids.size())](SignalCheck check) {
            return generator_.feed(data, n, check);
        });
    }

    std::uint32_t next() {
        return alone([&] { return generator_.next(); });
    }

    void set_grammar(const lstmgen::Grammar* grammar, std::uint64_t length) {
        alone([&] { generator_.set_grammar(grammar ? *grammar : lstmgen::Grammar(), length); });
    }

    void set_grammar_length(std::uint64_t length) {
        alone([&] { generator_.set_grammar_length(length); });
    }

    std::optional<lstmgen::Grammar> grammar() {
        const lstmgen::Grammar found = alone([&] { return generator_.grammar(); });
        return found ? std::optional(found) : std::nullopt;
    }

    bool ended() {
        return alone([&] { return generator_.ended(); });
    }

    void set_stops(const IdLists& ids, const std::vector<std::string>& texts) {
        alone([&] { generator_.set_stops(ids, texts); });
    }

    std::pair<IdLists, std::vector<py::bytes>> stops() {
        IdLists ids;
        std::vector<std::string> texts;
        alone([&] {
            ids = generator_.stops();
            texts = generator_.stop_texts();
        });
        return {std::move(ids), {texts.begin(), texts.end()}};
    }

    // Draws up to `length` elements. It ends early where a grammar ends, and after a stop. A stop
    // before the first element does not count.
    Ids sample(std::size_t length) {
        std::vector<std::uint32_t> ids;
        interruptibly([&](SignalCheck keep_going) {
            bool goes_on = true;
            try {
                generator_.go_on();
                while (ids.size() < length && (goes_on = keep_going()) && !generator_.ended())
                    ids.push_back(generator_.next());
            } catch (...) {
                undelivered_ = std::move(ids);
                throw;
            }
            if (!goes_on) undelivered_ = std::move(ids);
            return goes_on;
        });
        return Ids(py::ssize_t(ids.size()), ids.data());
    }

    // What a sample had drawn that ended with an exception. Nothing while another call runs.
    Ids undelivered() {
        std::vector<std::uint32_t> ids;
        if (!in_use_.exchange(true, std::memory_order_acquire)) {
            ids.swap(undelivered_);
            in_use_.store(false, std::memory_order_release);
        }
        return Ids(py::ssize_t(ids.size()), ids.data());
    }

    py::array_t<double> probabilities() {
        py::array_t<double> p{py::ssize_t(outputs_)};
        alone([&, data = p.mutable_data()] { generator_.probabilities(data); });
        return p;
    }

    double log_probability() {
        return alone([&] { return generator_.log_probability(); });
    }

    py::array_t<double> score(const Ids& ids) {
        require_dims(ids, 1);
        py::array_t<double> p{ids.size()};
        interruptibly([&, to = p.mutable_data(), from = ids.data(), n = std::size_t(ids.size())](SignalCheck check) {
            return generator_.score(from, n, to, check);
        });
        return p;
    }

    py::bytes save_state() {
        const std::vector<std::uint8_t> state = alone([&] { return generator_.save_state(); });
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

    // Returns what f returns, which runs without the GIL.
    template <class F>
    std::invoke_result_t<F> alone(F&& f) {
        const py::gil_scoped_release release;
        // The use ends before the wait for the GIL, which another thread may hold for long.
        const Use use(in_use_);
        return f();
    }

    // Does the same for an f that asks a SignalCheck, and returns false if a signal handler has
    // raised.
    template <class F>
    void interruptibly(F&& f) {
        if (!alone([&] { return f(SignalCheck()); })) throw py::error_already_set();
    }

    lstmgen::Generator generator_;
    std::size_t outputs_;
    std::vector<std::uint32_t> undelivered_;
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

}  // namespace

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
        .def("undelivered", &Generator::undelivered)
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
    m.def("sampler_defaults", [] { return by_name({}); });
}
