/* SPDX-License-Identifier: MIT */
/** @file
 * lstmgen: sample from a recurrent network that Keras trained, from C99 and all that can call C.
 *
 *     lstmgen_model *model = NULL;
 *     lstmgen_generator *generator = NULL;
 *     uint32_t id;
 *     if (lstmgen_model_load_path("latex.bin", NULL, &model) == LSTMGEN_OK &&
 *         lstmgen_generator_create(model, NULL, &generator) == LSTMGEN_OK &&
 *         lstmgen_generator_feed_prime(generator) == LSTMGEN_OK &&
 *         lstmgen_generator_next(generator, &id) == LSTMGEN_OK)
 *         printf("%lu\n", (unsigned long)id);
 *     lstmgen_generator_free(&generator);
 *     lstmgen_model_release(&model);
 *
 * docs/embedding.md is the manual. These hold for all functions:
 *
 * - Names: a function is called lstmgen_<what it works on>_<what it does>.
 * - Numbers: sizes, counts and positions are size_t, ids are uint32_t, seeds are uint64_t. The id
 *   of an element is below LSTMGEN_NUMBER_OUTPUTS.
 * - Arrays: the number or shape in parentheses after a name is the size of an array. Shapes are in
 *   C order: the last index runs fastest.
 * - Errors: a function that can fail returns a status, which must be checked, and
 *   lstmgen_last_error() says why. An argument out of range is LSTMGEN_INVALID_ARGUMENT, and an
 *   array with too little room is LSTMGEN_SHORT_BUFFER. On failure nothing is written to the places
 *   of results, unless the function says so.
 * - NULL: each pointer may be NULL. That is LSTMGEN_INVALID_ARGUMENT, unless the function gives
 *   NULL a meaning.
 * - Threads: a model is immutable, and any number of threads may use one at a time. A generator
 *   belongs to one thread at a time. A second one gets LSTMGEN_BUSY, as does a callback that uses
 *   the generator which called it. A pointer to const does not change this.
 * - Nothing prints, exits, aborts, installs a signal handler, or keeps global state. No exception
 *   leaves a function. No longjmp and no exception may leave a callback; one that throws ends the
 *   call with LSTMGEN_INTERNAL.
 * - Text is UTF-8. A 0 byte follows it, which the number of bytes does not count. It holds no
 *   other.
 *
 * Structs and versions. This is the whole promise:
 *
 * - Each struct begins with its own size. An initialiser (LSTMGEN_..._INIT) or a function
 *   (lstmgen_..._init) sets it, with the defaults of all members.
 * - New members are only ever appended. Existing members, enumerators and functions keep their
 *   meaning and number within a minor version of the library.
 * - A program that is older than the library has a shorter struct. Each member that it lacks has
 *   its default.
 * - A program that is newer than the library has a longer struct. The bytes that the library does
 *   not know must all be 0. Otherwise the call gives LSTMGEN_WRONG_VERSION, since an option that
 *   was set would be ignored.
 * - A struct that is shorter than its first version, longer than 4096 bytes, or of a size that is
 *   not a multiple of sizeof(size_t) gives LSTMGEN_WRONG_VERSION.
 * - A struct that the library fills in (lstmgen_layer) gets the members that both know. The rest
 *   becomes 0.
 */
#ifndef LSTMGEN_LSTMGEN_H
#define LSTMGEN_LSTMGEN_H

#include <lstmgen/common.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors ---- */

/** What a call came to. 0 is success. The numbers stay. */
typedef enum lstmgen_status {
    LSTMGEN_OK = 0,     /**< done */
    LSTMGEN_IO = 1,     /**< the file or stream cannot be read */
    LSTMGEN_FORMAT = 2, /**< the bytes are not a model file or a state, or a damaged one */
    LSTMGEN_INVALID_ARGUMENT =
        3, /**< a NULL, a freed handle, a number out of range, or impossible for this model */
    LSTMGEN_OUT_OF_MEMORY = 4, /**< there is no memory; all is as before the call */
    LSTMGEN_SHORT_BUFFER = 5,  /**< the caller's buffer is too small for the result */
    LSTMGEN_WRONG_VERSION =
        6, /**< the library does not know a struct's size, or a member that is set in it */
    LSTMGEN_STOPPED =
        7, /**< a callback asked for the end: not a failure, lstmgen_last_error stays */
    LSTMGEN_BUSY =
        8, /**< the generator is in use, by another thread or by the caller of this callback */
    LSTMGEN_INTERNAL = 9, /**< a bug in lstmgen, or an exception from a callback */
    LSTMGEN_ENDED = 10    /**< a stop was drawn, or the text of the grammar is complete */
} lstmgen_status;

/** An exported function that returns a status, which must be checked. */
#define LSTMGEN_STATUS LSTMGEN_MUST_CHECK LSTMGEN_API lstmgen_status

/** Returns what went wrong in the last call of this thread that failed; "" before the first. The
 * text has at most 511 bytes. It is valid until this thread's next failure. */
LSTMGEN_MUST_CHECK LSTMGEN_API const char* lstmgen_last_error(void);

/** Returns the name of an lstmgen_status, such as "short buffer"; "unknown status" for any other
 * number. The text is static. */
LSTMGEN_MUST_CHECK LSTMGEN_API const char* lstmgen_status_name(int status);

/** Returns the version of the library that runs, such as "0.1.0". LSTMGEN_VERSION_STRING is that of
 * this header. The text is static. */
LSTMGEN_MUST_CHECK LSTMGEN_API const char* lstmgen_version(void);

/** Returns the version of the library that runs, as a number. LSTMGEN_VERSION is that of this
 * header. */
LSTMGEN_MUST_CHECK LSTMGEN_API size_t lstmgen_version_number(void);

/** Returns the name of an instruction set that this processor can run. `index` counts from 0, the
 * best first; NULL after the last. The names are "avx512amx", "avx512bf16", "avx512vnni", "avx512",
 * "avx2", "neoni8mm", "neondot", "neon", "simd128" and "baseline". "avx512amx" is the first choice
 * for models of int8 only. Linux is asked for the tiles of AMX when such a model is loaded, and by
 * this function. The text is static.
 */
LSTMGEN_MUST_CHECK LSTMGEN_API const char* lstmgen_isa(size_t index);

/* ---- Memory ---- */

