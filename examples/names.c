/* Draws the names of a game's 1,000 inhabitants, with a generator for each, on one model. Each name
 * starts with a given letter. The generators draw one letter each in turns. A name ends before an
 * element that is not a letter.
 *
 * Usage: names model.bin [count [temperature]]
 */
#include <ctype.h>
#include <lstmgen/lstmgen.h>
#include <stdio.h>
#include <stdlib.h>

enum { LONGEST = 12 };

typedef struct inhabitant {
    lstmgen_generator* generator;
    char name[8 * LONGEST + 1];
    size_t bytes;
    int letters, done;
} inhabitant;

static int failed(const char* what) {
    fprintf(stderr, "names: %s: %s\n", what, lstmgen_last_error());
    return EXIT_FAILURE;
}

/* Feeds the first letter. A model without capitals starts with its own prime. */
static lstmgen_status start(inhabitant* who, const lstmgen_model* model, size_t number) {
    char text[2] = " ";
    uint32_t ids[2];
    size_t count;
    text[1] = (char)('A' + number % 26);
    if (lstmgen_model_encode(model, text, 2, ids, 2, &count) != LSTMGEN_OK)
        return lstmgen_generator_feed_prime(who->generator);
    who->name[who->bytes++] = text[1];
    who->letters = 1;
    return lstmgen_generator_feed(who->generator, ids, count);
}

/* Draws one letter of one inhabitant, as a game does in a frame. */
static lstmgen_status grow(inhabitant* who, const lstmgen_model* model) {
    uint32_t id;
    const char* text;
    size_t bytes, i;
    lstmgen_status status = lstmgen_generator_next(who->generator, &id);
    if (status == LSTMGEN_OK) status = lstmgen_model_element(model, id, &text, &bytes);
    if (status != LSTMGEN_OK) return status;
    if (!isalpha((unsigned char)text[0]) || bytes > 8) {
        who->done = who->letters >= 3;
        return LSTMGEN_OK; /* the name is too short to end: leave the element out */
    }
    for (i = 0; i < bytes; ++i)
        who->name[who->bytes++] = (char)(who->letters > 0 ? text[i] : toupper((unsigned char)text[i]));
    who->done = ++who->letters == LONGEST;
    return LSTMGEN_OK;
}

int main(int argc, char** argv) {
    lstmgen_model* model = NULL;
    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    size_t count, i, growing;
    inhabitant* all;
    int turn;
    if (argc < 2) {
        fprintf(stderr, "usage: %s model.bin [count [temperature]]\n", argv[0]);
        return 2;
    }
    count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    if (lstmgen_model_load_path(argv[1], NULL, &model) != LSTMGEN_OK) return failed("load");
    if ((all = calloc(count ? count : 1, sizeof *all)) == NULL) return EXIT_FAILURE;
    sampler.temp = argc > 3 ? atof(argv[3]) : 0.8;
    options.sampler = &sampler;
    options.refresh = 0; /* carry the state, which takes the least memory and time */
    for (i = 0; i < count; ++i) {
        sampler.seed = i;
        if (lstmgen_generator_create(model, &options, &all[i].generator) != LSTMGEN_OK) return failed("create");
        if (start(&all[i], model, i) != LSTMGEN_OK) return failed("start");
    }
    for (turn = 0, growing = 1; growing > 0 && turn < 200; ++turn)
        for (i = growing = 0; i < count; ++i) {
            if (all[i].done) continue;
            ++growing;
            if (grow(&all[i], model) != LSTMGEN_OK) return failed("draw");
        }
    for (i = 0; i < count; ++i) {
        puts(all[i].name);
        lstmgen_generator_free(&all[i].generator);
    }
    free(all);
    return lstmgen_model_release(&model) == LSTMGEN_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
