// Draws many sequences, each as a Generator with its options would draw it. The sequences of a
// batch run side by side, as lanes of one product. Threads take batches from a queue. No thread
// waits for another before the end.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>

#include "checks.hpp"
#include "context.hpp"
#include "float_mode.hpp"
#include "grammar/guard.hpp"
#include "kept.hpp"
#include "lstmgen/lstmgen.hpp"
#include "lstmgen/vocabulary.hpp"
#include "message.hpp"
#include "sampler.hpp"
#include "sorting.hpp"
#include "workers.hpp"

namespace lstmgen {
namespace {

// The lanes of a batch: enough that each weight that is read serves many of them.
constexpr std::size_t kBatchRows = 96;

// A sequence of a batch.
struct Member {
    const Request* request;
    std::vector<std::uint32_t>* result;  // the ids drawn so far
    std::size_t prime_size;              // elements at the end of the prime that matter
    Sampler sampler;
    double* score;  // or null
    grammar::Guard guard;
    StopMatcher::Place place;
    bool over = false;
};

using Members = std::vector<Member>;

// Reads the primes of a batch. The longest comes first, and shorter ones start later, so that all
// end at the same time. Returns false if `keep_going` stopped it.
bool prime(Context& context, const Members& batch, const Generator::Continue& keep_going) {
    std::vector<std::uint32_t> ids(batch.size());  // (sequences), the next id of each
    const std::size_t longest = batch[0].prime_size;
    if (longest > 0 && !context.begin(longest, keep_going)) return false;
    for (std::size_t left = longest; left > 0; --left) {
        if (!keep_going()) return false;
        std::size_t n = 0;
        for (; n < batch.size() && batch[n].prime_size >= left; ++n)
            ids[n] = batch[n].request->prime[batch[n].request->prime.size() - left];
        context.append(ids.data(), n);
    }
    return true;
}

// Those that are over leave, with their lanes.
void keep_going_ones(Context& context, Members& batch, const std::vector<std::size_t>& going) {
    if (going.size() == batch.size()) return;
    context.keep(going);
    batch.erase(std::remove_if(batch.begin(), batch.end(), [](const Member& s) { return s.over; }), batch.end());
}

// The batch's guards: one thread draws all of it, so they share what they learn.
void start_grammar(const ManyOptions& options, std::size_t outputs, Members& batch,
                   const Generator::Continue& keep_going) {
    if (!options.grammar) return;
    const auto memo = grammar::make_memo(options.grammar, keep_going);
    for (Member& s : batch) {
        s.guard = grammar::Guard(options.grammar, outputs, memo, options.finish ? options.length : kUnlimited);
        const std::size_t known = s.request->grammar_prime;
        s.guard.read(s.request->prime.data() + s.request->prime.size() - known, known);
        s.guard.check_length();
    }
}

// Draws the sequences of a batch. A sequence leaves the batch when it is over.
void sample_batch(const Model& model, const ManyOptions& options, const StopMatcher& stops, Members& batch,
                  const Generator::Continue& keep_going) {
    Context context(model.network(), options.refresh, batch.size(), 1, keep_going);
    start_grammar(options, model.info().outputs, batch, keep_going);
    if (!prime(context, batch, keep_going)) return;
    const std::size_t outputs = model.info().outputs;
    std::vector<std::uint32_t> ids(batch.size());               // (sequences), the drawn id of each
    std::vector<std::size_t> going(batch.size());               // indices of those that go on
    std::vector<double> scratch(options.scores ? outputs : 0);  // for plain_log_probability
    for (std::size_t drawn = 0; drawn < options.length && keep_going(); ++drawn) {
        if (drawn > 0) {
            if (!context.begin(1, keep_going)) return;
            context.append(ids.data());
        }
        const float* const logits = context.logits();
        going.clear();
        for (std::size_t i = 0; i < batch.size(); ++i) {
            Member& s = batch[i];
            s.over = s.guard.ended();
            if (s.over) continue;
            s.sampler.set_logits(logits + i * outputs, s.guard.allowed());
            const std::uint32_t id = s.sampler.draw();
            s.guard.drawn(id);
            s.result->push_back(id);
            if (s.score) *s.score += plain_log_probability(logits + i * outputs, outputs, id, scratch.data());
            stops.read(id, s.place);
            s.over = s.place.found;
            if (s.over) continue;
            ids[going.size()] = id;
            going.push_back(i);
        }
        if (options.done) *options.done += batch.size() + (batch.size() - going.size()) * (options.length - drawn - 1);
        if (going.empty()) return;
        keep_going_ones(context, batch, going);
    }
}

void check(const Model& model, const std::vector<Request>& requests, const ManyOptions& options) {
    const std::size_t outputs = model.info().outputs;
    check_threads(options.threads);
    const bool pads = Context::pads(model.info(), options.refresh);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const std::string who = message({"sequence %: ", i});
        if (requests[i].prime.empty() && !pads) refuse({"%the prime is empty: give at least one element", who});
        check_ids(requests[i].prime.data(), requests[i].prime.size(), outputs, (who + "prime: id").c_str());
        if (requests[i].grammar_prime > requests[i].prime.size())
            refuse({"%grammar_prime: expected at most %, as the prime has, found %", who, requests[i].prime.size(),
                    requests[i].grammar_prime});
    }
}

// Returns the batches. With windows, all lanes of a batch must start at the same element, so its
// primes are equally long. The samplers have read the primes.
std::vector<Members> batches(const Model& model, const std::vector<Request>& requests, const ManyOptions& options,
                             std::vector<std::vector<std::uint32_t>>& results) {
    const bool windows = options.refresh > 0 && model.info().window > 0;
    const std::size_t reach = windows ? model.info().window : SIZE_MAX;
    const auto size = [&](std::size_t i) { return std::min(requests[i].prime.size(), reach); };
    std::vector<std::uint32_t> order(requests.size());
    std::iota(order.begin(), order.end(), 0);
    sort_ids(order, [&](std::uint32_t a, std::uint32_t b) { return size(a) != size(b) ? size(a) > size(b) : a < b; });

    const std::size_t lanes = Context::lanes(model.info(), options.refresh);
    const std::size_t threads = std::clamp<std::size_t>(options.threads, 1, requests.size());
    const std::size_t limit = std::min((kBatchRows + lanes - 1) / lanes, (requests.size() + threads - 1) / threads);
    const std::size_t most = kernels::chunk_of(requests.size(), limit);
    std::vector<Members> all;
    for (const std::size_t i : order) {
        if (all.empty() || all.back().size() == most || (windows && all.back()[0].prime_size != size(i)))
            all.emplace_back();
        Sampler sampler(model.info().outputs, requests[i].sampler);
        sampler.set_exponentials(model.network()->kernels().exponentials);
        for (const std::uint32_t id : requests[i].prime) sampler.accept(id);
        all.back().push_back({&requests[i],
                              &results[i],
                              size(i),
                              std::move(sampler),
                              options.scores ? options.scores + i : nullptr,
                              {},
                              {}});
    }
    return all;
}

}  // namespace

