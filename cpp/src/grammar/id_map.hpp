// Hash tables of the grammar: numbers that stand for what was built once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lstmgen::grammar {

constexpr std::uint32_t kNone = 0xFFFFFFFF;

constexpr std::uint64_t pair_key(std::uint32_t a, std::uint32_t b) noexcept { return std::uint64_t{a} << 32 | b; }

constexpr std::uint64_t mix(std::uint64_t x) noexcept {
    x ^= x >> 32;
    x *= 0x9E3779B97F4A7C15;
    return x ^ x >> 29;
}

/// 64-bit keys to 32-bit values, which are not kNone. Grows, and never shrinks.
class IdMap {
public:
    IdMap() { slots_.resize(64); }

    /// kNone: there is none.
    std::uint32_t find(std::uint64_t key) const noexcept {
        for (std::size_t i = first(key);; i = (i + 1) & (slots_.size() - 1)) {
            const Slot& slot = slots_[i];
            if (slot.value == kNone) return kNone;
            if (slot.key == key) return slot.value;
        }
    }

    /// The key must be a new one.
    void insert(std::uint64_t key, std::uint32_t value) {
        if ((used_ + 1) * 2 > slots_.size()) grow();
        place(key, value);
        ++used_;
    }

    /// Inserts a key, with any value. Returns whether it is a new one.
    bool add(std::uint64_t key) {
        const bool is_new = find(key) == kNone;
        if (is_new) insert(key, 0);
        return is_new;
    }

    std::size_t bytes() const noexcept { return slots_.size() * sizeof(Slot); }

    void clear() noexcept {
        if (used_ == 0) return;
        for (Slot& slot : slots_) slot = {};
        used_ = 0;
    }

private:
    struct Slot {
        std::uint64_t key = 0;
        std::uint32_t value = kNone;
    };

    std::size_t first(std::uint64_t key) const noexcept {
        return static_cast<std::size_t>(mix(key)) & (slots_.size() - 1);
    }
    void place(std::uint64_t key, std::uint32_t value) noexcept {
        std::size_t i = first(key);
        while (slots_[i].value != kNone) i = (i + 1) & (slots_.size() - 1);
        slots_[i] = {key, value};
    }
    void grow() {
        std::vector<Slot> old(slots_.size() * 2);
        old.swap(slots_);
        for (const Slot& slot : old)
            if (slot.value != kNone) place(slot.key, slot.value);
    }

    std::vector<Slot> slots_;  // (a power of two), at least half of them free
    std::size_t used_ = 0;
};

/// Numbers of things that are equal by content. The things lie elsewhere: the caller hashes and
/// compares them.
class InternTable {
public:
    InternTable() { slots_.resize(64, kNone); }

    /// The number of an equal thing. kNone: `add` it.
    template <class Equal>
    std::uint32_t find(std::uint64_t hash, Equal&& equal) const {
        for (std::size_t i = static_cast<std::size_t>(hash) & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
            if (slots_[i] == kNone) return kNone;
            if (equal(slots_[i])) return slots_[i];
        }
    }

    /// `hash_of(i)` is the hash of thing i.
    template <class Hash>
    void add(std::uint32_t number, Hash&& hash_of) {
        if (is_full()) {
            std::vector<std::uint32_t> old(slots_.size() * 2, kNone);
            old.swap(slots_);
            for (const std::uint32_t i : old)
                if (i != kNone) place(i, hash_of(i));
        }
        place(number, hash_of(number));
        ++used_;
    }

    std::size_t bytes() const noexcept { return slots_.size() * sizeof(std::uint32_t); }
    /// What it takes while one thing more is added.
    std::size_t bytes_to_add() const noexcept { return is_full() ? 3 * bytes() : bytes(); }

    void clear() noexcept {
        for (std::uint32_t& slot : slots_) slot = kNone;
        used_ = 0;
    }

private:
    bool is_full() const noexcept { return (used_ + 1) * 2 > slots_.size(); }
    void place(std::uint32_t number, std::uint64_t hash) noexcept {
        std::size_t i = static_cast<std::size_t>(hash) & (slots_.size() - 1);
        while (slots_[i] != kNone) i = (i + 1) & (slots_.size() - 1);
        slots_[i] = number;
    }

    std::vector<std::uint32_t> slots_;  // (a power of two), at least half of them kNone
    std::size_t used_ = 0;
};

/// Numbers of 64-bit keys, in the order in which they were added.
class KeyTable {
public:
    std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(keys_.size()); }
    std::uint64_t operator[](std::uint32_t number) const noexcept { return keys_[number]; }

    /// kNone: there is none.
    std::uint32_t find(std::uint64_t key) const noexcept {
        return table_.find(mix(key), [&](std::uint32_t i) { return keys_[i] == key; });
    }
    /// The key must be a new one.
    void add(std::uint64_t key) {
        keys_.push_back(key);
        table_.add(size() - 1, [this](std::uint32_t i) { return mix(keys_[i]); });
    }

    /// What it takes while one key more is added. What grows is copied to twice its room.
    std::size_t bytes_to_add() const noexcept {
        const std::size_t room = keys_.capacity() * sizeof(std::uint64_t);
        return table_.bytes_to_add() + (size() == keys_.capacity() ? 3 * room : room);
    }

private:
    std::vector<std::uint64_t> keys_;
    InternTable table_;
};

}  // namespace lstmgen::grammar
