#include "workers.hpp"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include "float_mode.hpp"
#include "kept.hpp"

namespace lstmgen {
namespace {

// A thread that waits spins first, then yields, and at last sleeps. Before it sleeps, about 0.2 ms
// pass. That is longer than the pause between two elements.
constexpr int kSpins = 1000, kYields = 400;

inline void pause() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits for a moment, the i-th time.
inline void wait(int i) {
    if (i < kSpins)
        pause();
    else
        std::this_thread::yield();
}

long process() {
#if defined(__unix__) || defined(__APPLE__)
    return getpid();
#else
    return 0;  // there is no fork
#endif
}

}  // namespace

LSTMGEN_KEPT Workers::Workers(std::size_t size) : process_(process()) {
    team_->threads = start_threads(size, [this] { loop(); });
}

LSTMGEN_KEPT Workers::~Workers() {
    if (!kThreads) return;
    if (size() > 1 && process() != process_) {
        // The threads are those of the parent. To join them, or to destroy what they wait on,
        // hangs.
        static_cast<void>(team_.release());
        return;
    }
    {
        const std::lock_guard lock(team_->mutex);
        stop_.store(true);
    }
    team_->wake.notify_all();
    for (std::thread& thread : team_->threads) thread.join();
}

LSTMGEN_KEPT void Workers::start(Task task, void* context) {
    if (process() != process_) {
        for (std::size_t i = 0; i < size(); ++i) task(context, i);
        return;
    }
    task_ = task;
    context_ = context;
    running_.store(size());
    limit_.fetch_add(size());  // publishes task_, context_ and running_
    if (asleep_.load() > 0) {
        const std::lock_guard lock(team_->mutex);
        team_->wake.notify_all();
    }
    work();
    for (int i = 0; running_.load() > 0; ++i) wait(i);
}

void Workers::work() {
    for (std::uint64_t part = next_.load(); part < limit_.load();)
        if (next_.compare_exchange_weak(part, part + 1)) {
            task_(context_, static_cast<std::size_t>(part % size()));
            running_.fetch_sub(1);
            part = next_.load();
        }
}

void Workers::loop() {
    const FloatMode mode;  // a new thread has that of its parent
    const auto idle = [this] { return next_.load() >= limit_.load() && !stop_.load(); };
    for (;;) {
        for (int i = 0; i < kSpins + kYields && idle(); ++i) wait(i);
        if (idle()) {
            std::unique_lock lock(team_->mutex);
            asleep_.fetch_add(1);
            team_->wake.wait(lock, [&] { return !idle(); });
            asleep_.fetch_sub(1);
        }
        if (stop_.load()) return;
        work();
    }
}

}  // namespace lstmgen
