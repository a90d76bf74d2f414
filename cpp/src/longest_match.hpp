// The longest element at each place of a text, in a time that does not depend on how long the
// elements are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "word_trie.hpp"

namespace lstmgen {

/// The elements, read from their ends to their beginnings. A text is read backwards, too. Then the
/// longest element that ends at a place of the reversed text is the one that begins there.
class LongestMatch {
public:
    /// Reads the elements of these ids. It takes about 24 bytes a byte of them.
    LongestMatch(const std::vector<std::string>& elements, const std::vector<std::uint32_t>& ids);

    static constexpr std::uint32_t kNone = WordTrie::kNone;
    /// found (text.size()) = the id of the longest element that begins at each byte, or kNone.
    void find(std::string_view text, std::uint32_t* found) const noexcept;

private:
    WordTrie trie_;
};

}  // namespace lstmgen
