// Tests of the threads that run the same function side by side.
#include <doctest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "workers.hpp"

using lstmgen::Workers;

TEST_CASE("run calls the function once for each worker and waits for all") {
    for (const std::size_t size : {0, 1, 2, 5}) {
        Workers workers(size);
        std::vector<int> calls(workers.size());
        for (int round = 0; round < 1000; ++round) workers.run([&](std::size_t i) { ++calls[i]; });
        for (const int n : calls) CHECK(n == 1000);
    }
}

TEST_CASE("workers that have gone to sleep wake up again") {
    Workers workers(3);
    std::atomic<int> calls{0};
    for (int round = 0; round < 3; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        workers.run([&](std::size_t) { ++calls; });
    }
    CHECK(calls == 9);
}