/** Where weights, states, working memory and handles come from. Names, vocabularies and what
 * docs/embedding.md lists come from operator new. The thread that calls lstmgen calls both
 * functions; a real-time function never does. */
typedef struct lstmgen_allocator {
    size_t size; /**< sizeof(lstmgen_allocator) */
    /** Returns `bytes` > 0 bytes at a multiple of `alignment` (a power of 2, at most 64), or NULL.
     * After NULL the call that needed them gives LSTMGEN_OUT_OF_MEMORY. */
    void* (*allocate)(void* user, size_t bytes, size_t alignment);
    /** Takes back what `allocate` returned for the same `bytes`. `memory` is never NULL. */
    void (*release)(void* user, void* memory, size_t bytes);
    void* user; /**< the first argument of both */
} lstmgen_allocator;

/** An allocator without functions, which must be set. */
#define LSTMGEN_ALLOCATOR_INIT {sizeof(lstmgen_allocator), NULL, NULL, NULL}

/* ---- Models ---- */

/** A network with its weights, vocabulary and facts. It is immutable and counts its references. */
typedef struct lstmgen_model lstmgen_model;

/** How a model is loaded. */
typedef struct lstmgen_load_options {
    /** sizeof(lstmgen_load_options) */
    size_t size;
    /** Stands for the path in errors of models from memory and streams; NULL: "<memory>". */
    const char* name;
    /** NULL: operator new. The struct is copied; `user` must outlive the model. */
    const lstmgen_allocator* allocator;
    /** Name of the kernels, one of lstmgen_isa(). NULL or "": what the environment variable
     * LSTMGEN_ISA names, or the best. The results are the same bits with all kernels. */
    const char* isa;
    /** Called in the load, in predictions, by generators of this model, also within an element
     * under a grammar, and while a grammar is made: after about every millisecond of the work, by
     * the thread that calls; several threads may at a time. It returns 0 to go on. Otherwise the
     * call gives LSTMGEN_STOPPED. A generator is then as before the call, except that
     * lstmgen_generator_feed and lstmgen_generator_score may have read a part of the elements.
     * NULL: nothing is called. */
    int (*on_wait)(void* user);
    /** The argument of on_wait. */
    void* user;
} lstmgen_load_options;

/** The defaults of lstmgen_load_options. */
#define LSTMGEN_LOAD_OPTIONS_INIT {sizeof(lstmgen_load_options), NULL, NULL, NULL, NULL, NULL}

/** Sets the defaults. `size` is sizeof(lstmgen_load_options) of the caller. LSTMGEN_WRONG_VERSION:
 * no version of the struct has this size. */
LSTMGEN_STATUS lstmgen_load_options_init(lstmgen_load_options* options, size_t size);

/** Loads the `.bin` file at `path`, which is UTF-8 on Windows. The file is not needed afterwards.
 * `options` may be NULL: the defaults. *model gets the model, or NULL on failure. It has one
 * reference, which the caller ends with lstmgen_model_release. LSTMGEN_IO: the file cannot be read.
 * LSTMGEN_FORMAT: it is not a model file, or a damaged one. LSTMGEN_INVALID_ARGUMENT: this
 * processor cannot run options->isa; the error lists the names that it can run. */
LSTMGEN_STATUS lstmgen_model_load_path(const char* path, const lstmgen_load_options* options,
                                       lstmgen_model** model);

/** Loads the `bytes` bytes of a file at `data`, which are copied. Otherwise as
 * lstmgen_model_load_path. */
LSTMGEN_STATUS lstmgen_model_load_memory(const void* data, size_t bytes,
                                         const lstmgen_load_options* options,
                                         lstmgen_model** model);

/** Puts up to `bytes` > 0 bytes into `buffer` (bytes). Returns how many, 0 at the end, or
 * (size_t)-1 for an error, which the call gives as LSTMGEN_IO. */
typedef size_t (*lstmgen_read)(void* user, void* buffer, size_t bytes);

/** Loads the bytes that `read` gives. This thread calls it, with `user` as its first argument,
 * until it returns 0. Otherwise as lstmgen_model_load_path. */
LSTMGEN_STATUS lstmgen_model_load_stream(lstmgen_read read, void* user,
                                         const lstmgen_load_options* options,
                                         lstmgen_model** model);

/** Adds a reference to the model. Any thread may call it. */
LSTMGEN_STATUS lstmgen_model_retain(lstmgen_model* model);

/** Ends a reference and sets *model to NULL. Any thread may call it. The end of the last reference
 * frees the model. A generator holds a reference, too. If *model is NULL already, nothing
 * happens. */
LSTMGEN_API lstmgen_status lstmgen_model_release(lstmgen_model** model);

/** How an element enters the network (docs/format.md, section 3). */
typedef enum lstmgen_encoding {
    LSTMGEN_ENCODING_ONEHOT = 0, /**< a row of zeros with a single one */
    LSTMGEN_ENCODING_INDEX = 1,  /**< an id, which an embedding reads */
    LSTMGEN_ENCODING_SCALED = 2, /**< the number id / outputs */
    LSTMGEN_ENCODING_FEATURES =
        3, /**< numbers; such a network predicts and steps, but does not generate */
    LSTMGEN_ENCODING_RAW = 4 /**< the element's number of lstmgen_model_input_values, or its id */
} lstmgen_encoding;

