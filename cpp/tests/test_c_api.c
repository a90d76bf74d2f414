/* Tests of the C ABI from C99: what every function does, also with bad input. They use the network
 * of data/README.md. */
#include <lstmgen/lstmgen.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

#define CHECK(condition)                                                                               \
    do {                                                                                               \
        if (!(condition)) {                                                                            \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, lstmgen_last_error()); \
            ++failures;                                                                                \
        }                                                                                              \
    } while (0)
#define OK(call) CHECK((call) == LSTMGEN_OK)
#define INVALID(call) CHECK((call) == LSTMGEN_INVALID_ARGUMENT)

enum { OUTPUTS = 11, WINDOW = 12 };

static lstmgen_model* load(const char* path) {
    lstmgen_model* model = NULL;
    OK(lstmgen_model_load_path(path, NULL, &model));
    if (!model) exit(1);
    return model;
}

static lstmgen_generator* generator_of(lstmgen_model* model, uint64_t seed, size_t refresh) {
    lstmgen_generator* generator = NULL;
    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    sampler.seed = seed;
    options.sampler = &sampler;
    options.refresh = refresh;
    OK(lstmgen_generator_create(model, &options, &generator));
    return generator;
}

/* An allocator that counts. */
typedef struct pool {
    size_t live, bytes, left; /* left: allocations until one fails */
} pool;

static void* take(void* user, size_t bytes, size_t alignment) {
    pool* const p = user;
    char* const memory = p->left == 0 ? NULL : malloc(bytes + 2 * alignment);
    char* start;
    if (!memory) return NULL;
    --p->left;
    ++p->live;
    p->bytes += bytes;
    start = memory + alignment;
    start += (alignment - (uintptr_t)start % alignment) % alignment;
    memcpy(start - sizeof memory, &memory, sizeof memory);
    return start;
}

static void give_back(void* user, void* memory, size_t bytes) {
    pool* const p = user;
    char* start;
    memcpy(&start, (char*)memory - sizeof start, sizeof start);
    free(start);
    --p->live;
    p->bytes -= bytes;
}

/* -- Loading -- */

typedef struct stream {
    FILE* file;
    size_t most; /* bytes a call */
    int broken;  /* 1: an error after some calls, 2: more than asked for */
    int calls;
} stream;

static size_t read_some(void* user, void* buffer, size_t bytes) {
    stream* const s = user;
    if (++s->calls > 3 && s->broken == 1) return (size_t)-1;
    if (s->broken == 2) return bytes + 1;
    return fread(buffer, 1, bytes < s->most ? bytes : s->most, s->file);
}

/* `user` is a count of calls that go on. */
static int on_wait(void* user) {
    int* const left = user;
    return --*left < 0;
}

static void test_stopping(const char* path) {
    static const uint32_t ids[3000 * 12]; /* windows of the element 0 */
    static float y[3000 * 11];
    lstmgen_model* model = NULL;
    lstmgen_load_options options = LSTMGEN_LOAD_OPTIONS_INIT;
    int left = 0;
    options.on_wait = on_wait;
    options.user = &left;
    CHECK(lstmgen_model_load_path(path, &options, &model) == LSTMGEN_STOPPED && !model);
    left = 1;
    CHECK(lstmgen_model_load_path(path, &options, &model) == LSTMGEN_STOPPED && !model);
    left = 1000000;
    OK(lstmgen_model_load_path(path, &options, &model));
    OK(lstmgen_model_predict_ids(model, 3000, 12, ids, 3000 * 12, y, 3000 * 11));
    left = 0;
    CHECK(lstmgen_model_predict_ids(model, 3000, 12, ids, 3000 * 12, y, 3000 * 11) == LSTMGEN_STOPPED);
    OK(lstmgen_model_release(&model));
}

static void test_loading(const char* path) {
    static char bytes[1 << 20];
    FILE* const file = fopen(path, "rb");
    const size_t size = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    lstmgen_model* model = (lstmgen_model*)bytes;
    lstmgen_load_options options = LSTMGEN_LOAD_OPTIONS_INIT;
    stream s = {NULL, 1000, 0, 0};
    size_t i;
    CHECK(size > 0 && size < sizeof bytes);

    CHECK(lstmgen_model_load_path("/no/such/file", NULL, &model) == LSTMGEN_IO && model == NULL);
    CHECK(strstr(lstmgen_last_error(), "/no/such/file: no such file") != NULL);
    INVALID(lstmgen_model_load_path(NULL, NULL, &model));
    INVALID(lstmgen_model_load_path(path, NULL, NULL));
    INVALID(lstmgen_model_load_memory(NULL, 8, NULL, &model));
    INVALID(lstmgen_model_load_stream(NULL, NULL, NULL, &model));

    OK(lstmgen_model_load_memory(bytes, size, NULL, &model));
    OK(lstmgen_model_release(&model));
    for (i = 0; i < size; i += 97) CHECK(lstmgen_model_load_memory(bytes, i, NULL, &model) == LSTMGEN_FORMAT && !model);

    options.name = "of the test";
    CHECK(lstmgen_model_load_memory("GGUF", 4, &options, &model) == LSTMGEN_FORMAT);
    CHECK(strncmp(lstmgen_last_error(), "of the test: ", 13) == 0);

    /* The kernels. */
    for (i = 0; lstmgen_isa(i); ++i) {
        const char* isa = NULL;
        options.isa = lstmgen_isa(i);
        OK(lstmgen_model_load_memory(bytes, size, &options, &model));
        OK(lstmgen_model_string(model, LSTMGEN_STRING_ISA, &isa, NULL));
        CHECK(strcmp(isa, options.isa) == 0);
        OK(lstmgen_model_release(&model));
    }
    options.isa = "";
    OK(lstmgen_model_load_memory(bytes, size, &options, &model));
    OK(lstmgen_model_release(&model));
    options.isa = "quantum";
    INVALID(lstmgen_model_load_path(path, &options, &model));
    CHECK(strstr(lstmgen_last_error(), "isa: expected one of ") != NULL);
    CHECK(strstr(lstmgen_last_error(), lstmgen_isa(0)) != NULL);
    CHECK(strstr(lstmgen_last_error(), "baseline, found 'quantum'") != NULL);

    s.file = file;
    rewind(file);
    OK(lstmgen_model_load_stream(read_some, &s, NULL, &model));
    OK(lstmgen_model_release(&model));
    for (s.broken = 1; s.broken <= 2; ++s.broken) {
        rewind(file);
        s.calls = 0;
        CHECK(lstmgen_model_load_stream(read_some, &s, NULL, &model) ==
              (s.broken == 1 ? LSTMGEN_IO : LSTMGEN_INVALID_ARGUMENT));
        CHECK(model == NULL);
    }
    s.broken = 0; /* at its end: an empty stream */
    fseek(file, 0, SEEK_END);
    CHECK(lstmgen_model_load_stream(read_some, &s, NULL, &model) == LSTMGEN_FORMAT);
    fclose(file);
}

/* -- Inspecting -- */

static void test_inspecting(const char* path) {
    lstmgen_model* model = load(path);
    const char* text = NULL;
    size_t bytes = 0, count = 0, i;
    size_t number = 0;
    uint32_t ids[4];
    const uint32_t* prime = NULL;
    lstmgen_layer layer = LSTMGEN_LAYER_INIT;

    OK(lstmgen_model_number(model, LSTMGEN_NUMBER_OUTPUTS, &number));
    CHECK(number == OUTPUTS);
    OK(lstmgen_model_number(model, LSTMGEN_NUMBER_WINDOW, &number));
    CHECK(number == WINDOW);
    OK(lstmgen_model_number(model, LSTMGEN_NUMBER_ENCODING, &number));
    CHECK(number == LSTMGEN_ENCODING_ONEHOT);
    for (i = 0; i <= LSTMGEN_NUMBER_INPUT_VALUES; ++i) OK(lstmgen_model_number(model, (int)i, &number));
    INVALID(lstmgen_model_number(model, 99, &number));
    INVALID(lstmgen_model_number(model, LSTMGEN_NUMBER_WINDOW, NULL));
    INVALID(lstmgen_model_number(NULL, LSTMGEN_NUMBER_WINDOW, &number));

    OK(lstmgen_model_string(model, LSTMGEN_STRING_VOCABULARY_KIND, &text, &bytes));
    CHECK(strcmp(text, "text") == 0 && bytes == 4);
    OK(lstmgen_model_string(model, LSTMGEN_STRING_ISA, &text, NULL));
    CHECK(lstmgen_isa(0) != NULL && lstmgen_isa(99) == NULL && lstmgen_isa((size_t)-1) == NULL);
    for (i = 0; i <= LSTMGEN_STRING_VOCABULARY_KIND; ++i) OK(lstmgen_model_string(model, (int)i, &text, &bytes));
    INVALID(lstmgen_model_string(model, -1, &text, &bytes));
    INVALID(lstmgen_model_string(model, LSTMGEN_STRING_NAME, NULL, &bytes));

    OK(lstmgen_model_element(model, 2, &text, &bytes));
    CHECK(strcmp(text, "c") == 0 && bytes == 1);
    INVALID(lstmgen_model_element(model, OUTPUTS, &text, &bytes));
    INVALID(lstmgen_model_element(model, 0, NULL, &bytes));
    INVALID(lstmgen_model_label(model, 0, &text, &bytes));
    OK(lstmgen_model_prime(model, &prime, &count));
    CHECK(count == WINDOW && prime[0] < OUTPUTS);
    INVALID(lstmgen_model_prime(model, NULL, &count));

    OK(lstmgen_model_layer(model, 0, &layer));
    CHECK(strcmp(layer.type, "lstm") == 0 && layer.outputs == 20 && layer.return_sequences == 1);
    INVALID(lstmgen_model_layer(model, 3, &layer));
    INVALID(lstmgen_model_layer(model, 0, NULL));
    OK(lstmgen_model_encode(model, "cab", 3, ids, 4, &count));
    CHECK(count == 3 && ids[0] == 2 && ids[1] == 0 && ids[2] == 1);
    OK(lstmgen_model_encode(model, "cabab", 5, NULL, 0, &count));
    CHECK(count == 5);
    OK(lstmgen_model_encode(model, "", 0, ids, 4, &count));
    CHECK(count == 0);
    count = 0;
    CHECK(lstmgen_model_encode(model, "cabab", 5, ids, 4, &count) == LSTMGEN_SHORT_BUFFER && count == 5);
    INVALID(lstmgen_model_encode(model, "ca\xc3\xa9", 4, ids, 4, &count));
    CHECK(strstr(lstmgen_last_error(), "byte 2") != NULL);
    INVALID(lstmgen_model_encode(model, NULL, 1, ids, 4, &count));
    INVALID(lstmgen_model_encode(model, "a", 1, NULL, 4, &count));
    INVALID(lstmgen_model_encode(model, "a", 1, ids, 4, NULL));
    OK(lstmgen_model_release(&model));
}

