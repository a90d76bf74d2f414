#include "grammar/grammar.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "crc32.hpp"
#include "kept.hpp"
#include "message.hpp"
#include "sorting.hpp"

namespace lstmgen::grammar {
namespace {

constexpr std::size_t kMaxSpelling = 1 << 26;  // bytes of all elements
constexpr std::size_t kMaxElement = 1 << 16;   // bytes of one
// Bytes that each takes at most, as in gbnf.cpp.
constexpr std::size_t kBytesOfSet = 160, kBytesOfSpelling = 80, kBytesOfPlace = 48, kBytesOfRest = 240;

struct ByteRange {
    std::uint8_t first, last;
};
using ByteRanges = std::vector<ByteRange>;  // one range for each byte of a character

std::size_t encode_utf8(std::uint32_t c, std::uint8_t* to) noexcept {
    const auto tail = [c](int shift) { return static_cast<std::uint8_t>(0x80 | ((c >> shift) & 0x3F)); };
    if (c < 0x80) {
        to[0] = static_cast<std::uint8_t>(c);
        return 1;
    }
    if (c < 0x800) {
        to[0] = static_cast<std::uint8_t>(0xC0 | c >> 6);
        to[1] = tail(0);
        return 2;
    }
    if (c < 0x10000) {
        to[0] = static_cast<std::uint8_t>(0xE0 | c >> 12);
        to[1] = tail(6);
        to[2] = tail(0);
        return 3;
    }
    to[0] = static_cast<std::uint8_t>(0xF0 | c >> 18);
    to[1] = tail(12);
    to[2] = tail(6);
    to[3] = tail(0);
    return 4;
}

/// Characters first .. last as ranges of bytes: cut where the number of bytes changes, and until
/// each range of characters is all combinations of its ranges of bytes.
void split_to_bytes(std::uint32_t first, std::uint32_t last, std::vector<ByteRanges>& to) {
    for (const std::uint32_t end : {0x7FU, 0x7FFU, 0xFFFFU})
        if (first <= end && end < last) {
            split_to_bytes(first, end, to);
            split_to_bytes(end + 1, last, to);
            return;
        }
    std::uint8_t low[4], high[4];
    const std::size_t n = encode_utf8(first, low);
    for (std::size_t i = 1; i < n; ++i) {
        const std::uint32_t mask = (1U << 6 * i) - 1;
        if ((first & ~mask) == (last & ~mask)) continue;
        if ((first & mask) != 0) {
            split_to_bytes(first, first | mask, to);
            split_to_bytes((first | mask) + 1, last, to);
            return;
        }
        if ((last & mask) != mask) {
            split_to_bytes(first, (last & ~mask) - 1, to);
            split_to_bytes(last & ~mask, last, to);
            return;
        }
    }
    encode_utf8(last, high);
    ByteRanges ranges;
    for (std::size_t i = 0; i < n; ++i) ranges.push_back({low[i], high[i]});
    to.push_back(std::move(ranges));
}

bool is_empty(const Grammar::ByteSet& set) noexcept { return (set[0] | set[1] | set[2] | set[3]) == 0; }

}  // namespace

/// From rules of characters to places of bytes.
class Grammar::Lowering {
public:
    Lowering(Grammar& to, std::string_view text, const Gbnf& from, const std::vector<std::string>& vocabulary,
             Room& room)
        : to_(to), text_(text), from_(from), vocabulary_(vocabulary), room_(room) {}

    void run() {
        to_.places_.push_back({0, kEnd});
        place_of_.add(pair_key(kNone, kEnd));
        for (const auto& ranges : from_.classes) classes_.push_back(lower_class(ranges));
        const auto set_count = static_cast<std::uint32_t>(to_.sets_.size());
        to_.places_[kEnd].symbol = set_count;  // no set, and never asked for its rule
        to_.rules_.resize(from_.rules.size());
        // a class whose characters have several spellings
        for (const auto& spellings : class_rules_) {
            CompiledRule rule;
            for (const auto& sets : spellings) rule.alternatives.push_back(place_of(sets, kEnd));
            to_.rules_.push_back(std::move(rule));
        }
        for (std::size_t r = 0; r < from_.rules.size(); ++r)
            for (const auto& symbols : from_.rules[r].alternatives)
                to_.rules_[r].alternatives.push_back(lower_symbols(symbols));
        to_.root_ = static_cast<std::uint32_t>(from_.root);
        for (std::uint32_t r = 0; r < to_.rules_.size(); ++r) factor(r);
    }

