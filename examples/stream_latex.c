/* Streams text to the terminal as it is drawn.
 *
 * Usage: stream_latex latex.bin [length [temperature [seed]]]
 */
#include <lstmgen/lstmgen.h>
#include <stdio.h>
#include <stdlib.h>

static int print(void* user, const char* text, size_t bytes) {
    FILE* const file = user;
    if (fwrite(text, 1, bytes, file) != bytes) return 1; /* the pipe is closed: stop */
    return fflush(file);
}

static int failed(const char* what) {
    fprintf(stderr, "stream_latex: %s: %s\n", what, lstmgen_last_error());
    return EXIT_FAILURE;
}

int main(int argc, char** argv) {
    lstmgen_model* model = NULL;
    lstmgen_generator* generator = NULL;
    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    lstmgen_status status;
    if (argc < 2) {
        fprintf(stderr, "usage: %s latex.bin [length [temperature [seed]]]\n", argv[0]);
        return 2;
    }
    if (lstmgen_model_load_path(argv[1], NULL, &model) != LSTMGEN_OK) return failed("load");

    sampler.temp = argc > 3 ? atof(argv[3]) : 0.67;
    sampler.seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    options.sampler = &sampler;
    status = lstmgen_generator_create(model, &options, &generator);
    lstmgen_model_release(&model); /* the generator keeps it */
    if (status == LSTMGEN_OK) status = lstmgen_generator_feed_prime(generator);
    if (status == LSTMGEN_OK)
        status = lstmgen_generator_sample_text(generator, argc > 2 ? strtoul(argv[2], NULL, 10) : 1000, print, stdout);
    lstmgen_generator_free(&generator);
    if (status != LSTMGEN_OK && status != LSTMGEN_STOPPED) return failed("sample");
    return EXIT_SUCCESS;
}