/* -- Handles -- */

static void test_handles(const char* path) {
    lstmgen_model *model = load(path), *other = NULL;
    lstmgen_generator* generator = NULL;
    const uint64_t junk[16] = {1, 2, 3};
    uint32_t id = 0;

    OK(lstmgen_model_retain(model));
    other = model;
    OK(lstmgen_model_release(&other));
    CHECK(other == NULL);
    OK(lstmgen_model_release(&other)); /* the second time nothing happens */
    INVALID(lstmgen_model_release(NULL));
    INVALID(lstmgen_model_retain(NULL));
    INVALID(lstmgen_model_retain((lstmgen_model*)junk));

    generator = generator_of(model, 1, 1);
    CHECK(lstmgen_generator_model(generator) == model);
    CHECK(lstmgen_generator_model(NULL) == NULL);
    INVALID(lstmgen_generator_next((lstmgen_generator*)model, &id)); /* of another kind */
    OK(lstmgen_model_release(&model));                               /* the generator keeps it */
    OK(lstmgen_generator_feed_prime(generator));
    OK(lstmgen_generator_next(generator, &id));
    OK(lstmgen_generator_free(&generator));
    CHECK(generator == NULL);
    OK(lstmgen_generator_free(&generator));
    INVALID(lstmgen_generator_free(NULL));
    INVALID(lstmgen_generator_next(NULL, &id));
    INVALID(lstmgen_generator_feed(NULL, &id, 1));
    INVALID(lstmgen_generator_feed_prime(NULL));
    INVALID(lstmgen_generator_create(NULL, NULL, &generator));
}

/* -- Predicting and steps -- */

static void test_predicting(const char* path) {
    lstmgen_model* model = load(path);
    uint32_t ids[2 * WINDOW];
    float x[2 * WINDOW * OUTPUTS] = {0}, y[2 * OUTPUTS], z[2 * OUTPUTS];
    size_t count = 0, bytes = 0, i;
    char *memory, *copy;
    for (i = 0; i < 2 * WINDOW; ++i) {
        ids[i] = (uint32_t)(i * 7 % OUTPUTS);
        x[i * OUTPUTS + ids[i]] = 1;
    }
    OK(lstmgen_model_predict_size(model, 2, WINDOW, &count));
    CHECK(count == 2 * OUTPUTS);
    OK(lstmgen_model_predict_ids(model, 2, WINDOW, ids, 2 * WINDOW, y, count));
    OK(lstmgen_model_predict_features(model, 2, WINDOW, x, 2 * WINDOW * OUTPUTS, z, count));
    for (i = 0; i < count; ++i) CHECK(fabsf(y[i] - z[i]) < 1e-6f);
    OK(lstmgen_model_predict_ids(model, 0, WINDOW, NULL, 0, NULL, 0));
    INVALID(lstmgen_model_predict_ids(model, 2, 0, ids, 0, y, count));
    INVALID(lstmgen_model_predict_ids(model, 2, WINDOW, ids, 5, y, count));
    INVALID(lstmgen_model_predict_ids(model, 2, WINDOW, NULL, 2 * WINDOW, y, count));
    INVALID(lstmgen_model_predict_ids(model, 2, WINDOW, ids, 2 * WINDOW, NULL, count));
    INVALID(lstmgen_model_predict_ids(NULL, 2, WINDOW, ids, 2 * WINDOW, y, count));
    INVALID(lstmgen_model_predict_size(model, (size_t)-1, (size_t)-1, &count));
    INVALID(lstmgen_model_predict_size(model, 1, 1, NULL));
    /* The product of batch and steps overflows to 0. */
    INVALID(lstmgen_model_predict_ids(model, SIZE_MAX / 2 + 1, 2, ids, 0, y, 1));
    CHECK(lstmgen_model_predict_ids(model, 2, WINDOW, ids, 2 * WINDOW, y, 21) == LSTMGEN_SHORT_BUFFER);
    CHECK(lstmgen_model_predict_features(model, 2, WINDOW, x, 2 * WINDOW * OUTPUTS, y, 21) == LSTMGEN_SHORT_BUFFER);
    ids[3] = OUTPUTS;
    INVALID(lstmgen_model_predict_ids(model, 2, WINDOW, ids, 2 * WINDOW, y, 22));
    ids[3] = 21 % OUTPUTS;

    OK(lstmgen_state_size(model, &bytes));
    INVALID(lstmgen_state_size(model, NULL));
    memory = malloc(2 * bytes + 64);
    copy = memory + bytes;
    copy += (16 - (uintptr_t)copy % 16) % 16;
    OK(lstmgen_state_init(model, memory, bytes));
    for (i = 0; i < WINDOW; ++i) {
        OK(lstmgen_state_step_id(model, memory, bytes, ids[i], i + 1 == WINDOW || i == 4 ? z : NULL, OUTPUTS));
        if (i == 4) memcpy(copy, memory, bytes); /* a fork */
    }
    for (i = 0; i < OUTPUTS; ++i) CHECK(fabsf(y[i] - z[i]) < 1e-6f);
    for (i = 5; i < WINDOW; ++i)
        OK(lstmgen_state_step_features(model, copy, bytes, x + i * OUTPUTS, OUTPUTS, z + OUTPUTS, OUTPUTS));
    for (i = 0; i < OUTPUTS; ++i) CHECK(fabsf(z[OUTPUTS + i] - z[i]) < 1e-6f);
    INVALID(lstmgen_state_step_id(model, memory, bytes, OUTPUTS, z, OUTPUTS));
    INVALID(lstmgen_state_step_id(model, NULL, bytes, 0, z, OUTPUTS));
    INVALID(lstmgen_state_step_id(model, memory + 1, bytes, 0, z, OUTPUTS));
    INVALID(lstmgen_state_step_id(NULL, memory, bytes, 0, z, OUTPUTS));
    CHECK(lstmgen_state_step_id(model, memory, bytes - 1, 0, z, OUTPUTS) == LSTMGEN_SHORT_BUFFER);
    CHECK(lstmgen_state_step_id(model, memory, bytes, 0, z, OUTPUTS - 1) == LSTMGEN_SHORT_BUFFER);
    CHECK(lstmgen_state_init(model, memory, bytes - 1) == LSTMGEN_SHORT_BUFFER);
    INVALID(lstmgen_state_step_features(model, memory, bytes, NULL, OUTPUTS, z, OUTPUTS));
    INVALID(lstmgen_state_step_features(model, memory, bytes, x, OUTPUTS + 1, z, OUTPUTS));
    memset(memory, 0x55, bytes);
    INVALID(lstmgen_state_step_id(model, memory, bytes, 0, z, OUTPUTS)); /* never begun */
    free(memory);
    OK(lstmgen_model_release(&model));
}

/* -- Generating -- */

typedef struct drawing {
    uint32_t ids[64];
    char text[65];
    size_t count, stop_after;
    lstmgen_generator* generator;
    lstmgen_status inside;
} drawing;

static int on_id(void* user, uint32_t id) {
    drawing* const d = user;
    d->ids[d->count++] = id;
    if (d->generator) {
        lstmgen_generator* again = d->generator;
        d->inside = lstmgen_generator_next(d->generator, &id);
        CHECK(lstmgen_generator_free(&again) == LSTMGEN_BUSY && again == d->generator);
    }
    return d->count == d->stop_after;
}

static int on_text(void* user, const char* text, size_t bytes) {
    drawing* const d = user;
    memcpy(d->text + d->count, text, bytes + 1);
    d->count += bytes;
    return d->count == d->stop_after;
}

/* Without a handle, each function gives an error and leaves its results alone. */
static void test_null_handles(void) {
    const char* text = "kept";
    const uint32_t* prime = NULL;
    uint32_t id = 7;
    size_t n = 7;
    float x[OUTPUTS] = {0}, y[OUTPUTS] = {7};
    double p[OUTPUTS] = {7};
    lstmgen_layer layer = LSTMGEN_LAYER_INIT;
    drawing d;
    memset(&d, 0, sizeof d);
    INVALID(lstmgen_model_string(NULL, LSTMGEN_STRING_NAME, &text, &n));
    INVALID(lstmgen_model_element(NULL, 0, &text, &n));
    INVALID(lstmgen_model_label(NULL, 0, &text, &n));
    INVALID(lstmgen_model_prime(NULL, &prime, &n));
    INVALID(lstmgen_model_layer(NULL, 0, &layer));
    INVALID(lstmgen_model_encode(NULL, "a", 1, &id, 1, &n));
    INVALID(lstmgen_model_predict_size(NULL, 1, WINDOW, &n));
    INVALID(lstmgen_model_predict_features(NULL, 1, 1, x, OUTPUTS, y, OUTPUTS));
    INVALID(lstmgen_state_size(NULL, &n));
    INVALID(lstmgen_state_init(NULL, x, sizeof x));
    INVALID(lstmgen_state_step_features(NULL, x, sizeof x, x, OUTPUTS, y, OUTPUTS));
    INVALID(lstmgen_generator_next_many(NULL, &id, 1));
    INVALID(lstmgen_generator_probabilities(NULL, p, OUTPUTS));
    INVALID(lstmgen_generator_score(NULL, &id, 1, p));
    INVALID(lstmgen_generator_sample(NULL, 1, on_id, &d));
    INVALID(lstmgen_generator_sample_text(NULL, 1, on_text, &d));
    CHECK(strcmp(text, "kept") == 0 && !prime && id == 7 && n == 7 && y[0] == 7 && p[0] == 7 && d.count == 0);
}

