// Several words in one structure, which finds all of them in one pass over a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lstmgen {

/// A trie with the links of Aho and Corasick ("Efficient string matching", 1975). The symbols of
/// its words are bytes or ids. A node stands for the symbols on the way to it from the root, 0.
class WordTrie {
public:
    static constexpr std::uint32_t kNone = 0xffffffff;
    struct Node {
        std::uint32_t child = 0, sibling = 0;  // 0: there is none
        std::uint32_t shorter = 0;             // the node of the longest end of this node's symbols
        std::uint32_t word = kNone;            // the longest one that ends here
        std::uint32_t symbol = 0;
    };

    /// Returns the child of a node, which is made if it is missing.
    std::uint32_t grow(std::uint32_t node, std::uint32_t symbol);
    /// Says that a word ends at this node.
    void end(std::uint32_t node, std::uint32_t word) { nodes_[node].word = word; }
    /// Sets `shorter`, after all words are in. A node without a word gets that of its `shorter`.
    void link();

    std::size_t size() const noexcept { return nodes_.size(); }
    const Node& operator[](std::uint32_t node) const noexcept { return nodes_[node]; }
    /// Returns the child of a node, or 0.
    std::uint32_t child(std::uint32_t node, std::uint32_t symbol) const noexcept;
    /// Returns the node after this symbol: that of the longest end of the text so far.
    std::uint32_t next(std::uint32_t node, std::uint32_t symbol) const noexcept;

private:
    std::vector<Node> nodes_ = std::vector<Node>(1);
};

}  // namespace lstmgen
