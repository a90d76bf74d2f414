// A few threads that run the same function side by side, again and again.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace lstmgen {

class Workers {
public:
    /// The caller counts as one: 0 and 1 start no thread. Fewer may start than asked for: see size().
    explicit Workers(std::size_t size);
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    std::size_t size() const noexcept { return team_->threads.size() + 1; }

    /// f(0) ... f(size() - 1), each on a thread of its own; returns when all have. f must not throw. In the child of a
    /// fork, which has none of the threads, the caller does them one by one.
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
    void loop(std::size_t index);

    std::unique_ptr<Team> team_ = std::make_unique<Team>();
    long process_;  // that the threads run in
    Task task_ = nullptr;
    void* context_ = nullptr;
    std::atomic<std::size_t> round_{0};    // counts the calls of run
    std::atomic<std::size_t> running_{0};  // threads that have not finished the round
    std::atomic<bool> stop_{false};
    std::atomic<std::size_t> asleep_{0};
};

}  // namespace lstmgen