/** What lstmgen_model_number tells. */
typedef enum lstmgen_number {
    LSTMGEN_NUMBER_ENCODING = 0, /**< an lstmgen_encoding */
    LSTMGEN_NUMBER_INPUT_SIZE =
        1, /**< numbers in a time step; for LSTMGEN_ENCODING_INDEX, the number of ids */
    LSTMGEN_NUMBER_OUTPUTS =
        2,                     /**< numbers in an output; for a generator, the number of elements */
    LSTMGEN_NUMBER_WINDOW = 3, /**< time steps that the network was saved with; 0: not fixed */
    LSTMGEN_NUMBER_OUTPUT_SEQUENCE = 4, /**< 1: it gives an output at each time step */
    LSTMGEN_NUMBER_OUTPUT_STEPS = 5, /**< time steps of that output; 0: as many as the input has */
    LSTMGEN_NUMBER_WHOLE =
        6, /**< 1: it needs all time steps at once, so it has no steps, and refresh is 1 */
    LSTMGEN_NUMBER_FIXED_STEPS = 7,   /**< 1: it takes exactly `window` time steps */
    LSTMGEN_NUMBER_LABELS = 8,        /**< labels of a classifier; 0: it is not a classifier */
    LSTMGEN_NUMBER_VOCABULARY = 9,    /**< elements that have a text; 0: there are only ids */
    LSTMGEN_NUMBER_PRIME = 10,        /**< elements of the default prime; 0: there is none */
    LSTMGEN_NUMBER_HAS_PADDING = 11,  /**< 1: there is a padding element */
    LSTMGEN_NUMBER_PADDING = 12,      /**< id of the padding element, or 0 */
    LSTMGEN_NUMBER_LAYERS = 13,       /**< layers of the network */
    LSTMGEN_NUMBER_WEIGHT_BYTES = 14, /**< bytes of the packed weights in memory */
    LSTMGEN_NUMBER_ZERO_PADDING = 15, /**< 1: vectors of zeros fill a short window */
    LSTMGEN_NUMBER_PREDICTOR = 16,    /**< 1: its outputs are no elements; it does not generate */
    LSTMGEN_NUMBER_INPUT_VALUES =
        17 /**< numbers that lstmgen_model_input_values tells; 0: there are none */
} lstmgen_number;

/** What lstmgen_model_string tells. A text is "" if the file lacks it. */
typedef enum lstmgen_string {
    LSTMGEN_STRING_NAME = 0,            /**< name of the model */
    LSTMGEN_STRING_DESCRIPTION = 1,     /**< what it was trained on, and for */
    LSTMGEN_STRING_AUTHOR = 2,          /**< who trained it */
    LSTMGEN_STRING_LICENSE = 3,         /**< license of the model */
    LSTMGEN_STRING_SOURCE_URL = 4,      /**< where it comes from */
    LSTMGEN_STRING_CARD = 5,            /**< the model's card: a JSON object */
    LSTMGEN_STRING_KERAS_VERSION = 6,   /**< version of Keras that wrote the original */
    LSTMGEN_STRING_DTYPE = 7,           /**< type of the stored matrices: "f32", "bf16" or "int8" */
    LSTMGEN_STRING_ISA = 8,             /**< name of the kernels in use; see lstmgen_isa */
    LSTMGEN_STRING_VOCABULARY_KIND = 9, /**< "text", "tokens", "bytes", or "" */
    LSTMGEN_STRING_GRAMMAR = 10         /**< which texts are well-formed, in GBNF */
} lstmgen_string;

/** A layer. The pointers belong to the model. */
typedef struct lstmgen_layer {
    size_t size;            /**< sizeof(lstmgen_layer), set by the caller */
    const char* type;       /**< the type as in the file (docs/format.md, section 4) */
    const char* name;       /**< the name as in Keras */
    const char* activation; /**< name of the activation; "" if the type has none */
    const char*
        recurrent_activation; /**< name of the activation of the gates; "" if the type has none */
    size_t input_size;        /**< size of the first source; for an embedding, the number of ids */
    size_t outputs;           /**< size of the output */
    const size_t* sources;    /**< what it reads: 0 is the network's input, j + 1 is layer j */
    size_t source_count;      /**< how many sources there are */
    size_t return_sequences;  /**< 1: it gives an output at each time step; else 0 */
} lstmgen_layer;

/** A layer to be filled in. */
#define LSTMGEN_LAYER_INIT {sizeof(lstmgen_layer), NULL, NULL, NULL, NULL, 0, 0, NULL, 0, 0}

/** Tells a number of the model. `what` is an lstmgen_number. */
LSTMGEN_STATUS lstmgen_model_number(const lstmgen_model* model, int what, size_t* number);

/** Tells a text of the model, to which it belongs. `what` is an lstmgen_string. *bytes gets the
 * bytes of the text; `bytes` may be NULL. */
LSTMGEN_STATUS lstmgen_model_string(const lstmgen_model* model, int what, const char** text,
                                    size_t* bytes);

/** Tells the text of the element `id`, which belongs to the model. `id` is below
 * LSTMGEN_NUMBER_VOCABULARY. The text of padding may be empty. With a vocabulary of the kind
 * "bytes", an element is one byte of UTF-8: a character may need several elements. *bytes gets the
 * bytes of the text; `bytes` may be NULL. */
LSTMGEN_STATUS lstmgen_model_element(const lstmgen_model* model, uint32_t id, const char** text,
                                     size_t* bytes);

/** Tells the name of output `index` of a classifier, which belongs to the model. `index` is below
 * LSTMGEN_NUMBER_LABELS. *bytes gets the bytes of the name; `bytes` may be NULL. */
LSTMGEN_STATUS lstmgen_model_label(const lstmgen_model* model, size_t index, const char** text,
                                   size_t* bytes);

/** Tells the ids (*count) of the default prime, which belong to the model. *count is 0 if there is
 * none. */
LSTMGEN_STATUS lstmgen_model_prime(const lstmgen_model* model, const uint32_t** ids, size_t* count);

/** Tells the numbers *values (*count) that enter with LSTMGEN_ENCODING_RAW, one for each element.
 * They belong to the model. *count is 0 if the id itself enters. */
LSTMGEN_STATUS lstmgen_model_input_values(const lstmgen_model* model, const float** values,
                                          size_t* count);

/** Fills in `layer` with the layer at `index`, which is below LSTMGEN_NUMBER_LAYERS. The caller
 * sets layer->size. LSTMGEN_WRONG_VERSION: no version of the struct has that size. */
LSTMGEN_STATUS lstmgen_model_layer(const lstmgen_model* model, size_t index, lstmgen_layer* layer);

/** Turns the text (bytes) into ids. Each id is that of the longest element that the rest of the
 * text starts with. With a vocabulary of the kind "tokens", white space separates the elements. It
 * is the white space of Unicode, as in Python's str.split.
 *
 * `ids` (capacity) gets the ids, and *count their number. LSTMGEN_SHORT_BUFFER also sets *count,
 * and writes the first `capacity` ids. With `ids` NULL and `capacity` 0 the call only counts.
 * LSTMGEN_INVALID_ARGUMENT: a part of the text is not in the vocabulary, and the error names its
 * position; or the model has no vocabulary. */
LSTMGEN_STATUS lstmgen_model_encode(const lstmgen_model* model, const char* text, size_t bytes,
                                    uint32_t* ids, size_t capacity, size_t* count);

