// Tests of the structs of the C API. A library of a later version, whose structs have more members,
// reads the structs of today.
#include "c_structs.hpp"

#include <doctest.h>

#include <cstring>
#include <string>

using namespace lstmgen;

namespace {

// A struct of a later version, with a new member whose default is not 0.
template <class T>
struct Later {
    T today;
    double added;
};

}  // namespace

namespace lstmgen {

template <class T>
struct Versioned<Later<T>> {
    static constexpr const char* name = "later";
    static constexpr std::size_t first_size = Versioned<T>::first_size;
    static Later<T> defaults() noexcept {
        Later<T> later{Versioned<T>::defaults(), 0.25};
        later.today.size = sizeof later;
        return later;
    }
};

}  // namespace lstmgen

TEST_CASE_TEMPLATE("a later library gives an older struct the defaults of what it lacks", T, lstmgen_allocator,
                   lstmgen_load_options, lstmgen_layer, lstmgen_sampler_options, lstmgen_generator_options,
                   lstmgen_many_options) {
    // The last member of today differs from its default. It is read from an older struct, too.
    T today = Versioned<T>::defaults();
    constexpr std::size_t last = Versioned<T>::first_size - sizeof(std::size_t);
    const std::size_t seven = 7;
    std::memcpy(reinterpret_cast<char*>(&today) + last, &seven, sizeof seven);

    Later<T> found{};
    REQUIRE(read_struct(&today, found) == LSTMGEN_OK);
    CHECK(found.added == 0.25);
    CHECK(std::memcmp(reinterpret_cast<char*>(&found) + last, &seven, sizeof seven) == 0);

    Later<T> own = Versioned<Later<T>>::defaults();
    own.added = 0.5;
    REQUIRE(read_struct(&own, found) == LSTMGEN_OK);
    CHECK(found.added == 0.5);

    // The library fills in only what an older program has room for.
    struct {
        T today;
        unsigned char after[16];
    } older;
    std::memset(static_cast<void*>(&older), 0x55, sizeof older);
    REQUIRE(fill_struct(kStruct<Later<T>>, &older, sizeof(T), &own) == LSTMGEN_OK);
    CHECK(older.today.size == sizeof(T));
    for (const unsigned char byte : older.after) CHECK(byte == 0x55);
}

TEST_CASE_TEMPLATE("this library takes a longer struct if what it does not know is 0", T, lstmgen_allocator,
                   lstmgen_load_options, lstmgen_layer, lstmgen_sampler_options, lstmgen_generator_options,
                   lstmgen_many_options) {
    Later<T> newer = Versioned<Later<T>>::defaults();
    T found;
    CHECK(read_struct(&newer, found) == LSTMGEN_WRONG_VERSION);
    CHECK(std::string(lstmgen_last_error()).find("a member is set that lstmgen") != std::string::npos);
    newer.added = 0.0;
    CHECK(read_struct(&newer, found) == LSTMGEN_OK);
    CHECK(found.size == sizeof newer);
}

TEST_CASE("the initialisers of C are the defaults of C++") {
    const lstmgen_sampler_options c = LSTMGEN_SAMPLER_OPTIONS_INIT;
    const SamplerOptions want;
    SamplerOptions found;
    found.logit_bias = {{1, 2.0}};
    found.repeat_penalty = found.top_p = found.min_p = found.temp = 0.125;
    found.top_k = found.seed = 99;
    REQUIRE(read_sampler_options(&c, found) == LSTMGEN_OK);
    CHECK(found.logit_bias == want.logit_bias);
    CHECK(found.seed == want.seed);
#define SAME(name, ...) CHECK(found.name == want.name);
    LSTMGEN_SAMPLER_NUMBERS(SAME)
    LSTMGEN_SAMPLER_LISTS(SAME)
#undef SAME

    const lstmgen_generator_options generator = LSTMGEN_GENERATOR_OPTIONS_INIT;
    CHECK(generator.refresh == GeneratorOptions{}.refresh);
    CHECK(generator.threads == GeneratorOptions{}.threads);
    const lstmgen_many_options many = LSTMGEN_MANY_OPTIONS_INIT;
    CHECK(many.length == ManyOptions{}.length);
}
