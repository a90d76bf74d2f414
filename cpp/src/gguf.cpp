#include "gguf.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "asking.hpp"

namespace lstmgen::gguf {
namespace {

constexpr std::uint64_t kMaxKeys = 4096, kMaxName = 63, kMaxStrings = 1 << 20;

bool valid_utf8(std::string_view s) {
    for (std::size_t i = 0; i < s.size();) {
        const auto byte = [&](std::size_t j) { return static_cast<unsigned char>(s[j]); };
        const unsigned char c = byte(i);
        const std::size_t n = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
        if (n == 0 || s.size() - i < n || c == 0) return false;
        std::uint32_t code = n == 1 ? c : c & (0x7f >> n);
        for (std::size_t j = 1; j < n; ++j) {
            if (byte(i + j) >> 6 != 2) return false;
            code = code << 6 | (byte(i + j) & 0x3f);
        }
        const std::uint32_t least = n == 1 ? 0 : n == 2 ? 0x80 : n == 3 ? 0x800 : 0x10000;
        if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
        i += n;
    }
    return true;
}

Array read_array(Cursor& in) {
    Array array{};
    array.type = in.u32("an array");
    array.count = in.u64("an array");
    const std::size_t begin = in.position();
    if (array.type == type_string) {
        if (array.count > kMaxStrings)
            fail_format({"an array of strings: expected at most %, found %", kMaxStrings, array.count});
        array.data = in.take(0, "an array");
        for (std::uint64_t i = 0; i < array.count; ++i) in.string(kMaxString, "an element of an array");
    } else {
        const std::uint64_t size = array.type == type_u32 || array.type == type_f32 ? 4
                                   : array.type == type_f64                         ? 8
                                                                                    : 0;
        if (size == 0) fail_format({"an array of the unknown type ", array.type});
        if (array.count > in.left() / size) in.fail_at_end({"the file ends inside an array of ", array.count});
        array.data = in.take(array.count * size, "an array");
    }
    array.nbytes = in.position() - begin;
    return array;
}

Value read_value(Cursor& in, std::string_view key, std::uint64_t longest_string) {
    Value value;
    value.type = in.u32("a key");
    switch (value.type) {
        case type_u32: value.u32 = in.u32("a key"); break;
        case type_f32: value.real = in.f32("a key"); break;
        case type_f64: value.real = in.f64("a key"); break;
        case type_bool: {
            const auto byte = std::to_integer<unsigned>(*in.take(1, "a key"));
            if (byte > 1) fail_format({"key %: expected false or true (0 or 1), found %", Part::quoted(key), byte});
            value.boolean = byte == 1;
            break;
        }
        case type_string: value.string = in.string(longest_string, "a key's value"); break;
        case type_array: value.array = read_array(in); break;
        default: fail_format({"key % has the unknown type %", Part::quoted(key), value.type});
    }
    return value;
}

// Returns the elements of an array. `next` reads one.
template <class T, class F>
std::vector<T> elements(const Array& array, F next) {
    Cursor in(array.data, array.nbytes);
    std::vector<T> values(static_cast<std::size_t>(array.count));
    for (T& value : values) value = next(in);
    return values;
}

// Returns a shape in Keras's order: rows, then columns.
std::string shape_text(bool vector, std::uint64_t rows, std::uint64_t columns) {
    return vector ? message({"(%,)", columns}) : message({"(%, %)", rows, columns});
}

}  // namespace

const std::byte* Cursor::take(std::uint64_t n, const char* what) {
    if (n > left()) fail_at_end({"the file ends inside % at byte %", what, size_});
    const std::byte* const p = data_ + position_;
    const std::size_t before = position_;
    position_ += static_cast<std::size_t>(n);
    if (keep_going_ && before >> 20 != position_ >> 20) ask(*keep_going_);
    return p;
}

std::uint64_t Cursor::bits(std::size_t bytes, const char* what) {
    const std::byte* const p = take(bytes, what);
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < bytes; ++i) bits |= std::to_integer<std::uint64_t>(p[i]) << 8 * i;
    return bits;
}

