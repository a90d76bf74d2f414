// Fills the blocks of an audio callback with notes that a music model draws. Elements mean the same
// as in Python's lstmgen.music.decode: "n60" begins a note of that MIDI pitch, "d12" makes notes
// last 12 grid points from here on, "t6" lets 6 grid points pass. Several "d" or "t" in a row add
// up. A quarter has 24 grid points.
//
// The callback never allocates, locks, throws or makes a system call. Here a loop stands for the
// sound card. It writes mono float samples, 48 kHz, to a file.
//
// Usage: audio_notes music.bin out.f32 [seconds [seed]]
#include <lstmgen/lstmgen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr double kRate = 48000.0;
constexpr std::size_t kSamplesPerPoint = 1000;  // 24 points a quarter: 120 quarters a minute
constexpr unsigned kLongest = 384;              // the most points of a duration or a pause
constexpr int kElementsPerBlock = 64;           // the most, so that a block takes bounded time

// The meaning of an element. It is looked up before the sound starts.
struct Event {
    char kind = 0;  // 'n', 'd' or 't'; 0: ignored
    unsigned value = 0;
};

struct Voice {
    double phase = 0.0, step = 0.0;
    std::size_t left = 0, total = 1;  // in samples
};

class Player {
public:
    Player(lstmgen_generator* generator, const std::vector<Event>& events) : generator_(generator), events_(events) {}

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
    lstmgen_status draw() noexcept {
        std::uint32_t id = 0;
        const lstmgen_status status = lstmgen_generator_next(generator_, &id);
        if (status != LSTMGEN_OK) return status;
        const Event event = events_[id];
        if (event.kind == 't' && notes_ > 0) {  // the music begins with its first note
            const unsigned pause = std::min(pause_ + event.value, kLongest);
            wait_ = (pause - pause_) * kSamplesPerPoint;
            pause_ = pause;
        }
        if (event.kind == 'd') duration_ = std::min(event.value + (last_ == 'd' ? duration_ : 0), kLongest);
        if (event.kind == 'n') begin(event.value);
        last_ = event.kind;
        return LSTMGEN_OK;
    }

    // A note ends when its pitch begins again. If two begin together, the longer one sounds.
    void begin(unsigned pitch) noexcept {
        Voice& voice = voices_[pitch % voices_.size()];
        const std::size_t samples = duration_ * kSamplesPerPoint;
        const bool begun = voice.left > 0 && voice.left == voice.total;
        if (!begun || samples > voice.total)
            voice = {0.0, 440.0 * std::exp2((double(pitch) - 69.0) / 12.0) * 6.283185307179586 / kRate, samples,
                     samples};
        pause_ = 0;
        ++notes_;
    }

    lstmgen_generator* generator_;
    const std::vector<Event>& events_;
    std::array<Voice, 128> voices_;  // one for each pitch
    std::size_t wait_ = 0, notes_ = 0;
    unsigned duration_ = 24, pause_ = 0;
    char last_ = 0;
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
    std::size_t elements = 0;
    if (lstmgen_model_number(model, LSTMGEN_NUMBER_VOCABULARY, &elements) != LSTMGEN_OK) return failed("number");
    std::vector<Event> events(elements);
    for (std::uint32_t id = 0; id < elements; ++id) {
        const char* text = nullptr;
        if (lstmgen_model_element(model, id, &text, nullptr) != LSTMGEN_OK) return failed("element");
        if (std::strchr("ndt", text[0]) && text[0]) events[id] = {text[0], unsigned(std::atoi(text + 1))};
    }
    if (events.empty()) return std::fprintf(stderr, "audio_notes: the model has no vocabulary\n"), EXIT_FAILURE;

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
    Player player(generator, events);
    std::array<float, 256> block;
    const double seconds = argc > 3 ? std::atof(argv[3]) : 10.0;
    for (double t = 0.0; t < seconds; t += double(block.size()) / kRate) {
        if (player.fill(block.data(), block.size()) != LSTMGEN_OK) return failed("draw");
        std::fwrite(block.data(), sizeof(float), block.size(), file);
    }
    std::printf("%zu notes\n", player.notes());
    lstmgen_generator_free(&generator);
    return std::fclose(file) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
