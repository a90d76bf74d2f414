// A few threads that run the same function side by side, again and again.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
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

    std::size_t size() const noexcept { return threads_.size() + 1; }

    /// f(0) ... f(size() - 1), each on a thread of its own; returns when all have. f must not throw.
    template <class F>
    void run(F&& f) {
        if (threads_.empty()) return f(0);
        start([](void* context, std::size_t i) { (*static_cast<std::remove_reference_t<F>*>(context))(i); }, &f);
    }

private:
    using Task = void (*)(void* context, std::size_t index);
    void start(Task task, void* context);
    void loop(std::size_t index);

    std::vector<std::thread> threads_;
    Task task_ = nullptr;
    void* context_ = nullptr;
    std::atomic<std::size_t> round_{0};    // counts the calls of run
    std::atomic<std::size_t> running_{0};  // threads that have not finished the round
    std::atomic<bool> stop_{false};
    std::mutex mutex_;  // for sleeping only
    std::condition_variable wake_;
    std::atomic<std::size_t> asleep_{0};
};

}  // namespace lstmgen