    /// Drops the alternatives that cannot be spelled. Throws if nothing is left of the root.
    void find_ends(const Continue* keep_going) {
        place_of_ = {};
        const std::size_t taken = from_.bytes() + to_.bytes() + rests_;
        const std::size_t room = room_.most() - std::min(room_.most(), taken);
        SpellingTree by_characters;
        const SpellingTree* closing = &to_.tree_;
        Ways ways = find_ways(to_, *closing, room, keep_going);
        if (!ways.complete) {
            const std::vector<std::uint32_t> characters = single_characters();
            if (!characters.empty()) {
                by_characters = to_.make_tree(characters);
                to_.closes_by_characters_ = true;
                closing = &by_characters;
                ways = find_ways(to_, *closing, room, keep_going);
            }
            if (!ways.complete)
                refuse(
                    {"grammar: with the % elements of this vocabulary it is too large (% places, % begins of "
                     "elements): expected a smaller grammar, or each character as an element, too",
                     to_.elements(), to_.places_.size(), to_.tree_.nodes.size()});
        }
        if (ways.shortest == kNever) {
            const Ways all = find_ways(to_, *closing, room, keep_going, true);
            blame(all.complete ? all.productive : ways.productive);
        }
        to_.closing_nodes_ = closing->nodes.size();
        to_.row_of_ = std::move(ways.row_of);
        to_.rows_ = std::move(ways.rows);
        to_.ways_ = std::move(ways.ways);
        for (CompiledRule& rule : to_.rules_)
            rule.alternatives.erase(
                std::remove_if(rule.alternatives.begin(), rule.alternatives.end(),
                               [this](std::uint32_t p) { return to_.row_of_[p] == to_.row_of_[p + 1]; }),
                rule.alternatives.end());
    }

private:
    using Spelling = std::vector<std::uint32_t>;  // sets

    struct LoweredClass {
        Spelling sets;               // empty: see the rule
        std::uint32_t rule = kNone;  // of class_rules_
        bool readable = true;
    };

    std::uint32_t set_number(const ByteSet& set) {
        const auto [entry, is_new] = set_of_.try_emplace(set, static_cast<std::uint32_t>(to_.sets_.size()));
        if (is_new) {
            room_.take(kBytesOfSet);
            to_.sets_.push_back(set);
        }
        return entry->second;
    }

    LoweredClass lower_class(const std::vector<CharRange>& ranges) {
        std::vector<ByteRanges> pieces;
        for (const CharRange r : ranges) split_to_bytes(r.first, r.last, pieces);
        // Spellings with equal ends are one.
        std::map<std::vector<ByteSet>, ByteSet> by_end;
        for (const ByteRanges& piece : pieces) {
            std::vector<ByteSet> sets;
            for (const ByteRange r : piece) {
                ByteSet set{};
                for (unsigned b = r.first; b <= r.last; ++b)
                    if (const int letter = to_.letter_of_[b]; letter >= 0)
                        set[static_cast<std::size_t>(letter) / 64] |= std::uint64_t{1} << letter % 64;
                sets.push_back(set);
            }
            if (std::any_of(sets.begin(), sets.end(), is_empty)) continue;
            ByteSet& first = by_end[std::vector<ByteSet>(sets.begin() + 1, sets.end())];
            for (std::size_t i = 0; i < 4; ++i) first[i] |= sets[0][i];
        }
        room_.take(by_end.size() * kBytesOfSpelling);
        std::vector<Spelling> spellings;
        for (const auto& [end, first] : by_end) {
            Spelling spelling = {set_number(first)};
            for (const ByteSet& set : end) spelling.push_back(set_number(set));
            spellings.push_back(std::move(spelling));
        }
        LoweredClass lowered;
        if (spellings.empty()) {
            lowered.readable = false;
            lowered.sets = {set_number(ByteSet{})};
        } else if (spellings.size() == 1) {
            lowered.sets = std::move(spellings[0]);
        } else {
            lowered.rule = static_cast<std::uint32_t>(class_rules_.size());
            class_rules_.push_back(std::move(spellings));
        }
        return lowered;
    }