/* ---- Whole sequences ---- */

/** Tells how many floats the two functions below write: batch * outputs, times the time steps of
 * the output if LSTMGEN_NUMBER_OUTPUT_SEQUENCE is 1. `batch` may be 0. `steps` is at least 1, and
 * LSTMGEN_NUMBER_WINDOW if LSTMGEN_NUMBER_FIXED_STEPS is 1. */
LSTMGEN_STATUS lstmgen_model_predict_size(const lstmgen_model* model, size_t batch, size_t steps,
                                          size_t* count);

/** Computes what Keras's predict gives for `ids` (batch, steps). ids_count is batch * steps. Each
 * id is below LSTMGEN_NUMBER_INPUT_SIZE, or below LSTMGEN_NUMBER_OUTPUTS with
 * LSTMGEN_ENCODING_SCALED and LSTMGEN_ENCODING_RAW. `batch` and `steps` are as in
 * lstmgen_model_predict_size. `y` (y_count) has room for at least as many floats as that tells. It
 * gets the shape (batch, outputs), or (batch, output steps, outputs) if
 * LSTMGEN_NUMBER_OUTPUT_SEQUENCE is 1. The call takes working memory from the model's allocator,
 * and gives it back. LSTMGEN_INVALID_ARGUMENT: the network reads features. */
LSTMGEN_STATUS lstmgen_model_predict_ids(const lstmgen_model* model, size_t batch, size_t steps,
                                         const uint32_t* ids, size_t ids_count, float* y,
                                         size_t y_count);

/** Computes the same from `x` (batch, steps, LSTMGEN_NUMBER_INPUT_SIZE). x_count is the product of
 * these three. LSTMGEN_INVALID_ARGUMENT: the network starts with an embedding, which reads ids. */
LSTMGEN_STATUS lstmgen_model_predict_features(const lstmgen_model* model, size_t batch,
                                              size_t steps, const float* x, size_t x_count,
                                              float* y, size_t y_count);

/* ---- Generators ---- */

/** Draws one element after the other. */
typedef struct lstmgen_generator lstmgen_generator;

/** Which texts are well-formed, compiled over the elements of a model. It is immutable. */
typedef struct lstmgen_grammar lstmgen_grammar;

/** Changes `logits` (count) of the next element in place, before any option does. There is one
 * number for each element. -HUGE_VAL forbids the element. NaN ends the call with
 * LSTMGEN_INVALID_ARGUMENT. `ids` (ids_count) are the last elements of the context, the oldest
 * first, at most LSTMGEN_MAX_LOOKBACK. The callback must not use the generator. */
typedef void (*lstmgen_on_logits)(void* user, const uint32_t* ids, size_t ids_count, double* logits,
                                  size_t count);

/** How the next element is chosen from the network's output y. The names and meanings are those of
 * llama.cpp; docs/sampling.md says more. The logits ln y pass these steps in this order:
 * logit_bias, allow and ban; the penalties (repeat, frequency, presence); DRY; top_n_sigma; top_k;
 * typical_p; top_p; min_p; XTC. Then the probability p_i is proportional to y_i ^ (1 / temp).
 * Mirostat replaces all steps after DRY, except the temperature. */
typedef struct lstmgen_sampler_options {
    /** sizeof(lstmgen_sampler_options) */
    size_t size;
    /** Keep the k most likely elements; 0, the default: all. */
    size_t top_k;
    /** Temperature, at least 0; default 1. 0: the most likely element. */
    double temp;
    /** Above 0; default 1. The logit of each of the last repeat_last_n elements is divided by it if
     * it is above 0, and multiplied with it if not. */
    double repeat_penalty;
    /** In (0, 1]; default 1. Keep the most likely elements that together reach p. */
    double top_p;
    /** In [0, 1]; default 0. Keep the elements with at least min_p times the greatest probability.
     */
    double min_p;
    /** The same seed gives the same elements on every machine; default 0. */
    uint64_t seed;
    /** (logit_bias_count). logit_bias[i] is added to ln y of element logit_bias_ids[i]. */
    const uint32_t* logit_bias_ids;
    /** (logit_bias_count). Numbers below infinity; -HUGE_VAL bans the element. */
    const double* logit_bias;
    /** Length of both arrays, which are copied: at most the number of elements; default 0. */
    size_t logit_bias_count;
    /** In (0, 1]; default 1. Keep the elements whose surprise is nearest to the entropy, until they
     * exceed p. */
    double typical_p;
    /** At least 0; 0, the default: off. Keep logits within n standard deviations of the greatest.
     */
    double top_n_sigma;
    /** In [0, 1]; default 0. With this probability XTC drops all elements of at least the
     * probability xtc_threshold, except the least likely of them. */
    double xtc_probability;
    /** In [0, 1]; default 0.1. Above 0.5: off. */
    double xtc_threshold;
    /** At least 0; 0, the default: off. DRY subtracts multiplier * base ^ (length - allowed_length)
     * from the logit of an element that would continue a repetition. `length` is the length of the
     * longest end of the context that occurred before, with this element after it. */
    double dry_multiplier;
    /** At least 1; default 1.75. */
    double dry_base;
    /** At least 1; default 2. Shorter repetitions lose nothing. */
    size_t dry_allowed_length;
    /** At most LSTMGEN_MAX_LOOKBACK, which is the default: elements that DRY looks back. */
    size_t dry_penalty_last_n;
    /** Finite; default 0. It is subtracted from the logit of each of the last repeat_last_n
     * elements, once for each time that the element occurs among them. */
    double frequency_penalty;
    /** Finite; default 0. It is subtracted once from the logit of each of these elements. */
    double presence_penalty;
    /** At most LSTMGEN_MAX_LOOKBACK; default 64. Elements that the three penalties look back. */
    size_t repeat_last_n;
    /** 0, the default: off. 2: mirostat 2.0. */
    size_t mirostat;
    /** At least 0; default 5. Bits of surprise that mirostat aims at. */
    double mirostat_tau;
    /** At least 0; default 0.1. How fast mirostat learns. */
    double mirostat_eta;
    /** At least 0; default 0. The temperature grows from temp - range to temp + range while the
     * entropy grows from 0 to the greatest possible one. */
    double dynatemp_range;
    /** At least 0; default 1. The entropy, as a part of the greatest, is raised to this power. */
    double dynatemp_exponent;
    /** (allow_count). Only these ids can be drawn; none, the default: all. The arrays are copied.
     */
    const uint32_t* allow;
    /** At most the number of elements. */
    size_t allow_count;
    /** (ban_count). These ids cannot be drawn, allowed or not. */
    const uint32_t* ban;
    /** At most the number of elements; default 0. */
    size_t ban_count;
    /** (dry_sequence_breakers_count). Sequences of ids, with LSTMGEN_SEPARATOR between them. DRY
     * counts a repetition from after the last of them. */
    const uint32_t* dry_sequence_breakers;
    /** At most LSTMGEN_MAX_BREAKERS, the separators counted; default 0. */
    size_t dry_sequence_breakers_count;
} lstmgen_sampler_options;

