// The longest element at each place of a text, in a time that does not depend on how long the
// elements are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lstmgen {

/// A trie of the elements, which are read from their ends to their beginnings, with the links of
/// Aho and Corasick ("Efficient string matching", 1975). It reads a text backwards, too. Then the
/// longest element that ends at a place of the reversed text is the one that begins there.
class LongestMatch {
public:
    /// Makes a trie of the elements of these ids. It takes about 24 bytes a byte of them.
    LongestMatch(const std::vector<std::string>& elements, const std::vector<std::uint32_t>& ids);

    static constexpr std::uint32_t kNone = 0xffffffff;
    /// found (text.size()) = the id of the longest element that begins at each byte, or kNone.
    void find(std::string_view text, std::uint32_t* found) const noexcept;

private:
    struct Node {
        std::uint32_t child = 0, sibling = 0;  // 0: there is none
        std::uint32_t shorter = 0;             // the node of the longest end of this node's bytes
        std::uint32_t id = kNone;              // of the longest element that ends here
        unsigned char byte = 0;
    };
    // Returns the child of a node for this byte, or 0.
    std::uint32_t child(std::uint32_t node, unsigned char byte) const noexcept;
    // Returns the node after this byte.
    std::uint32_t next(std::uint32_t node, unsigned char byte) const noexcept;

    std::vector<Node> nodes_;  // 0 is the root
};

}  // namespace lstmgen
