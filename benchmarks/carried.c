/* Draws elements with a carried state: what instructions.c counts, and node runs.
 *
 * Usage: lstmgen_carried model.bin elements [refresh]
 *
 * With a refresh above 0, each element is drawn from a window, a new one after that many elements.
 */
#include <lstmgen/lstmgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char** argv) {
    lstmgen_model* model = NULL;
    lstmgen_generator* generator = NULL;
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    const size_t elements = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000;
    const char* isa = "";
    size_t i;
    uint32_t id = 0;
    clock_t start;
    double seconds;
    options.refresh = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (argc < 2 || lstmgen_model_load_path(argv[1], NULL, &model) != LSTMGEN_OK ||
        lstmgen_model_string(model, LSTMGEN_STRING_ISA, &isa, NULL) != LSTMGEN_OK ||
        lstmgen_generator_create(model, &options, &generator) != LSTMGEN_OK ||
        lstmgen_generator_feed_prime(generator) != LSTMGEN_OK) {
        fprintf(stderr, "usage: lstmgen_carried model.bin elements [refresh]\n%s\n", lstmgen_last_error());
        return 2;
    }
    start = clock();
    for (i = 0; i < elements; ++i)
        if (lstmgen_generator_next(generator, &id) != LSTMGEN_OK) return 1;
    seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    printf("%s: %.0f elements in a second; the last is %lu\n", isa, seconds > 0 ? (double)elements / seconds : 0.0,
           (unsigned long)id);
    lstmgen_generator_free(&generator);
    lstmgen_model_release(&model);
    return 0;
}
