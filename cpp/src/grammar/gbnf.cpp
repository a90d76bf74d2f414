#include "grammar/gbnf.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "grammar/id_map.hpp"
#include "kept.hpp"
#include "message.hpp"
#include "sorting.hpp"

namespace lstmgen::grammar {
namespace {

constexpr std::uint32_t kLastChar = 0x10FFFF;
constexpr std::uint32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;
constexpr std::size_t kNoEnd = ~std::size_t{0};
// Bytes that each takes at most, in all that a grammar is made of, with the tables that find it,
// the reserve of vectors, and what the allocator adds.
constexpr std::size_t kBytesOfRule = 400, kBytesOfAlternative = 64, kBytesOfSymbol = 32, kBytesOfClass = 160;

bool is_name_char(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Sorted, merged, without surrogates; `negated`: all other characters.
std::vector<CharRange> normalised(const std::vector<CharRange>& ranges, bool negated) {
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < ranges.size(); ++i) order.push_back(i);
    sort_ids(order, [&](std::uint32_t a, std::uint32_t b) { return ranges[a].first < ranges[b].first; });
    std::vector<CharRange> merged;
    for (const std::uint32_t i : order) {
        const CharRange r = ranges[i];
        if (!merged.empty() && r.first <= merged.back().last + 1)
            merged.back().last = std::max(merged.back().last, r.last);
        else
            merged.push_back(r);
    }
    if (negated) {
        std::vector<CharRange> others;
        std::uint32_t next = 0;
        for (const CharRange r : merged) {
            if (r.first > next) others.push_back({next, r.first - 1});
            next = r.last + 1;
        }
        if (next <= kLastChar) others.push_back({next, kLastChar});
        merged = std::move(others);
    }
    std::vector<CharRange> scalars;
    for (const CharRange r : merged) {
        if (r.first < kFirstSurrogate) scalars.push_back({r.first, std::min(r.last, kFirstSurrogate - 1)});
        if (r.last > kLastSurrogate) scalars.push_back({std::max(r.first, kLastSurrogate + 1), r.last});
    }
    return scalars;
}

class Parser {
public:
    Parser(std::string_view text, Room& room) : text_(text), room_(room) {
        if (text.size() > kMaxText)
            refuse({"grammar: expected a text of up to % bytes, found %", kMaxText, text.size()});
        for (std::size_t at = 0; at < text.size();) {
            const CodePoint c = decode_utf8(text, at);
            if (c.bytes == 0) fail_at(at, "expected UTF-8, found other bytes");
            at += c.bytes;
        }
    }

    Gbnf parse() {
        skip_space(true);
        while (at_ < text_.size()) parse_rule();
        const auto root = names_.find("root");
        if (root == names_.end() || !gbnf_.rules[root->second].defined)
            refuse({"grammar: expected a rule named 'root', where each text begins; found ",
                    names_.empty() ? "no rules" : "none"});
        for (const Rule& rule : gbnf_.rules)
            if (!rule.defined)
                fail_at(rule.begin, message({"expected the name of a rule, found '%', which has none", rule.name}));
        gbnf_.root = root->second;
        return std::move(gbnf_);
    }

private:
    [[noreturn]] void fail_at(std::size_t byte, std::string_view why) const {
        refuse({"grammar: %: %", place_in(text_, byte), why});
    }

    /// The character at a byte, for a message.
    std::string found(std::size_t byte) const {
        if (byte >= text_.size()) return "the end";
        const char c = text_[byte];
        if (c == '\n' || c == '\r') return "the end of the line";
        if (c > ' ' && c < 127) return std::string("'") + c + "'";
        return number_of(decode_utf8(text_, byte).value);
    }

    [[noreturn]] void expected(std::string_view what) const {
        fail_at(at_, message({"expected %, found %", what, found(at_)}));
    }

    char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool at(std::string_view what) const noexcept { return text_.substr(at_, what.size()) == what; }

    void skip_space(bool newlines) noexcept {
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            if (c == '#') {
                at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
                if (!newlines || at_ == text_.size()) return;
            } else if (c != ' ' && c != '\t' && !(newlines && (c == '\r' || c == '\n'))) {
                return;
            }
        }
    }

