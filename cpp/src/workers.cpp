#include "workers.hpp"

#include <new>
#include <system_error>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace lstmgen {
namespace {

constexpr int kSpins =
    20000;  // about 0.2 ms: longer than the pause between two elements, short enough to let others work

inline void pause() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

long process() {
#if defined(__unix__) || defined(__APPLE__)
    return getpid();
#else
    return 0;  // no fork there
#endif
}

}  // namespace

Workers::Workers(std::size_t size) : process_(process()) {
    std::vector<std::thread>& threads = team_->threads;
    threads.reserve(size);
    try {
        for (std::size_t i = 1; i < size; ++i) threads.emplace_back([this, i] { loop(i); });
    } catch (const std::system_error&) {
        // The system has no more threads: those that started do all the work, with the same results.
    } catch (const std::bad_alloc&) {
        // As little memory; and those that started must not be forgotten.
    }
}

Workers::~Workers() {
    if (size() > 1 && process() != process_) {
        static_cast<void>(team_.release());  // to join the parent's threads, or to destroy what they wait on, hangs
        return;
    }
    stop_.store(true);
    {
        const std::lock_guard lock(team_->mutex);
        round_.fetch_add(1);
    }
    team_->wake.notify_all();
    for (std::thread& thread : team_->threads) thread.join();
}

void Workers::start(Task task, void* context) {
    if (process() != process_) {
        for (std::size_t i = 0; i < size(); ++i) task(context, i);
        return;
    }
    task_ = task;
    context_ = context;
    running_.store(team_->threads.size());
    round_.fetch_add(1);  // publishes the three
    if (asleep_.load() > 0) {
        const std::lock_guard lock(team_->mutex);
        team_->wake.notify_all();
    }
    task(context, 0);
    for (int i = 0; running_.load() > 0; ++i)
        if (i < kSpins)
            pause();
        else
            std::this_thread::yield();
}

void Workers::loop(std::size_t index) {
    for (std::size_t seen = 0;; ++seen) {
        for (int i = 0; i < kSpins && round_.load() == seen; ++i) pause();
        if (round_.load() == seen) {
            std::unique_lock lock(team_->mutex);
            asleep_.fetch_add(1);
            team_->wake.wait(lock, [&] { return round_.load() != seen; });
            asleep_.fetch_sub(1);
        }
        if (stop_.load()) return;
        task_(context_, index);
        running_.fetch_sub(1);
    }
}

}  // namespace lstmgen