/** The defaults of lstmgen_sampler_options. */
#define LSTMGEN_SAMPLER_OPTIONS_INIT  \
    {sizeof(lstmgen_sampler_options), \
     0,                               \
     1.0,                             \
     1.0,                             \
     1.0,                             \
     0.0,                             \
     0,                               \
     NULL,                            \
     NULL,                            \
     0,                               \
     1.0,                             \
     0.0,                             \
     0.0,                             \
     0.1,                             \
     0.0,                             \
     1.75,                            \
     2,                               \
     LSTMGEN_MAX_LOOKBACK,            \
     0.0,                             \
     0.0,                             \
     64,                              \
     0,                               \
     5.0,                             \
     0.1,                             \
     0.0,                             \
     1.0,                             \
     NULL,                            \
     0,                               \
     NULL,                            \
     0,                               \
     NULL,                            \
     0}

/** Sets the defaults. `size` is sizeof(lstmgen_sampler_options) of the caller. Errors are as in
 * lstmgen_load_options_init. */
LSTMGEN_STATUS lstmgen_sampler_options_init(lstmgen_sampler_options* options, size_t size);

/** How a generator works. */
typedef struct lstmgen_generator_options {
    /** sizeof(lstmgen_generator_options) */
    size_t size;
    /** How elements are chosen; NULL: the defaults. The struct is copied. */
    const lstmgen_sampler_options* sampler;
    /** 1, the default: each element comes from a fresh window of the last `window` elements, as in
     * a loop over predict. N: a window serves N elements. 0, or 1 without a window: the state is
     * carried on. */
    size_t refresh;
    /** Threads that share the work of the windows, at most LSTMGEN_MAX_THREADS; default 1. The
     * results do not depend on it. */
    size_t threads;
    /** NULL: the model's. The struct is copied; `user` must outlive the generator. */
    const lstmgen_allocator* allocator;
} lstmgen_generator_options;

/** The defaults of lstmgen_generator_options. */
#define LSTMGEN_GENERATOR_OPTIONS_INIT {sizeof(lstmgen_generator_options), NULL, 1, 1, NULL}

/** Sets the defaults. `size` is sizeof(lstmgen_generator_options) of the caller. Errors are as in
 * lstmgen_load_options_init. */
LSTMGEN_STATUS lstmgen_generator_options_init(lstmgen_generator_options* options, size_t size);

/** Makes a generator with an empty context. It holds a reference to the model. `options` may be
 * NULL: the defaults. They are not needed afterwards. *generator gets the generator, or NULL on
 * failure. LSTMGEN_INVALID_ARGUMENT: an option is out of range, or the model does not generate (a
 * classifier, a predictor, or a network that reads features). */
LSTMGEN_STATUS lstmgen_generator_create(lstmgen_model* model,
                                        const lstmgen_generator_options* options,
                                        lstmgen_generator** generator);

/** Frees a generator and sets *generator to NULL. If that is NULL already, nothing happens.
 * LSTMGEN_BUSY while another call uses the generator. */
LSTMGEN_API lstmgen_status lstmgen_generator_free(lstmgen_generator** generator);

/** Returns the generator's model, without a new reference; NULL if `generator` is not a
 * generator. */
LSTMGEN_MUST_CHECK LSTMGEN_API lstmgen_model* lstmgen_generator_model(
    const lstmgen_generator* generator);

/** Makes a second generator that goes on as this one does, element for element. *clone gets it, or
 * NULL on failure. The caller frees it, too. The call allocates. */
LSTMGEN_STATUS lstmgen_generator_clone(const lstmgen_generator* generator,
                                       lstmgen_generator** clone);

/** Compiles a grammar in the notation of llama.cpp (GBNF; docs/grammar.md), `bytes` bytes of UTF-8,
 * at most 1 MiB, over the elements of the model. Generators of this model share it; it keeps the
 * model. LSTMGEN_INVALID_ARGUMENT: a syntax error (lstmgen_last_error says line and column), left
 * recursion, a limit, elements that cannot spell any text, or a model without a vocabulary. On
 * failure *grammar is NULL. */
LSTMGEN_STATUS lstmgen_grammar_create(lstmgen_model* model, const char* text, size_t bytes,
                                      lstmgen_grammar** grammar);

/** Frees a grammar and sets *grammar to NULL. If that is NULL already, nothing happens. Generators
 * that have it go on. */
LSTMGEN_API lstmgen_status lstmgen_grammar_free(lstmgen_grammar** grammar);

/** Draws, from the next element on, only elements with which the text can still become one of
 * `grammar`. The network and the options decide among them. NULL: all elements again. The text
 * begins here: what was drawn or fed before does not belong to it, and what is fed from now on
 * does. At most `length` elements are going to be drawn, and then the text is complete; with
 * LSTMGEN_UNLIMITED it need never be complete. Clones and states have the grammar. It allocates,
 * and so do the first elements after it, which teach it what is allowed where. */
LSTMGEN_STATUS lstmgen_generator_set_grammar(lstmgen_generator* generator,
                                             const lstmgen_grammar* grammar, uint64_t length);

/** Draws at most `length` elements from now on. After them the text of the grammar is complete.
 */
LSTMGEN_STATUS lstmgen_generator_set_grammar_length(lstmgen_generator* generator, uint64_t length);

/** Ends the sequence after the first of `stops` (stop_count) that is drawn. Stop i has
 * stop_sizes[i] ids, from 1 to LSTMGEN_MAX_LOOKBACK. The arrays are copied. The last element of a
 * stop is drawn like any other, and then lstmgen_generator_next gives LSTMGEN_ENDED. A stop may be
 * spread over several calls. The search begins here, and anew after lstmgen_generator_go_on, feed,
 * score and reset. Clones, copies and states have the stops and what has been drawn of one. Both
 * arrays may be NULL if stop_count is 0: no stops. On failure the old stops stay. It allocates. */
