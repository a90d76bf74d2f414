// A `.bin` of bytes that nobody checked. Whatever they are: an Error, or a model that samples and is
// written again as the same model. The mutator mends the checksum.
#include "lstmgen/lstmgen.hpp"
#include "support.hpp"

using namespace lstmgen;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max, unsigned seed) {
    return fuzz::mutate(data, size, max, seed, seed / 8 % 2 == 0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::Second second;
    try {
        const Model model = Model::from_memory(data, size, "input");
        const ModelInfo& info = model.info();
        const std::string bytes = model.bytes();
        const Model again = Model::from_memory(bytes.data(), bytes.size(), "again");
        fuzz::require(again.info().identity == info.identity);
        if (info.encoding == Encoding::features || !info.labels.empty() || info.predictor) return 0;
        // A window of many steps, or many windows, cost what the user asks for.
        if (info.window > 64 || info.nbytes > 1 << 20) return 0;
        for (const std::size_t refresh : {0, 1, 3}) try {
                if (second.left() < 0.8) return 0;  // an element may cost as much as all of a wide repetition
                GeneratorOptions options;
                options.refresh = refresh;
                Generator generator(model, options), other(again, options);
                generator.feed({0});
                other.feed({0});
                for (int i = 0; i < 4 && second.left() > 0.8; ++i) fuzz::require(generator.next() == other.next());
            } catch (const Error&) {
            }
    } catch (const Error& error) {
        const std::string what = error.what();
        for (const char c : what) fuzz::require(c >= ' ' && c < 127);
        fuzz::require(what.rfind("input: ", 0) == 0 || what.find("again") != 0);
    }
    return 0;
}