static void test_generating(const char* path) {
    lstmgen_model* model = load(path);
    uint32_t ids[40], bad = OUTPUTS, zero = 0, banned[2] = {0, 3};
    double p[OUTPUTS], q[OUTPUTS], log_p[2], sum = 0, bias[2];
    drawing d;
    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    lstmgen_generator *g = generator_of(model, 7, 1), *h;
    size_t i;

    INVALID(lstmgen_generator_next(g, ids)); /* an empty context */
    CHECK(strstr(lstmgen_last_error(), "context is empty") != NULL);
    INVALID(lstmgen_generator_feed(g, &bad, 1));
    INVALID(lstmgen_generator_feed(g, NULL, 1));
    OK(lstmgen_generator_feed(g, NULL, 0));
    OK(lstmgen_generator_feed_prime(g));
    INVALID(lstmgen_generator_next(g, NULL));
    INVALID(lstmgen_generator_next_many(g, NULL, 1));
    INVALID(lstmgen_generator_probabilities(g, NULL, OUTPUTS));
    CHECK(lstmgen_generator_probabilities(g, p, OUTPUTS - 1) == LSTMGEN_SHORT_BUFFER);
    OK(lstmgen_generator_probabilities(g, p, OUTPUTS));
    for (i = 0; i < OUTPUTS; ++i) sum += p[i];
    CHECK(fabs(sum - 1) < 1e-9);
    OK(lstmgen_generator_next_many(g, ids, 40));
    OK(lstmgen_generator_free(&g));

    /* The same elements come one by one, by both callbacks, stopped and continued. */
    g = generator_of(model, 7, 1);
    OK(lstmgen_generator_feed_prime(g));
    for (i = 0; i < 40; ++i) {
        uint32_t id = 99;
        OK(lstmgen_generator_next(g, &id));
        CHECK(id == ids[i]);
    }
    OK(lstmgen_generator_free(&g));
    g = generator_of(model, 7, 1);
    OK(lstmgen_generator_feed_prime(g));
    memset(&d, 0, sizeof d);
    d.stop_after = 9;
    d.generator = g;
    CHECK(lstmgen_generator_sample(g, SIZE_MAX, on_id, &d) == LSTMGEN_STOPPED);
    CHECK(d.count == 9 && d.inside == LSTMGEN_BUSY && memcmp(d.ids, ids, 9 * sizeof *ids) == 0);
    d.count = d.stop_after = 0;
    OK(lstmgen_generator_sample_text(g, 31, on_text, &d));
    CHECK(d.count == 31);
    for (i = 0; i < 31; ++i) CHECK(d.text[i] == (char)('a' + (int)ids[9 + i]));
    OK(lstmgen_generator_sample(g, 0, on_id, &d));
    INVALID(lstmgen_generator_sample(g, 1, NULL, &d));
    INVALID(lstmgen_generator_sample_text(g, 1, NULL, &d));
    OK(lstmgen_generator_free(&g));

    /* score and probabilities agree. */
    g = generator_of(model, 0, 0);
    OK(lstmgen_generator_feed_prime(g));
    OK(lstmgen_generator_probabilities(g, p, OUTPUTS));
    OK(lstmgen_generator_score(g, &zero, 1, log_p));
    CHECK(fabs(exp(log_p[0]) - p[0]) < 1e-9);
    INVALID(lstmgen_generator_score(g, &bad, 1, log_p));
    INVALID(lstmgen_generator_score(g, NULL, 1, log_p));
    INVALID(lstmgen_generator_score(g, &zero, 1, NULL));
    OK(lstmgen_generator_free(&g));

    /* Every option reaches the sampler. */
    options.sampler = &sampler;
    sampler.temp = 0;
    OK(lstmgen_generator_create(model, &options, &h));
    OK(lstmgen_generator_feed_prime(h));
    OK(lstmgen_generator_probabilities(h, q, OUTPUTS));
    for (i = 0, sum = 0; i < OUTPUTS; ++i) sum += q[i] == 1.0;
    CHECK(sum == 1);
    OK(lstmgen_generator_free(&h));
    sampler.temp = 1;
    bias[0] = bias[1] = -HUGE_VAL;
    sampler.logit_bias_ids = banned;
    sampler.logit_bias = bias;
    sampler.logit_bias_count = 2;
    OK(lstmgen_generator_create(model, &options, &h));
    OK(lstmgen_generator_feed_prime(h));
    OK(lstmgen_generator_probabilities(h, q, OUTPUTS));
    CHECK(q[0] == 0 && q[3] == 0);
    OK(lstmgen_generator_free(&h));
    sampler.logit_bias_count = 0;
    sampler.top_k = 2;
    options.threads = 2;
    OK(lstmgen_generator_create(model, &options, &h));
    OK(lstmgen_generator_feed_prime(h));
    OK(lstmgen_generator_probabilities(h, q, OUTPUTS));
    for (i = 0, sum = 0; i < OUTPUTS; ++i) sum += q[i] > 0;
    CHECK(sum == 2);
    OK(lstmgen_generator_free(&h));
    sampler.top_k = 0;
    sampler.min_p = 1;
    OK(lstmgen_generator_create(model, &options, &h));
    OK(lstmgen_generator_feed_prime(h));
    OK(lstmgen_generator_probabilities(h, q, OUTPUTS));
    for (i = 0, sum = 0; i < OUTPUTS; ++i) sum += q[i] > 0;
    CHECK(sum == 1);
    OK(lstmgen_generator_free(&h));

    OK(lstmgen_sampler_options_init(&sampler, sizeof sampler));
#define BAD_OPTION(which, field, value, fine)                                            \
    do {                                                                                 \
        h = (lstmgen_generator*)model;                                                   \
        which.field = value;                                                             \
        CHECK(lstmgen_generator_create(model, &options, &h) != LSTMGEN_OK && h == NULL); \
        CHECK(strstr(lstmgen_last_error(), #field) != NULL);                             \
        which.field = fine;                                                              \
    } while (0)
    BAD_OPTION(sampler, temp, -1, 1);
    BAD_OPTION(sampler, temp, HUGE_VAL, 1);
    BAD_OPTION(sampler, top_p, 0, 1);
    BAD_OPTION(sampler, min_p, 2, 0);
    BAD_OPTION(sampler, repeat_penalty, 0, 1);
    BAD_OPTION(sampler, logit_bias_count, 1, 0);
    BAD_OPTION(sampler, size, 0, sizeof sampler);
    BAD_OPTION(options, threads, LSTMGEN_MAX_THREADS + 1, 1);
    BAD_OPTION(options, size, 0, sizeof options);
    options.refresh = (size_t)-1;
    OK(lstmgen_generator_create(model, &options, &h));
    OK(lstmgen_generator_free(&h));
    INVALID(lstmgen_generator_create(model, NULL, NULL));
    OK(lstmgen_model_release(&model));
}

/* Options, resets and copies change a generator in the middle of a sample. */
static void everything_on(lstmgen_sampler_options* sampler) {
    static const uint32_t allow[] = {0, 1, 2, 3, 4, 5, 6, 7, 8}, ban[] = {8}, breakers[] = {0, LSTMGEN_SEPARATOR, 1, 2};
    static const uint32_t biased[] = {1};
    static const double bias[] = {0.5};
    sampler->temp = 0.9;
    sampler->repeat_penalty = 1.1;
    sampler->top_p = 0.97;
    sampler->min_p = 0.01;
    sampler->top_k = 9;
    sampler->typical_p = 0.97;
    sampler->top_n_sigma = 2.5;
    sampler->xtc_probability = 0.4;
    sampler->xtc_threshold = 0.15;
    sampler->dry_multiplier = 0.8;
    sampler->dry_allowed_length = 1;
    sampler->frequency_penalty = sampler->presence_penalty = 0.05;
    sampler->repeat_last_n = 40;
    sampler->dynatemp_range = 0.4;
    sampler->dynatemp_exponent = 1.2;
    sampler->allow = allow;
    sampler->allow_count = 9;
    sampler->ban = ban;
    sampler->ban_count = 1;
    sampler->dry_sequence_breakers = breakers;
    sampler->dry_sequence_breakers_count = 4;
    sampler->logit_bias_ids = biased;
    sampler->logit_bias = bias;
    sampler->logit_bias_count = 1;
}

typedef struct processing {
    size_t calls, ids;
    uint32_t last, forbidden;
} processing;

static void on_logits(void* user, const uint32_t* ids, size_t ids_count, double* logits, size_t count) {
    processing* p = user;
    CHECK(count == OUTPUTS);
    ++p->calls;
    p->ids = ids_count;
    p->last = ids[ids_count - 1];
    logits[p->forbidden] = -HUGE_VAL;
}

static void nan_logits(void* user, const uint32_t* ids, size_t ids_count, double* logits, size_t count) {
    (void)user, (void)ids, (void)ids_count;
    logits[count - 1] = HUGE_VAL - HUGE_VAL;
}

static void test_samplers(const char* path) {
    lstmgen_model* model = load(path);
    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    lstmgen_many_options many = LSTMGEN_MANY_OPTIONS_INIT;
    lstmgen_generator *g, *h = NULL;
    uint32_t ids[60], again[60], side[180], id;
    double p[OUTPUTS], q[OUTPUTS], log_p[OUTPUTS], sum;
    size_t i, round, count, counts[3];
    processing seen = {0, 0, 0, 4};
    options.sampler = &sampler;
    options.refresh = 0;

    /* With every option on, a seed gives the same elements: a second time, side by side, in a
     * clone, and after a pause. */
    for (round = 0; round < 2; ++round) {
        unsigned char state[1 << 14];
        everything_on(&sampler);
        sampler.seed = 7;
        sampler.mirostat = round == 0 ? 0 : 2;
        sampler.mirostat_tau = 2;
        OK(lstmgen_generator_create(model, &options, &g));
        OK(lstmgen_generator_feed_prime(g));
        OK(lstmgen_generator_next_many(g, ids, 20));
        OK(lstmgen_generator_save(g, state, sizeof state, &count));
        OK(lstmgen_generator_next_many(g, ids + 20, 40));
        for (i = 0; i < 60; ++i) CHECK(ids[i] < 8);
        OK(lstmgen_generator_load(model, state, count, 1, NULL, &h));
        OK(lstmgen_generator_next_many(h, again + 20, 40));
        CHECK(memcmp(ids + 20, again + 20, 40 * sizeof *ids) == 0);
        OK(lstmgen_generator_free(&h));
        OK(lstmgen_generator_reset(g, 7));
        OK(lstmgen_generator_feed_prime(g));
        OK(lstmgen_generator_next_many(g, again, 30));
        OK(lstmgen_generator_clone(g, &h));
        OK(lstmgen_generator_next_many(h, again + 30, 30));
        CHECK(memcmp(ids, again, sizeof ids) == 0);
        OK(lstmgen_generator_free(&h));
        OK(lstmgen_generator_free(&g));
        many.count = 3;
        many.length = 60;
        sampler.seed = 5;
        OK(lstmgen_model_sample_many(model, &options, &many, side, 180, counts));
        CHECK(memcmp(ids, side + 120, sizeof ids) == 0);
    }

    /* A callback forbids an element. */
    OK(lstmgen_sampler_options_init(&sampler, sizeof sampler));
    OK(lstmgen_generator_create(model, &options, &g));
    OK(lstmgen_generator_feed_prime(g));
    OK(lstmgen_generator_set_logits_processor(g, on_logits, &seen));
    OK(lstmgen_generator_clone(g, &h));
    OK(lstmgen_generator_next_many(h, ids, 60));
    for (i = 0; i < 60; ++i) CHECK(ids[i] != 4);
    CHECK(seen.calls == 60 && seen.last == ids[58]);
    OK(lstmgen_generator_free(&h));
    OK(lstmgen_generator_set_logits_processor(g, nan_logits, NULL));
    INVALID(lstmgen_generator_next(g, &id));
    CHECK(strstr(lstmgen_last_error(), "found NaN for the element 10") != NULL);
    OK(lstmgen_generator_set_logits_processor(g, NULL, NULL));

    /* The caller's own sampler draws what the library draws. */
    OK(lstmgen_generator_clone(g, &h));
    for (i = 0; i < 60; ++i) {
        OK(lstmgen_generator_next(g, &ids[i]));
        OK(lstmgen_generator_logits(h, p, OUTPUTS));
        OK(lstmgen_generator_draw(h, p, OUTPUTS, &again[i]));
    }
    CHECK(memcmp(ids, again, sizeof ids) == 0);
    OK(lstmgen_generator_probabilities(h, q, OUTPUTS));
    OK(lstmgen_generator_likeliest(h, side, log_p, OUTPUTS, &count));
    CHECK(count == OUTPUTS);
    for (i = 0, sum = 0; i < OUTPUTS; ++i) {
        CHECK(fabs(exp(log_p[i]) - q[side[i]]) < 1e-12);
        CHECK(i == 0 || log_p[i] <= log_p[i - 1]);
        sum += q[side[i]];
    }
    CHECK(fabs(sum - 1) < 1e-9);
    INVALID(lstmgen_generator_draw(h, p, OUTPUTS - 1, &id));
    INVALID(lstmgen_generator_draw(h, NULL, OUTPUTS, &id));
    INVALID(lstmgen_generator_draw(h, p, OUTPUTS, NULL));
    for (i = 0; i < OUTPUTS; ++i) p[i] = -HUGE_VAL;
    INVALID(lstmgen_generator_draw(h, p, OUTPUTS, &id));
    CHECK(strstr(lstmgen_last_error(), "no element can be drawn") != NULL);
    p[3] = HUGE_VAL;
    INVALID(lstmgen_generator_draw(h, p, OUTPUTS, &id));
    p[3] = -1000;
    OK(lstmgen_generator_draw(h, p, OUTPUTS, &id));
    CHECK(id == 3);
    CHECK(lstmgen_generator_logits(h, p, OUTPUTS - 1) == LSTMGEN_SHORT_BUFFER);
    INVALID(lstmgen_generator_logits(h, NULL, OUTPUTS));
    INVALID(lstmgen_generator_likeliest(h, NULL, log_p, 1, &count));
    INVALID(lstmgen_generator_likeliest(h, side, log_p, 1, NULL));
    OK(lstmgen_generator_free(&h));
    OK(lstmgen_generator_free(&g));

    BAD_OPTION(sampler, typical_p, 0, 1);
    BAD_OPTION(sampler, xtc_threshold, 1.5, 0.1);
    BAD_OPTION(sampler, dry_base, 0.5, 1.75);
    BAD_OPTION(sampler, dry_allowed_length, 0, 2);
    BAD_OPTION(sampler, dry_penalty_last_n, LSTMGEN_MAX_LOOKBACK + 1, LSTMGEN_MAX_LOOKBACK);
    BAD_OPTION(sampler, repeat_last_n, LSTMGEN_MAX_LOOKBACK + 1, 64);
    BAD_OPTION(sampler, frequency_penalty, HUGE_VAL, 0);
    BAD_OPTION(sampler, presence_penalty, -HUGE_VAL, 0);
    BAD_OPTION(sampler, mirostat, 1, 0);
    BAD_OPTION(sampler, mirostat, 3, 0);
    BAD_OPTION(sampler, allow_count, 1, 0);
    BAD_OPTION(sampler, ban_count, 1, 0);
    BAD_OPTION(sampler, dry_sequence_breakers_count, 1, 0);
    OK(lstmgen_model_release(&model));
}

static void test_changing(const char* path) {
    lstmgen_model *model = load(path), *again = load(path);
    uint32_t ids[40], found[40], banned[OUTPUTS];
    double bias[OUTPUTS], p[OUTPUTS];
    size_t i;
    static const size_t refreshes[] = {0, 1, 5, 40};
    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    for (i = 0; i < OUTPUTS; ++i) {
        banned[i] = (uint32_t)i;
        bias[i] = i == 4 ? 0 : -HUGE_VAL;
    }
    for (i = 0; i < sizeof refreshes / sizeof *refreshes; ++i) {
        lstmgen_generator *g = generator_of(model, 7, refreshes[i]), *h = NULL;
        const lstmgen_generator* kept = g;
        OK(lstmgen_generator_feed_prime(g));
        OK(lstmgen_generator_next_many(g, ids, 40));

        /* After a reset the generator is as new. */
        OK(lstmgen_generator_reset(g, 7));
        INVALID(lstmgen_generator_next(g, found)); /* an empty context */
        OK(lstmgen_generator_feed_prime(g));
        OK(lstmgen_generator_next_many(g, found, 40));
        CHECK(memcmp(ids, found, sizeof ids) == 0);
        OK(lstmgen_generator_reset(g, 8));
        OK(lstmgen_generator_feed_prime(g));
        OK(lstmgen_generator_next_many(g, found, 40));
        CHECK(memcmp(ids, found, sizeof ids) != 0);

        /* A clone, a copy into another generator, and the original give the same elements. */
        OK(lstmgen_generator_reset(g, 7));
        OK(lstmgen_generator_feed_prime(g));
        OK(lstmgen_generator_next_many(g, found, 9));
        OK(lstmgen_generator_clone(kept, &h));
        CHECK(lstmgen_generator_model(h) == model && h != g);
        OK(lstmgen_generator_next_many(h, found, 31));
        CHECK(memcmp(ids + 9, found, 31 * sizeof *ids) == 0);
        OK(lstmgen_generator_copy(h, kept));
        OK(lstmgen_generator_copy(h, h));
        OK(lstmgen_generator_next_many(g, found, 31));
        CHECK(memcmp(ids + 9, found, 31 * sizeof *ids) == 0);
        OK(lstmgen_generator_next_many(h, found, 31));
        CHECK(memcmp(ids + 9, found, 31 * sizeof *ids) == 0);

        /* Other options count for a while, then the old ones again. The random numbers go on. */
        OK(lstmgen_generator_reset(g, 7));
        OK(lstmgen_generator_feed_prime(g));
        OK(lstmgen_generator_next_many(g, found, 9));
        OK(lstmgen_generator_probabilities(kept, p, OUTPUTS));
        CHECK(p[4] < 1);
        sampler.logit_bias_ids = banned;
        sampler.logit_bias = bias;
        sampler.logit_bias_count = OUTPUTS;
        OK(lstmgen_generator_set_options(g, &sampler));
        OK(lstmgen_generator_probabilities(kept, p, OUTPUTS));
        CHECK(p[4] == 1);
        sampler.logit_bias_count = OUTPUTS + 1;
        INVALID(lstmgen_generator_set_options(g, &sampler));
        CHECK(strstr(lstmgen_last_error(), "logit_bias: expected at most 11 pairs") != NULL);
        sampler.logit_bias_count = 0;
        sampler.top_p = 2;
        INVALID(lstmgen_generator_set_options(g, &sampler));
        sampler.top_p = 1;
        sampler.size = 8;
        CHECK(lstmgen_generator_set_options(g, &sampler) == LSTMGEN_WRONG_VERSION);
        sampler.size = sizeof sampler;
        OK(lstmgen_generator_probabilities(kept, p, OUTPUTS));
        CHECK(p[4] == 1); /* options that failed do not count */
        OK(lstmgen_generator_set_options(g, NULL));
        OK(lstmgen_generator_next_many(g, found, 31));
        CHECK(memcmp(ids + 9, found, 31 * sizeof *ids) == 0);

        OK(lstmgen_generator_free(&h));
        h = generator_of(model, 7, refreshes[i] + 1);
        INVALID(lstmgen_generator_copy(h, g)); /* another refresh */
        CHECK(strstr(lstmgen_last_error(), "the same refresh") != NULL);
        OK(lstmgen_generator_free(&h));
        h = generator_of(again, 7, refreshes[i]);
        INVALID(lstmgen_generator_copy(h, g)); /* loaded another time */
        OK(lstmgen_generator_free(&h));
        OK(lstmgen_generator_free(&g));
    }
    {
        lstmgen_generator *g = generator_of(model, 7, 0), *h = (lstmgen_generator*)model;
        INVALID(lstmgen_generator_clone(NULL, &h));
        CHECK(h == NULL);
        INVALID(lstmgen_generator_clone(g, NULL));
        INVALID(lstmgen_generator_copy(g, NULL));
        INVALID(lstmgen_generator_copy(NULL, g));
        INVALID(lstmgen_generator_set_options(NULL, NULL));
        INVALID(lstmgen_generator_reset(NULL, 0));
        OK(lstmgen_generator_free(&g));
    }
    OK(lstmgen_model_release(&model));
    OK(lstmgen_model_release(&again));
}

/* -- Structs of programs that are older or newer than the library -- */

static lstmgen_status load_with(const void* options, const lstmgen_model* unused) {
    lstmgen_model* model = NULL;
    const lstmgen_status status = lstmgen_model_load_memory("GGUF", 4, options, &model);
    (void)unused;
    return status == LSTMGEN_FORMAT ? LSTMGEN_OK : status; /* the options were read */
}

static lstmgen_status load_by(const void* allocator, const lstmgen_model* unused) {
    lstmgen_load_options options = LSTMGEN_LOAD_OPTIONS_INIT;
    options.allocator = allocator;
    return load_with(&options, unused);
}

static lstmgen_status create_with(const void* options, const lstmgen_model* model) {
    lstmgen_generator* generator = NULL;
    const lstmgen_status status = lstmgen_generator_create((lstmgen_model*)model, options, &generator);
    lstmgen_generator_free(&generator);
    return status;
}

static lstmgen_status sample_with(const void* sampler, const lstmgen_model* model) {
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    options.sampler = sampler;
    return create_with(&options, model);
}

static lstmgen_status many_with(const void* many, const lstmgen_model* model) {
    return lstmgen_model_sample_many(model, NULL, many, NULL, 0, NULL);
}

static lstmgen_status layer_into(const void* layer, const lstmgen_model* model) {
    return lstmgen_model_layer(model, 0, (lstmgen_layer*)layer);
}

static void test_versions(const char* path) {
    lstmgen_model* model = load(path);
    static const lstmgen_allocator no_allocator = LSTMGEN_ALLOCATOR_INIT;
    static const lstmgen_load_options no_load = LSTMGEN_LOAD_OPTIONS_INIT;
    static const lstmgen_sampler_options no_sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    static const lstmgen_generator_options no_generator = LSTMGEN_GENERATOR_OPTIONS_INIT;
    static const lstmgen_many_options no_many = LSTMGEN_MANY_OPTIONS_INIT;
    static const lstmgen_layer no_layer = LSTMGEN_LAYER_INIT;
    lstmgen_allocator allocator = LSTMGEN_ALLOCATOR_INIT;
    union {
        char bytes[8192];
        size_t size;
        double alignment;
    } later;
    const struct {
        const void* of;
        size_t size;    /* of today */
        size_t first;   /* of the first version, if addresses have 64 bits */
        size_t first32; /* of the first version, if addresses have 32 bits */
        lstmgen_status (*use)(const void*, const lstmgen_model*);
        int filled; /* the library writes it */
    } structs[] = {
        {&no_load, sizeof no_load, 32, 16, load_with, 0},
        {&allocator, sizeof allocator, 32, 16, load_by, 0},
        {&no_sampler, sizeof no_sampler, 80, 60, sample_with, 0},
        {&no_generator, sizeof no_generator, 40, 20, create_with, 0},
        {&no_many, sizeof no_many, 120, 60, many_with, 0},
        {&no_layer, sizeof no_layer, 80, 40, layer_into, 1},
    };
    size_t i, n;
    allocator.allocate = take;
    allocator.release = give_back;
    {
        static pool p = {0, 0, SIZE_MAX};
        allocator.user = &p;
    }
    CHECK(no_allocator.size == sizeof no_allocator && !no_allocator.allocate);
    for (i = 0; i < sizeof structs / sizeof *structs; ++i) {
        const size_t size = structs[i].size, first = sizeof(void*) == 8 ? structs[i].first : structs[i].first32;
        CHECK(size >= first);
        for (n = 0; n <= 5000; n += n < 200 ? 1 : 8) {
            const int known = n >= first && n <= 4096 && n % sizeof(size_t) == 0;
            memset(&later, 0, sizeof later);
            memcpy(&later, structs[i].of, size);
            later.size = n;
            CHECK(structs[i].use(&later, model) == (known ? LSTMGEN_OK : LSTMGEN_WRONG_VERSION));
            if (n <= size || !known) continue;
            memset(&later, 0, sizeof later);
            memcpy(&later, structs[i].of, size);
            later.size = n;
            later.bytes[n - 1] = 1; /* a member that this library does not know */
            CHECK(structs[i].use(&later, model) == (structs[i].filled ? LSTMGEN_OK : LSTMGEN_WRONG_VERSION));
            CHECK(later.bytes[n - 1] == !structs[i].filled && later.size == n);
            later.bytes[n - 1] = 0;
            later.bytes[size] = 1;
            CHECK(structs[i].use(&later, model) == (structs[i].filled ? LSTMGEN_OK : LSTMGEN_WRONG_VERSION));
        }
    }

    /* Functions and initialisers agree. Additional bytes of a newer program become 0. */
#define SAME(type, init, value)                                                          \
    do {                                                                                 \
        memset(&later, 0x55, sizeof later);                                              \
        OK(init((type*)&later, sizeof value));                                           \
        CHECK(memcmp(&later, &value, sizeof value) == 0);                                \
        CHECK(later.bytes[sizeof value] == 0x55);                                        \
        OK(init((type*)&later, sizeof value + 16));                                      \
        CHECK(later.size == sizeof value + 16 && later.bytes[sizeof value + 15] == 0);   \
        CHECK(memcmp(later.bytes + sizeof(size_t), (const char*)&value + sizeof(size_t), \
                     sizeof value - sizeof(size_t)) == 0);                               \
        CHECK(init((type*)&later, 8) == LSTMGEN_WRONG_VERSION);                          \
        CHECK(init((type*)&later, 8192) == LSTMGEN_WRONG_VERSION);                       \
        INVALID(init(NULL, sizeof value));                                               \
    } while (0)
    SAME(lstmgen_load_options, lstmgen_load_options_init, no_load);
    SAME(lstmgen_sampler_options, lstmgen_sampler_options_init, no_sampler);
    SAME(lstmgen_generator_options, lstmgen_generator_options_init, no_generator);
    SAME(lstmgen_many_options, lstmgen_many_options_init, no_many);
    OK(lstmgen_model_release(&model));
}

/* -- States as bytes -- */

static void test_saving(const char* path) {
    lstmgen_model *model = load(path), *kept = model;
    lstmgen_generator *g = generator_of(model, 7, 5), *h = NULL;
    lstmgen_allocator allocator = LSTMGEN_ALLOCATOR_INIT;
    uint32_t ids[30], again[30];
    float y[OUTPUTS], z[OUTPUTS];
    size_t bytes = 0, size = 0, i;
    unsigned char state[8192], *memory, *other;

    OK(lstmgen_generator_feed_prime(g));
    OK(lstmgen_generator_next_many(g, ids, 17));
    OK(lstmgen_generator_save(g, NULL, 0, &bytes));
    CHECK(bytes > 2500 && bytes < sizeof state);
    state[0] = 1;
    size = 0;
    CHECK(lstmgen_generator_save(g, state, bytes - 1, &size) == LSTMGEN_SHORT_BUFFER && size == bytes);
    CHECK(state[0] == 1);
    OK(lstmgen_generator_save(g, state, sizeof state, &size));
    CHECK(size == bytes && memcmp(state, "lstmstat", 8) == 0);
    OK(lstmgen_generator_next_many(g, ids, 30));
    OK(lstmgen_generator_load(model, state, bytes, 2, NULL, &h));
    CHECK(lstmgen_generator_model(h) == model);
    OK(lstmgen_generator_next_many(h, again, 30));
    CHECK(memcmp(ids, again, sizeof ids) == 0);
    OK(lstmgen_generator_free(&h));
    INVALID(lstmgen_generator_save(g, NULL, 8, &size));
    INVALID(lstmgen_generator_save(g, state, sizeof state, NULL));
    INVALID(lstmgen_generator_save(NULL, state, sizeof state, &size));
    INVALID(lstmgen_generator_load(NULL, state, bytes, 1, NULL, &h));
    INVALID(lstmgen_generator_load(model, NULL, bytes, 1, NULL, &h));
    INVALID(lstmgen_generator_load(model, state, bytes, 1, NULL, NULL));
    INVALID(lstmgen_generator_load(model, state, bytes, 100000, NULL, &h));
    INVALID(lstmgen_generator_load(model, state, bytes, 1, &allocator, &h));
    for (i = 0; i < bytes; i += 37) {
        h = (lstmgen_generator*)model;
        CHECK(lstmgen_generator_load(model, state, i, 1, NULL, &h) == LSTMGEN_FORMAT && h == NULL);
        state[i] ^= 1;
        CHECK(lstmgen_generator_load(model, state, bytes, 1, NULL, &h) == LSTMGEN_FORMAT);
        state[i] ^= 1;
    }
    OK(lstmgen_generator_free(&g));

    /* States of steps. */
    OK(lstmgen_state_size(model, &size));
    memory = malloc(size);
    other = malloc(size);
    OK(lstmgen_state_init(model, memory, size));
    for (i = 0; i < 5; ++i) OK(lstmgen_state_step_id(model, memory, size, ids[i], NULL, 0));
    INVALID(lstmgen_state_load(model, other, size, state, bytes)); /* a generator's */
    CHECK(strstr(lstmgen_last_error(), "of a generator, not of steps") != NULL);
    OK(lstmgen_state_save(model, NULL, 0, NULL, 0, &bytes));
    CHECK(bytes == 20 + 4 * 2 * (20 + 17) + 4);
    CHECK(lstmgen_state_save(model, memory, size, state, bytes - 1, &bytes) == LSTMGEN_SHORT_BUFFER);
    OK(lstmgen_state_save(model, memory, size, state, sizeof state, &bytes));
    memset(other, 0x55, size);
    INVALID(lstmgen_state_save(model, other, size, state, sizeof state, &bytes)); /* never begun */
    for (i = 0; i < bytes; ++i) {
        CHECK(lstmgen_state_load(model, other, size, state, i) == LSTMGEN_FORMAT);
        CHECK(other[0] == 0x55);
    }
    INVALID(lstmgen_generator_load(model, state, bytes, 1, NULL, &h));
    OK(lstmgen_state_load(model, other, size, state, bytes));
    for (i = 5; i < 30; ++i) {
        OK(lstmgen_state_step_id(model, memory, size, ids[i], y, OUTPUTS));
        OK(lstmgen_state_step_id(model, other, size, ids[i], z, OUTPUTS));
        CHECK(memcmp(y, z, sizeof y) == 0);
    }
    INVALID(lstmgen_state_save(NULL, memory, size, state, sizeof state, &bytes));
    INVALID(lstmgen_state_save(model, NULL, size, state, sizeof state, &bytes));
    INVALID(lstmgen_state_save(model, memory, size, NULL, 1, &bytes));
    INVALID(lstmgen_state_save(model, memory, size, state, sizeof state, NULL));
    INVALID(lstmgen_state_load(NULL, other, size, state, bytes));
    INVALID(lstmgen_state_load(model, NULL, size, state, bytes));
    INVALID(lstmgen_state_load(model, other, size, NULL, bytes));
    CHECK(lstmgen_state_load(model, other, size - 1, state, bytes) == LSTMGEN_SHORT_BUFFER);
    free(memory);
    free(other);
    OK(lstmgen_model_release(&kept));
}

/* A sequence ends after a stop, whichever way it is drawn, and goes on where it is told to. */
static void test_stops(const char* path) {
    enum { STOP_LENGTH = 40, AT = 10 }; /* the first stop ends before AT */
    lstmgen_model* model = load(path);
    lstmgen_generator *g = generator_of(model, 7, 1), *copy = NULL, *loaded = NULL;
    uint32_t all[STOP_LENGTH], ids[STOP_LENGTH], other = 0, bad = OUTPUTS;
    const uint32_t* stops[2];
    char text[2];
    const char* texts[3];
    size_t sizes[2] = {1, 2}, bytes_of[3] = {2, 3, 1}, bytes, first, i;
    unsigned char* state;
    int ended = 9;
    drawing d;

    OK(lstmgen_generator_feed_prime(g));
    OK(lstmgen_generator_next_many(g, all, STOP_LENGTH));
    OK(lstmgen_generator_free(&g));
    stops[0] = &bad;
    stops[1] = all + AT - 2; /* it may occur before, too */
    for (i = 0; i < 2; ++i) text[i] = (char)('a' + (int)stops[1][i]);
    texts[0] = text;
    texts[1] = "abz";
    texts[2] = NULL;
    for (first = 2; memcmp(all + first - 2, stops[1], 2 * sizeof *all) != 0; ++first) {
    }
    g = generator_of(model, 7, 1);
    OK(lstmgen_generator_feed_prime(g));

    INVALID(lstmgen_generator_set_stops(NULL, stops + 1, sizes + 1, 1));
    INVALID(lstmgen_generator_set_stops(g, NULL, sizes, 1));
    INVALID(lstmgen_generator_set_stops(g, stops, NULL, 1));
    INVALID(lstmgen_generator_set_stops(g, stops, sizes, 2));
    CHECK(strstr(lstmgen_last_error(), "stop 0: id at position 0: expected below 11, found 11") != NULL);
    sizes[1] = 0;
    INVALID(lstmgen_generator_set_stops(g, stops + 1, sizes + 1, 1));
    CHECK(strstr(lstmgen_last_error(), "stop 0 is empty") != NULL);
    stops[0] = NULL;
    INVALID(lstmgen_generator_set_stops(g, stops, sizes, 1));
    sizes[0] = LSTMGEN_MAX_LOOKBACK + 1;
    stops[0] = calloc(LSTMGEN_MAX_LOOKBACK + 1, sizeof **stops);
    INVALID(lstmgen_generator_set_stops(g, stops, sizes, 1));
    CHECK(strstr(lstmgen_last_error(), "expected at most 4096 elements, found 4097") != NULL);
    free((void*)stops[0]);
    INVALID(lstmgen_generator_go_on(NULL));

    /* One by one. A copy, a clone and a state are made when half of the stop was drawn. */
    sizes[1] = 2;
    OK(lstmgen_generator_set_stops(g, stops + 1, sizes + 1, 1));
    OK(lstmgen_generator_go_on(g)); /* nothing has ended */
    for (i = 0; i + 1 < first; ++i) {
        OK(lstmgen_generator_next(g, ids + i));
        OK(lstmgen_generator_ended(g, &ended));
        CHECK(!ended && ids[i] == all[i]);
    }
    OK(lstmgen_generator_clone(g, &copy));
    OK(lstmgen_generator_save(g, NULL, 0, &bytes));
    state = malloc(bytes + sizeof *all); /* room for an id more */
    OK(lstmgen_generator_save(g, state, bytes, &bytes));
    OK(lstmgen_generator_load(model, state, bytes, 1, NULL, &loaded));
    OK(lstmgen_generator_next(g, &other));
    CHECK(other == all[first - 1]);
    OK(lstmgen_generator_ended(g, &ended));
    CHECK(ended == 1 && lstmgen_generator_next(g, &other) == LSTMGEN_ENDED && other == all[first - 1]);
    CHECK(strstr(lstmgen_last_error(), "a stop ended the sequence") != NULL);
    OK(lstmgen_generator_next(copy, &other));
    CHECK(other == all[first - 1] && lstmgen_generator_next(copy, &other) == LSTMGEN_ENDED);
    CHECK(lstmgen_generator_next_many(loaded, ids, 3) == LSTMGEN_ENDED);
    CHECK(ids[0] == all[first - 1] && ids[1] == LSTMGEN_SEPARATOR && ids[2] == LSTMGEN_SEPARATOR);

    /* A state of a sequence that has ended is one that has ended, and so is a copy. */
    OK(lstmgen_generator_save(g, state, bytes + sizeof *all, &bytes));
    OK(lstmgen_generator_free(&loaded));
    OK(lstmgen_generator_load(model, state, bytes, 1, NULL, &loaded));
    CHECK(lstmgen_generator_next(loaded, &other) == LSTMGEN_ENDED);
    OK(lstmgen_generator_go_on(copy));
    OK(lstmgen_generator_copy(copy, g));
    CHECK(lstmgen_generator_next(copy, &other) == LSTMGEN_ENDED);
    memset(&d, 0, sizeof d);
    OK(lstmgen_generator_sample(g, 9, on_id, &d));
    CHECK(d.count == 0);

    /* It goes on as if it had not ended. Without stops, nothing ends it. */
    OK(lstmgen_generator_go_on(g));
    OK(lstmgen_generator_next(g, &other));
    CHECK(other == all[first]);
    OK(lstmgen_generator_set_stops(g, NULL, NULL, 0));
    OK(lstmgen_generator_next_many(g, ids, STOP_LENGTH - first - 1));
    CHECK(memcmp(ids, all + first + 1, (STOP_LENGTH - first - 1) * sizeof *ids) == 0);

    /* To feed and to reset lets it go on, too, and what was drawn before is no part of a stop. */
    OK(lstmgen_generator_feed(loaded, all, 1));
    OK(lstmgen_generator_next(loaded, &other));
    OK(lstmgen_generator_reset(copy, 7));
    OK(lstmgen_generator_feed_prime(copy));
    for (i = 0; i + 1 < first; ++i) OK(lstmgen_generator_next(copy, ids + i));
    OK(lstmgen_generator_set_stops(copy, stops + 1, sizes + 1, 1)); /* after the half */
    OK(lstmgen_generator_next(copy, &other));
    OK(lstmgen_generator_ended(copy, &ended));
    CHECK(!ended);

    /* The same stop as a text. */
    INVALID(lstmgen_generator_set_stop_texts(NULL, texts, bytes_of, 1));
    INVALID(lstmgen_generator_set_stop_texts(g, NULL, bytes_of, 1));
    INVALID(lstmgen_generator_set_stop_texts(g, texts, NULL, 1));
    INVALID(lstmgen_generator_set_stop_texts(g, texts, bytes_of, 2));
    CHECK(strstr(lstmgen_last_error(), "stop text 1: no elements of the vocabulary can hold it") != NULL);
    bytes_of[1] = 0;
    INVALID(lstmgen_generator_set_stop_texts(g, texts, bytes_of, 2));
    CHECK(strstr(lstmgen_last_error(), "stop text 1 is empty") != NULL);
    INVALID(lstmgen_generator_set_stop_texts(g, texts, bytes_of, 3));
    OK(lstmgen_generator_set_stop_texts(g, texts, bytes_of, 1));
    OK(lstmgen_generator_reset(g, 7));
    OK(lstmgen_generator_feed_prime(g));
    CHECK(lstmgen_generator_next_many(g, ids, STOP_LENGTH) == LSTMGEN_ENDED);
    CHECK(memcmp(ids, all, first * sizeof *all) == 0 && ids[first] == LSTMGEN_SEPARATOR);

    /* With callbacks, which get the stop, too. */
    OK(lstmgen_generator_reset(copy, 7));
    OK(lstmgen_generator_feed_prime(copy));
    OK(lstmgen_generator_sample(copy, SIZE_MAX, on_id, &d));
    CHECK(d.count == first && memcmp(d.ids, all, first * sizeof *all) == 0);
    d.count = 0;
    OK(lstmgen_generator_go_on(copy));
    OK(lstmgen_generator_sample_text(copy, 1, on_text, &d));
    CHECK(d.count == 1 && d.text[0] == (char)('a' + (int)all[first]));

    free(state);
    OK(lstmgen_generator_free(&g));
    OK(lstmgen_generator_free(&copy));
    OK(lstmgen_generator_free(&loaded));
    OK(lstmgen_model_release(&model));
}

/* -- Many sequences -- */

enum { MANY = 9, LENGTH = 30 };

static int stop_after(void* user) { return --*(int*)user < 0; }

static void test_many(const char* path) {
    lstmgen_model* model = load(path);
    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    lstmgen_many_options many = LSTMGEN_MANY_OPTIONS_INIT;
    lstmgen_generator* g = NULL;
    static const uint32_t some[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9}, stop[] = {4, 4}, bad = OUTPUTS;
    const uint32_t *primes[MANY], *stops[1], *no_prime = NULL;
    size_t sizes[MANY], stop_sizes[1] = {2}, counts[MANY], by_text_counts[MANY], zero = 0, refresh, i, j;
    uint32_t ids[MANY * LENGTH], alone[LENGTH], by_text[MANY * LENGTH];
    static const char* const text = "ee"; /* `stop` */
    uint64_t seeds[MANY];
    double temps[MANY];
    int calls;
    stops[0] = stop;
    for (i = 0; i < MANY; ++i) {
        primes[i] = some + i % 3;
        sizes[i] = 1 + i;
        seeds[i] = 100 - i;
        temps[i] = 0.5 + 0.1 * (double)i;
    }
    options.sampler = &sampler;
    sampler.repeat_penalty = 1.1;
    sampler.top_k = 7;
    options.threads = 2;
    for (refresh = 0; refresh < 3; ++refresh) {
        options.refresh = refresh;
        sampler.temp = 1;
        OK(lstmgen_many_options_init(&many, sizeof many));
        CHECK(many.length == 1000 && many.count == 0);
        many.count = MANY;
        many.length = LENGTH;
        many.primes = primes;
        many.prime_sizes = sizes;
        many.temps = temps;
        many.seeds = seeds;
        many.stops = stops;
        many.stop_sizes = stop_sizes;
        many.stop_count = 1;
        OK(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts));
        many.stop_count = 0;
        many.stop_texts = &text;
        many.stop_text_bytes = stop_sizes;
        many.stop_text_count = 1;
        OK(lstmgen_model_sample_many(model, &options, &many, by_text, MANY * LENGTH, by_text_counts));
        CHECK(memcmp(by_text_counts, counts, sizeof counts) == 0);
        for (i = 0; i < MANY; ++i) CHECK(memcmp(by_text + i * LENGTH, ids + i * LENGTH, counts[i] * sizeof *ids) == 0);
        for (i = 0; i < MANY; ++i) {
            sampler.temp = temps[i];
            sampler.seed = seeds[i];
            OK(lstmgen_generator_create(model, &options, &g));
            OK(lstmgen_generator_feed(g, primes[i], sizes[i]));
            OK(lstmgen_generator_next_many(g, alone, LENGTH));
            OK(lstmgen_generator_free(&g));
            CHECK(memcmp(ids + i * LENGTH, alone, counts[i] * sizeof *ids) == 0);
            for (j = 0; j + 1 < counts[i]; ++j) /* only the end may be the stop */
                CHECK(memcmp(alone + j, stop, sizeof stop) != 0 || j + 2 == counts[i]);
            CHECK(counts[i] == LENGTH || memcmp(alone + counts[i] - 2, stop, sizeof stop) == 0);
        }
    }

    /* By default each prime is the model's, and the seeds count up. */
    options.refresh = 1;
    sampler.temp = 1;
    sampler.seed = UINT64_MAX;
    OK(lstmgen_many_options_init(&many, sizeof many));
    many.count = 2;
    many.length = LENGTH;
    OK(lstmgen_model_sample_many(model, &options, &many, ids, 2 * LENGTH, counts));
    sampler.seed = 0;
    OK(lstmgen_generator_create(model, &options, &g));
    OK(lstmgen_generator_feed_prime(g));
    OK(lstmgen_generator_next_many(g, alone, LENGTH));
    OK(lstmgen_generator_free(&g));
    CHECK(counts[1] == LENGTH && memcmp(ids + LENGTH, alone, sizeof alone) == 0);
    OK(lstmgen_model_sample_many(model, NULL, &many, ids, MANY * LENGTH, counts));

    options.threads = 1; /* other threads may have drawn before on_wait is called */
    many.on_wait = stop_after;
    many.user = &calls;
    calls = 0;
    CHECK(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts) == LSTMGEN_STOPPED);
    CHECK(counts[0] == 0 && counts[1] == 0);
    calls = 1 << 20;
    OK(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts));
    CHECK(counts[0] == LENGTH);
    many.on_wait = NULL;

    counts[0] = 77;
    CHECK(lstmgen_model_sample_many(model, &options, &many, ids, 2 * LENGTH - 1, counts) == LSTMGEN_SHORT_BUFFER);
    many.length = SIZE_MAX / 2 + 1; /* its product with the count overflows to 0 */
    CHECK(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts) == LSTMGEN_SHORT_BUFFER);
    many.length = LENGTH;
    INVALID(lstmgen_model_sample_many(NULL, &options, &many, ids, MANY * LENGTH, counts));
    INVALID(lstmgen_model_sample_many(model, &options, NULL, ids, MANY * LENGTH, counts));
    INVALID(lstmgen_model_sample_many(model, &options, &many, NULL, MANY * LENGTH, counts));
    INVALID(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, NULL));
    many.primes = &no_prime;
    /* The sizes are missing. */
    INVALID(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts));
    many.count = 1;
    many.prime_sizes = stop_sizes;
    /* A prime is NULL. */
    INVALID(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts));
    many.primes = primes;
    many.prime_sizes = &zero;
    INVALID(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts));
    primes[0] = &bad;
    sizes[0] = 1;
    many.prime_sizes = sizes;
    INVALID(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts));
    many.primes = NULL;
    many.stop_count = 1;
    /* The stops are missing. */
    INVALID(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts));
    many.stops = stops;
    many.stop_sizes = &zero;
    /* A stop is empty. */
    INVALID(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts));
    stops[0] = &bad;
    many.stop_sizes = sizes;
    /* An id is out of range. */
    INVALID(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts));
    CHECK(strstr(lstmgen_last_error(), "stop 0: id at position 0: expected below 11, found 11") != NULL);
    stops[0] = stop;
    options.threads = LSTMGEN_MAX_THREADS + 1;
    many.stop_count = 0;
    INVALID(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts));
    CHECK(strstr(lstmgen_last_error(), "threads: expected at most 1024, found 1025") != NULL);
    options.threads = 1;
    temps[0] = -1;
    many.temps = temps;
    INVALID(lstmgen_model_sample_many(model, &options, &many, ids, MANY * LENGTH, counts));
    CHECK(counts[0] == 77);
    OK(lstmgen_many_options_init(&many, sizeof many));
    OK(lstmgen_model_sample_many(model, NULL, &many, NULL, 0, NULL)); /* none */
    OK(lstmgen_model_release(&model));
}