LSTMGEN_STATUS lstmgen_generator_set_stops(lstmgen_generator* generator,
                                           const uint32_t* const* stops, const size_t* stop_sizes,
                                           size_t stop_count);

/** Ends the sequence after the first element in which one of `texts` (text_count) ends. Text i has
 * text_bytes[i] bytes of UTF-8, from 1 to LSTMGEN_MAX_LOOKBACK. A text is sought in the text of the
 * elements, however they cut it, and may end within an element, which is drawn whole. In a
 * vocabulary of the kind "tokens" it is the elements that lstmgen_model_encode makes of it. All
 * else is as in lstmgen_generator_set_stops, whose stops end. LSTMGEN_INVALID_ARGUMENT, too: no
 * elements can hold a text, or there is no vocabulary. */
LSTMGEN_STATUS lstmgen_generator_set_stop_texts(lstmgen_generator* generator,
                                                const char* const* texts, const size_t* text_bytes,
                                                size_t text_count);

/** Sets a callback that changes the logits of each element from the next one on. `user` is its
 * first argument. `callback` may be NULL: none. Clones and copies have it, too. States do not hold
 * it. */
LSTMGEN_STATUS lstmgen_generator_set_logits_processor(lstmgen_generator* generator,
                                                      lstmgen_on_logits callback, void* user);

/* The functions from here to lstmgen_generator_save are for real time. With threads <= 1 they do
 * not allocate, lock, throw or make a system call, as long as they succeed. */

/** Sets *ended to 1 if a stop was drawn last, or the text of the grammar is complete and nothing
 * may follow, so that lstmgen_generator_next gives LSTMGEN_ENDED; else to 0. */
LSTMGEN_STATUS lstmgen_generator_ended(const lstmgen_generator* generator, int* ended);

/** Lets more elements be drawn after a stop. If no stop ended the sequence, nothing changes. */
LSTMGEN_STATUS lstmgen_generator_go_on(lstmgen_generator* generator);

/** Makes `generator` go on as `from` does, element for element. LSTMGEN_INVALID_ARGUMENT: they are
 * not of one loaded model, or their refresh or their grammar differs. */
LSTMGEN_STATUS lstmgen_generator_copy(lstmgen_generator* generator, const lstmgen_generator* from);

/** Chooses elements by other options from the next one on. `options` may be NULL: the defaults. The
 * context and the random numbers go on, so the seed does not count (see lstmgen_generator_reset).
 * After an error the old options stay. */
LSTMGEN_STATUS lstmgen_generator_set_options(lstmgen_generator* generator,
                                             const lstmgen_sampler_options* options);

/** Returns to an empty context and starts the random numbers of `seed`, as if the generator were
 * new. The options stay. */
LSTMGEN_STATUS lstmgen_generator_reset(lstmgen_generator* generator, uint64_t seed);

/** Appends the known elements `ids` (count) to the context. If one id is not below
 * LSTMGEN_NUMBER_OUTPUTS, none is appended. `ids` may be NULL if `count` is 0. */
LSTMGEN_STATUS lstmgen_generator_feed(lstmgen_generator* generator, const uint32_t* ids,
                                      size_t count);

/** Appends the default prime of the model; LSTMGEN_INVALID_ARGUMENT if it has none. */
LSTMGEN_STATUS lstmgen_generator_feed_prime(lstmgen_generator* generator);

/** Draws the next element and appends it to the context. *id gets the element.
 * LSTMGEN_ENDED: a stop was drawn last, or a grammar allows none. An empty context is
 * LSTMGEN_INVALID_ARGUMENT, unless there are windows and the model has padding
 * (LSTMGEN_NUMBER_HAS_PADDING or LSTMGEN_NUMBER_ZERO_PADDING): then the window is all padding.
 * LSTMGEN_INVALID_ARGUMENT also tells that the options leave no element to draw. */
LSTMGEN_STATUS lstmgen_generator_next(lstmgen_generator* generator, uint32_t* id);

/** Draws `count` elements into `ids` (count). Errors are as in lstmgen_generator_next; the elements
 * that were drawn before one are in `ids` and stay in the context. After LSTMGEN_ENDED the rest of
 * `ids` is LSTMGEN_SEPARATOR. */
LSTMGEN_STATUS lstmgen_generator_next_many(lstmgen_generator* generator, uint32_t* ids,
                                           size_t count);

/** Writes the distribution of the next element, after all filters, into `p` (count): the first
 * LSTMGEN_NUMBER_OUTPUTS numbers add up to 1. The context stays. Errors are as in
 * lstmgen_generator_next. */
LSTMGEN_STATUS lstmgen_generator_probabilities(const lstmgen_generator* generator, double* p,
                                               size_t count);

/** Writes the logits of the next element into `logits` (count): LSTMGEN_NUMBER_OUTPUTS numbers, ln
 * y up to a constant. Neither the options nor a callback have changed them. The context stays. An
 * empty context is an error as in lstmgen_generator_next. */
LSTMGEN_STATUS lstmgen_generator_logits(const lstmgen_generator* generator, double* logits,
                                        size_t count);

/** Draws the next element from the caller's `logits` (count) and appends it to the context. *id
 * gets the element. Element i has a probability proportional to e ^ logits[i], which the options do
 * not change. `count` is LSTMGEN_NUMBER_OUTPUTS. -HUGE_VAL forbids an element; NaN, HUGE_VAL and
 * nothing but -HUGE_VAL are LSTMGEN_INVALID_ARGUMENT. The call takes one random number of this
 * generator, so the seed makes the caller's own sampler reproducible. */
LSTMGEN_STATUS lstmgen_generator_draw(lstmgen_generator* generator, const double* logits,
                                      size_t count, uint32_t* id);

/** Writes the likeliest next elements into `ids` (capacity), the likeliest first, and ln of their
 * probabilities, after all filters, into `log_p` (capacity). *count gets how many were written.
 * Among equally likely elements the least id comes first. The context stays. */
LSTMGEN_STATUS lstmgen_generator_likeliest(const lstmgen_generator* generator, uint32_t* ids,
                                           double* log_p, size_t capacity, size_t* count);

