#include <doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "grammar/run.hpp"
#include "lstmgen/lstmgen.hpp"

namespace grammar = lstmgen::grammar;

namespace {

// Of this thread.
thread_local std::size_t allocations = 0;
thread_local std::size_t taken = 0, most_taken = 0;       // bytes
constexpr std::size_t kHead = alignof(std::max_align_t);  // before each allocation, for its size

const char* const kNested = R"(
root  ::= text
text  ::= [a-z] text | after
after ::= "{" text "}" text | "$" math "$" text | "\\begin{" ("x}" text "\\end{x}" | "y}" text "\\end{y}") text | ""
math  ::= ([a-z] | "{" math "}")+
)";

// After a thousand times "a", what follows "b" takes long to find.
const char* const kManyEnds = R"(root ::= "a" root "c"? | "b")";

std::vector<std::string> ascii() {
    std::vector<std::string> vocabulary;
    for (char c = ' '; c < 127; ++c) vocabulary.emplace_back(1, c);
    return vocabulary;
}

std::shared_ptr<grammar::Memo> memo_of(const char* text, const std::vector<std::string>& vocabulary = ascii(),
                                       std::size_t bytes = std::size_t{1} << 26) {
    return std::make_shared<grammar::Memo>(std::make_shared<const grammar::Grammar>(text, vocabulary), bytes);
}

void read(grammar::Run& run, const std::string& text) {
    for (const char c : text) run.accept(static_cast<std::uint32_t>(c - ' '));
}

std::vector<std::uint8_t> saved(grammar::Run& run) {
    std::vector<std::uint8_t> state(run.save(nullptr, 0));
    REQUIRE(run.save(state.data(), state.size()) == state.size());
    return state;
}

// Random elements among the allowed ones; the ids that were drawn.
std::vector<std::uint32_t> walk(grammar::Run& run, std::size_t n, std::uint64_t seed, std::uint64_t left) {
    std::mt19937_64 random(seed);
    std::vector<std::uint32_t> ids;
    for (std::size_t k = 0; k < n; ++k, --left) {
        const std::uint64_t* const mask = run.allowed(left);
        std::vector<std::uint32_t> choices;
        for (std::uint32_t id = 0; id < run.grammar().elements(); ++id)
            if (mask[id / 64] >> id % 64 & 1) choices.push_back(id);
        if (choices.empty()) break;
        ids.push_back(choices[random() % choices.size()]);
        run.accept(ids.back());
    }
    return ids;
}

}  // namespace

// GCC would take what it copies into a caller for a mismatch of new and free.
[[gnu::noinline]] void* operator new(std::size_t n) {
    if (void* const p = operator new(n, std::nothrow)) return p;
    throw std::bad_alloc();
}
// Without it, sanitizers bring theirs.
[[gnu::noinline]] void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
    ++allocations;
    auto* const p = static_cast<unsigned char*>(std::malloc(kHead + n));
    if (!p) return nullptr;
    std::memcpy(p, &n, sizeof n);
    most_taken = std::max(most_taken, taken += n);
    return p + kHead;
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
    if (!p) return;
    unsigned char* const head = static_cast<unsigned char*>(p) - kHead;
    std::size_t n;
    std::memcpy(&n, head, sizeof n);
    taken -= n;
    std::free(head);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { operator delete(p); }

TEST_CASE("a run allows what keeps the text a begin of the language") {
    grammar::Run run(memo_of(kNested));
    read(run, "ab{c$x{y}$}\\begin{x}z");
    const std::uint64_t* const mask = run.allowed();
    const auto allows = [&](char c) { return (mask[(c - ' ') / 64] >> (c - ' ') % 64 & 1) != 0; };
    CHECK(allows('\\'));
    CHECK(allows('q'));
    CHECK(allows('{'));
    CHECK_FALSE(allows('}'));
    CHECK_FALSE(run.is_complete());
    CHECK(run.shortest_end() == 7);
    read(run, "\\end{");
    CHECK_THROWS_AS(read(run, "y"), lstmgen::Error);
    read(run, "x}");
    CHECK(run.is_complete());
    CHECK(run.shortest_end() == 0);
}

TEST_CASE("with a limit on the elements left, each text ends in time") {
    grammar::Run run(memo_of(kNested));
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        run.reset();
        walk(run, 100, seed, 100);
        CHECK(run.is_complete());
    }
    run.reset();
    read(run, "{{{");
    CHECK_THROWS_AS(run.allowed(2), lstmgen::Error);
}

