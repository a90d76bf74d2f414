// What a grammar costs an element. Usage: lstmgen_grammar grammar.gbnf text [rounds]
//
// The vocabulary is the characters of the text. Three loops run by turns, so that other programs of
// the machine touch them alike: draws by the frequencies of the characters alone; the same among
// those that the grammar allows; and the text itself, read through the grammar, which begins anew
// where the text is not in its language.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "grammar/run.hpp"
#include "lstmgen/lstmgen.hpp"

namespace {

using Clock = std::chrono::steady_clock;
namespace grammar = lstmgen::grammar;

std::string read_file(const char* path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        std::fprintf(stderr, "%s: it cannot be read\n", path);
        std::exit(1);
    }
    return {std::istreambuf_iterator<char>(file), {}};
}

struct Text {
    std::vector<std::string> vocabulary;
    std::vector<double> weights;
    std::vector<std::uint32_t> ids;
};

Text split(const std::string& text) {
    std::map<std::string, std::size_t> counts;
    std::vector<std::string> characters;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t n = std::max<std::size_t>(1, grammar::decode_utf8(text, at).bytes);
        characters.push_back(text.substr(at, n));
        ++counts[characters.back()];
        at += n;
    }
    Text split;
    std::map<std::string, std::uint32_t> id_of;
    for (const auto& [character, count] : counts) {
        id_of[character] = static_cast<std::uint32_t>(split.vocabulary.size());
        split.vocabulary.push_back(character);
        split.weights.push_back(static_cast<double>(count));
    }
    for (const std::string& c : characters) split.ids.push_back(id_of[c]);
    return split;
}

class Draw {
public:
    explicit Draw(const std::vector<double>& weights) : weights_(weights) {}

    std::uint32_t operator()(const std::uint64_t* allowed) {
        double total = 0;
        std::uint32_t last = 0;
        for (std::size_t i = 0; i < weights_.size(); ++i)
            if (!allowed || (allowed[i / 64] >> i % 64 & 1)) total += weights_[i];
        double at = std::uniform_real_distribution<double>(0, total)(random_);
        for (std::uint32_t i = 0; i < weights_.size(); ++i)
            if (!allowed || (allowed[i / 64] >> i % 64 & 1)) {
                last = i;
                if ((at -= weights_[i]) < 0) break;
            }
        return last;
    }

private:
    const std::vector<double>& weights_;
    std::mt19937_64 random_{1};
};

template <class F>
double nanoseconds_each(std::size_t n, F&& f) {
    const auto start = Clock::now();
    for (std::size_t i = 0; i < n; ++i) f(i);
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / static_cast<double>(n);
}

double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

int run(const char* grammar_path, const char* text_path, std::size_t rounds) {
    const Text text = split(read_file(text_path));
    const auto start = Clock::now();
    const auto compiled = std::make_shared<const grammar::Grammar>(read_file(grammar_path), text.vocabulary);
    std::printf("%zu elements, %zu rules, %zu places; compiled in %.1f ms\n", text.vocabulary.size(),
                compiled->rules().size(), compiled->places().size(),
                std::chrono::duration<double, std::milli>(Clock::now() - start).count());

    const auto memo = std::make_shared<grammar::Memo>(compiled);
    grammar::Run reader(memo), writer(memo);
    Draw free(text.weights), bound(text.weights);
    std::uint64_t sum = 0;
    std::size_t refused = 0;
    const auto read = [&](std::size_t i) {
        const std::uint64_t* const mask = reader.allowed();
        const std::uint32_t id = text.ids[i];
        if (mask[id / 64] >> id % 64 & 1) {
            reader.accept(id);
        } else {
            reader.reset();
            ++refused;
        }
    };
    const auto write = [&](std::size_t) {
        const std::uint64_t* mask = writer.allowed();
        const std::uint32_t id = bound(mask);
        sum += id;
        writer.accept(id);
    };
    const std::size_t n = text.ids.size();
    const double cold = nanoseconds_each(n, read);
    nanoseconds_each(n, write);
    std::vector<double> reads, writes, frees, ratios;
    const std::size_t known = memo->bytes();
    for (std::size_t k = 0; k < rounds; ++k) {
        refused = 0;
        reader.reset();
        reads.push_back(nanoseconds_each(n, read));
        frees.push_back(nanoseconds_each(n, [&](std::size_t) { sum += free(nullptr); }));
        writer.reset();
        writes.push_back(nanoseconds_each(n, write));
        ratios.push_back(writes.back() / frees.back());
    }
    std::printf("the text, %zu characters of which %zu are refused: %.0f ns an element the first time, %.0f then\n", n,
                refused, cold, median(reads));
    std::printf("a draw without a grammar: %.0f ns; with it: %.0f ns (%.2f times; the grammar: %.0f ns)\n",
                median(frees), median(writes), median(ratios), median(writes) - median(frees));
    std::printf("the memo: %.1f MB, %.1f before the rounds (%llu)\n", static_cast<double>(memo->bytes()) * 1e-6,
                static_cast<double>(known) * 1e-6, static_cast<unsigned long long>(sum % 10));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: lstmgen_grammar grammar.gbnf text [rounds]\n");
        return 2;
    }
    try {
        return run(argv[1], argv[2], argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 9);
    } catch (const lstmgen::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
