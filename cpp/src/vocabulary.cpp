#include "lstmgen/vocabulary.hpp"

#include <algorithm>

#include "container.hpp"
#include "kept.hpp"
#include "longest_match.hpp"
#include "message.hpp"

namespace lstmgen {
namespace {

// An element of at most this many bytes is looked for byte by byte at each place of a text.
constexpr std::size_t kShort = 64;

struct Character {
    std::uint32_t code;  // point of Unicode
    std::size_t bytes;
};

// Returns the first character of a text. A byte that starts no character counts as U+FFFD.
Character first_character(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char c = byte(0);
    const std::size_t n = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 1;
    if (n == 1 || text.size() < n) return {c < 0x80 ? c : 0xfffdu, 1};
    std::uint32_t code = c & (0x7fu >> n);
    for (std::size_t i = 1; i < n; ++i) {
        if (byte(i) >> 6 != 2) return {0xfffd, 1};
        code = code << 6 | (byte(i) & 0x3fu);
    }
    return {code, n};
}

// Returns whether a character is white space for Python's str.split: of the bidirectional type WS,
// B or S, or of the category Zs of Unicode.
bool is_space(std::uint32_t c) noexcept {
    return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

// Returns the bytes before the first character that is white space, or, without `space`, that is
// not.
std::size_t bytes_until(std::string_view text, bool space) noexcept {
    std::size_t at = 0;
    while (at < text.size()) {
        const Character c = first_character(text.substr(at));
        if (is_space(c.code) == space) break;
        at += c.bytes;
    }
    return at;
}

struct Found {
    std::uint32_t id;
    std::size_t bytes;  // 0: no element was found
};

// Returns the longest element that the text starts with. `by_text` has the ids in the order of the
// bytes of their elements.
Found longest(const std::vector<std::string>& elements, const std::vector<std::uint32_t>& by_text,
              std::string_view text) noexcept {
    auto first = by_text.begin(), last = by_text.end();  // those that start with the bytes so far
    Found found{0, 0};
    const auto byte = [&](std::uint32_t id, std::size_t at) -> int {
        return at < elements[id].size() ? static_cast<unsigned char>(elements[id][at]) : -1;
    };
    for (std::size_t at = 0; at < text.size() && first != last; ++at) {
        const int c = static_cast<unsigned char>(text[at]);
        first = std::partition_point(first, last, [&](std::uint32_t id) { return byte(id, at) < c; });
        last = std::partition_point(first, last, [&](std::uint32_t id) { return byte(id, at) <= c; });
        if (first != last && elements[*first].size() == at + 1) found = {*first, at + 1};
    }
    return found;
}

// Returns the first characters of a text, at most 64 bytes. An error shows whole characters.
std::string_view shortened(std::string_view text) {
    std::size_t n = std::min<std::size_t>(64, text.size());
    while (n > 0 && n < text.size() && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
    return text.substr(0, n);
}

}  // namespace

LSTMGEN_KEPT Vocabulary::Vocabulary(const Model& model)
    : Vocabulary(model.info().vocabulary, model.info().vocabulary_kind) {}

LSTMGEN_KEPT Vocabulary::Vocabulary(const std::vector<std::string>& elements, const std::string& kind)
    : elements_(elements), tokens_(kind == "tokens") {
    if (elements.empty()) refuse({"the model has no vocabulary"});
    if (kind != "text" && kind != "tokens" && kind != "bytes")
        refuse({"kind of the vocabulary: expected text, tokens or bytes, found ", Part::quoted(kind)});
    for (const std::uint32_t id : order_of(elements))
        if (!elements[id].empty()) by_text_.push_back(id);
    const auto is_long = [](const std::string& element) { return element.size() > kShort; };
    if (!tokens_ && std::any_of(elements.begin(), elements.end(), is_long))
        long_ = std::make_shared<const LongestMatch>(elements_, by_text_);
}

LSTMGEN_KEPT std::size_t Vocabulary::encode(std::string_view text, std::uint32_t* ids, std::size_t capacity) const {
    std::size_t n = 0;
    std::vector<std::uint32_t> matches(long_ ? text.size() : 0);
    if (long_) long_->find(text, matches.data());
    for (std::size_t at = 0;;) {
        if (tokens_) at += bytes_until(text.substr(at), false);
        if (at == text.size()) return n;
        const std::string_view rest = text.substr(at);
        const std::string_view piece = tokens_ ? rest.substr(0, bytes_until(rest, true)) : rest;
        Found found{0, 0};
        if (!long_)
            found = longest(elements_, by_text_, piece);
        else if (matches[at] != LongestMatch::kNone)
            found = {matches[at], elements_[matches[at]].size()};
        if (found.bytes == 0 || (tokens_ && found.bytes < piece.size()))
            refuse({"the text at byte %, '%', is not in the vocabulary", at,
                    tokens_ ? shortened(piece) : piece.substr(0, first_character(rest).bytes)});
        if (n < capacity) ids[n] = found.id;
        ++n;
        at += found.bytes;
    }
}

LSTMGEN_KEPT std::vector<std::uint32_t> Vocabulary::encode(std::string_view text) const {
    std::vector<std::uint32_t> ids(encode(text, nullptr, 0));
    encode(text, ids.data(), ids.size());
    return ids;
}

LSTMGEN_KEPT std::string Vocabulary::decode(const std::uint32_t* ids, std::size_t n) const {
    std::string text;
    for (std::size_t i = 0; i < n; ++i) {
        if (ids[i] >= size()) refuse({"id at position %: expected below %, found %", i, size(), ids[i]});
        if (i > 0 && tokens_) text += ' ';
        text += elements_[ids[i]];
    }
    return text;
}

}  // namespace lstmgen
