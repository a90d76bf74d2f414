// Tests of the decoder of notes: docs/events.md, rule by rule. tests/test_embedding.py compares it
// with the decoder in Python.
#include "lstmgen/notes.hpp"

#include <doctest.h>
#include <lstmgen/lstmgen.h>

#include <cstring>
#include <sstream>
#include <string>
#include <vector>

using lstmgen::Note;
using lstmgen::NoteDecoder;

namespace {

// The notes of elements with spaces between them, as text: start, duration, pitch, velocity, track.
std::string notes_of(const std::string& elements) {
    NoteDecoder decoder;
    std::string found;
    const auto take = [&] {
        for (Note n; decoder.next(n);)
            found += (found.empty() ? "" : " ") + std::to_string(n.start) + "+" + std::to_string(n.duration) + ":" +
                     std::to_string(n.pitch) + "v" + std::to_string(n.velocity) + "k" + std::to_string(n.track);
    };
    std::istringstream words(elements);
    for (std::string element; words >> element;) {
        CHECK(decoder.feed(element));
        take();
    }
    decoder.finish();
    take();
    return found;
}

}  // namespace

TEST_CASE("elements mean notes") {
    CHECK(notes_of("") == "");
    CHECK(notes_of("t24 n60 t12 n64") == "0+24:60v80k1 12+24:64v80k1");
    CHECK(notes_of("d12 d24 n60 t6 t6 n61 d3 n62") == "0+36:60v80k1 12+36:61v80k1 12+3:62v80k1");
    CHECK(notes_of("d9999 n60 t9999 t1 n61") == "0+384:60v80k1 384+384:61v80k1");
    CHECK(notes_of("v32 n60 k2 n60 v1 d3 n61 k1 n62") == "0+24:60v127k1 0+24:60v80k2 0+3:61v4k2 0+24:62v127k1");
    CHECK(notes_of("begin b120 m3/4 p1 n007 p0 end") == "0+24:7v80k1");
}

TEST_CASE("of a pitch of a track one note sounds") {
    CHECK(notes_of("n60 t6 n60") == "0+6:60v80k1 6+24:60v80k1");
    CHECK(notes_of("d6 n60 d24 n60 d12 n60") == "0+24:60v80k1");
    CHECK(notes_of("v10 n60 v20 n60 v15 n60") == "0+24:60v80k1");
    CHECK(notes_of("n60 t6 k2 n60") == "0+24:60v80k1 6+24:60v80k2");
}

TEST_CASE("a note is complete when its time is over, or its pitch begins again") {
    NoteDecoder decoder;
    Note note;
    CHECK(decoder.feed("n60"));
    CHECK(decoder.begun(note));
    CHECK((note.pitch == 60 && note.duration == 24));
    CHECK(!decoder.next(note));
    CHECK(decoder.feed("t23"));
    CHECK(!decoder.begun(note));
    CHECK(!decoder.next(note));
    CHECK(decoder.feed("t1"));
    CHECK(decoder.next(note));
    CHECK(!decoder.next(note));
    CHECK(decoder.now() == 24);
    for (const char* element : {"n60", "d12", "n60"}) CHECK(decoder.feed(element));
    CHECK(!decoder.begun(note));  // the one before is longer
    CHECK(decoder.feed("end"));
    CHECK(decoder.next(note));
    CHECK(decoder.feed("no element"));  // nothing is read after the end
    decoder.reset();
    CHECK(!decoder.feed("no element"));
    CHECK((decoder.now() == 0 && !decoder.over()));
}

TEST_CASE("tempo and pedal are those of the last element that says them") {
    NoteDecoder decoder;
    CHECK((decoder.tempo() == 100 && !decoder.pedal()));
    for (const char* element : {"b88", "p1", "b1000"}) CHECK(decoder.feed(element));
    CHECK((decoder.tempo() == 1000 && decoder.pedal()));
    CHECK(decoder.feed("p0"));
    CHECK(!decoder.pedal());
}

TEST_CASE("what is no element changes nothing") {
    NoteDecoder decoder;
    for (const char* text : {"",      "n",   "n128", "n0000", "n-1",  "n6o",  "t0",     "t01",  "t10000", "d",
                             "v0",    "v33", "k16",  "p2",    "p01",  "b3",   "b1001",  "m0/4", "m17/4",  "m3/3",
                             "m3/64", "m3",  "m/4",  "x1",    "ends", "begi", "beginn", " n60", "n60 ",   "N60"})
        CHECK_MESSAGE(!decoder.feed(text), text);
    CHECK(!decoder.feed(std::string_view("n6\0", 3)));
    Note note;
    decoder.finish();
    CHECK(!decoder.next(note));
}

TEST_CASE("there is room for a note of each pitch and track") {
    NoteDecoder decoder;
    for (int track = 1; track <= 15; ++track) {
        CHECK(decoder.feed("k" + std::to_string(track)));
        for (int pitch = 0; pitch < 128; ++pitch) CHECK(decoder.feed("n" + std::to_string(pitch)));
    }
    CHECK(decoder.feed("t1"));
    CHECK(decoder.feed("n0"));   // the older one is complete, and was not taken
    CHECK(!decoder.feed("n1"));  // so there is no room for another
    Note note;
    CHECK(decoder.next(note));
    CHECK((note.start == 0 && note.duration == 1 && note.pitch == 0 && note.track == 15));
    CHECK(decoder.feed("n1"));
}