    std::string_view parse_name() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
        if (at_ == begin) expected("the name of a rule");
        return text_.substr(begin, at_ - begin);
    }

    std::uint32_t rule_named(std::string_view name, std::size_t begin) {
        const auto [entry, is_new] = names_.try_emplace(name, std::uint32_t{});
        if (is_new) {
            entry->second = new_rule(begin);
            gbnf_.rules.back().name = name;
            gbnf_.rules.back().named = entry->second;
        }
        return entry->second;
    }

    std::uint32_t new_rule(std::size_t begin) {
        if (gbnf_.rules.size() >= kMaxRules)
            fail_at(begin,
                    message({"expected up to % rules, with one for each group and each optional repetition; found more",
                             kMaxRules}));
        room_.take(kBytesOfRule);
        gbnf_.rules.emplace_back();
        gbnf_.rules.back().named = current_;
        gbnf_.rules.back().begin = static_cast<std::uint32_t>(begin);
        return static_cast<std::uint32_t>(gbnf_.rules.size() - 1);
    }

    void count_symbols(std::size_t n, std::size_t begin) {
        symbols_ += n;
        if (symbols_ > kMaxSymbols)
            fail_at(begin,
                    message({"expected up to % characters and names in all rules, repetitions written out; found more",
                             kMaxSymbols}));
        room_.take(n * kBytesOfSymbol);
    }

    void parse_rule() {
        const std::size_t begin = at_;
        const std::string_view name = parse_name();
        current_ = rule_named(name, begin);
        if (gbnf_.rules[current_].defined)
            fail_at(begin, message({"expected the name of another rule, found '%', which is there already", name}));
        skip_space(false);
        if (!at("::=")) expected(message({"'::=' after '%'", name}));
        at_ += 3;
        skip_space(true);
        const std::uint32_t rule = current_;
        parse_alternatives(rule, 0);
        if (at_ < text_.size() && peek() != '\r' && peek() != '\n')
            expected("a character, a class, the name of a rule, '(', '|' or the end of the line");
        skip_space(true);
    }

    void parse_alternatives(std::uint32_t rule, std::size_t nesting) {
        std::vector<std::vector<Symbol>> alternatives(1);
        parse_sequence(alternatives.back(), nesting);
        while (peek() == '|') {
            ++at_;
            skip_space(true);
            room_.take(kBytesOfAlternative);
            alternatives.emplace_back();
            count_symbols(1, at_);
            parse_sequence(alternatives.back(), nesting);
        }
        gbnf_.rules[rule].alternatives = std::move(alternatives);
        gbnf_.rules[rule].defined = true;
    }

    void parse_sequence(std::vector<Symbol>& to, std::size_t nesting) {
        // where in `to` the last item begins, which a repetition repeats
        std::size_t item = kNoEnd;
        for (; at_ < text_.size(); skip_space(nesting > 0)) {
            const std::size_t begin = at_;
            const char c = peek();
            if (c == '"') {
                item = to.size();
                parse_literal(to);
            } else if (c == '[') {
                item = to.size();
                parse_class(to);
            } else if (c == '.') {
                item = to.size();
                ++at_;
                add_class(to, {{0, kLastChar}}, false, begin);
            } else if (is_name_char(c)) {
                item = to.size();
                const std::string_view name = parse_name();
                add_rule(to, rule_named(name, begin), begin);
            } else if (c == '(') {
                item = to.size();
                if (nesting >= kMaxNesting)
                    fail_at(begin, message({"expected up to % nested parentheses, found more", kMaxNesting}));
                ++at_;
                skip_space(true);
                const std::uint32_t rule = new_rule(begin);
                parse_alternatives(rule, nesting + 1);
                if (peek() != ')') expected("')'");
                ++at_;
                add_rule(to, rule, begin);
            } else if (c == '*' || c == '+' || c == '?' || c == '{') {
                if (item == kNoEnd) expected(message({"something to repeat before '%'", std::string_view(&c, 1)}));
                parse_repetition(to, item);
            } else if (c == '<' || at("!<")) {
                expected("text: tokens in angle brackets are not read (write the element's text in quotes)");
            } else {
                return;
            }
        }
    }