/* -- Allocators -- */

static void test_allocator(const char* path) {
    pool p = {0, 0, 0};
    lstmgen_allocator allocator = LSTMGEN_ALLOCATOR_INIT;
    lstmgen_load_options load_options = LSTMGEN_LOAD_OPTIONS_INIT;
    lstmgen_model* model = NULL;
    lstmgen_generator* generator = NULL;
    lstmgen_status status;
    uint32_t ids[10];
    size_t n, bytes;
    allocator.allocate = take;
    allocator.release = give_back;
    allocator.user = &p;
    load_options.allocator = &allocator;
    for (n = 0, status = LSTMGEN_OUT_OF_MEMORY; status == LSTMGEN_OUT_OF_MEMORY; ++n) {
        p.left = n;
        status = lstmgen_model_load_path(path, &load_options, &model);
        CHECK(status == LSTMGEN_OK || p.live == 0);
    }
    CHECK(status == LSTMGEN_OK && n > 5);
    bytes = p.bytes;
    for (n = 0, status = LSTMGEN_OUT_OF_MEMORY; status == LSTMGEN_OUT_OF_MEMORY; ++n) {
        p.left = n;
        status = lstmgen_generator_create(model, NULL, &generator);
        CHECK(status == LSTMGEN_OK || p.bytes == bytes);
    }
    CHECK(status == LSTMGEN_OK && n > 5);
    p.left = 0; /* the calls below allocate nothing */
    OK(lstmgen_generator_feed_prime(generator));
    OK(lstmgen_generator_next_many(generator, ids, 10));
    OK(lstmgen_model_release(&model));
    CHECK(p.bytes > bytes);
    OK(lstmgen_generator_free(&generator));
    CHECK(p.live == 0 && p.bytes == 0);
    p.left = 1000;
    allocator.release = NULL;
    INVALID(lstmgen_model_load_path(path, &load_options, &model));
}

