// SPDX-License-Identifier: MIT
// Turns text into ids and ids into text, and tells where a sequence stops. A part of the C++ API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lstmgen/lstmgen.hpp"

namespace lstmgen {

class LongestMatch;

/// The elements of a model and their ids. Immutable: any number of threads may use one. Copies
/// share the elements.
class LSTMGEN_API_CLASS Vocabulary {
public:
    /// Makes the vocabulary of a model. Throws Error with the code invalid_argument if the model
    /// has none.
    explicit Vocabulary(const Model& model);

    /// Makes a vocabulary of `elements`, texts in UTF-8 in the order of their ids. They are all
    /// different. An empty one stands for padding, and no text holds it. `kind` is "text" or
    /// "bytes" if a text is its elements joined, or "tokens" if spaces separate them. Throws Error
    /// with the code invalid_argument for any other kind.
    Vocabulary(const std::vector<std::string>& elements, const std::string& kind);

    /// Returns the ids of a text in UTF-8. Each id is that of the longest element that the rest of
    /// the text starts with. With "tokens", white space separates the elements. It is the white
    /// space of Unicode, as in Python's str.split. Throws Error with the code invalid_argument,
    /// which names the position in bytes, for text that is not in the vocabulary.
    std::vector<std::uint32_t> encode(std::string_view text) const;

    /// Writes the same ids into `ids` (capacity). Returns how many ids the text has; the first
    /// `capacity` are written. Allocates if it throws, and if an element is longer than 64 bytes:
    /// then four bytes for each byte of the text.
    std::size_t encode(std::string_view text, std::uint32_t* ids, std::size_t capacity) const;

    /// Returns the text of `ids` (n). Spaces join elements of the kind "tokens". Throws Error with
    /// the code invalid_argument for an id that no element has.
    std::string decode(const std::uint32_t* ids, std::size_t n) const;
    /// Returns the text of all of `ids`.
    std::string decode(const std::vector<std::uint32_t>& ids) const {
        return decode(ids.data(), ids.size());
    }

    /// Returns the number of elements.
    std::size_t size() const noexcept { return elements_.size(); }

private:
    std::vector<std::string> elements_;   // (elements), by id
    std::vector<std::uint32_t> by_text_;  // (n), ids of elements that are not empty, sorted by text
    bool tokens_;                         // whether spaces separate the elements of a text
    std::shared_ptr<const LongestMatch> long_;  // if an element has more than 64 bytes, else null
};

/// What ends a sequence: stops, each a list of ids or a text. Immutable: any number of threads may
/// use one. Copies share the stops.
class LSTMGEN_API_CLASS StopMatcher {
public:
    /// Where the search of one sequence stands. It begins with a new one.
    struct Place {
        std::uint32_t ids = 0;   ///< what has been read of lists of ids
        std::uint32_t text = 0;  ///< what has been read of texts
        bool found = false;      ///< whether a stop ended in the last element
    };

    /// Finds nothing.
    StopMatcher() = default;
    /// Finds any of the lists `ids` and of the `texts` in UTF-8 in a sequence of elements of
    /// `model`. A text is sought in the text of the elements, however they cut it, and may end
    /// within an element. Each stop has 1 to LSTMGEN_MAX_LOOKBACK ids or bytes. Throws Error with
    /// the code invalid_argument for another, for an id that is not below info().outputs, for a
    /// text that no elements can hold, and for texts unless the vocabulary is of the kind "text" or
    /// "bytes". Among tokens, a stop is the ids that Vocabulary::encode makes of it.
    explicit StopMatcher(const Model& model, const std::vector<std::vector<std::uint32_t>>& ids,
                         const std::vector<std::string>& texts = {})
        : StopMatcher(model.network(), ids, texts) {}

    /// Reads the next element of a sequence, whose `place` it moves. Does not allocate.
    void read(std::uint32_t id, Place& place) const noexcept;
    /// Returns whether there is a stop.
    explicit operator bool() const noexcept { return sought_ != nullptr; }

private:
    friend class StopSearch;
    struct Sought;
    StopMatcher(std::shared_ptr<const Network> network,
                const std::vector<std::vector<std::uint32_t>>& ids,
                const std::vector<std::string>& texts);

    std::shared_ptr<const Sought> sought_;  // null: no stops
};

}  // namespace lstmgen
