// The stops of one sequence: where it ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lstmgen/vocabulary.hpp"
#include "state.hpp"
#include "word_trie.hpp"

namespace lstmgen {

using Stops = std::vector<std::vector<std::uint32_t>>;

/// The stops, as they were given and as they are found.
struct StopMatcher::Sought {
    std::shared_ptr<const Network> network;
    Stops ids;
    std::vector<std::string> texts;
    WordTrie by_id, by_byte;
};

/// Follows one sequence. The search begins with the first element after `set` or `restart`. Copies
/// share the stops. Only `set` and `load` allocate.
class StopSearch {
public:
    /// Searches for these stops from now on.
    void set(std::shared_ptr<const Network> network, const Stops& ids, const std::vector<std::string>& texts);
    /// Forgets what was drawn so far.
    void restart() noexcept { place_ = {}; }
    /// The element `id` was drawn.
    void drawn(std::uint32_t id) noexcept { matcher_.read(id, place_); }
    /// Whether a stop ended in the last element.
    bool found() const noexcept { return place_.found; }
    explicit operator bool() const noexcept { return bool(matcher_); }
    Stops ids() const { return matcher_ ? matcher_.sought_->ids : Stops(); }
    std::vector<std::string> texts() const { return matcher_ ? matcher_.sought_->texts : std::vector<std::string>(); }

    void save(StateWriter& out) const noexcept;
    void load(StateReader& in, std::shared_ptr<const Network> network);

private:
    StopMatcher matcher_;
    StopMatcher::Place place_;
};

}  // namespace lstmgen
