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
    std::vector<std::uint32_t> by_text_;  // ids of the elements that are not empty, sorted by text
    bool tokens_;                         // whether spaces separate the elements of a text
    std::shared_ptr<const LongestMatch> long_;  // if an element has more than 64 bytes, else null
};

/// Tells whether a sequence ends with a stop, a list of ids. Immutable: any number of threads may
/// use one.
class LSTMGEN_API_CLASS StopMatcher {
public:
    /// Makes a matcher of any of these stops; none: it never matches. Throws Error with the code
    /// invalid_argument if a stop is empty.
    explicit StopMatcher(const std::vector<std::vector<std::uint32_t>>& stops);

    /// Returns whether `ids` (n), the last ones of a sequence, end with a stop. The last longest()
    /// ids are enough. Does not allocate.
    bool matches(const std::uint32_t* ids, std::size_t n) const noexcept;
    /// Returns whether these ids end with a stop.
    bool matches(const std::vector<std::uint32_t>& ids) const noexcept {
        return matches(ids.data(), ids.size());
    }

    /// Returns the number of ids of the longest stop; 0: there is no stop.
    std::size_t longest() const noexcept { return longest_; }

private:
    std::vector<std::uint32_t> ids_;  // the ids of all stops, one stop after the other
    std::vector<std::size_t> ends_;   // (stops), the index in ids_ after the last id of each
    std::size_t longest_ = 0;
};

}  // namespace lstmgen
