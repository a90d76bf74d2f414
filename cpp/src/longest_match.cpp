#include "longest_match.hpp"

#include "kept.hpp"

namespace lstmgen {

LSTMGEN_KEPT LongestMatch::LongestMatch(const std::vector<std::string>& elements,
                                        const std::vector<std::uint32_t>& ids) {
    for (const std::uint32_t id : ids) {
        std::uint32_t node = 0;
        const std::string& text = elements[id];
        for (std::size_t i = text.size(); i-- > 0;) node = trie_.grow(node, static_cast<unsigned char>(text[i]));
        trie_.end(node, id);
    }
    trie_.link();
}

LSTMGEN_KEPT void LongestMatch::find(std::string_view text, std::uint32_t* found) const noexcept {
    std::uint32_t node = 0;
    for (std::size_t i = text.size(); i-- > 0;) {
        node = trie_.next(node, static_cast<unsigned char>(text[i]));
        found[i] = trie_[node].word;
    }
}

}  // namespace lstmgen