    std::uint32_t place(std::uint32_t symbol, std::uint32_t next) {
        const std::uint64_t key = pair_key(symbol, next);
        std::uint32_t p = place_of_.find(key);
        if (p == kNone) {
            if (to_.places_.size() > 4 * kMaxSymbols)
                refuse({"grammar: expected up to % places of bytes in all rules, found more", 4 * kMaxSymbols});
            room_.take(kBytesOfPlace);
            p = static_cast<std::uint32_t>(to_.places_.size());
            to_.places_.push_back({symbol, next});
            place_of_.add(key);
        }
        return p;
    }

    std::uint32_t place_of(const Spelling& sets, std::uint32_t next) {
        for (auto set = sets.rbegin(); set != sets.rend(); ++set) next = place(*set, next);
        return next;
    }

    std::uint32_t rule_symbol(std::size_t rule) const { return static_cast<std::uint32_t>(to_.sets_.size() + rule); }

    std::uint32_t lower_symbols(const std::vector<Symbol>& symbols) {
        std::uint32_t next = kEnd;
        for (auto s = symbols.rbegin(); s != symbols.rend(); ++s) {
            if (s->is_rule)
                next = place(rule_symbol(s->index), next);
            else if (classes_[s->index].rule != kNone)
                next = place(rule_symbol(from_.rules.size() + classes_[s->index].rule), next);
            else
                next = place_of(classes_[s->index].sets, next);
        }
        return next;
    }