/** Appends the elements `ids` (count) to the context. Writes ln of the probability of each, given
 * those before it, into `log_p` (count). An element that a filter dropped has -infinity. Errors are
 * as in lstmgen_generator_next. With a grammar, an element that cannot stand in its text is
 * LSTMGEN_INVALID_ARGUMENT, and one after its end LSTMGEN_ENDED. What came before it is in `log_p`
 * and in the context. */
LSTMGEN_STATUS lstmgen_generator_score(lstmgen_generator* generator, const uint32_t* ids,
                                       size_t count, double* log_p);

/** Takes a drawn element. Returns 0 to go on. */
typedef int (*lstmgen_on_id)(void* user, uint32_t id);
/** Takes the text of a drawn element, which belongs to the model. Returns 0 to go on. */
typedef int (*lstmgen_on_text)(void* user, const char* text, size_t bytes);

/** Draws up to `length` elements (SIZE_MAX: without end), fewer if lstmgen_generator_ended tells 1
 * before, and calls `callback` with each. `user` is its first argument. If it does not return 0,
 * the element stays in the context and the call gives LSTMGEN_STOPPED. Errors are as in
 * lstmgen_generator_next. */
LSTMGEN_STATUS lstmgen_generator_sample(lstmgen_generator* generator, size_t length,
                                        lstmgen_on_id callback, void* user);

/** Does the same with the text of each element. The model must have a vocabulary. */
LSTMGEN_STATUS lstmgen_generator_sample_text(lstmgen_generator* generator, size_t length,
                                             lstmgen_on_text callback, void* user);

/** Writes all that later elements depend on into `state` (capacity bytes): options, context and
 * random numbers. The bytes are the same on every machine. *bytes gets their number.
 * LSTMGEN_SHORT_BUFFER also sets *bytes, but writes nothing into `state`. With `state` NULL and
 * `capacity` 0 the call only counts. */
LSTMGEN_STATUS lstmgen_generator_save(const lstmgen_generator* generator, void* state,
                                      size_t capacity, size_t* bytes);

/** Makes a generator from `state` (bytes), which goes on as the saved one does, element for
 * element, in any process and on any machine. `threads` and `allocator` are as in
 * lstmgen_generator_options. LSTMGEN_FORMAT: the state is damaged. LSTMGEN_INVALID_ARGUMENT: it is
 * a state of another model file. Otherwise as lstmgen_generator_create. */
LSTMGEN_STATUS lstmgen_generator_load(lstmgen_model* model, const void* state, size_t bytes,
                                      size_t threads, const lstmgen_allocator* allocator,
                                      lstmgen_generator** generator);

/* ---- Many sequences ---- */

/** What lstmgen_model_sample_many draws. Arrays have the shape (count) or (stop_count). Those for
 * each sequence may be NULL. */
typedef struct lstmgen_many_options {
    /** sizeof(lstmgen_many_options) */
    size_t size;
    /** Number of sequences; default 0. */
    size_t count;
    /** The most elements of a sequence; default 1000. */
    size_t length;
    /** Ids before the first element of each sequence; NULL: the model's prime for all. */
    const uint32_t* const* primes;
    /** Number of ids of each prime; 0 only where lstmgen_generator_next takes an empty context. */
    const size_t* prime_sizes;
    /** (count). Temperature of each sequence; NULL: that of the options for all. */
    const double* temps;
    /** (count). Seed of each sequence; NULL: seed, seed + 1, ... of the options. */
    const uint64_t* seeds;
    /** A sequence ends with the first of these stops that it draws. The stop is part of it. */
    const uint32_t* const* stops;
    /** Number of ids of each stop, at least 1. */
    const size_t* stop_sizes;
    /** Number of stops; default 0. */
    size_t stop_count;
    /** This thread calls it at least every 20 ms, or once an element. It returns 0 to go on. */
    int (*on_wait)(void* user);
    /** The argument of on_wait. */
    void* user;
    /** Which elements can be drawn, as in lstmgen_generator_set_grammar; NULL: all. */
    const lstmgen_grammar* grammar;
    /** How many of the last ids of each prime belong to the text of the grammar; NULL: none. */
    const size_t* grammar_primes;
    /** 1: the text of the grammar may be cut off; 0, the default: it is complete after `length`
     * elements, or before. */
    size_t unfinished;
    /** Stops as texts, as in lstmgen_generator_set_stop_texts; beside `stops`. */
    const char* const* stop_texts;
    /** Number of bytes of each text, at least 1. */
    const size_t* stop_text_bytes;
    /** Number of texts; default 0. */
    size_t stop_text_count;
} lstmgen_many_options;

/** The defaults of lstmgen_many_options. */
#define LSTMGEN_MANY_OPTIONS_INIT  \
    {sizeof(lstmgen_many_options), \
     0,                            \
     1000,                         \
     NULL,                         \
     NULL,                         \
     NULL,                         \
     NULL,                         \
     NULL,                         \
     NULL,                         \
     0,                            \
     NULL,                         \
     NULL,                         \
     NULL,                         \
     NULL,                         \
     0,                            \
     NULL,                         \
     NULL,                         \
     0}

/** Sets the defaults. `size` is sizeof(lstmgen_many_options) of the caller. Errors are as in
 * lstmgen_load_options_init. */
LSTMGEN_STATUS lstmgen_many_options_init(lstmgen_many_options* many, size_t size);

/** Draws many->count sequences side by side, which is faster than one after the other. Each is what
 * a generator with `options` (NULL: the defaults) and its own temp, seed and prime draws. `ids`
 * (many->count, many->length) gets the elements, a sequence in each row. ids_count is at least the
 * product of these two. `counts` (many->count) gets the number of elements in each row. If on_wait
 * stops the call, the elements so far have been written, and the call gives LSTMGEN_STOPPED. Errors
 * are as in lstmgen_generator_create and lstmgen_generator_next. */
LSTMGEN_STATUS lstmgen_model_sample_many(const lstmgen_model* model,
                                         const lstmgen_generator_options* options,
                                         const lstmgen_many_options* many, uint32_t* ids,
                                         size_t ids_count, size_t* counts);

/* ---- Steps, with the state in the caller's memory ---- */