    void parse_literal(std::vector<Symbol>& to) {
        const std::size_t quote = at_++;
        while (peek() != '"') {
            if (at_ >= text_.size()) fail_at(quote, "expected a second '\"' that ends the text, found the end");
            const std::size_t begin = at_;
            const std::uint32_t c = parse_char();
            add_class(to, {{c, c}}, false, begin);
        }
        ++at_;
    }

    void parse_class(std::vector<Symbol>& to) {
        const std::size_t begin = at_++;
        const bool negated = peek() == '^';
        if (negated) ++at_;
        std::vector<CharRange> ranges;
        while (peek() != ']') {
            if (at_ >= text_.size()) fail_at(begin, "expected a ']' that ends the class, found the end");
            const std::size_t from = at_;
            const std::uint32_t first = parse_char();
            std::uint32_t last = first;
            if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
                ++at_;
                last = parse_char();
                if (last < first)
                    fail_at(from, message({"expected a range whose second character is not before its first, found ",
                                           Part::quoted(text_.substr(from, at_ - from))}));
            }
            ranges.push_back({first, last});
            count_symbols(1, from);
        }
        if (ranges.empty()) expected("a character of the class");
        ++at_;
        add_class(to, ranges, negated, begin);
    }

    std::uint32_t parse_char() {
        if (peek() != '\\') {
            const CodePoint c = decode_utf8(text_, at_);
            at_ += c.bytes;
            return c.value;
        }
        const std::size_t begin = at_++;
        const char kind = peek();
        ++at_;
        switch (kind) {
            case 'x': return parse_hex(2, begin);
            case 'u': return parse_hex(4, begin);
            case 'U': return parse_hex(8, begin);
            case 't': return '\t';
            case 'r': return '\r';
            case 'n': return '\n';
            case '\\':
            case '"':
            case '[':
            case ']':
            case '-': return static_cast<std::uint32_t>(kind);
            default: break;
        }
        at_ = begin + 1;
        expected("one of \\n \\t \\r \\\\ \\\" \\[ \\] \\- \\xHH \\uHHHH \\UHHHHHHHH");
    }

    std::uint32_t parse_hex(int digits, std::size_t begin) {
        std::uint32_t value = 0;
        for (int i = 0; i < digits; ++i, ++at_) {
            const char c = peek();
            const int digit = is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c - 'A' + 10;
            if (!is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
                expected(message({"% hexadecimal digits", digits == 2 ? "two" : digits == 4 ? "four" : "eight"}));
            value = value << 4 | static_cast<std::uint32_t>(digit);
        }
        if (value > kLastChar || (value >= kFirstSurrogate && value <= kLastSurrogate))
            fail_at(begin, message({"expected the number of a Unicode character, found ",
                                    Part::quoted(text_.substr(begin, at_ - begin))}));
        return value;
    }

    void add_class(std::vector<Symbol>& to, const std::vector<CharRange>& ranges, bool negated, std::size_t begin) {
        count_symbols(1, begin);
        const bool single = !negated && ranges.size() == 1 && ranges[0].first == ranges[0].last;
        const std::uint32_t c = ranges[0].first;
        std::uint32_t index = single ? singles_.find(c) : kNone;
        if (index == kNone) {
            room_.take(kBytesOfClass);
            index = static_cast<std::uint32_t>(gbnf_.classes.size());
            if (single) singles_.insert(c, index);
            gbnf_.classes.push_back(normalised(ranges, negated));
        }
        to.push_back({false, index, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(at_ - begin)});
    }

    void add_rule(std::vector<Symbol>& to, std::uint32_t rule, std::size_t begin) {
        count_symbols(1, begin);
        to.push_back({true, rule, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(at_ - begin)});
    }

    std::size_t parse_number() {
        if (!is_digit(peek())) expected("a number of repetitions");
        const std::size_t begin = at_;
        std::size_t n = 0;
        for (; is_digit(peek()); ++at_) {
            n = n * 10 + static_cast<std::size_t>(peek() - '0');
            if (n > kMaxRepetition)
                fail_at(begin, message({"expected up to % repetitions, found more", kMaxRepetition}));
        }
        skip_space(false);
        return n;
    }

    void parse_repetition(std::vector<Symbol>& to, std::size_t item) {
        const std::size_t begin = at_;
        const char kind = peek();
        ++at_;
        std::size_t least = kind == '+' ? 1 : 0, most = kind == '?' ? 1 : kNoEnd;
        if (kind == '{') {
            skip_space(false);
            least = most = parse_number();
            if (peek() == ',') {
                ++at_;
                skip_space(false);
                most = peek() == '}' ? kNoEnd : parse_number();
            }
            if (peek() != '}') expected("'}'");
            ++at_;
            if (most < least)
                fail_at(begin,
                        message({"expected a greatest number of repetitions that is not below the least, %; found %",
                                 least, most}));
        }
        repeat(to, item, least, most, begin);
    }

    void repeat(std::vector<Symbol>& to, std::size_t item, std::size_t least, std::size_t most, std::size_t begin) {
        if (to.size() == item) return;  // it repeats the empty text
        if (to.size() - item > 1) {     // as one rule, so that each repetition is one symbol
            const std::uint32_t rule = new_rule(begin);
            gbnf_.rules[rule].alternatives.emplace_back(to.begin() + static_cast<std::ptrdiff_t>(item), to.end());
            gbnf_.rules[rule].defined = true;
            to.resize(item);
            add_rule(to, rule, to.empty() ? begin : begin);
        }
        const Symbol repeated = to.back();
        to.pop_back();
        count_symbols(least, begin);
        to.insert(to.end(), least, repeated);
        if (most == kNoEnd) {  // loop ::= item loop |
            const std::uint32_t loop = new_rule(begin);
            gbnf_.rules[loop].repeats = true;
            add_optional(to, loop, repeated, loop, begin);
        } else {  // option ::= item (the option of one less) |
            std::uint32_t before = kNone;
            for (std::size_t i = least; i < most; ++i) {
                const std::uint32_t option = new_rule(begin);
                std::vector<Symbol> ignored;
                add_optional(i + 1 == most ? to : ignored, option, repeated, before, begin);
                before = option;
            }
        }
    }

    void add_optional(std::vector<Symbol>& to, std::uint32_t rule, Symbol item, std::uint32_t then, std::size_t begin) {
        std::vector<Symbol> first = {item};
        if (then != kNone) add_rule(first, then, begin);
        Rule& made = gbnf_.rules[rule];
        made.alternatives.push_back(std::move(first));
        made.alternatives.emplace_back();
        made.defined = true;
        add_rule(to, rule, begin);
    }

    std::string_view text_;
    Room& room_;
    std::size_t at_ = 0;
    std::size_t symbols_ = 0;
    std::uint32_t current_ = 0;  // the rule with a name that is being read
    Gbnf gbnf_;
    std::map<std::string_view, std::uint32_t> names_;
    IdMap singles_;  // character -> class of it alone
};

