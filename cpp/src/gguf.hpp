// Reads the bytes of a GGUF file: numbers, strings, keys and records of tensors. Nothing here knows
// what they mean.
//
// All functions throw Error with ErrorCode::format if the bytes break the format. `what` names in
// errors what is being read.
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

/// Reads data (size) forward. Each read is checked against the end.
class Cursor {
public:
    /// `keep_going`, if it is not null, is asked after each MiB. It must outlive this.
    Cursor(const std::byte* data, std::size_t size, const Continue* keep_going = nullptr)
        : data_(data), size_(size), keep_going_(keep_going) {}

    std::size_t position() const { return position_; }
    std::size_t left() const { return size_ - position_; }
    /// Returns whether a read has failed because it went past the end. With more of the file it may
    /// succeed.
    bool ended() const { return ended_; }

    /// Returns the next n bytes.
    const std::byte* take(std::uint64_t n, const char* what);
    std::uint32_t u32(const char* what) { return static_cast<std::uint32_t>(bits(4, what)); }
    std::uint64_t u64(const char* what) { return bits(8, what); }
    float f32(const char* what);
    double f64(const char* what);
    /// Returns a string of at most `limit` bytes, which must be UTF-8 without U+0000.
    std::string_view string(std::uint64_t limit, const char* what);

    /// Throws an error after which ended() is true.
    [[noreturn]] void fail_at_end(Parts parts);

private:
    // Returns a number of `bytes` bytes, in little-endian order.
    std::uint64_t bits(std::size_t bytes, const char* what);

    const std::byte* data_;  // (size_)
    std::size_t size_;
    std::size_t position_ = 0;
    bool ended_ = false;
    const Continue* keep_going_;
};

/// The numbers of tensors and keys that follow the header.
struct Header {
    std::uint64_t tensors, keys;
};
Header take_header(Cursor& in);

constexpr std::uint64_t kMaxString = 1 << 16;  // bytes

/// The types of values, by GGUF's numbers.
enum ValueType : std::uint32_t {
    type_u32 = 4,
    type_f32 = 6,
    type_bool = 7,
    type_string = 8,
    type_array = 9,
    type_f64 = 12
};

/// An array of the file. Its size has been checked. Its elements are read when they are asked for.
struct Array {
    std::uint32_t type;     // of the elements
    std::uint64_t count;    // elements
    const std::byte* data;  // (nbytes)
    std::size_t nbytes;
};
/// A value of the file. `type` says which member counts.
struct Value {
    std::uint32_t type = 0;
    std::uint32_t u32 = 0;
    double real = 0.0;  // for type_f32, too
    bool boolean = false;
    std::string_view string;
    Array array{};
};

/// The keys of a file. Each is taken at most once, so the keys that are left at the end are
/// unknown. A key that is missing, taken before, or of another type is an error.
class Keys {
public:
    /// Reads `count` keys. The values of the keys `long_strings` may have up to `longest` bytes,
    /// other strings may have kMaxString.
    Keys(Cursor& in, std::uint64_t count, std::initializer_list<std::string_view> long_strings, std::uint64_t longest);

    /// Puts this before all names from now on.
    void enter(std::string prefix) { prefix_ = std::move(prefix); }

    /// Returns whether there is a key of this name that has not been taken.
    bool has(std::string_view name) const;

    /// Throws an error that names the key.
    [[noreturn]] void fail_at(std::string_view name, Parts why) const;

    // The functions from here to check_all_taken take a key and return its value.

    std::uint32_t u32(std::string_view name);
    double f64(std::string_view name);
    bool boolean(std::string_view name);
    std::string_view string(std::string_view name);
    /// A string, which is empty if there is no such key.
    std::string optional_string(std::string_view name);
    /// A u32 in [low, high].
    std::size_t size(std::string_view name, std::uint64_t low, std::uint64_t high);
    /// An f64 in the range of float32.
    double finite(std::string_view name);
    /// Whether there is such a key. Its value must be true.
    bool flag(std::string_view name);

    /// Arrays of at most `limit` numbers.
    std::vector<std::uint32_t> u32s(std::string_view name, std::uint64_t limit);
    std::vector<float> f32s(std::string_view name, std::uint64_t limit);
    std::vector<double> f64s(std::string_view name, std::uint64_t limit);
    /// `count` strings. `what` says in an error what has this number.
    std::vector<std::string> strings(std::string_view name, std::size_t count, const char* what);

    /// Throws Error if there is a key that has not been taken.
    void check_all_taken() const;

    /// Returns a u32 without taking its key, or nothing if there is no such key.
    std::optional<std::uint32_t> peek(std::string_view name) const;
    /// Returns the position in the file of the value of a key that has not been taken, or 0.
    std::size_t position_of(std::string_view name) const;

private:
    struct Entry {
        std::string_view name;  // bytes of the file; empty: a free place
        Value value;
        std::size_t position = 0;  // of the value, in the file
        bool taken = false;
    };

    /// Returns the entry of this name, or the free place for it.
    Entry& place_of(std::string_view name) const;
    /// Returns the entry of this name that has not been taken yet, or null.
    Entry* find(std::string_view name) const;
    Value take(std::string_view name, ValueType type);
    Array take_array(std::string_view name, ValueType type, std::uint64_t limit);
    /// Returns a name with the prefix.
    std::string full(std::string_view name) const;

    std::string prefix_;
    std::unique_ptr<Entry[]> table_;  // (table_size_), open addressing, at least half of it free
    std::size_t table_size_ = 1;      // a power of 2
};

/// Reads the record of a tensor. It must have this name, shape, type and offset. The shape is
/// (columns) for a vector, else (rows, columns), of which GGUF stores the columns first. `type` is
/// GGUF's number.
void take_tensor(Cursor& in, const std::string& name, bool vector, std::uint64_t rows, std::uint64_t columns,
                 std::uint32_t type, std::uint64_t offset);

}  // namespace lstmgen::gguf
