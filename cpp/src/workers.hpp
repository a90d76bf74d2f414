// A few threads that run the same function side by side, many times.
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

/// Whether there are threads. Without them, all that belongs to them is left out.
#if defined(__EMSCRIPTEN__) && !defined(__EMSCRIPTEN_PTHREADS__)
inline constexpr bool kThreads = false;
#else
inline constexpr bool kThreads = true;
#endif

/// Starts size - 1 threads, which make a team of `size` with the caller. Each runs `run`. Fewer
/// start if the system has no more threads or memory. Then the others do all the work, with the
/// same results.
template <class F>
std::vector<std::thread> start_threads(std::size_t size, F run) {
    std::vector<std::thread> threads;
    if (!kThreads) return threads;
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

/// A team of threads. The caller is one of them.
class Workers {
public:
    /// Starts a team of `size`. 0 and 1 start no thread. Fewer may start: see size().
    explicit Workers(std::size_t size);
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    std::size_t size() const noexcept { return kThreads ? team_->threads.size() + 1 : 1; }

    /// Runs f(0) to f(size() - 1). Each is a part, which the first free thread takes, the caller
    /// included. The caller takes all parts if the processors are busy, and in the child of a fork,
    /// which has no other thread. Returns when all are done. f must not throw.
    template <class F>
    void run(F&& f) {
        if (size() == 1) return f(0);
        start([](void* context, std::size_t i) { (*static_cast<std::remove_reference_t<F>*>(context))(i); }, &f);
    }

private:
    using Task = void (*)(void* context, std::size_t index);
    struct Team {
        std::vector<std::thread> threads;
        std::mutex mutex;  // only for sleeping
        std::condition_variable wake;
    };
    void start(Task task, void* context);
    void work();
    void loop();

    std::unique_ptr<Team> team_ = std::make_unique<Team>();
    long process_;                         // id of the process that the threads run in
    Task task_ = nullptr;                  // of the last call of `run`, as context_
    void* context_ = nullptr;              // the function f
    std::atomic<std::uint64_t> next_{0};   // parts of all calls of `run` that were taken
    std::atomic<std::uint64_t> limit_{0};  // parts of all calls of `run`
    std::atomic<std::size_t> running_{0};  // parts of the last call that are not done
    std::atomic<bool> stop_{false};        // the threads must end
    std::atomic<std::size_t> asleep_{0};   // threads that sleep
};

}  // namespace lstmgen