/// Sets `nullable` of each rule. Each alternative waits for its rules one after the other.
void find_nullable(std::vector<Rule>& rules) {
    struct Waiting {
        std::uint32_t rule, alternative;
        std::size_t symbol;
    };
    std::vector<std::vector<Waiting>> waiting(rules.size());
    std::vector<Waiting> ready;
    std::vector<std::uint32_t> nullable;
    for (std::uint32_t r = 0; r < rules.size(); ++r)
        for (std::uint32_t a = 0; a < rules[r].alternatives.size(); ++a) ready.push_back({r, a, 0});
    while (!ready.empty()) {
        Waiting w = ready.back();
        ready.pop_back();
        const auto& symbols = rules[w.rule].alternatives[w.alternative];
        while (w.symbol < symbols.size() && symbols[w.symbol].is_rule && rules[symbols[w.symbol].index].nullable)
            ++w.symbol;
        if (w.symbol < symbols.size()) {
            if (symbols[w.symbol].is_rule) waiting[symbols[w.symbol].index].push_back(w);
        } else if (!rules[w.rule].nullable) {
            rules[w.rule].nullable = true;
            auto& others = waiting[w.rule];
            ready.insert(ready.end(), others.begin(), others.end());
            others.clear();
        }
    }
}

/// Throws if a rule can begin with itself: the automaton would never read a character.
void refuse_left_recursion(std::string_view text, const std::vector<Rule>& rules) {
    // the rules that a rule can begin with
    std::vector<std::vector<std::uint32_t>> begins(rules.size());
    for (std::uint32_t r = 0; r < rules.size(); ++r)
        for (const auto& symbols : rules[r].alternatives)
            for (const Symbol& s : symbols) {
                if (!s.is_rule) break;
                // A repetition of what may be empty returns to itself with nothing read and nothing
                // left to do.
                if (!(rules[r].repeats && s.index == r)) begins[r].push_back(s.index);
                if (!rules[s.index].nullable) break;
            }
    std::vector<std::size_t> next(rules.size(), 0);
    std::vector<char> seen(rules.size(), 0);  // 1: on the path; 2: done
    std::vector<std::uint32_t> path;
    for (std::uint32_t start = 0; start < rules.size(); ++start) {
        if (seen[start] != 0) continue;
        path.push_back(start);
        seen[start] = 1;
        while (!path.empty()) {
            const std::uint32_t r = path.back();
            if (next[r] == begins[r].size()) {
                seen[r] = 2;
                path.pop_back();
                continue;
            }
            const std::uint32_t to = begins[r][next[r]++];
            if (seen[to] == 0) {
                seen[to] = 1;
                path.push_back(to);
            } else if (seen[to] == 1) {
                std::vector<std::uint32_t> cycle(std::find(path.begin(), path.end(), to), path.end());
                std::vector<std::uint32_t> named;
                for (const std::uint32_t i : cycle)
                    if (!rules[i].name.empty()) named.push_back(i);
                std::string way = "'" + rules[named.front()].name + "'";
                for (std::size_t i = 1; i <= named.size() && i <= 8; ++i)
                    way += " -> '" + rules[named[i % named.size()]].name + "'";
                if (named.size() > 8) way += " -> ...";
                refuse(
                    {"grammar: %: rule '%' can begin with itself (%): expected no left recursion; write the repetition "
                     "as (...)* instead",
                     place_in(text, rules[named.front()].begin), rules[named.front()].name, way});
            }
        }
    }
}

}  // namespace

