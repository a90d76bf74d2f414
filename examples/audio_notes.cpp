// Fills the blocks of an audio callback with notes that a music model draws. lstmgen_notes turns
// elements into notes: docs/events.md says what they mean.
//
// The callback never allocates, locks, throws or makes a system call. Here a loop stands for the
// sound card. It writes mono float samples, 48 kHz, to a file.
//
// Usage: audio_notes music.bin out.f32 [seconds [seed]]
#include <lstmgen/lstmgen.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr double kRate = 48000.0;
constexpr std::size_t kSamplesPerPoint = 1000;  // 24 points a quarter: 120 quarters a minute
constexpr int kElementsPerBlock = 64;           // the most, so that a block takes bounded time

struct Voice {
    double phase = 0.0, step = 0.0;
    std::size_t left = 0, total = 1;  // in samples
};

class Player {
public:
    Player(lstmgen_generator* generator, lstmgen_notes* notes) : generator_(generator), decoder_(notes) {}

    // Fills a block. This is the audio callback.
    lstmgen_status fill(float* block, std::size_t samples) noexcept {
        lstmgen_status status = LSTMGEN_OK;
        int drawn = 0;
        for (std::size_t i = 0; i < samples; ++i) {
            while (wait_ == 0 && status == LSTMGEN_OK && drawn++ < kElementsPerBlock) status = draw();
            if (wait_ > 0) --wait_;
            double sum = 0.0;
            for (Voice& v : voices_) {
                if (v.left == 0) continue;
                sum += std::sin(v.phase) * double(v.left) / double(v.total);
                v.phase = std::fmod(v.phase + v.step, 6.283185307179586);
                --v.left;
            }
            block[i] = float(0.1 * sum);
        }
        return status;
    }

    std::size_t notes() const noexcept { return notes_; }

private:
    // Draws an element. The decoder says whether a note begins with it, and how much time passes.
    lstmgen_status draw() noexcept {
        std::uint32_t id = 0;
        std::uint64_t now = 0;
        lstmgen_status status = lstmgen_generator_next(generator_, &id);
        if (status == LSTMGEN_OK) status = lstmgen_notes_feed_id(decoder_, id);
        // After the end of a piece comes the next one.
        if (status == LSTMGEN_ENDED) status = lstmgen_notes_reset(decoder_), now_ = 0;
        if (status == LSTMGEN_OK) status = lstmgen_notes_now(decoder_, &now, nullptr, nullptr);
        if (status != LSTMGEN_OK) return status;
        wait_ = std::size_t(now - now_) * kSamplesPerPoint;
        now_ = now;
        lstmgen_note note = LSTMGEN_NOTE_INIT;
        if (lstmgen_notes_begun(decoder_, &note) == LSTMGEN_OK) begin(note);
        // Notes that are over make room.
        while (lstmgen_notes_next(decoder_, &note) == LSTMGEN_OK) {
        }
        return LSTMGEN_OK;
    }

    // A note ends when its pitch begins again.
    void begin(const lstmgen_note& note) noexcept {
        ++notes_;
        const std::size_t samples = note.duration * kSamplesPerPoint;
        const double frequency = 440.0 * std::exp2((double(note.pitch) - 69.0) / 12.0);
        voices_[note.pitch] = {0.0, frequency * 6.283185307179586 / kRate, samples, samples};
    }

    lstmgen_generator* generator_;
    lstmgen_notes* decoder_;
    std::array<Voice, 128> voices_;  // one for each pitch
    std::size_t wait_ = 0, notes_ = 0;
    std::uint64_t now_ = 0;
};

int failed(const char* what) {
    std::fprintf(stderr, "audio_notes: %s: %s\n", what, lstmgen_last_error());
    return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return std::fprintf(stderr, "usage: %s music.bin out.f32 [seconds [seed]]\n", argv[0]), 2;
    lstmgen_model* model = nullptr;
    if (lstmgen_model_load_path(argv[1], nullptr, &model) != LSTMGEN_OK) return failed("load");
    lstmgen_notes* notes = nullptr;
    if (lstmgen_notes_create(model, &notes) != LSTMGEN_OK) return failed("notes");

    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    sampler.seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0;
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    options.sampler = &sampler;
    options.refresh = 0;  // carry the state, which is the cheapest
    lstmgen_generator* generator = nullptr;
    if (lstmgen_generator_create(model, &options, &generator) != LSTMGEN_OK) return failed("create");
    if (lstmgen_generator_feed_prime(generator) != LSTMGEN_OK) return failed("prime");
    lstmgen_model_release(&model);

    std::FILE* const file = std::fopen(argv[2], "wb");
    if (!file) return std::perror(argv[2]), EXIT_FAILURE;
    Player player(generator, notes);
    std::array<float, 256> block;
    const double seconds = argc > 3 ? std::atof(argv[3]) : 10.0;
    for (double t = 0.0; t < seconds; t += double(block.size()) / kRate) {
        if (player.fill(block.data(), block.size()) != LSTMGEN_OK) return failed("draw");
        std::fwrite(block.data(), sizeof(float), block.size(), file);
    }
    std::printf("%zu notes\n", player.notes());
    lstmgen_generator_free(&generator);
    lstmgen_notes_free(&notes);
    return std::fclose(file) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