LSTMGEN_KEPT std::vector<std::vector<std::uint32_t>> sample_many(const Model& model,
                                                                 const std::vector<Request>& requests,
                                                                 const ManyOptions& options,
                                                                 const Generator::Continue& keep_going) {
    check(model, requests, options);
    const StopMatcher stops(model, options.stops, options.stop_texts);
    std::vector<std::vector<std::uint32_t>> results(requests.size());
    if (options.scores) std::fill_n(options.scores, requests.size(), 0.0);
    if (requests.empty()) return results;
    std::vector<Members> queue = batches(model, requests, options, results);

    std::atomic<std::size_t> next{0};
    std::atomic<bool> stop{false};
    bool asked = false;  // the model's keep_going asked for the end
    const Continue& model_keeps_going = model.network()->keep_going();
    std::mutex mutex;  // guards `error` and `finished`
    std::exception_ptr error;
    std::size_t finished = 0;  // threads that have ended
    std::condition_variable done;
    // Keeps the first exception until the threads are joined.
    const auto guarded = [&](const auto& f) {
        try {
            f();
        } catch (const Error& stopped) {
            const std::lock_guard lock(mutex);
            if (!error && stopped.code() != ErrorCode::stopped) error = std::current_exception();
            stop = true;
        } catch (...) {
            const std::lock_guard lock(mutex);
            if (!error) error = std::current_exception();
            stop = true;
        }
    };
    const auto work = [&](const Generator::Continue& go_on) {
        guarded([&] {
            const FloatMode mode;
            for (std::size_t i; !stop && (i = next++) < queue.size();)
                sample_batch(model, options, stops, queue[i], go_on);
        });
    };
    // Only this thread calls keep_going. It does so while it waits for the others, too.
    const auto go_on = [&] {
        if (!stop && keep_going && !keep_going()) stop = true;
        if (!stop && model_keeps_going && !model_keeps_going()) stop = asked = true;
        return !stop.load();
    };
    std::vector<std::thread> threads = start_threads(std::min(options.threads, queue.size()), [&] {
        work([&] { return !stop.load(); });
        const std::lock_guard lock(mutex);
        ++finished;
        done.notify_one();
    });
    work(go_on);
    for (std::unique_lock lock(mutex); finished < threads.size();) {
        done.wait_for(lock, std::chrono::milliseconds(20));
        lock.unlock();
        guarded(go_on);
        lock.lock();
    }
    for (std::thread& thread : threads) thread.join();
    if (error) std::rethrow_exception(error);
    if (asked) fail(ErrorCode::stopped, {"stopped, as keep_going asked"});
    return results;
}

}  // namespace lstmgen
