/* Streams text to the terminal as it is drawn. If the model carries a grammar, the text keeps to
 * it. With a stop, the text ends after it.
 *
 * Usage: stream_latex latex.bin [length [temperature [seed [stop]]]]
 */
#include <lstmgen/lstmgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print(void* user, const char* text, size_t bytes) {
    FILE* const file = user;
    if (fwrite(text, 1, bytes, file) != bytes) return 1; /* the pipe is closed: stop */
    return fflush(file);
}

static int failed(const char* what) {
    fprintf(stderr, "stream_latex: %s: %s\n", what, lstmgen_last_error());
    return EXIT_FAILURE;
}

/* Lets the generator keep to the grammar that the model carries, if it does. */
static lstmgen_status use_grammar(lstmgen_model* model, lstmgen_generator* generator, size_t length) {
    const char* text = NULL;
    size_t bytes = 0;
    lstmgen_grammar* grammar = NULL;
    lstmgen_status status = lstmgen_model_string(model, LSTMGEN_STRING_GRAMMAR, &text, &bytes);
    if (status != LSTMGEN_OK || bytes == 0) return status;
    status = lstmgen_grammar_create(model, text, bytes, &grammar);
    if (status == LSTMGEN_OK) status = lstmgen_generator_set_grammar(generator, grammar, length);
    lstmgen_grammar_free(&grammar); /* the generator keeps it */
    return status;
}

/* Lets the text end after `stop`. */
static lstmgen_status use_stop(lstmgen_generator* generator, const char* stop) {
    const size_t bytes = strlen(stop);
    return lstmgen_generator_set_stop_texts(generator, &stop, &bytes, 1);
}

int main(int argc, char** argv) {
    lstmgen_model* model = NULL;
    lstmgen_generator* generator = NULL;
    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    lstmgen_status status;
    size_t length;
    if (argc < 2) {
        fprintf(stderr, "usage: %s latex.bin [length [temperature [seed [stop]]]]\n", argv[0]);
        return 2;
    }
    if (lstmgen_model_load_path(argv[1], NULL, &model) != LSTMGEN_OK) return failed("load");

    length = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    sampler.temp = argc > 3 ? atof(argv[3]) : 0.67;
    sampler.seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    options.sampler = &sampler;
    status = lstmgen_generator_create(model, &options, &generator);
    if (status == LSTMGEN_OK) status = lstmgen_generator_feed_prime(generator);
    /* The text begins here. */
    if (status == LSTMGEN_OK) status = use_grammar(model, generator, length);
    if (status == LSTMGEN_OK && argc > 5) status = use_stop(generator, argv[5]);
    lstmgen_model_release(&model); /* the generator keeps it */
    if (status == LSTMGEN_OK) status = lstmgen_generator_sample_text(generator, length, print, stdout);
    lstmgen_generator_free(&generator);
    if (status != LSTMGEN_OK && status != LSTMGEN_STOPPED) return failed("sample");
    return EXIT_SUCCESS;
}
