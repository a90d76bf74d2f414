// A few threads that run the same function side by side, again and again.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace lstmgen {

/// Starts the threads that make a team of `size` with the caller: each runs `run`. If the system
/// has no more threads or no more memory, fewer start; those that did can do all the work, with the
/// same results.
template <class F>
std::vector<std::thread> start_threads(std::size_t size, F run) {
    std::vector<std::thread> threads;
    threads.reserve(size);
    try {
        for (std::size_t i = 1; i < size; ++i) threads.emplace_back(run);
    } catch (const std::system_error&) {
        // The system has no more threads.
    } catch (const std::bad_alloc&) {
        // There is no memory for one more.
    }
    return threads;
}

class Workers {
public:
    /// The caller counts as one: 0 and 1 start no thread. Fewer may start than asked for: see
    /// size().
    explicit Workers(std::size_t size);
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    std::size_t size() const noexcept { return team_->threads.size() + 1; }

    /// f(0) ... f(size() - 1), each by whichever thread comes first, the caller too: it does all of
    /// them where the processors are busy with others, or in the child of a fork, which has none of
    /// the threads. Returns when all are done. f must not throw.
    template <class F>
    void run(F&& f) {
        if (size() == 1) return f(0);
        start([](void* context, std::size_t i) { (*static_cast<std::remove_reference_t<F>*>(context))(i); }, &f);
    }

private:
    using Task = void (*)(void* context, std::size_t index);
    struct Team {
        std::vector<std::thread> threads;
        std::mutex mutex;  // for sleeping only
        std::condition_variable wake;
    };
    void start(Task task, void* context);
    void work();
    void loop();

    std::unique_ptr<Team> team_ = std::make_unique<Team>();
    long process_;  // that the threads run in
    Task task_ = nullptr;
    void* context_ = nullptr;
    std::atomic<std::uint64_t> next_{0},
        limit_{0};                         // parts, of all calls of run: those taken, and those that there are
    std::atomic<std::size_t> running_{0};  // parts of the last call that are not done
    std::atomic<bool> stop_{false};
    std::atomic<std::size_t> asleep_{0};
};

}  // namespace lstmgen
