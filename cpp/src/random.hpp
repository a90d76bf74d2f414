// Random numbers. They are those of std::mt19937_64, number for number. The state of the standard
// library can be saved only as text of a stream, so this class has its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "state.hpp"

namespace lstmgen {

class Random {
public:
    explicit Random(std::uint64_t seed) noexcept {
        words_[0] = seed;
        for (std::size_t i = 1; i < kWords; ++i)
            words_[i] = 6364136223846793005u * (words_[i - 1] ^ words_[i - 1] >> 62) + i;
    }

    std::uint64_t operator()() noexcept {
        const std::uint64_t x = peek();
        ++next_;
        return x;
    }

    /// Returns the number that the next call of () returns.
    std::uint64_t peek() noexcept {
        if (next_ == kWords) twist();
        std::uint64_t x = words_[next_];
        x ^= x >> 29 & 0x5555555555555555;
        x ^= x << 17 & 0x71d67fffeda60000;
        x ^= x << 37 & 0xfff7eee000000000;
        return x ^ x >> 43;
    }

    void save(StateWriter& out) const noexcept {
        out.size(next_);
        out.bytes(words_, sizeof words_);
    }
    void load(StateReader& in) {
        next_ = in.size(kWords);
        in.bytes(words_, sizeof words_);
    }

private:
    static constexpr std::size_t kWords = 312, kMiddle = 156;

    void twist() noexcept {
        for (std::size_t i = 0; i < kWords; ++i) {
            const std::uint64_t upper = words_[i] & ~std::uint64_t{0x7fffffff},
                                x = upper | (words_[(i + 1) % kWords] & 0x7fffffff);
            words_[i] = words_[(i + kMiddle) % kWords] ^ x >> 1 ^ (x & 1 ? 0xb5026f5aa96619e9 : 0);
        }
        next_ = 0;
    }

    std::uint64_t words_[kWords];
    std::size_t next_ = kWords;  // index of the next word; kWords: twist first
};

}  // namespace lstmgen