float Cursor::f32(const char* what) {
    const std::uint32_t bits = u32(what);
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

double Cursor::f64(const char* what) {
    const std::uint64_t bits = u64(what);
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

void Cursor::fail_at_end(Parts parts) {
    ended_ = true;
    fail_format(parts);
}

std::string_view Cursor::string(std::uint64_t limit, const char* what) {
    const std::uint64_t length = u64(what);
    if (length > limit) fail_format({"%: expected at most % bytes, found %", what, limit, length});
    const std::string_view text(reinterpret_cast<const char*>(take(length, what)), static_cast<std::size_t>(length));
    if (!valid_utf8(text)) fail_format({"%: expected UTF-8 without U+0000, found other bytes", what});
    return text;
}

Header take_header(Cursor& in) {
    if (in.left() < 4 || std::memcmp(in.take(4, "the magic"), "GGUF", 4) != 0)
        fail_format({"expected a .bin of lstmgen, which begins with 'GGUF', found another file"});
    const auto version = in.u32("the header");
    if (version != 3) fail_format({"GGUF version: expected 3, little-endian, found ", version});
    Header header{};
    header.tensors = in.u64("the header");
    header.keys = in.u64("the header");
    return header;
}

Keys::Keys(Cursor& in, std::uint64_t count, std::initializer_list<std::string_view> long_strings,
           std::uint64_t longest) {
    if (count > kMaxKeys) fail_format({"number of keys: expected at most %, found %", kMaxKeys, count});
    while (table_size_ <= 2 * count) table_size_ *= 2;
    table_.reset(new Entry[table_size_]);
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::string_view key = in.string(kMaxName, "a key");
        if (key.empty()) fail_format({"a key has no name"});
        Entry& entry = place_of(key);
        if (!entry.name.empty()) fail_format({"key % appears twice", Part::quoted(key)});
        entry.name = key;
        entry.position = in.position() + sizeof(std::uint32_t);  // after the type
        const bool is_long = std::find(long_strings.begin(), long_strings.end(), key) != long_strings.end();
        entry.value = read_value(in, key, is_long ? longest : kMaxString);
    }
}

Keys::Entry& Keys::place_of(std::string_view name) const {
    std::uint32_t hash = 2166136261u;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    for (std::size_t at = hash;; ++at) {
        Entry& entry = table_[at & (table_size_ - 1)];
        if (entry.name.empty() || entry.name == name) return entry;
    }
}

Keys::Entry* Keys::find(std::string_view name) const {
    Entry& entry = place_of(name);
    return entry.name.empty() || entry.taken ? nullptr : &entry;
}

bool Keys::has(std::string_view name) const { return find(full(name)); }

void Keys::fail_at(std::string_view name, Parts why) const { fail_format({"key ", full(name), message(why)}); }

std::string Keys::full(std::string_view name) const { return message({prefix_, name}); }

Value Keys::take(std::string_view name, ValueType type) {
    Entry* const entry = find(full(name));
    if (!entry) fail_at(name, {" is missing"});
    if (entry->value.type != type) fail_at(name, {" has a value of the wrong type"});
    entry->taken = true;
    return entry->value;
}

std::uint32_t Keys::u32(std::string_view name) { return take(name, type_u32).u32; }
double Keys::f64(std::string_view name) { return take(name, type_f64).real; }
bool Keys::boolean(std::string_view name) { return take(name, type_bool).boolean; }
std::string_view Keys::string(std::string_view name) { return take(name, type_string).string; }

std::string Keys::optional_string(std::string_view name) {
    return has(name) ? std::string(string(name)) : std::string();
}

std::size_t Keys::size(std::string_view name, std::uint64_t low, std::uint64_t high) {
    const std::uint32_t value = u32(name);
    if (value < low || value > high) fail_at(name, {": expected % to %, found %", low, high, value});
    return value;
}

double Keys::finite(std::string_view name) {
    const double value = f64(name);
    if (!(std::abs(value) <= std::numeric_limits<float>::max()))
        fail_at(name, {": expected a finite float32, found another number"});
    return value;
}

bool Keys::flag(std::string_view name) {
    if (!has(name)) return false;
    if (!boolean(name)) fail_at(name, {": expected true, or no such key"});
    return true;
}

Array Keys::take_array(std::string_view name, ValueType type, std::uint64_t limit) {
    const Array array = take(name, type_array).array;
    if (array.type != type) fail_at(name, {" has elements of the wrong type"});
    if (array.count > limit) fail_at(name, {": expected at most % elements, found %", limit, array.count});
    return array;
}

std::vector<std::uint32_t> Keys::u32s(std::string_view name, std::uint64_t limit) {
    return elements<std::uint32_t>(take_array(name, type_u32, limit), [](Cursor& in) { return in.u32("an array"); });
}

std::vector<float> Keys::f32s(std::string_view name, std::uint64_t limit) {
    return elements<float>(take_array(name, type_f32, limit), [](Cursor& in) { return in.f32("an array"); });
}

std::vector<double> Keys::f64s(std::string_view name, std::uint64_t limit) {
    return elements<double>(take_array(name, type_f64, limit), [](Cursor& in) { return in.f64("an array"); });
}

std::vector<std::string> Keys::strings(std::string_view name, std::size_t count, const char* what) {
    const Array array = take_array(name, type_string, kMaxStrings);
    if (array.count != count)
        fail_format({"size of %: expected % (the %), found %", full(name), count, what, array.count});
    return elements<std::string>(
        array, [](Cursor& in) { return std::string(in.string(kMaxString, "an element of an array")); });
}

void Keys::check_all_taken() const {
    const Entry* unknown = nullptr;  // the first by name, which is the same on every machine
    for (std::size_t i = 0; i < table_size_; ++i) {
        const Entry& entry = table_[i];
        if (!entry.name.empty() && !entry.taken && (!unknown || entry.name < unknown->name)) unknown = &entry;
    }
    if (unknown) fail_format({"unknown key ", Part::quoted(unknown->name)});
}

std::optional<std::uint32_t> Keys::peek(std::string_view name) const {
    const Entry* const entry = find(name);
    if (!entry || entry->value.type != type_u32) return std::nullopt;
    return entry->value.u32;
}

std::size_t Keys::position_of(std::string_view name) const {
    const Entry* const entry = find(full(name));
    return entry ? entry->position : 0;
}

void take_tensor(Cursor& in, const std::string& name, bool vector, std::uint64_t rows, std::uint64_t columns,
                 std::uint32_t type, std::uint64_t offset) {
    const std::string_view found_name = in.string(kMaxName, "a tensor's name");
    if (found_name != name) fail_format({"tensor: expected %, found %", name, Part::quoted(found_name)});
    const auto dimensions = in.u32("a tensor's record");
    if (dimensions < 1 || dimensions > 2)
        fail_format({"tensor %: expected 1 or 2 dimensions, found %", name, dimensions});
    const auto found_columns = in.u64("a tensor's record");
    const bool found_vector = dimensions == 1;
    const std::uint64_t found_rows = found_vector ? rows : in.u64("a tensor's record");
    if (found_vector != vector || found_rows != rows || found_columns != columns)
        fail_format({"tensor %: expected %, found %", name, shape_text(vector, rows, columns),
                     shape_text(found_vector, found_rows, found_columns)});
    const auto found_type = in.u32("a tensor's record");
    if (found_type != type) fail_format({"type of tensor %: expected %, found %", name, type, found_type});
    const auto found_offset = in.u64("a tensor's record");
    if (found_offset != offset) fail_format({"offset of tensor %: expected %, found %", name, offset, found_offset});
}

}  // namespace lstmgen::gguf
