#include "stop_search.hpp"

#include <utility>

#include "checks.hpp"
#include "kept.hpp"
#include "lstmgen/common.h"
#include "message.hpp"
#include "network.hpp"

namespace lstmgen {
namespace {

std::uint32_t symbol(char byte) noexcept { return static_cast<unsigned char>(byte); }
std::uint32_t symbol(std::uint32_t id) noexcept { return id; }

// Adds a stop. `what` and `index` name it, and it has at least one `unit`.
template <class Word>
void add(WordTrie& trie, const Word& stop, std::size_t index, const char* what, const char* unit) {
    if (stop.empty()) refuse({"%% is empty: expected at least one %", what, index, unit});
    if (stop.size() > LSTMGEN_MAX_LOOKBACK)
        refuse(
            {"%%: expected at most % %s, found %", what, index, std::size_t{LSTMGEN_MAX_LOOKBACK}, unit, stop.size()});
    std::uint32_t node = 0;
    for (const auto each : stop) node = trie.grow(node, symbol(each));
    trie.end(node, static_cast<std::uint32_t>(index));
}

// Returns for each node of `stops` whether a text of elements can lead there.
std::vector<char> reached(const WordTrie& stops, const std::vector<std::string>& elements) {
    constexpr char kInside = 1, kAfter = 3;  // within an element, and after one
    std::vector<char> found(stops.size());
    found[0] = kAfter;
    const auto mark = [&](std::uint32_t node, char how) {
        for (; (found[node] & how) != how; node = stops[node].shorter) found[node] |= how;
    };
    // The elements in which a stop begins.
    WordTrie words;
    for (const std::string& element : elements) {
        std::uint32_t node = 0, word = 0;
        for (const char byte : element) {
            node = stops.next(node, symbol(byte));
            word = words.grow(word, symbol(byte));
            mark(node, kInside);
        }
        words.end(word, 0);
        mark(node, kAfter);
    }
    // Those in which one goes on. A child has a greater number than its parent.
    std::vector<std::pair<std::uint32_t, std::uint32_t>> open;  // a node, and one of `words`
    for (std::uint32_t begin = 0; begin < stops.size(); ++begin) {
        if (found[begin] == kAfter) open.emplace_back(begin, 0);
        while (!open.empty()) {
            const auto [node, word] = open.back();
            open.pop_back();
            for (std::uint32_t to = stops[node].child; to != 0; to = stops[to].sibling)
                if (const std::uint32_t longer = words.child(word, stops[to].symbol); longer != 0) {
                    found[to] |= words[longer].word == WordTrie::kNone ? kInside : kAfter;
                    open.emplace_back(to, longer);
                }
        }
    }
    return found;
}

}  // namespace

LSTMGEN_KEPT StopMatcher::StopMatcher(std::shared_ptr<const Network> network, const Stops& ids,
                                      const std::vector<std::string>& texts) {
    if (ids.empty() && texts.empty()) return;
    const ModelInfo& info = network->info();
    auto sought = std::make_shared<Sought>();
    sought->ids = ids;
    sought->texts = texts;
    if (!texts.empty() && info.vocabulary_kind != "text" && info.vocabulary_kind != "bytes")
        refuse({"stop texts: the elements of the model, joined, are no text: give ids"});
    for (std::size_t i = 0; i < sought->ids.size(); ++i) {
        const std::vector<std::uint32_t>& stop = sought->ids[i];
        check_ids(stop.data(), stop.size(), info.outputs, (message({"stop ", i}) + ": id").c_str());
        add(sought->by_id, stop, i, "stop ", "element");
    }
    sought->by_id.link();
    for (std::size_t i = 0; i < sought->texts.size(); ++i)
        add(sought->by_byte, sought->texts[i], i, "stop text ", "byte");
    sought->by_byte.link();
    if (!sought->texts.empty()) {
        const std::vector<char> found = reached(sought->by_byte, info.vocabulary);
        for (std::size_t i = 0; i < sought->texts.size(); ++i) {
            std::uint32_t node = 0;
            for (const char byte : sought->texts[i]) node = sought->by_byte.child(node, symbol(byte));
            if (!found[node]) refuse({"stop text %: no elements of the vocabulary can hold it", i});
        }
    }
    sought->network = std::move(network);
    sought_ = std::move(sought);
}

LSTMGEN_KEPT void StopMatcher::read(std::uint32_t id, Place& place) const noexcept {
    if (!sought_) return;
    const WordTrie &by_id = sought_->by_id, &by_byte = sought_->by_byte;
    place.ids = by_id.next(place.ids, id);
    place.found = by_id[place.ids].word != WordTrie::kNone;
    const std::vector<std::string>& elements = sought_->network->info().vocabulary;
    if (by_byte.size() == 1 || id >= elements.size()) return;
    for (const char byte : elements[id]) {
        place.text = by_byte.next(place.text, symbol(byte));
        place.found = place.found || by_byte[place.text].word != WordTrie::kNone;
    }
}

void StopSearch::set(std::shared_ptr<const Network> network, const Stops& ids, const std::vector<std::string>& texts) {
    matcher_ = StopMatcher(std::move(network), ids, texts);
    restart();
}

void StopSearch::save(StateWriter& out) const noexcept {
    if (!matcher_) return;  // without stops, a state has no bytes for them
    const auto list = [&](const auto& words) {
        out.size(words.size());
        for (const auto& word : words) {
            out.size(word.size());
            out.bytes(word.data(), word.size() * sizeof word[0]);
        }
    };
    list(matcher_.sought_->ids);
    list(matcher_.sought_->texts);
    out.size(place_.ids);
    out.size(place_.text);
    out.number<std::uint8_t>(place_.found);
}

void StopSearch::load(StateReader& in, std::shared_ptr<const Network> network) {
    if (in.left() == 0) return;
    const auto list = [&](auto& words) {
        for (std::size_t left = in.size(in.left()); left > 0; --left) {
            auto& word = words.emplace_back();
            word.resize(in.size(in.left() / sizeof word[0]));
            in.bytes(word.data(), word.size() * sizeof word[0]);
        }
    };
    Stops ids;
    std::vector<std::string> texts;
    list(ids);
    list(texts);
    set(std::move(network), ids, texts);
    const auto node = [&](const WordTrie& trie) { return static_cast<std::uint32_t>(in.size(trie.size() - 1)); };
    if (!matcher_) return in.expect(0);
    place_.ids = node(matcher_.sought_->by_id);
    place_.text = node(matcher_.sought_->by_byte);
    place_.found = in.number<std::uint8_t>() != 0;
}

}  // namespace lstmgen
