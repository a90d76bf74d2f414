// A grammar, a vocabulary and a walk through both, from bytes that nobody checked.
//
// The first byte chooses the vocabulary; up to a byte 0 lies the grammar; then come the draws.
// Whatever they are: an Error, or a text that ends within the elements that were promised, and the
// same after its state was saved and loaded, and after the memo has forgotten all. After half a
// second the walk ends: it is the elements that have a bound, not their sum.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "grammar/run.hpp"
#include "lstmgen/lstmgen.hpp"
#include "support.hpp"

namespace grammar = lstmgen::grammar;

namespace {

using fuzz::require;

std::vector<std::string> vocabulary(std::uint8_t kind) {
    std::vector<std::string> elements;
    for (char c = ' '; c < 127; ++c) elements.emplace_back(1, c);
    elements.emplace_back("\n");
    if (kind & 1) elements.insert(elements.end(), {"ab", "ba", "aab", "", "}}", "\xC3\xA9", "\xE2\x82\xAC"});
    if (kind & 2)
        for (int b = 128; b < 256; ++b) elements.emplace_back(1, static_cast<char>(b));
    if (kind & 4) elements.erase(elements.begin() + ('a' - ' '));
    if (kind & 8) elements = {"a", "bb", "abc"};
    return elements;
}

std::vector<std::uint8_t> saved(grammar::Run& run) {
    std::vector<std::uint8_t> state(run.save(nullptr, 0));
    run.save(state.data(), state.size());
    return state;
}

/// Asks for an element. One that is refused for its ambiguity takes up to 0.4 s, and some 3 times as
/// long here.
const std::uint64_t* allowed(grammar::Run& run) {
    const fuzz::Second seconds(2);
    return run.allowed();
}

void walk(const std::shared_ptr<const grammar::Grammar>& compiled, const std::uint8_t* draws, std::size_t n) {
    const fuzz::Second seconds(10);
    const auto is_late = [&] { return seconds.left() < 9.5; };
    const auto memo = std::make_shared<grammar::Memo>(compiled, 1 << 20);
    grammar::Run run(memo);
    const std::size_t elements = compiled->elements();
    const auto draw = [&](const std::uint64_t* mask, std::uint8_t start) {
        for (std::size_t i = 0; i < elements; ++i) {
            const std::size_t id = (start + i) % elements;
            if (mask[id / 64] >> id % 64 & 1) return static_cast<std::uint32_t>(id);
        }
        return grammar::kNone;
    };
    for (std::size_t k = 0; k < n && !is_late(); ++k) {
        const std::uint32_t id = draw(allowed(run), draws[k]);
        if (id == grammar::kNone) {
            require(run.is_complete());
            break;
        }
        run.accept(id);
        if (draws[k] % 16 == 0) {
            const auto state = saved(run);
            const std::uint64_t* const bits = allowed(run);
            const std::vector<std::uint64_t> mask(bits, bits + (elements + 63) / 64);
            memo->clear();
            require(saved(run) == state);
            require(std::memcmp(mask.data(), allowed(run), mask.size() * 8) == 0);
            grammar::Run other(run);
            other.load(state.data(), state.size());
            require(saved(other) == state);
        } else if (draws[k] % 16 == 1) {
            auto state = saved(run);
            state[draws[k / 2] % state.size()] ^= static_cast<std::uint8_t>(1U << draws[0] % 8);
            grammar::Run other(run);
            try {
                other.load(state.data(), state.size());
                allowed(other);
            } catch (const lstmgen::Error&) {
            }
        }
    }
    std::uint64_t left = run.shortest_end();
    if (left > 2000) return;
    for (; left > 0; --left) {
        if (is_late()) return;
        require(run.shortest_end() <= left);
        const std::uint32_t id = draw(run.allowed(left), draws[0]);
        if (id == grammar::kNone) break;
        run.accept(id);
    }
    require(run.is_complete());
}

/// Compiles a grammar. One of 2^18 symbols takes 0.2 s, and some 30 times as long here.
std::shared_ptr<const grammar::Grammar> compile(const std::string& text, const std::vector<std::string>& elements) {
    const fuzz::Second seconds(10);
    return std::make_shared<const grammar::Grammar>(text, elements);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const auto* const end = static_cast<const std::uint8_t*>(std::memchr(data + 1, 0, size - 1));
    const std::size_t length = end ? static_cast<std::size_t>(end - data) - 1 : size - 1;
    const std::string text(reinterpret_cast<const char*>(data) + 1, length);
    std::vector<std::uint8_t> draws(data + 1 + length, data + size);
    if (draws.empty()) draws.assign(24, data[1]);
    try {
        const auto compiled = compile(text, vocabulary(data[0]));
        walk(compiled, draws.data(), draws.size());
    } catch (const lstmgen::Error& error) {
        require(std::string(error.what()).rfind("grammar: ", 0) == 0);
    }
    return 0;
}