TEST_CASE("a memo that is cleared again and again changes nothing") {
    grammar::Run one(memo_of(kNested)), other(memo_of(kNested, ascii(), 1));
    grammar::Run third(other);  // shares the memo
    const auto ids = walk(one, 400, 1, lstmgen::kUnlimited);
    CHECK(walk(other, 400, 1, lstmgen::kUnlimited) == ids);
    CHECK(saved(other) == saved(one));
    CHECK(third.shortest_end() == 0);
    CHECK(walk(third, 400, 1, lstmgen::kUnlimited) == ids);
}

TEST_CASE("nothing allocates once the text's states are known") {
    grammar::Run run(memo_of(kNested));
    const auto ids = walk(run, 3000, 2, lstmgen::kUnlimited);
    for (const bool known : {false, true}) {
        run.reset();
        const std::size_t before = allocations;
        std::uint64_t left = 100000;
        for (const std::uint32_t id : ids) {
            run.allowed(left--);
            run.accept(id);
        }
        if (known) CHECK(allocations == before);
    }
}

TEST_CASE("a generator with a grammar allocates nothing once it knows what is allowed where") {
    const lstmgen::Model model = lstmgen::Model::load(LSTMGEN_TEST_DATA "/tiny.bin");
    lstmgen::GeneratorOptions options;
    options.refresh = 0;
    lstmgen::Generator generator(model, options);
    generator.set_grammar(lstmgen::Grammar(model, "root ::= pair+\npair ::= \"a\" ([b-j] | pair)* \"k\""));
    const std::vector<std::uint32_t> begin = {0};
    for (const bool known : {false, true}) {
        generator.reset(1);
        generator.feed(begin);
        const std::size_t before = allocations;
        for (int i = 0; i < 2000; ++i) static_cast<void>(generator.next());
        if (known) CHECK(allocations == before);
    }
}

TEST_CASE("a state goes on in a run of another memo") {
    grammar::Run one(memo_of(kNested)), other(memo_of(kNested));
    walk(other, 50, 3, lstmgen::kUnlimited);
    walk(one, 300, 4, lstmgen::kUnlimited);
    const auto state = saved(one);
    other.load(state.data(), state.size());
    CHECK(saved(other) == state);
    CHECK(walk(other, 100, 5, lstmgen::kUnlimited) == walk(one, 100, 5, lstmgen::kUnlimited));
    CHECK_THROWS_AS(other.load(state.data(), state.size() - 4), lstmgen::Error);
    grammar::Run of_another(memo_of("root ::= \"a\"*"));
    CHECK_THROWS_AS(of_another.load(state.data(), state.size()), lstmgen::Error);
}

TEST_CASE("a state does not grow with what is ambiguous far below") {
    grammar::Run run(memo_of("root ::= \"a\" x \"b\" | \"a\" x \"c\"\nx ::= \"(\" x \")\" | \"x\""));
    read(run, "a");
    read(run, std::string(2000, '('));
    CHECK(run.shortest_end() == 2002);
    read(run, "x" + std::string(2000, ')'));
    read(run, "c");
    CHECK(run.is_complete());
}

TEST_CASE("an ambiguous text takes bounded memory, however long it is") {
    for (const char* text : {
             R"(root ::= "a" root "a" | "b" root "b" | "")",
             R"(root ::= "a" root "a"? | "a" root "a" "a" | "")",
             R"(root ::= "a" root root root | "a" root root | "a" | "")",
             R"(root ::= (("a"?){50}){50})",
         }) {
        const auto memo = std::make_shared<grammar::Memo>(std::make_shared<const grammar::Grammar>(text, ascii()));
        grammar::Run run(memo);
        std::size_t most = 0;
        for (int i = 0; i < 1500; ++i) {
            read(run, "a");
            most = std::max(most, memo->bytes());
        }
        CHECK(most < std::size_t{16} << 20);
        grammar::Run other(run);
        const auto state = saved(run);
        memo->clear();
        CHECK(saved(run) == state);
        CHECK(saved(other) == state);
    }
}