/* -- Raw numbers, and windows that are filled up with zeros (data/README.md) -- */

enum { RAW_OUTPUTS = 5, RAW_WINDOW = 6, RAW_LENGTH = 20 };

static size_t most_likely(const float* y) {
    size_t best = 0, i;
    for (i = 1; i < RAW_OUTPUTS; ++i)
        if (y[i] > y[best]) best = i;
    return best;
}

static void test_raw(const char* path) {
    static const float numbers[RAW_OUTPUTS] = {0.5f, -1.0f, 2.0f, 1.25f, 0.0f};
    lstmgen_model* model = load(path);
    const float* values = NULL;
    size_t count = 0, bytes = 0, length, i;
    size_t number = 0;
    float x[RAW_LENGTH] = {0}, y[RAW_OUTPUTS], other[RAW_OUTPUTS];
    double p[RAW_OUTPUTS];
    uint32_t ids[RAW_LENGTH], drawn[RAW_LENGTH];
    size_t counts[1];
    const uint32_t two = 2;
    static unsigned char state[1 << 16];
    void* const aligned = (void*)(((uintptr_t)state + 15) / 16 * 16);
    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    lstmgen_many_options many = LSTMGEN_MANY_OPTIONS_INIT;
    lstmgen_generator* generator = NULL;
    lstmgen_generator* carried = generator_of(model, 1, 0);

    OK(lstmgen_model_number(model, LSTMGEN_NUMBER_ENCODING, &number));
    CHECK(number == LSTMGEN_ENCODING_RAW);
    OK(lstmgen_model_number(model, LSTMGEN_NUMBER_INPUT_VALUES, &number));
    CHECK(number == RAW_OUTPUTS);
    OK(lstmgen_model_number(model, LSTMGEN_NUMBER_ZERO_PADDING, &number));
    CHECK(number == 1);
    OK(lstmgen_model_number(model, LSTMGEN_NUMBER_PREDICTOR, &number));
    CHECK(number == 0);
    OK(lstmgen_model_input_values(model, &values, &count));
    CHECK(count == RAW_OUTPUTS && memcmp(values, numbers, sizeof numbers) == 0);
    INVALID(lstmgen_model_input_values(model, NULL, &count));
    INVALID(lstmgen_model_input_values(model, &values, NULL));
    INVALID(lstmgen_model_input_values(NULL, &values, &count));

    /* An id enters as its number in lstmgen_model_input_values. */
    OK(lstmgen_model_predict_ids(model, 1, 1, &two, 1, y, RAW_OUTPUTS));
    OK(lstmgen_model_predict_features(model, 1, 1, &numbers[2], 1, other, RAW_OUTPUTS));
    CHECK(memcmp(y, other, sizeof y) == 0);
    OK(lstmgen_state_size(model, &bytes));
    CHECK(bytes < sizeof state - 16);
    OK(lstmgen_state_init(model, aligned, bytes));
    OK(lstmgen_state_step_id(model, aligned, bytes, 2, other, RAW_OUTPUTS));
    CHECK(memcmp(y, other, sizeof y) == 0);
    INVALID(lstmgen_state_step_id(model, aligned, bytes, RAW_OUTPUTS, other, RAW_OUTPUTS));

    /* With an empty context, the window is all zeros. A carried state needs an element. */
    sampler.temp = 0.0;
    options.sampler = &sampler;
    OK(lstmgen_generator_create(model, &options, &generator));
    OK(lstmgen_generator_probabilities(generator, p, RAW_OUTPUTS));
    for (length = 0; length < RAW_LENGTH - RAW_WINDOW; ++length) {
        OK(lstmgen_model_predict_features(model, 1, RAW_WINDOW, x + length, RAW_WINDOW, y, RAW_OUTPUTS));
        OK(lstmgen_generator_next(generator, &ids[length]));
        CHECK(ids[length] == most_likely(y));
        x[RAW_WINDOW + length] = numbers[ids[length]];
    }
    INVALID(lstmgen_generator_next(carried, ids));
    CHECK(strstr(lstmgen_last_error(), "the context is empty") != NULL);

    many.count = 1;
    many.length = length;
    OK(lstmgen_model_sample_many(model, &options, &many, drawn, RAW_LENGTH, counts));
    CHECK(counts[0] == length);
    for (i = 0; i < length; ++i) CHECK(drawn[i] == ids[i]);
    options.refresh = 0;
    INVALID(lstmgen_model_sample_many(model, &options, &many, drawn, RAW_LENGTH, counts));

    OK(lstmgen_generator_free(&generator));
    OK(lstmgen_generator_free(&carried));
    OK(lstmgen_model_release(&model));
}

