#include "longest_match.hpp"

namespace lstmgen {

LongestMatch::LongestMatch(const std::vector<std::string>& elements, const std::vector<std::uint32_t>& ids)
    : nodes_(1) {
    for (const std::uint32_t id : ids) {
        std::uint32_t node = 0;
        const std::string& text = elements[id];
        for (std::size_t i = text.size(); i-- > 0;) {
            const auto byte = static_cast<unsigned char>(text[i]);
            std::uint32_t to = child(node, byte);
            if (to == 0) {
                to = static_cast<std::uint32_t>(nodes_.size());
                Node made;
                made.byte = byte;
                made.sibling = nodes_[node].child;
                nodes_.push_back(made);
                nodes_[node].child = to;
            }
            node = to;
        }
        nodes_[node].id = id;
    }
    // A node comes after those that are nearer to the root.
    std::vector<std::uint32_t> queue = {0};
    for (std::size_t i = 0; i < queue.size(); ++i)
        for (std::uint32_t at = nodes_[queue[i]].child; at != 0; at = nodes_[at].sibling) {
            Node& node = nodes_[at];
            node.shorter = i == 0 ? 0 : next(nodes_[queue[i]].shorter, node.byte);
            if (node.id == kNone) node.id = nodes_[node.shorter].id;
            queue.push_back(at);
        }
}

std::uint32_t LongestMatch::child(std::uint32_t node, unsigned char byte) const noexcept {
    std::uint32_t at = nodes_[node].child;
    while (at != 0 && nodes_[at].byte != byte) at = nodes_[at].sibling;
    return at;
}

std::uint32_t LongestMatch::next(std::uint32_t node, unsigned char byte) const noexcept {
    for (;; node = nodes_[node].shorter)
        if (const std::uint32_t to = child(node, byte); to != 0 || node == 0) return to;
}

void LongestMatch::find(std::string_view text, std::uint32_t* found) const noexcept {
    std::uint32_t node = 0;
    for (std::size_t i = text.size(); i-- > 0;) {
        node = next(node, static_cast<unsigned char>(text[i]));
        found[i] = nodes_[node].id;
    }
}

}  // namespace lstmgen
