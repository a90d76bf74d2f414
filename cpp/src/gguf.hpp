// The bytes of a GGUF file: numbers, strings, keys and records of tensors. Nothing here knows what
// they mean.
//
// All functions throw Error with ErrorCode::format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "message.hpp"

namespace lstmgen::gguf {

/// Reads forward. Every read is checked against the end.
class Cursor {
public:
    Cursor(const std::byte* data, std::size_t size) : data_(data), size_(size) {}

    std::size_t position() const { return position_; }
    std::size_t left() const { return size_ - position_; }
    /// Whether a read has failed because it went past the end. With more of the file it may
    /// succeed.
    bool ended() const { return ended_; }

    const std::byte* take(std::uint64_t n, const char* what);
    std::uint32_t u32(const char* what) { return static_cast<std::uint32_t>(bits(4, what)); }
    std::uint64_t u64(const char* what) { return bits(8, what); }
    float f32(const char* what);
    double f64(const char* what);
    /// A string of at most `limit` bytes, which must be UTF-8 without U+0000.
    std::string_view string(std::uint64_t limit, const char* what);

    [[noreturn]] void fail_at_end(Parts parts);

private:
    std::uint64_t bits(std::size_t bytes, const char* what);

    const std::byte* data_;
    std::size_t size_;
    std::size_t position_ = 0;
    bool ended_ = false;
};

struct Header {
    std::uint64_t tensors, keys;
};
Header take_header(Cursor& in);

constexpr std::uint64_t kMaxString = 1 << 16;

enum ValueType : std::uint32_t {
    type_u32 = 4,
    type_f32 = 6,
    type_bool = 7,
    type_string = 8,
    type_array = 9,
    type_f64 = 12
};

/// An array of the file. Its size has been checked; its elements are read when they are asked for.
struct Array {
    std::uint32_t type;
    std::uint64_t count;
    const std::byte* data;
    std::size_t nbytes;
};
/// A value of the file. `type` says which member counts.
struct Value {
    std::uint32_t type = 0;
    std::uint32_t u32 = 0;
    double real = 0.0;  // of type_f32, too
    bool boolean = false;
    std::string_view string;
    Array array{};
};

/// The keys of a file. Each is taken at most once, so that what is left at the end is unknown.
class Keys {
public:
    /// The values of the keys `long_strings` may have up to `longest` bytes, others have kMaxString.
    Keys(Cursor& in, std::uint64_t count, std::initializer_list<std::string_view> long_strings, std::uint64_t longest);

    /// Puts this before all names from now on.
    void enter(std::string prefix) { prefix_ = std::move(prefix); }

    bool has(std::string_view name) const;

    /// Throws an error that names the key.
    [[noreturn]] void fail_at(std::string_view name, Parts why) const;

    std::uint32_t u32(std::string_view name);
    double f64(std::string_view name);
    bool boolean(std::string_view name);
    std::string_view string(std::string_view name);
    /// A string; empty if there is no such key.
    std::string optional_string(std::string_view name);
    /// A u32 in [low, high].
    std::size_t size(std::string_view name, std::uint64_t low, std::uint64_t high);
    /// A finite float32, which the file holds as an f64.
    double finite(std::string_view name);
    /// True if the key is there. Such a key must have the value true.
    bool flag(std::string_view name);

    // Arrays of at most `limit` numbers.
    std::vector<std::uint32_t> u32s(std::string_view name, std::uint64_t limit);
    std::vector<float> f32s(std::string_view name, std::uint64_t limit);
    std::vector<double> f64s(std::string_view name, std::uint64_t limit);
    /// `count` strings. An error says that these are the `what`.
    std::vector<std::string> strings(std::string_view name, std::size_t count, const char* what);

    void check_all_taken() const;

    /// A u32 that stays in place, or nothing.
    std::optional<std::uint32_t> peek(std::string_view name) const;
    /// Where the value of a key begins that has not been taken yet. 0: there is no such key.
    std::size_t position_of(std::string_view name) const;

private:
    struct Entry {
        std::string_view name;  // bytes of the file; empty: a free place
        Value value;
        std::size_t position = 0;
        bool taken = false;
    };

    /// The entry of this name, or the free place for it.
    Entry& place_of(std::string_view name) const;
    /// The entry of this name that has not been taken yet, or null.
    Entry* find(std::string_view name) const;
    Value take(std::string_view name, ValueType type);
    Array take_array(std::string_view name, ValueType type, std::uint64_t limit);
    std::string full(std::string_view name) const;

    std::string prefix_;
    std::unique_ptr<Entry[]> table_;  // open addressing; more than half of the places stay free
    std::size_t table_size_ = 1;      // a power of 2
};

/// Reads the record of a tensor, which must have this name and shape and lie at this offset. GGUF
/// gives the columns first; a vector has no rows. `type` is GGUF's number.
void take_tensor(Cursor& in, const std::string& name, bool vector, std::uint64_t rows, std::uint64_t columns,
                 std::uint32_t type, std::uint64_t offset);

}  // namespace lstmgen::gguf