LSTMGEN_KEPT CodePoint decode_utf8(std::string_view text, std::size_t at) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
    const std::uint8_t first = byte(0);
    if (first < 0x80) return {first, 1};
    const std::size_t n = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || at + n > text.size()) return {0, 0};
    std::uint32_t value = first & (0xFFU >> (n + 1));
    for (std::size_t i = 1; i < n; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return {0, 0};
        value = value << 6 | (byte(i) & 0x3FU);
    }
    const bool overlong = (n == 3 && value < 0x800) || (n == 4 && value < 0x10000);
    if (overlong || value > kLastChar || (value >= kFirstSurrogate && value <= kLastSurrogate)) return {0, 0};
    return {value, n};
}

std::string place_in(std::string_view text, std::size_t byte) {
    std::size_t line = 1, column = 1;
    for (std::size_t i = 0; i < byte && i < text.size(); ++i) {
        if (text[i] == '\n') {
            ++line;
            column = 1;
        } else if ((static_cast<std::uint8_t>(text[i]) & 0xC0) != 0x80) {
            ++column;
        }
    }
    return message({"line %, column %", line, column});
}

std::string number_of(std::uint32_t c) {
    std::string digits = "U+";
    for (int shift = c > 0xFFFF ? 20 : 12; shift >= 0; shift -= 4) digits += "0123456789ABCDEF"[c >> shift & 15];
    return digits;
}

void Room::take(std::size_t bytes) {
    if (bytes > left_)
        refuse(
            {"grammar: expected one that takes up to % bytes to make, 16 MiB and 64 for each byte of its text and of "
             "the elements; found more: write fewer repetitions",
             most_});
    left_ -= bytes;
}

std::size_t Gbnf::bytes() const noexcept {
    std::size_t sum = rules.capacity() * sizeof(Rule) + classes.size() * kBytesOfClass;
    for (const Rule& rule : rules)
        for (const auto& symbols : rule.alternatives) sum += kBytesOfAlternative + symbols.capacity() * sizeof(Symbol);
    return sum;
}

LSTMGEN_KEPT Gbnf parse_gbnf(std::string_view text, Room& room) {
    Gbnf gbnf = Parser(text, room).parse();
    find_nullable(gbnf.rules);
    refuse_left_recursion(text, gbnf.rules);
    return gbnf;
}

}  // namespace lstmgen::grammar
