// Puts messages together from parts, and throws errors with them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "lstmgen/lstmgen.hpp"

namespace lstmgen {

/// A part of a message: a text, which must outlive the part, or a number.
class Part {
public:
    // The length of a literal is computed only when the message is made, which keeps callers small.
    Part(const char* text) : literal_(text), kind_(Kind::literal) {}
    Part(std::string_view text) : text_(text), kind_(Kind::text) {}
    Part(const std::string& text) : text_(text), kind_(Kind::text) {}
    Part(double number) : real_(number), kind_(Kind::real) {}
    template <class T, std::enable_if_t<std::is_integral_v<T>, int> = 0>
    Part(T number) : number_(number), kind_(Kind::number) {
        static_assert(std::is_unsigned_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>);
    }

    /// Makes a part of a text from a file. The message shows it in quotes, at most 64 bytes of it,
    /// with '?' for bytes that are not printable ASCII.
    static Part quoted(std::string_view text) {
        Part part(text);
        part.kind_ = Kind::quoted;
        return part;
    }

    void append_to(std::string& message) const;

private:
    friend std::string message(std::initializer_list<Part> parts);
    enum class Kind : unsigned char { literal, text, quoted, number, real };
    union {
        const char* literal_;
        std::string_view text_;
        std::uint64_t number_;
        double real_;
    };
    Kind kind_;
};

using Parts = std::initializer_list<Part>;

/// Returns the parts, one after the other. If the first is a literal, each '%' in it stands for one
/// of the parts that follow. `+` would do the same, but its temporary strings make ten times as
/// much code, and several literals take twice the room of one.
std::string message(Parts parts);

/// Throws Error.
[[noreturn]] void fail(ErrorCode code, Parts parts);

/// Throws Error with the code invalid_argument.
[[noreturn]] void refuse(Parts parts);

/// Throws Error with the code format.
[[noreturn]] void fail_format(Parts parts);

}  // namespace lstmgen