TEST_CASE("a text that can begin at very many places takes bounded memory, or is refused") {
    for (const int optional : {2000, 20000}) {
        std::string text = "root ::= ";
        for (int i = 0; i < optional; ++i) text += i % 2 == 0 ? "\"a\"? " : "\"b\"? ";
        const auto compiled = std::make_shared<const grammar::Grammar>(text, ascii());
        if (optional == 20000) {
            CHECK_THROWS_WITH_AS(static_cast<void>(grammar::Memo{compiled}), doctest::Contains("too ambiguous"),
                                 lstmgen::Error);
            continue;
        }
        const auto memo = std::make_shared<grammar::Memo>(compiled);
        grammar::Run run(memo);
        read(run, "abbaabab");
        CHECK(run.is_complete());
        CHECK(memo->bytes() < std::size_t{24} << 20);
    }
}

TEST_CASE("work on an element asks all along, and a run that is stopped is as before") {
    const auto compiled = std::make_shared<const grammar::Grammar>(kManyEnds, ascii());
    std::size_t asked = 0, most = SIZE_MAX;
    const lstmgen::Continue keep_going = [&] { return ++asked < most; };
    const std::string begin = std::string(1000, 'a') + "b";
    const auto bits = [](grammar::Run& run) {
        const std::uint64_t* const allowed = run.allowed();
        return std::vector<std::uint64_t>(allowed, allowed + 2);
    };
    grammar::Run want(std::make_shared<grammar::Memo>(compiled));
    read(want, begin);
    const auto before = saved(want);
    const auto allowed = bits(want);
    read(want, "cc");
    const auto after = saved(want);

    // Stopped at each question in turn, by a memo that has room, and by one that begins anew.
    for (const std::size_t bytes : {std::size_t{1} << 26, std::size_t{1}}) {
        std::size_t stops = 0;
        for (bool stopped = true; stopped; ++stops) {
            most = SIZE_MAX;
            grammar::Run run(std::make_shared<grammar::Memo>(compiled, bytes, &keep_going));
            read(run, begin);
            asked = 0;
            most = stops + 1;
            try {
                static_cast<void>(run.allowed());
                stopped = false;
            } catch (const lstmgen::Error& error) {
                REQUIRE(error.code() == lstmgen::ErrorCode::stopped);
                CHECK(asked == most);
            }
            most = SIZE_MAX;
            CHECK(saved(run) == before);
            CHECK(bits(run) == allowed);
            read(run, "cc");
            CHECK(saved(run) == after);
        }
        CHECK(stops > 3);
    }
}

TEST_CASE("an element that was worked out is read without a question") {
    std::size_t asked = 0;
    const lstmgen::Continue keep_going = [&] {
        ++asked;
        return true;
    };
    std::vector<std::string> vocabulary = {"a", "b", "c", "cc", "ccccccc", "ba"};
    const auto compiled = std::make_shared<const grammar::Grammar>(kManyEnds, vocabulary);
    for (const std::size_t bytes : {std::size_t{1} << 26, std::size_t{1}}) {
        grammar::Run run(std::make_shared<grammar::Memo>(compiled, bytes, &keep_going));
        std::size_t asked_before = 0;
        for (std::size_t i = 0; i < 1004; ++i) {
            asked = 0;
            run.work_out();
            asked_before += asked;
            asked = 0;
            run.allowed();
            run.accept(i < 1000 ? 0 : i == 1000 ? 1 : 4);
            CHECK(asked == 0);
        }
        CHECK(asked_before > 2);
    }
}

TEST_CASE("a grammar that is being made asks") {
    std::vector<std::string> vocabulary;
    for (char a = 'a'; a <= 'p'; ++a)
        for (char b = 'a'; b <= 'p'; ++b) vocabulary.push_back({a, b, 'x'});
    std::size_t asked = 0, most = SIZE_MAX;
    const lstmgen::Continue keep_going = [&] { return ++asked < most; };
    const auto make = [&] {
        static_cast<void>(grammar::Grammar("root ::= [a-z]* [a-z]*", vocabulary, {}, &keep_going));
    };
    make();
    CHECK(asked > 16);
    for (most = 1; most <= 4; ++most) {
        asked = 0;
        CHECK_THROWS_WITH_AS(make(), doctest::Contains("stopped"), lstmgen::Error);
    }
}

