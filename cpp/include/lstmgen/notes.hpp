// SPDX-License-Identifier: MIT
// Turns the elements that a network of music draws into notes. A part of the C++ API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lstmgen/common.h"

namespace lstmgen {

/// A note. Times are points of a grid, 24 to a quarter.
struct Note {
    std::uint64_t start = 0;     ///< from the first note of the piece on
    std::uint32_t duration = 0;  ///< 1 to 384
    std::uint8_t pitch = 0;      ///< MIDI pitch, 0 to 127; 60 is middle C
    std::uint8_t velocity = 0;   ///< 1 to 127
    std::uint8_t track = 0;      ///< 1 to 15
};

/// Reads elements of the notation "events" (docs/events.md) one by one, and gives the notes they
/// mean, as lstmgen.music.decode does in Python. It needs no model. It takes 31 kB, and nothing
/// in it allocates, locks or throws.
///
///     while (decoder.feed(model.info().vocabulary[generator.next()]))
///         for (lstmgen::Note note; decoder.next(note);) play(note);
class LSTMGEN_API_CLASS NoteDecoder {
public:
    /// Reads an element. Returns false, and does nothing, for a text that is none of the notation,
    /// and if there is no room since more than 1920 notes were not taken by `next`. After the
    /// element "end" it reads nothing until `reset`, and returns true.
    bool feed(std::string_view element) noexcept;

    /// Ends the piece, as the element "end" does: all notes are complete.
    void finish() noexcept;

    /// Takes the next note that is complete, and returns true; false if there is none now. A note
    /// is complete when its time is over, or its pitch begins again on its track. Of those that
    /// are, the one that begins first comes first, then the lowest, then that of the first track.
    bool next(Note& note) noexcept;

    /// Tells the note that the last element began, and returns true; false if it began none. Its
    /// end may come sooner, when its pitch begins again on its track. If two notes begin together
    /// on one pitch of a track, only the longer one counts. This is for programs that play while
    /// elements are drawn.
    bool begun(Note& note) const noexcept;

    /// Returns the point that the elements have reached: where a note would begin.
    std::uint64_t now() const noexcept { return started_ ? onset_ + gap_ : 0; }
    /// Returns the tempo now, in quarters a minute: 4 to 1000, and 100 before an element says it.
    /// A point lasts 60 / (24 * tempo()) seconds.
    unsigned tempo() const noexcept { return tempo_; }
    /// Returns whether the sustain pedal is down.
    bool pedal() const noexcept { return pedal_; }
    /// Returns whether the piece is over.
    bool over() const noexcept { return over_; }

    /// Begins anew. Notes that were not taken are gone.
    void reset() noexcept;

private:
    static constexpr std::size_t kTracks = 15;
    static constexpr std::size_t kRoom = 128 * kTracks + 1;

    // Adds a note that begins now. Returns false if there is no room for it.
    bool begin_note(std::uint8_t pitch) noexcept;

    Note notes_[kRoom];  // that were not taken, in any order
    std::size_t count_ = 0, newest_ = kRoom;
    std::uint64_t onset_ = 0;  // of the last note
    std::uint32_t gap_ = 0;    // since then
    std::uint16_t durations_[kTracks + 1] = {};
    std::uint8_t velocities_[kTracks + 1] = {};  // 0: none was set, as with durations
    std::uint8_t track_ = 1;
    std::uint16_t tempo_ = 100;
    bool started_ = false, pedal_ = false, over_ = false,
         lasting_ = false;  // the last: "d" was last
};

}  // namespace lstmgen
