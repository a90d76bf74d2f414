// Notes from the elements that a network of music draws: docs/events.md, step by step. It is an
// separate object file, which programs without music do not link.
#include "lstmgen/notes.hpp"

#include <algorithm>
#include <atomic>
#include <new>

#include "c_errors.hpp"
#include "c_structs.hpp"
#include "lstmgen/lstmgen.h"

namespace lstmgen {
namespace {

constexpr std::uint32_t kLongest = 384;  // points: of a note, and between two of them
constexpr std::uint32_t kQuarter = 24;
constexpr std::uint8_t kVelocity = 80;

constexpr std::uint32_t kNone = 0xffffffff;

/// Reads a number of at most 4 digits, without a zero before it, from `text` to `end`. Returns
/// kNone for anything else.
std::uint32_t number(const char* text, const char* end) noexcept {
    if (text == end || end - text > 4 || (*text == '0' && end - text > 1)) return kNone;
    std::uint32_t n = 0;
    for (; text != end; ++text) {
        const std::uint32_t digit = std::uint32_t(*text) - '0';
        if (digit > 9) return kNone;
        n = n * 10 + digit;
    }
    return n;
}

bool is(const char* text, const char* end, const char* word) noexcept {
    while (text != end && *word && *text == *word) ++text, ++word;
    return text == end && !*word;
}

bool is_meter(const char* text, const char* end) noexcept {
    const char* slash = text;
    while (slash != end && *slash != '/') ++slash;
    if (slash == end) return false;
    const std::uint32_t beats = number(text, slash), unit = number(slash + 1, end);
    return beats - 1 < 16 && unit - 1 < 32 && (unit & (unit - 1)) == 0;
}

bool before(const Note& a, const Note& b) noexcept {
    if (a.start != b.start) return a.start < b.start;
    return a.pitch != b.pitch ? a.pitch < b.pitch : a.track < b.track;
}

}  // namespace

bool NoteDecoder::feed(std::string_view element) noexcept {
    if (over_) return true;
    if (element.empty()) return false;
    const char kind = element[0];
    const char* rest = element.data() + 1;
    const char* const end = element.data() + element.size();
    if (kind == 'n' && end - rest <= 3)  // a pitch may have zeros before it
        while (end - rest > 1 && *rest == '0') ++rest;
    const std::uint32_t n = number(rest, end);
    std::uint32_t least = 1, most = 0;
    switch (kind) {
        case 't':
        case 'd': most = 9999; break;
        case 'v': most = 32; break;
        case 'k': most = kTracks; break;
        case 'b': least = 4, most = 1000; break;
        case 'n': least = 0, most = 127; break;
        case 'p': least = 0, most = 1; break;
        default: break;
    }
    const bool numbered = n != kNone && n >= least && n <= most;
    if (!numbered && !(kind == 'm' && is_meter(rest, end)) && !(kind == 'b' && is(rest, end, "egin")) &&
        !(kind == 'e' && is(rest, end, "nd")))
        return false;
    if (kind == 'n') {
        if (!begin_note(std::uint8_t(n))) return false;
    } else {
        newest_ = kRoom;
        if (kind == 't') gap_ = std::min(gap_ + n, kLongest);
        if (kind == 'd') {
            const std::uint32_t old = lasting_ ? durations_[track_] : 0;
            durations_[track_] = std::uint16_t(std::min(n + old, kLongest));
        }
        if (kind == 'v') velocities_[track_] = std::uint8_t(std::min<std::uint32_t>(4 * n, 127));
        if (kind == 'k') track_ = std::uint8_t(n);
        if (kind == 'p') pedal_ = n == 1;
        if (kind == 'b' && numbered) tempo_ = std::uint16_t(n);
        if (kind == 'e') finish();
    }
    lasting_ = kind == 'd';
    return true;
}

bool NoteDecoder::begin_note(std::uint8_t pitch) noexcept {
    const std::uint64_t at = now();
    const std::uint16_t duration = durations_[track_] ? durations_[track_] : std::uint16_t(kQuarter);
    const std::uint8_t velocity = velocities_[track_] ? velocities_[track_] : kVelocity;
    Note note{at, duration, pitch, velocity, track_};
    std::size_t place = count_;
    for (std::size_t i = 0; i < count_; ++i) {
        Note& old = notes_[i];
        if (old.pitch != note.pitch || old.track != note.track || old.start + old.duration <= at) continue;
        if (old.start == at)
            place = i;  // both begin together
        else
            old.duration = std::uint32_t(at - old.start);
    }
    if (place == kRoom) return false;
    newest_ = place;
    if (place == count_)
        notes_[count_++] = note;
    else if (notes_[place].duration < duration)
        notes_[place] = note;
    else {
        if (notes_[place].duration == duration) notes_[place].velocity = std::max(notes_[place].velocity, velocity);
        newest_ = kRoom;
    }
    onset_ = at;
    gap_ = 0;
    started_ = true;
    return true;
}

void NoteDecoder::reset() noexcept {
    count_ = 0;
    newest_ = kRoom;
    onset_ = gap_ = 0;
    std::fill(durations_, durations_ + kTracks + 1, std::uint16_t(0));
    std::fill(velocities_, velocities_ + kTracks + 1, std::uint8_t(0));
    track_ = 1;
    tempo_ = 100;
    started_ = pedal_ = over_ = lasting_ = false;
}

void NoteDecoder::finish() noexcept {
    over_ = true;
    newest_ = kRoom;
}

bool NoteDecoder::next(Note& note) noexcept {
    std::size_t first = count_;
    const std::uint64_t at = now();
    for (std::size_t i = 0; i < count_; ++i)
        if ((over_ || notes_[i].start + notes_[i].duration <= at) &&
            (first == count_ || before(notes_[i], notes_[first])))
            first = i;
    if (first == count_) return false;
    note = notes_[first];
    notes_[first] = notes_[--count_];
    if (newest_ == count_) newest_ = first;
    return true;
}

bool NoteDecoder::begun(Note& note) const noexcept {
    if (newest_ == kRoom) return false;
    note = notes_[newest_];
    return true;
}

}  // namespace lstmgen

