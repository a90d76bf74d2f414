// lstmgen._core.Grammar, and GrammarAutomaton and GrammarRun for the tests.
#include "grammar/run.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "interrupting.hpp"

namespace {

namespace grammar = lstmgen::grammar;

// A run with a lock that it shares with its copies, as they share what they have worked out.
class Run {
public:
    explicit Run(const std::shared_ptr<const grammar::Grammar>& g)
        : lock_(std::make_shared<std::mutex>()), run_(std::in_place, std::make_shared<grammar::Memo>(g)) {}
    std::unique_ptr<Run> copy() const {
        const std::lock_guard<std::mutex> guard(*lock_);
        return std::unique_ptr<Run>(new Run(*this));
    }
    ~Run() {  // the memo knows its runs
        const std::lock_guard<std::mutex> guard(*lock_);
        run_.reset();
    }

    py::array_t<bool> allowed(std::optional<std::uint64_t> left) {
        const std::size_t n = run_->grammar().elements();
        py::array_t<bool> mask{py::ssize_t(n)};
        bool* const to = mask.mutable_data();
        const std::lock_guard<std::mutex> guard(*lock_);
        const std::uint64_t* const bits = run_->allowed(left.value_or(lstmgen::kUnlimited));
        for (std::size_t i = 0; i < n; ++i) to[i] = bits[i / 64] >> i % 64 & 1;
        return mask;
    }
    void accept(std::uint32_t id) {
        const std::lock_guard<std::mutex> guard(*lock_);
        run_->accept(id);
    }
    bool complete() {
        const std::lock_guard<std::mutex> guard(*lock_);
        return run_->is_complete();
    }
    std::uint64_t remaining() {
        const std::lock_guard<std::mutex> guard(*lock_);
        return run_->shortest_end();
    }
    py::bytes save() {
        const std::lock_guard<std::mutex> guard(*lock_);
        std::string state(run_->save(nullptr, 0), '\0');
        run_->save(state.data(), state.size());
        return py::bytes(state);
    }
    void load(const std::string& state) {
        const std::lock_guard<std::mutex> guard(*lock_);
        run_->load(state.data(), state.size());
    }

private:
    Run(const Run&) = default;

    std::shared_ptr<std::mutex> lock_;
    std::optional<grammar::Run> run_;
};

}  // namespace

void bind_grammar(py::module_& m) {
    using Grammar = grammar::Grammar;
    py::class_<lstmgen::Grammar>(m, "Grammar", checked_allocation())
        .def(
            py::init([](const lstmgen::Model& model, const std::string& text, const std::vector<std::uint32_t>& never) {
                const py::gil_scoped_release release;
                return lstmgen::Grammar(model, text, never);
            }),
            "model"_a, "text"_a, "never"_a)
        .def_property_readonly("text", &lstmgen::Grammar::text);
    m.def(
        "grammar_rules",
        [](const std::string& text) {
            grammar::Room room(text.size());
            const grammar::Gbnf parsed = grammar::parse_gbnf(text, room);
            std::vector<std::string> names;
            for (const grammar::Rule& rule : parsed.rules)
                if (!rule.name.empty()) names.push_back(rule.name);
            std::vector<std::vector<std::pair<std::uint32_t, std::uint32_t>>> classes;
            for (const auto& ranges : parsed.classes) {
                classes.emplace_back();
                for (const grammar::CharRange& range : ranges) classes.back().emplace_back(range.first, range.last);
            }
            return std::make_pair(names, classes);
        },
        "text"_a);
    py::class_<Grammar, std::shared_ptr<Grammar>>(m, "GrammarAutomaton", checked_allocation())
        .def(py::init([](const std::string& text, const std::vector<std::string>& vocabulary,
                         const std::vector<std::uint32_t>& never) {
                 const py::gil_scoped_release release;
                 const lstmgen::Continue keep_going = SignalCheck();
                 return std::make_shared<Grammar>(text, vocabulary, never, &keep_going);
             }),
             "text"_a, "vocabulary"_a, "never"_a = std::vector<std::uint32_t>())
        .def_property_readonly("closes_by_characters", &Grammar::closes_by_characters)
        .def("start", [](const std::shared_ptr<Grammar>& g) { return std::make_unique<Run>(g); });
    py::class_<Run>(m, "GrammarRun", checked_allocation())
        .def("allowed", &Run::allowed, "left"_a = py::none())
        .def("accept", &Run::accept, "id"_a)
        .def_property_readonly("complete", &Run::complete)
        .def("remaining", &Run::remaining)
        .def("copy", &Run::copy)
        .def("save", &Run::save)
        .def("load", &Run::load, "state"_a);
}