    /// Alternatives that begin with the same bytes become one, whose rest is a rule. So a thousand
    /// names that begin with a backslash are one place until that is read.
    void factor(std::uint32_t first_rule) {
        std::vector<std::uint32_t> rules = {first_rule};
        while (!rules.empty()) {
            const std::uint32_t r = rules.back();
            rules.pop_back();
            std::vector<std::uint32_t> kept, of_sets;
            for (const std::uint32_t p : to_.rules_[r].alternatives)
                (p != kEnd && to_.is_set(p) ? of_sets : kept).push_back(p);
            sort_once(kept);
            const auto key = [this](std::uint32_t p) { return pair_key(to_.places_[p].symbol, to_.places_[p].next); };
            sort_ids(of_sets, [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
            for (std::size_t i = 0; i < of_sets.size();) {
                const std::uint32_t set = to_.places_[of_sets[i]].symbol;
                std::vector<std::uint32_t> next;  // what may follow it
                for (; i < of_sets.size() && to_.places_[of_sets[i]].symbol == set; ++i)
                    if (next.empty() || next.back() != to_.places_[of_sets[i]].next)
                        next.push_back(to_.places_[of_sets[i]].next);
                if (next.size() == 1) {
                    kept.push_back(place(set, next[0]));
                    continue;
                }
                const auto [entry, is_new] = rest_rules_.try_emplace(next, to_.rules_.size());
                if (is_new) {
                    const std::size_t bytes = kBytesOfRest + 2 * sizeof(std::uint32_t) * next.size();
                    room_.take(bytes);
                    rests_ += bytes;
                    to_.rules_.emplace_back().alternatives = next;
                    rules.push_back(static_cast<std::uint32_t>(entry->second));
                }
                kept.push_back(place(set, place(rule_symbol(entry->second), kEnd)));
            }
            to_.rules_[r].alternatives = std::move(kept);
        }
    }

    /// The elements of one character, if each character of the vocabulary is one; else none.
    std::vector<std::uint32_t> single_characters() const {
        IdMap needed, found;
        std::size_t missing = 0;
        std::vector<std::uint32_t> ids;
        for (std::uint32_t id = 0; id < to_.elements(); ++id) {
            if (to_.spelling_length(id) == 0) continue;
            const std::string_view element = vocabulary_[id];
            for (std::size_t at = 0; at < element.size();) {
                const CodePoint c = decode_utf8(element, at);
                if (c.bytes == 0) return {};
                missing += needed.add(c.value);
                if (c.bytes == element.size()) {
                    missing -= found.add(c.value);
                    ids.push_back(id);
                }
                at += c.bytes;
            }
        }
        return missing == 0 ? ids : std::vector<std::uint32_t>{};
    }

    bool is_readable(const Symbol& s) const {
        if (s.is_rule) return true;
        if (!classes_[s.index].readable) return false;
        if (!characters_) return true;
        const auto& ranges = from_.classes[s.index];
        return std::any_of(characters_->begin(), characters_->end(), [&](std::uint32_t c) {
            return std::any_of(ranges.begin(), ranges.end(), [c](CharRange r) { return c >= r.first && c <= r.last; });
        });
    }

    /// Throws the error that says what the root lacks.
    [[noreturn]] void blame(const std::vector<char>& productive) {
        characters_ = all_characters();
        std::vector<char> seen(from_.rules.size(), 0);
        std::vector<std::uint32_t> rules = {from_.root};
        seen[from_.root] = 1;
        bool spelled = false;
        while (!rules.empty()) {
            const std::uint32_t r = rules.back();
            rules.pop_back();
            for (const auto& symbols : from_.rules[r].alternatives) {
                bool lacks = false;
                for (const Symbol& s : symbols) {
                    if (s.is_rule ? productive[s.index] != 0 : is_readable(s)) continue;
                    lacks = true;
                    if (!s.is_rule)
                        refuse({"grammar: %: the vocabulary cannot spell rule '%': no element holds %",
                                place_in(text_, s.begin), name_of(r), described(s)});
                    if (seen[s.index] == 0) {
                        seen[s.index] = 1;
                        rules.push_back(s.index);
                    }
                    break;
                }
                spelled = spelled || !lacks;
            }
        }
        if (spelled)
            refuse(
                {"grammar: the vocabulary cannot spell rule 'root': it has all characters, but its elements join "
                 "them in other ways"});
        refuse(
            {"grammar: rule 'root' never ends: each of its alternatives leads back to a rule that is not complete, or "
             "to a text of over % elements",
             kMaxElements});
    }

    std::string_view name_of(std::uint32_t rule) const { return from_.rules[from_.rules[rule].named].name; }

    std::string described(const Symbol& s) const {
        const auto& ranges = from_.classes[s.index];
        const std::string_view source = text_.substr(s.begin, s.length);
        if (ranges.size() != 1 || ranges[0].first != ranges[0].last)
            return message({"a character of ", Part::quoted(source)});
        const std::uint32_t c = ranges[0].first;
        if (c > ' ' && c < 127) return std::string("'") + static_cast<char>(c) + "'";
        return number_of(c);
    }

    /// The characters of the vocabulary, if all its elements are UTF-8.
    std::optional<std::vector<std::uint32_t>> all_characters() const {
        IdMap known;
        std::vector<std::uint32_t> found;
        for (std::uint32_t id = 0; id < to_.elements(); ++id) {
            if (to_.spelling_length(id) == 0) continue;
            for (std::size_t at = 0; at < vocabulary_[id].size();) {
                const CodePoint c = decode_utf8(vocabulary_[id], at);
                if (c.bytes == 0) return std::nullopt;
                if (known.add(c.value)) found.push_back(c.value);
                at += c.bytes;
            }
        }
        return found;
    }

    Grammar& to_;
    std::string_view text_;
    const Gbnf& from_;
    const std::vector<std::string>& vocabulary_;
    Room& room_;
    std::vector<LoweredClass> classes_;
    std::vector<std::vector<Spelling>> class_rules_;
    std::map<ByteSet, std::uint32_t> set_of_;
    KeyTable place_of_;
    std::map<std::vector<std::uint32_t>, std::size_t> rest_rules_;
    std::size_t rests_ = 0;  // bytes of these
    std::optional<std::vector<std::uint32_t>> characters_;
};

LSTMGEN_KEPT Grammar::Grammar(std::string_view text, const std::vector<std::string>& vocabulary,
                              const std::vector<std::uint32_t>& never, const Continue* keep_going) {
    spell(vocabulary, never);
    Room room(text.size() + spelled());
    const Gbnf gbnf = parse_gbnf(text, room);
    Lowering lowering(*this, text, gbnf, vocabulary, room);
    lowering.run();
    lowering.find_ends(keep_going);
    order_rules();
    Crc32 crc;
    crc.update(reinterpret_cast<const std::byte*>(text.data()), text.size());
    for (std::size_t id = 0; id < elements(); ++id) {
        const auto length = static_cast<std::uint32_t>(spelling_length(static_cast<std::uint32_t>(id)));
        crc.update(reinterpret_cast<const std::byte*>(&length), sizeof length);
        if (length > 0) crc.update(reinterpret_cast<const std::byte*>(vocabulary[id].data()), length);
    }
    identity_ = crc.value();
}

std::size_t Grammar::bytes() const noexcept {
    return letters_.capacity() + spellings_.capacity() * sizeof(std::size_t) +
           tree_.nodes.capacity() * sizeof(SpellingTree::Node) + tree_.edges.capacity() * sizeof(SpellingTree::Edge) +
           tree_.elements.capacity() * sizeof(std::uint32_t) + places_.capacity() * sizeof(Place) +
           sets_.size() * kBytesOfSet + rules_.capacity() * sizeof(CompiledRule);
}

void Grammar::spell(const std::vector<std::string>& vocabulary, const std::vector<std::uint32_t>& never) {
    if (vocabulary.empty()) refuse({"grammar: expected a vocabulary, found none"});
    std::vector<char> drawn(vocabulary.size(), 1);
    for (const std::uint32_t id : never) {
        if (id >= vocabulary.size())
            refuse({"grammar: expected ids of elements below % that are never drawn, found %", vocabulary.size(), id});
        drawn[id] = 0;
    }
    letter_of_.fill(-1);
    std::array<bool, 256> used{};
    std::size_t bytes = 0;
    for (std::size_t id = 0; id < vocabulary.size(); ++id) {
        if (drawn[id] == 0) continue;
        bytes += vocabulary[id].size();
        if (vocabulary[id].size() > kMaxElement || bytes > kMaxSpelling)
            refuse({"grammar: expected elements of up to % bytes, and of % together; found more at element %",
                    kMaxElement, kMaxSpelling, id});
        for (const char c : vocabulary[id]) used[static_cast<std::uint8_t>(c)] = true;
    }
    for (std::size_t b = 0; b < 256; ++b)
        if (used[b]) letter_of_[b] = static_cast<std::int16_t>(alphabet_++);
    spellings_.push_back(0);
    for (std::size_t id = 0; id < vocabulary.size(); ++id) {
        if (drawn[id] != 0)
            for (const char c : vocabulary[id])
                letters_.push_back(static_cast<std::uint8_t>(letter_of_[static_cast<std::uint8_t>(c)]));
        spellings_.push_back(letters_.size());
    }
    std::vector<std::uint32_t> all(elements());
    for (std::uint32_t id = 0; id < all.size(); ++id) all[id] = id;
    tree_ = make_tree(all);
}

SpellingTree Grammar::make_tree(const std::vector<std::uint32_t>& ids) const {
    // In the order of their spellings the elements of a node lie side by side.
    std::vector<std::uint32_t> sorted;
    for (const std::uint32_t id : ids)
        if (spelling_length(id) > 0) sorted.push_back(id);
    sort_ids(sorted, [this](std::uint32_t a, std::uint32_t b) {
        const std::uint8_t *pa = spelling(a), *pb = spelling(b);
        const std::size_t na = spelling_length(a), nb = spelling_length(b);
        const auto [ea, eb] = std::mismatch(pa, pa + std::min(na, nb), pb);
        if (ea != pa + std::min(na, nb)) return *ea < *eb;
        return na != nb ? na < nb : a < b;
    });
    struct Open {
        std::uint32_t first, last;  // sorted[first .. last) begin with the node
        std::size_t depth;
    };
    SpellingTree tree;
    tree.nodes.push_back({});
    std::vector<Open> open = {{0, static_cast<std::uint32_t>(sorted.size()), 0}};  // of each node
    for (std::size_t n = 0; n < tree.nodes.size(); ++n) {
        const Open node = open[n];
        tree.nodes[n].first = static_cast<std::uint32_t>(tree.edges.size());
        for (std::uint32_t i = node.first; i < node.last;) {
            const std::uint8_t byte = spelling(sorted[i])[node.depth];
            SpellingTree::Edge edge{byte, kNone, static_cast<std::uint32_t>(tree.elements.size()), 0};
            for (; i < node.last && spelling(sorted[i])[node.depth] == byte &&
                   spelling_length(sorted[i]) == node.depth + 1;
                 ++i)
                tree.elements.push_back(sorted[i]);
            edge.last = static_cast<std::uint32_t>(tree.elements.size());
            const std::uint32_t longer = i;
            while (i < node.last && spelling(sorted[i])[node.depth] == byte) ++i;
            if (i > longer) {
                edge.to = static_cast<std::uint32_t>(tree.nodes.size());
                tree.nodes.push_back({});
                open.push_back({longer, i, node.depth + 1});
            }
            tree.edges.push_back(edge);
        }
        tree.nodes[n].last = static_cast<std::uint32_t>(tree.edges.size());
    }
    return tree;
}

/// Sets `nullable`, `leading` and `order` of each rule.
void Grammar::order_rules() {
    struct Waiting {
        std::uint32_t rule, place;
    };
    std::vector<std::vector<Waiting>> waiting(rules_.size());
    std::vector<Waiting> ready;
    for (std::uint32_t r = 0; r < rules_.size(); ++r)
        for (const std::uint32_t p : rules_[r].alternatives) ready.push_back({r, p});
    while (!ready.empty()) {
        auto [r, p] = ready.back();
        ready.pop_back();
        while (p != kEnd && !is_set(p) && rules_[rule_at(p)].nullable) p = places_[p].next;
        if (p != kEnd) {
            if (!is_set(p)) waiting[rule_at(p)].push_back({r, p});
        } else if (!rules_[r].nullable) {
            rules_[r].nullable = true;
            auto& others = waiting[r];
            ready.insert(ready.end(), others.begin(), others.end());
            others.clear();
        }
    }
    for (std::uint32_t r = 0; r < rules_.size(); ++r) {
        auto& leading = rules_[r].leading;
        for (std::uint32_t p : rules_[r].alternatives)
            for (; p != kEnd; p = places_[p].next) {
                // A repetition of what may be empty leads to itself, with nothing read and nothing
                // else left.
                if (is_set(p) || rule_at(p) != r) leading.push_back(p);
                if (is_set(p) || !rules_[rule_at(p)].nullable) break;
            }
        sort_once(leading);
    }
    // In depth first, a rule is numbered after those that it can begin with. There is no way back
    // to itself.
    std::vector<std::size_t> next(rules_.size(), 0);
    std::vector<char> seen(rules_.size(), 0);
    std::vector<std::uint32_t> path;
    std::uint32_t number = 0;
    for (std::uint32_t start = 0; start < rules_.size(); ++start) {
        if (seen[start] != 0) continue;
        seen[start] = 1;
        path.push_back(start);
        while (!path.empty()) {
            const std::uint32_t r = path.back();
            if (next[r] == rules_[r].leading.size()) {
                rules_[r].order = number++;
                path.pop_back();
                continue;
            }
            const std::uint32_t p = rules_[r].leading[next[r]++];
            if (!is_set(p) && seen[rule_at(p)] == 0) {
                seen[rule_at(p)] = 1;
                path.push_back(rule_at(p));
            }
        }
    }
}

}  // namespace lstmgen::grammar
