// A `.bin` of bytes that nobody checked. Whatever they are: an Error, or a model that samples and is
// written again as the same model. The mutator mends the checksum.
#include "lstmgen/lstmgen.hpp"
#include "support.hpp"

using namespace lstmgen;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max, unsigned seed) {
    return fuzz::mutate(data, size, max, seed, seed / 8 % 2 == 0);
}

// A self-test may take a good part of a second here, and an element as much as all of a wide repetition.

static Model load(const void* data, std::size_t size, const char* name) {
    const fuzz::Second second;
    return Model::from_memory(data, size, name);
}

static std::uint32_t next(Generator& generator) {
    const fuzz::Second second;
    return generator.next();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const Model model = load(data, size, "input");
        const ModelInfo& info = model.info();
        const std::string bytes = model.bytes();
        const Model again = load(bytes.data(), bytes.size(), "again");
        const fuzz::Second seconds(10);
        const auto is_late = [&] { return seconds.left() < 9.8; };
        fuzz::require(again.info().identity == info.identity);
        if (info.encoding == Encoding::features || !info.labels.empty() || info.predictor) return 0;
        // A window of many steps, or many windows, cost what the user asks for.
        if (info.window > 64 || info.nbytes > 1 << 20) return 0;
        for (const std::size_t refresh : {0, 1, 3}) try {
                if (is_late()) return 0;
                GeneratorOptions options;
                options.refresh = refresh;
                Generator generator(model, options), other(again, options);
                generator.feed({0});
                other.feed({0});
                for (int i = 0; i < 4 && !is_late(); ++i) fuzz::require(next(generator) == next(other));
            } catch (const Error&) {
            }
    } catch (const Error& error) {
        const std::string what = error.what();
        for (const char c : what) fuzz::require(c >= ' ' && c < 127);
        fuzz::require(what.rfind("input: ", 0) == 0 || what.find("again") != 0);
    }
    return 0;
}
