#include "message.hpp"

#include <cstdio>

#include "kept.hpp"

namespace lstmgen {

void Part::append_to(std::string& message) const {
    switch (kind_) {
        case Kind::literal: message += literal_; break;
        case Kind::text: message += text_; break;
        case Kind::number: message += std::to_string(number_); break;
        case Kind::real: {
            char digits[32];
            std::snprintf(digits, sizeof digits, "%g", real_);
            message += digits;
            break;
        }
        case Kind::quoted:
            message += '\'';
            for (const char c : text_.substr(0, 64)) message += c >= 32 && c < 127 ? c : '?';
            message += text_.size() > 64 ? "...'" : "'";
    }
}

std::string message(Parts parts) {
    std::string text;
    const Part* next = parts.begin();
    const Part* const end = parts.end();
    if (next != end && next->kind_ == Part::Kind::literal) {
        for (const char* c = (next++)->literal_; *c != '\0'; ++c) {
            if (*c == '%' && next != end)
                (next++)->append_to(text);
            else
                text += *c;
        }
    }
    while (next != end) (next++)->append_to(text);
    return text;
}

void fail(ErrorCode code, Parts parts) { throw Error(code, message(parts)); }

LSTMGEN_KEPT void refuse(Parts parts) { fail(ErrorCode::invalid_argument, parts); }

void fail_format(Parts parts) { fail(ErrorCode::format, parts); }

}  // namespace lstmgen