TEST_CASE("a grammar is made in 16 MiB and 64 bytes for each byte of its text and its elements, or refused") {
    std::vector<std::string> pairs = ascii(), longer = {"a", "b"};
    for (char a = 'a'; a <= 'z'; ++a)
        for (char b = 'a'; b <= 'z'; ++b) pairs.push_back({a, b});
    for (std::size_t n = 1; n < 500; ++n) longer.push_back(std::string(n, 'a') + "b");
    const std::string options = R"("a"{0,9999} "b"{0,9999} )";
    const struct {
        std::string text;
        const std::vector<std::string>& vocabulary;
        bool by_characters;
        const char* error;
    } cases[] = {
        {"root ::= x{10000} x{10000}\nx ::= [a-z]{9,9999}", pairs, true, nullptr},
        {"root ::= .{9999} .{9999}", pairs, true, nullptr},
        {"root ::= [ab]*", longer, false, nullptr},
        {"root ::= [ab]* [ab]*", longer, true, nullptr},
        {"root ::= .{9999} .{9999} .{9999} .{9999} .{9999}", ascii(), false, "it is too large"},
        {"root ::= " + options, ascii(), false, nullptr},
        {"root ::= " + options + options + options, ascii(), false, "write fewer repetitions"},
    };
    for (const auto& one : cases) {
        CAPTURE(one.text);
        std::size_t bytes = one.text.size();
        for (const std::string& element : one.vocabulary) bytes += element.size();
        const std::size_t before = most_taken = taken;
        try {
            const grammar::Grammar made(one.text, one.vocabulary);
            CHECK(made.closes_by_characters() == one.by_characters);
            CHECK(!one.error);
        } catch (const lstmgen::Error& error) {
            CHECK_MESSAGE((one.error && std::strstr(error.what(), one.error)), error.what());
        }
        CHECK(most_taken - before <= (std::size_t{16} << 20) + 64 * bytes);
    }
}

TEST_CASE("work on an element asks while it adds up the ways of long elements") {
    std::vector<std::string> vocabulary = {"(", ")", "a", "b"};
    for (std::size_t n = 1; n < 200; ++n) vocabulary.push_back(std::string(n, 'a') + "b");
    std::size_t asked = 0;
    const lstmgen::Continue keep_going = [&] { return ++asked > 0; };
    const auto compiled = std::make_shared<const grammar::Grammar>(R"g(root ::= "(" root [ab]* | ")")g", vocabulary);
    REQUIRE(!compiled->closes_by_characters());
    grammar::Run run(std::make_shared<grammar::Memo>(compiled, std::size_t{1} << 26, &keep_going));
    for (int i = 0; i < 200; ++i) run.accept(0);
    run.accept(1);
    run.work_out();
    CHECK(asked > 8);
}

TEST_CASE("a generator that is stopped within an element continues the same text") {
    std::size_t asked = 0, most = SIZE_MAX;
    lstmgen::LoadOptions load;
    load.keep_going = [&] { return ++asked < most; };
    const lstmgen::Model model = lstmgen::Model::load(LSTMGEN_TEST_DATA "/tiny.bin", load);
    const lstmgen::Grammar grammar(model, kManyEnds);
    std::vector<std::uint32_t> begin(1000, 0);
    begin.push_back(1);
    lstmgen::GeneratorOptions options;
    options.refresh = 0;
    const auto make = [&] {
        lstmgen::Generator generator(model, options);
        generator.set_grammar(grammar, 1100);
        generator.feed(begin);
        return generator;
    };
    // Does `f` again until it is not stopped, each time a question later. Returns how often.
    const auto insist = [&](const auto& f) {
        for (std::size_t stops = 0;; ++stops) {
            asked = 0;
            most = stops + 1;
            try {
                f();
                most = SIZE_MAX;
                return stops;
            } catch (const lstmgen::Error& error) {
                REQUIRE(error.code() == lstmgen::ErrorCode::stopped);
            }
        }
    };
    lstmgen::Generator one = make(), other = make(), third = make();
    std::vector<std::uint32_t> want, found;
    for (int i = 0; i < 12; ++i) want.push_back(one.next());
    std::size_t stops = insist([&] { found.push_back(other.next()); });
    while (found.size() < 12) stops += insist([&] { found.push_back(other.next()); });
    CHECK(found == want);
    CHECK(stops > 2);
    CHECK(other.save_state() == one.save_state());

    // The caller's own logits, which take a random number, too.
    std::vector<double> logits(model.info().outputs);
    std::uint32_t drawn = 0;
    CHECK(insist([&] { drawn = third.draw(logits.data()); }) > 2);
    lstmgen::Generator fourth = make();
    CHECK(fourth.draw(logits.data()) == drawn);
    CHECK(third.save_state() == fourth.save_state());

    // A feed that is stopped has read a part, and the grammar has read the same part.
    lstmgen::Generator fed = make(), slow = make();
    CHECK(insist([&] { slow.feed(std::vector<std::uint32_t>{2, 2}); }) > 1);
    fed.feed(std::vector<std::uint32_t>{2, 2});
    CHECK(fed.save_state() == slow.save_state());

    std::vector<double> log_p(2), log_q(2);
    const std::vector<std::uint32_t> ends = {2, 2};
    lstmgen::Generator scored = make(), scored_at_once = make();
    CHECK(insist([&] { scored.score(ends.data(), 2, log_p.data()); }) > 1);
    scored_at_once.score(ends.data(), 2, log_q.data());
    CHECK(log_p == log_q);
    CHECK(scored.save_state() == scored_at_once.save_state());
}

