#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "lstmgen/lstmgen.hpp"

namespace lstmgen {

/// A part of a message: a text, which must live as long, or a number.
class Part {
public:
    Part(const char* text) : literal_(text), kind_(Kind::literal) {}  // its length is found when it is needed
    Part(std::string_view text) : text_(text), kind_(Kind::text) {}
    Part(const std::string& text) : text_(text), kind_(Kind::text) {}
    Part(double number) : real_(number), kind_(Kind::real) {}
    template <class T, std::enable_if_t<std::is_integral_v<T>, int> = 0>
    Part(T number) : number_(number), kind_(Kind::number) {
        static_assert(std::is_unsigned_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>);
    }

    /// What a file holds: in quotes, printable and short, whatever it is.
    static Part quoted(std::string_view text) {
        Part part(text);
        part.kind_ = Kind::quoted;
        return part;
    }

    void append_to(std::string& message) const;

private:
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

/// The parts, one behind the other. In place of `+`, whose temporary strings make ten times the
/// code.
std::string message(Parts parts);

/// Throws Error.
[[noreturn]] void fail(ErrorCode code, Parts parts);

/// Throws Error with the code invalid_argument.
[[noreturn]] void refuse(Parts parts);

/// Throws Error with the code format.
[[noreturn]] void fail_format(Parts parts);

}  // namespace lstmgen