/* Nothing but "b" and "c" in pairs of "(" and ")", which here are "a" and "d". */
static const char kPairs[] = "root ::= pair+\npair ::= \"a\" ([bc] | pair)* \"d\"";

static int is_paired(const uint32_t* ids, size_t count) {
    size_t i, open = 0;
    for (i = 0; i < count; ++i) {
        if (ids[i] > 3 || (open == 0 && ids[i] != 0)) return 0;
        open += ids[i] == 0;
        open -= ids[i] == 3;
    }
    return open == 0 && count > 0;
}

static void test_grammar(const char* path) {
    enum { LENGTH = 60, COUNT = 3 };
    lstmgen_model *model = load(path), *second = load(path);
    lstmgen_grammar *grammar = NULL, *none = (lstmgen_grammar*)model, *word = NULL;
    lstmgen_generator *generator = generator_of(model, 5, 0), *copy = generator_of(model, 9, 0), *loaded = NULL;
    lstmgen_generator* foreign = generator_of(second, 5, 0);
    lstmgen_generator_options options = LSTMGEN_GENERATOR_OPTIONS_INIT;
    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    lstmgen_many_options many = LSTMGEN_MANY_OPTIONS_INIT;
    const uint32_t start[] = {0, 1, 0, 4};
    const uint32_t* const primes[COUNT] = {start + 1, start + 1, start + 1};
    const size_t sizes[COUNT] = {2, 2, 2}, belong[COUNT] = {1, 1, 1};
    uint32_t ids[1 + LENGTH], other[1 + LENGTH], drawn[COUNT * LENGTH];
    size_t counts[COUNT], bytes, i;
    double p[OUTPUTS], logits[OUTPUTS], sum = 0.0;
    unsigned char* state;
    int ended = 9;
    const char* text = NULL;

    INVALID(lstmgen_grammar_create(model, "root ::= (", 10, &none));
    CHECK(none == NULL && strstr(lstmgen_last_error(), "line 1, column 11") != NULL);
    INVALID(lstmgen_grammar_create(model, "root ::= \"?\"", 12, &none));
    CHECK(strstr(lstmgen_last_error(), "no element holds '?'") != NULL);
    INVALID(lstmgen_grammar_create(NULL, kPairs, strlen(kPairs), &none));
    INVALID(lstmgen_grammar_create(model, NULL, 0, &none));
    INVALID(lstmgen_grammar_create(model, kPairs, strlen(kPairs), NULL));
    OK(lstmgen_grammar_create(model, kPairs, strlen(kPairs), &grammar));
    OK(lstmgen_grammar_create(model, "root ::= \"ab\"", 13, &word));
    OK(lstmgen_model_string(model, LSTMGEN_STRING_GRAMMAR, &text, &bytes));
    CHECK(bytes == 0 && strcmp(text, "") == 0);

    /* No element of the grammar, but before its text. */
    OK(lstmgen_generator_feed(generator, start + 3, 1));
    OK(lstmgen_generator_set_grammar(generator, grammar, LENGTH));
    INVALID(lstmgen_generator_set_grammar(foreign, grammar, LENGTH));
    INVALID(lstmgen_generator_feed(generator, start, 4)); /* none of them is read */
    OK(lstmgen_generator_probabilities(generator, p, OUTPUTS));
    OK(lstmgen_generator_logits(generator, logits, OUTPUTS));
    for (i = 0; i < OUTPUTS; ++i) sum += p[i];
    CHECK(fabs(p[0] - 1.0) < 1e-12 && fabs(sum - 1.0) < 1e-12); /* "a" it must be */
    OK(lstmgen_generator_feed(generator, start, 1));
    OK(lstmgen_generator_probabilities(generator, p, OUTPUTS));
    OK(lstmgen_generator_logits(generator, logits, OUTPUTS));
    for (i = 1; i < 4; ++i) CHECK(fabs(p[i] / p[0] - exp(logits[i] - logits[0])) < 1e-9 * exp(logits[i] - logits[0]));
    CHECK(p[4] == 0.0);

    INVALID(lstmgen_generator_copy(copy, generator));
    OK(lstmgen_generator_set_grammar(copy, grammar, 1));
    OK(lstmgen_generator_copy(copy, generator));
    OK(lstmgen_generator_save(generator, NULL, 0, &bytes));
    state = malloc(bytes);
    OK(lstmgen_generator_save(generator, state, bytes, &bytes));
    OK(lstmgen_generator_load(model, state, bytes, 1, NULL, &loaded));
    ids[0] = 0;
    for (i = 1; i <= LENGTH; ++i) {
        OK(lstmgen_generator_ended(generator, &ended));
        CHECK(!ended);
        OK(lstmgen_generator_next(generator, &ids[i]));
    }
    CHECK(is_paired(ids, 1 + LENGTH));
    OK(lstmgen_generator_next_many(copy, other + 1, LENGTH));
    CHECK(memcmp(ids + 1, other + 1, sizeof ids - sizeof *ids) == 0);
    OK(lstmgen_generator_next_many(loaded, other + 1, LENGTH));
    CHECK(memcmp(ids + 1, other + 1, sizeof ids - sizeof *ids) == 0);

    OK(lstmgen_generator_set_grammar(generator, word, LSTMGEN_UNLIMITED));
    CHECK(lstmgen_generator_next_many(generator, ids, 5) == LSTMGEN_ENDED && ids[0] == 0 && ids[1] == 1);
    OK(lstmgen_generator_ended(generator, &ended));
    CHECK(ended == 1);
    CHECK(lstmgen_generator_next(generator, ids) == LSTMGEN_ENDED);
    CHECK(lstmgen_generator_draw(generator, logits, OUTPUTS, ids) == LSTMGEN_ENDED);
    OK(lstmgen_generator_likeliest(generator, ids, p, 3, &bytes));
    CHECK(bytes == 0);
    OK(lstmgen_generator_reset(generator, 1)); /* back to the empty text */
    OK(lstmgen_generator_feed(generator, start, 1));
    OK(lstmgen_generator_next(generator, ids));
    CHECK(ids[0] == 1);
    OK(lstmgen_generator_set_grammar(generator, grammar, LENGTH));
    OK(lstmgen_generator_set_grammar_length(generator, 1));
    INVALID(lstmgen_generator_next(generator, ids)); /* no text is so short */
    CHECK(strstr(lstmgen_last_error(),
                 "expected at least 2 more elements, as the shortest text of the grammar has, found 1") != NULL);
    OK(lstmgen_generator_set_grammar(generator, NULL, 0));
    OK(lstmgen_generator_next_many(generator, ids, LENGTH));

    options.refresh = 0;
    options.sampler = &sampler;
    sampler.seed = 5;
    many.count = COUNT;
    many.length = LENGTH;
    many.primes = primes;
    many.prime_sizes = sizes;
    many.grammar = grammar;
    many.grammar_primes = belong;
    OK(lstmgen_model_sample_many(model, &options, &many, drawn, COUNT * LENGTH, counts));
    for (i = 0; i < COUNT; ++i) { /* the "a" at the end of the prime opens a pair */
        lstmgen_generator* one = generator_of(model, 5 + i, 0);
        size_t j;
        OK(lstmgen_generator_feed(one, start + 1, 1));
        OK(lstmgen_generator_set_grammar(one, grammar, LENGTH));
        OK(lstmgen_generator_feed(one, start + 2, 1));
        for (j = 0; j < counts[i]; ++j) {
            OK(lstmgen_generator_next(one, &ids[j]));
            CHECK(ids[j] == drawn[i * LENGTH + j]);
        }
        memcpy(other + 1, ids, LENGTH * sizeof *ids);
        other[0] = 0;
        CHECK(counts[i] == LENGTH && is_paired(other, 1 + LENGTH));
        OK(lstmgen_generator_free(&one));
    }

    free(state);
    OK(lstmgen_grammar_free(&grammar));
    OK(lstmgen_grammar_free(&grammar));
    OK(lstmgen_grammar_free(&word));
    INVALID(lstmgen_grammar_free(NULL));
    OK(lstmgen_generator_free(&generator));
    OK(lstmgen_generator_free(&copy));
    OK(lstmgen_generator_free(&loaded));
    OK(lstmgen_generator_free(&foreign));
    OK(lstmgen_model_release(&model));
    OK(lstmgen_model_release(&second));
}

