#include "word_trie.hpp"

namespace lstmgen {

std::uint32_t WordTrie::grow(std::uint32_t node, std::uint32_t symbol) {
    if (const std::uint32_t to = child(node, symbol); to != 0) return to;
    const auto to = static_cast<std::uint32_t>(nodes_.size());
    Node made;
    made.symbol = symbol;
    made.sibling = nodes_[node].child;
    nodes_.push_back(made);
    nodes_[node].child = to;
    return to;
}

void WordTrie::link() {
    // A node comes after those that are nearer to the root.
    std::vector<std::uint32_t> queue = {0};
    for (std::size_t i = 0; i < queue.size(); ++i)
        for (std::uint32_t at = nodes_[queue[i]].child; at != 0; at = nodes_[at].sibling) {
            Node& node = nodes_[at];
            node.shorter = i == 0 ? 0 : next(nodes_[queue[i]].shorter, node.symbol);
            if (node.word == kNone) node.word = nodes_[node.shorter].word;
            queue.push_back(at);
        }
}

std::uint32_t WordTrie::child(std::uint32_t node, std::uint32_t symbol) const noexcept {
    std::uint32_t at = nodes_[node].child;
    while (at != 0 && nodes_[at].symbol != symbol) at = nodes_[at].sibling;
    return at;
}

std::uint32_t WordTrie::next(std::uint32_t node, std::uint32_t symbol) const noexcept {
    for (;; node = nodes_[node].shorter)
        if (const std::uint32_t to = child(node, symbol); to != 0 || node == 0) return to;
}

}  // namespace lstmgen
