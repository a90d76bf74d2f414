// A saved state of bytes that nobody checked, with a right checksum and identity: an Error, or a
// generator that draws, and whose state is the same after it was saved and loaded.
#include "lstmgen/lstmgen.hpp"
#include "support.hpp"

using namespace lstmgen;

namespace {

const Model& model() {
    static const Model loaded = Model::load(LSTMGEN_FUZZ_MODEL);
    return loaded;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, max);
    if (seed % 8 == 0 || size < 24) return size;
    std::memcpy(data, "lstmstat\2\0\0\0", 12);
    const std::uint32_t identity = model().info().identity;
    std::memcpy(data + 16, &identity, sizeof identity);
    Crc32 crc;
    crc.update(reinterpret_cast<const std::byte*>(data), size - 4);
    const std::uint32_t sum = crc.value();
    std::memcpy(data + size - 4, &sum, sizeof sum);
    return size;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::Second second;
    try {
        Generator generator = Generator::load_state(model(), data, size);
        const auto state = generator.save_state();
        Generator other = Generator::load_state(model(), state.data(), state.size());
        fuzz::require(other.save_state() == state);
        for (int i = 0; i < 8 && !generator.ended(); ++i) fuzz::require(generator.next() == other.next());
    } catch (const Error&) {
    }
    return 0;
}