int main(int argc, char** argv) {
    char version[32];
    int status;
    if (argc != 3) return 2;
    CHECK(strcmp(lstmgen_last_error(), "") == 0);
    sprintf(version, "%d.%d.%d", LSTMGEN_VERSION_MAJOR, LSTMGEN_VERSION_MINOR, LSTMGEN_VERSION_PATCH);
    CHECK(strcmp(lstmgen_version(), version) == 0 && strcmp(LSTMGEN_VERSION_STRING, version) == 0);
    CHECK(lstmgen_version_number() == LSTMGEN_VERSION);
#if LSTMGEN_VERSION < 100
#error "0.1.0 is 100"
#endif
    for (status = LSTMGEN_OK; status <= LSTMGEN_ENDED; ++status)
        CHECK(strcmp(lstmgen_status_name(status), "unknown status") != 0);
    CHECK(strcmp(lstmgen_status_name(99), "unknown status") == 0);
    test_loading(argv[1]);
    test_stopping(argv[1]);
    test_inspecting(argv[1]);
    test_handles(argv[1]);
    test_null_handles();
    test_predicting(argv[1]);
    test_generating(argv[1]);
    test_samplers(argv[1]);
    test_changing(argv[1]);
    test_versions(argv[1]);
    test_saving(argv[1]);
    test_stops(argv[1]);
    test_many(argv[1]);
    test_grammar(argv[1]);
    test_allocator(argv[1]);
    test_raw(argv[2]);
    printf("%d failures\n", failures);
    return failures > 0;
}