/** Tells how many bytes a state takes, which is the same for all states of a model. The memory is
 * the caller's, and its address is a multiple of 16. It may be copied with memcpy. It holds the
 * address of the model, so it is of use only while the model lives; lstmgen_state_save is for
 * files. LSTMGEN_INVALID_ARGUMENT: LSTMGEN_NUMBER_WHOLE is 1. */
LSTMGEN_STATUS lstmgen_state_size(const lstmgen_model* model, size_t* bytes);

/* The functions from here on are for real time, too. */

/** Makes `state` (bytes) the zero state. `bytes` is at least what lstmgen_state_size tells. */
LSTMGEN_STATUS lstmgen_state_init(const lstmgen_model* model, void* state, size_t bytes);

/** Runs one time step: the element `id` enters the network. `id` has the range of those of
 * lstmgen_model_predict_ids. `y` (y_count) gets the LSTMGEN_NUMBER_OUTPUTS floats of the network's
 * output. `y` may be NULL: no output is computed, which is cheaper. `state` (bytes) is as in
 * lstmgen_state_init. Any number of states may step at a time, each in one thread.
 * LSTMGEN_INVALID_ARGUMENT: lstmgen_state_init has not made the state for this model, or the
 * network reads features. */
LSTMGEN_STATUS lstmgen_state_step_id(const lstmgen_model* model, void* state, size_t bytes,
                                     uint32_t id, float* y, size_t y_count);

/** Runs one time step: the numbers `x` (x_count) enter the network. x_count is
 * LSTMGEN_NUMBER_INPUT_SIZE. LSTMGEN_INVALID_ARGUMENT: the network starts with an embedding.
 * Otherwise as lstmgen_state_step_id. */
LSTMGEN_STATUS lstmgen_state_step_features(const lstmgen_model* model, void* state, size_t bytes,
                                           const float* x, size_t x_count, float* y,
                                           size_t y_count);

/** Writes what the next step needs of `state` (bytes) into `to` (capacity bytes). The bytes are the
 * same on every machine. *count gets their number, which is the same for all states of a model.
 * LSTMGEN_SHORT_BUFFER also sets *count, but writes nothing into `to`. With `to` NULL and
 * `capacity` 0 the call only counts, and `state` may be NULL, too. */
LSTMGEN_STATUS lstmgen_state_save(const lstmgen_model* model, const void* state, size_t bytes,
                                  void* to, size_t capacity, size_t* count);

/** Makes `state` (bytes) the state that was saved in `from` (from_bytes). On failure `state` stays
 * as it was. The errors are those of lstmgen_generator_load. */
LSTMGEN_STATUS lstmgen_state_load(const lstmgen_model* model, void* state, size_t bytes,
                                  const void* from, size_t from_bytes);

/* ---- Notes ---- */

/** Turns the elements that a network of music draws into notes, one by one: elements of the
 * notation "events" (docs/events.md). It belongs to one thread at a time. A program that does not
 * use it does not link it. */
typedef struct lstmgen_notes lstmgen_notes;

/** A note. Times are points of a grid, 24 to a quarter. */
typedef struct lstmgen_note {
    size_t size;       /**< sizeof(lstmgen_note) */
    uint64_t start;    /**< from the first note of the piece on */
    uint32_t duration; /**< 1 to 384 */
    uint32_t pitch;    /**< MIDI pitch, 0 to 127; 60 is middle C */
    uint32_t velocity; /**< 1 to 127 */
    uint32_t track;    /**< 1 to 15 */
} lstmgen_note;

/** A place for a note. */
#define LSTMGEN_NOTE_INIT {sizeof(lstmgen_note), 0, 0, 0, 0, 0}

/** Makes a decoder, of 31 kB from operator new. It keeps `model`, whose elements ids stand for;
 * with NULL it reads texts only. *notes gets it, or NULL on failure. All other functions of notes
 * but lstmgen_notes_free do not allocate, lock, throw or make a system call. */
LSTMGEN_STATUS lstmgen_notes_create(lstmgen_model* model, lstmgen_notes** notes);

/** Frees a decoder and sets *notes to NULL. If that is NULL already, nothing happens. */
LSTMGEN_API lstmgen_status lstmgen_notes_free(lstmgen_notes** notes);

/** Begins anew. Notes that were not taken are gone. */
LSTMGEN_STATUS lstmgen_notes_reset(lstmgen_notes* notes);

/** Reads the element with this id. LSTMGEN_INVALID_ARGUMENT: the decoder has no model, the model
 * has no such element, or it is as lstmgen_notes_feed_text says. */
LSTMGEN_STATUS lstmgen_notes_feed_id(lstmgen_notes* notes, uint32_t id);

/** Reads an element as text (bytes), such as "n60". LSTMGEN_ENDED: it was
 * "end", or the piece was over before, and nothing is read until lstmgen_notes_reset.
 * LSTMGEN_INVALID_ARGUMENT: it is none of the notation, or more than 1920
 * notes were not taken; all is as before then. */
LSTMGEN_STATUS lstmgen_notes_feed_text(lstmgen_notes* notes, const char* element, size_t bytes);

/** Ends the piece, as the element "end" does: all notes are complete. */
LSTMGEN_STATUS lstmgen_notes_finish(lstmgen_notes* notes);

/** Takes the next note that is complete. LSTMGEN_ENDED: there is none now. A note is complete when
 * its time is over, or its pitch begins again on its track. Of those that are, the one that begins
 * first comes first, then the lowest, then that of the first track. */
LSTMGEN_STATUS lstmgen_notes_next(lstmgen_notes* notes, lstmgen_note* note);

/** Tells the note that the last element began. LSTMGEN_ENDED: it began none. Its end may come
 * sooner, when its pitch begins again on its track. Of two that begin together on one pitch of a
 * track, only the longer one counts. This is for programs that play while elements are drawn. */
LSTMGEN_STATUS lstmgen_notes_begun(const lstmgen_notes* notes, lstmgen_note* note);

/** Tells what the elements have reached. *point gets the place where a note would begin, *tempo the
 * quarters a minute (4 to 1000; 100 before an element says it), *pedal 1 if the sustain pedal is
 * down, else 0. Each may be NULL. A point lasts 60 / (24 * tempo) seconds. */
LSTMGEN_STATUS lstmgen_notes_now(const lstmgen_notes* notes, uint64_t* point, uint32_t* tempo,
                                 uint32_t* pedal);

#ifdef __cplusplus
}
#endif

#endif