// ---- The C API ----------------------------------------------------------------------------------

using namespace lstmgen;

namespace {

constexpr std::uint64_t kNotesMagic = 0x6c73746d6e6f7465, kDeadMagic = 0;

}  // namespace

struct lstmgen_notes {
    std::atomic<std::uint64_t> magic{kNotesMagic};
    lstmgen_model* model = nullptr;  // whose elements the ids are; may be null
    NoteDecoder decoder;
};

namespace {

lstmgen_status check(const lstmgen_notes* notes) noexcept {
    return check_handle(notes ? &notes->magic : nullptr, kNotesMagic, "the notes");
}

lstmgen_status give(bool found, const Note& from, lstmgen_note* to) noexcept {
    if (!found) return LSTMGEN_ENDED;
    return fill_struct(
        to, to->size,
        lstmgen_note{sizeof(lstmgen_note), from.start, from.duration, from.pitch, from.velocity, from.track});
}

}  // namespace

lstmgen_status lstmgen_notes_create(lstmgen_model* model, lstmgen_notes** notes) {
    if (!notes) return fail_null("the place for the notes");
    *notes = nullptr;
    if (model) {
        const lstmgen_status status = lstmgen_model_retain(model);
        if (status != LSTMGEN_OK) return status;
    }
    lstmgen_notes* const made = new (std::nothrow) lstmgen_notes;
    if (!made) {
        if (model) (void)lstmgen_model_release(&model);
        return fail(LSTMGEN_OUT_OF_MEMORY, "out of memory");
    }
    made->model = model;
    *notes = made;
    return LSTMGEN_OK;
}

lstmgen_status lstmgen_notes_free(lstmgen_notes** notes) {
    if (!notes) return fail_null("the place of the notes");
    if (!*notes) return LSTMGEN_OK;
    const lstmgen_status status = check(*notes);
    if (status != LSTMGEN_OK) return status;
    lstmgen_notes* const freed = *notes;
    *notes = nullptr;
    freed->magic.store(kDeadMagic, std::memory_order_relaxed);
    if (freed->model) (void)lstmgen_model_release(&freed->model);
    delete freed;
    return LSTMGEN_OK;
}

lstmgen_status lstmgen_notes_reset(lstmgen_notes* notes) {
    const lstmgen_status status = check(notes);
    if (status == LSTMGEN_OK) notes->decoder.reset();
    return status;
}

lstmgen_status lstmgen_notes_feed_text(lstmgen_notes* notes, const char* element, size_t bytes) {
    const lstmgen_status status = check(notes);
    if (status != LSTMGEN_OK) return status;
    if (!element) return fail_null("the element");
    if (notes->decoder.feed(std::string_view(element, bytes)))
        return notes->decoder.over() ? LSTMGEN_ENDED : LSTMGEN_OK;
    return fail(LSTMGEN_INVALID_ARGUMENT,
                "the element: expected one of music, such as n60, t12 or d12, and notes that are taken by "
                "lstmgen_notes_next, found %.*s",
                int(std::min<size_t>(bytes, 40)), element);
}

lstmgen_status lstmgen_notes_feed_id(lstmgen_notes* notes, uint32_t id) {
    lstmgen_status status = check(notes);
    if (status != LSTMGEN_OK) return status;
    if (!notes->model)
        return fail(LSTMGEN_INVALID_ARGUMENT, "the id: expected notes that were created with a model, found none");
    const char* element = nullptr;
    size_t bytes = 0;
    status = lstmgen_model_element(notes->model, id, &element, &bytes);
    return status == LSTMGEN_OK ? lstmgen_notes_feed_text(notes, element, bytes) : status;
}

lstmgen_status lstmgen_notes_finish(lstmgen_notes* notes) {
    const lstmgen_status status = check(notes);
    if (status == LSTMGEN_OK) notes->decoder.finish();
    return status;
}

lstmgen_status lstmgen_notes_next(lstmgen_notes* notes, lstmgen_note* note) {
    const lstmgen_status status = check(notes);
    if (status != LSTMGEN_OK) return status;
    if (!note) return fail_null("the place for the note");
    Note found;
    return give(notes->decoder.next(found), found, note);
}

lstmgen_status lstmgen_notes_begun(const lstmgen_notes* notes, lstmgen_note* note) {
    const lstmgen_status status = check(notes);
    if (status != LSTMGEN_OK) return status;
    if (!note) return fail_null("the place for the note");
    Note found;
    return give(notes->decoder.begun(found), found, note);
}

lstmgen_status lstmgen_notes_now(const lstmgen_notes* notes, uint64_t* point, uint32_t* tempo, uint32_t* pedal) {
    const lstmgen_status status = check(notes);
    if (status != LSTMGEN_OK) return status;
    if (point) *point = notes->decoder.now();
    if (tempo) *tempo = notes->decoder.tempo();
    if (pedal) *pedal = notes->decoder.pedal();
    return LSTMGEN_OK;
}