TEST_CASE("a batch that is stopped within an element draws the same texts") {
    std::size_t asked = 0, most = SIZE_MAX, stops = 0;
    lstmgen::LoadOptions load;
    load.keep_going = [&] { return ++asked < most; };
    const lstmgen::Model model = lstmgen::Model::load(LSTMGEN_TEST_DATA "/tiny.bin", load);
    const lstmgen::Grammar grammar(model, kManyEnds);
    struct Drawn {
        std::vector<std::vector<std::uint32_t>> texts{3};
        std::vector<lstmgen::Ending> endings{3, lstmgen::Ending::none};
        bool operator==(const Drawn& other) const { return texts == other.texts && endings == other.endings; }
    };
    const auto draw = [&](std::size_t refresh, bool stop) {
        most = SIZE_MAX;
        lstmgen::Batch batch(model, 3, 1);
        Drawn found;
        for (std::size_t i = 0; i < 3; ++i) {
            lstmgen::BatchRequest request;
            request.prime.assign(900 + 50 * i, 0);
            if (i < 2) request.prime.push_back(1);
            // Whether its only element ends the text takes long to find.
            if (i == 2) request.sampler.allow = {1};
            request.sampler.seed = i;
            request.length = i < 2 ? 5 + 2 * i : 1;
            request.refresh = refresh;
            request.grammar = grammar;
            request.grammar_prime = request.prime.size();
            request.finish = false;
            static_cast<void>(batch.join(request));
        }
        std::size_t patience = 1;
        while (batch.size() > 0) {
            asked = 0;
            most = stop ? patience : SIZE_MAX;
            try {
                for (const lstmgen::BatchElement& e : batch.step()) {
                    if (e.drawn) found.texts[e.sequence].push_back(e.id);
                    found.endings[e.sequence] = e.ending;
                    patience = 1;
                }
            } catch (const lstmgen::Error& error) {
                REQUIRE(error.code() == lstmgen::ErrorCode::stopped);
                ++stops;
                ++patience;
            }
        }
        return found;
    };
    for (const std::size_t refresh : {0, 1}) {
        const Drawn want = draw(refresh, false);
        CHECK(want.texts[2] == std::vector<std::uint32_t>{1});
        CHECK(want.endings == std::vector<lstmgen::Ending>(3, lstmgen::Ending::length));
        stops = 0;
        CHECK(draw(refresh, true) == want);
        CHECK(stops > 6);
    }
}

TEST_CASE("what is open ends at once, or the text is too ambiguous and stays as it was") {
    const char* const text = R"(root ::= "a" root "x"? | "b")";
    for (const std::size_t depth : {std::size_t{12}, std::size_t{100}, std::size_t{1000}}) {
        grammar::Run run(memo_of(text));
        read(run, std::string(depth, 'a') + "b" + std::string(depth, 'x'));
        CHECK(run.is_complete());
        CHECK_THROWS_AS(read(run, "x"), lstmgen::Error);
    }
    const auto memo = std::make_shared<grammar::Memo>(std::make_shared<const grammar::Grammar>(text, ascii()));
    grammar::Run run(memo);
    read(run, std::string(20000, 'a') + "b");
    for (int i = 0; i < 2; ++i) CHECK_THROWS_WITH_AS(run.allowed(), doctest::Contains("too ambiguous"), lstmgen::Error);
    CHECK(memo->bytes() < std::size_t{32} << 20);
    run.reset();
    read(run, "aabxx");
    CHECK(run.is_complete());
}
