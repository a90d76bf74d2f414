// SPDX-License-Identifier: MIT
// Text to ids, ids to text, and where a sequence stops. Part of lstmgen.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lstmgen/lstmgen.hpp"

namespace lstmgen {

/// The elements of a model and their ids. Immutable: any number of threads may use one. Copies
/// share the elements.
class LSTMGEN_API_CLASS Vocabulary {
public:
    /// The vocabulary of a model. Throws Error with the code invalid_argument if the model has
    /// none.
    explicit Vocabulary(const Model& model);

    /// `elements` are UTF-8, in the order of their ids, and all different. No text holds an empty
    /// one, which stands for padding. `kind` is "text" if the elements, joined, are the text, or
    /// "tokens" for a list of elements. Throws Error with the code invalid_argument for any other
    /// kind.
    Vocabulary(const std::vector<std::string>& elements, const std::string& kind);

    /// The ids of a text in UTF-8. With the kind "text", each id is that of the longest element
    /// that the rest of the text starts with. With "tokens", the elements are what stands between
    /// white space, which is Unicode's, as for Python's str.split. Throws Error with the code
    /// invalid_argument, and the position in bytes, for text that is not in the vocabulary.
    std::vector<std::uint32_t> encode(std::string_view text) const;

    /// The same into memory for `capacity` ids. Returns how many ids the text has; the first
    /// `capacity` are written. Does not allocate unless it throws.
    std::size_t encode(std::string_view text, std::uint32_t* ids, std::size_t capacity) const;

    /// The text of `n` ids. Elements of the kind "tokens" are joined by spaces. Throws Error with
    /// the code invalid_argument for an id that no element has.
    std::string decode(const std::uint32_t* ids, std::size_t n) const;
    /// The same.
    std::string decode(const std::vector<std::uint32_t>& ids) const {
        return decode(ids.data(), ids.size());
    }

    /// Number of elements.
    std::size_t size() const noexcept { return elements_.size(); }

private:
    std::vector<std::string> elements_;
    std::vector<std::uint32_t>
        by_text_;  // ids of elements that are not empty, in the order of their bytes
    bool tokens_;
};

/// Says when a sequence ends with a stop, a list of ids. Immutable: any number of threads may use
/// one.
class LSTMGEN_API_CLASS StopMatcher {
public:
    /// Throws Error with the code invalid_argument if a stop is empty.
    explicit StopMatcher(const std::vector<std::vector<std::uint32_t>>& stops);

    /// Whether these `n` ids, of a sequence of which they are the last, end with a stop. The last
    /// longest() ids are enough. Does not allocate.
    bool matches(const std::uint32_t* ids, std::size_t n) const noexcept;
    /// The same.
    bool matches(const std::vector<std::uint32_t>& ids) const noexcept {
        return matches(ids.data(), ids.size());
    }

    /// Number of ids of the longest stop; 0: there is no stop.
    std::size_t longest() const noexcept { return longest_; }

private:
    std::vector<std::uint32_t> ids_;  // of all stops, one after the other
    std::vector<std::size_t> ends_;   // where each ends
    std::size_t longest_ = 0;
};

}  // namespace lstmgen
