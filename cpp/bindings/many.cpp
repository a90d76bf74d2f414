// lstmgen._core.sample_many and Batch: many sequences at once.
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.hpp"
#include "interrupting.hpp"

namespace {

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
        // A step was stopped that had drawn some elements.
        if (PyErr_Occurred()) throw py::error_already_set();
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

}  // namespace

void bind_many(py::module_& m) {
    m.def("sample_many", &sample_many, "model"_a, "primes"_a, "samplers"_a, py::kw_only(), "length"_a, "stops"_a,
          "stop_texts"_a = std::vector<std::string>(), "refresh"_a, "threads"_a, "scores"_a = false,
          "grammar"_a.none(true) = py::none(), "finish"_a = true, "grammar_primes"_a = std::vector<std::size_t>(),
          "progress"_a.none(true) = py::none());
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