TEST_CASE("the C functions do the same") {
    lstmgen_model* model = nullptr;
    CHECK(lstmgen_model_load_path(LSTMGEN_TEST_DATA "/tiny.bin", nullptr, &model) == LSTMGEN_OK);
    lstmgen_notes* notes = nullptr;
    CHECK(lstmgen_notes_create(model, &notes) == LSTMGEN_OK);
    CHECK(lstmgen_model_release(&model) == LSTMGEN_OK);  // the decoder keeps it
    CHECK(lstmgen_notes_feed_id(notes, 100'000) == LSTMGEN_INVALID_ARGUMENT);
    CHECK(lstmgen_notes_feed_id(notes, 0) == LSTMGEN_INVALID_ARGUMENT);  // a letter
    CHECK(std::strstr(lstmgen_last_error(), "the element: expected one of music") != nullptr);
    lstmgen_note note = LSTMGEN_NOTE_INIT;
    CHECK(lstmgen_notes_feed_text(notes, "d12", 3) == LSTMGEN_OK);
    CHECK(lstmgen_notes_begun(notes, &note) == LSTMGEN_ENDED);
    CHECK(lstmgen_notes_feed_text(notes, "n60", 3) == LSTMGEN_OK);
    CHECK(lstmgen_notes_begun(notes, &note) == LSTMGEN_OK);
    CHECK(lstmgen_notes_next(notes, &note) == LSTMGEN_ENDED);
    CHECK(lstmgen_notes_feed_text(notes, "b120", 4) == LSTMGEN_OK);
    CHECK(lstmgen_notes_feed_text(notes, "t12", 3) == LSTMGEN_OK);
    std::uint64_t point = 0;
    std::uint32_t tempo = 0, pedal = 2;
    CHECK(lstmgen_notes_now(notes, &point, &tempo, &pedal) == LSTMGEN_OK);
    CHECK((point == 12 && tempo == 120 && pedal == 0));
    CHECK(lstmgen_notes_now(notes, nullptr, nullptr, nullptr) == LSTMGEN_OK);
    CHECK(lstmgen_notes_next(notes, &note) == LSTMGEN_OK);
    CHECK((note.start == 0 && note.duration == 12 && note.pitch == 60 && note.velocity == 80 && note.track == 1));
    CHECK(lstmgen_notes_feed_text(notes, "n61", 3) == LSTMGEN_OK);
    note.size = 8;
    CHECK(lstmgen_notes_begun(notes, &note) == LSTMGEN_WRONG_VERSION);
    note.size = sizeof note;
    CHECK(lstmgen_notes_finish(notes) == LSTMGEN_OK);
    CHECK(lstmgen_notes_feed_text(notes, "n60", 3) == LSTMGEN_ENDED);
    CHECK(lstmgen_notes_next(notes, &note) == LSTMGEN_OK);
    CHECK(lstmgen_notes_reset(notes) == LSTMGEN_OK);
    CHECK(lstmgen_notes_next(notes, &note) == LSTMGEN_ENDED);
    CHECK(lstmgen_notes_feed_text(notes, "end", 3) == LSTMGEN_ENDED);

    CHECK(lstmgen_notes_feed_text(notes, nullptr, 0) == LSTMGEN_INVALID_ARGUMENT);
    CHECK(lstmgen_notes_next(notes, nullptr) == LSTMGEN_INVALID_ARGUMENT);
    CHECK(lstmgen_notes_begun(notes, nullptr) == LSTMGEN_INVALID_ARGUMENT);
    CHECK(lstmgen_notes_next(nullptr, &note) == LSTMGEN_INVALID_ARGUMENT);
    CHECK(lstmgen_notes_reset(nullptr) == LSTMGEN_INVALID_ARGUMENT);
    CHECK(lstmgen_notes_finish(nullptr) == LSTMGEN_INVALID_ARGUMENT);
    CHECK(lstmgen_notes_now(nullptr, nullptr, nullptr, nullptr) == LSTMGEN_INVALID_ARGUMENT);
    CHECK(lstmgen_notes_create(nullptr, nullptr) == LSTMGEN_INVALID_ARGUMENT);
    CHECK(lstmgen_notes_free(nullptr) == LSTMGEN_INVALID_ARGUMENT);
    CHECK(lstmgen_notes_free(&notes) == LSTMGEN_OK);
    CHECK(notes == nullptr);
    CHECK(lstmgen_notes_free(&notes) == LSTMGEN_OK);
    CHECK(lstmgen_notes_create(nullptr, &notes) == LSTMGEN_OK);
    // Without a model there are no ids.
    CHECK(lstmgen_notes_feed_id(notes, 0) == LSTMGEN_INVALID_ARGUMENT);
    CHECK(lstmgen_notes_free(&notes) == LSTMGEN_OK);
}
