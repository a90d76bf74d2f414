/** @file
 * lstmgen: sample from a recurrent network that Keras trained, from C99 and all that can call C.
 *
 *     lstmgen_model *model = NULL;
 *     lstmgen_generator *generator = NULL;
 *     uint32_t id;
 *     if (lstmgen_load_path("latex.bin", NULL, &model) == LSTMGEN_OK &&
 *         lstmgen_generator_create(model, NULL, &generator) == LSTMGEN_OK &&
 *         lstmgen_feed_prime(generator) == LSTMGEN_OK)
 *         lstmgen_next(generator, &id);
 *     lstmgen_generator_free(&generator);
 *     lstmgen_model_release(&model);
 *
 * Every function is explained in docs/embedding.md; in short, for all of them:
 *
 * - Whatever can fail gives a status, and lstmgen_last_error() then says why. On failure nothing is written to the
 *   places that results go to, unless the function says so.
 * - Each pointer may be NULL: that is LSTMGEN_INVALID_ARGUMENT, unless the function gives NULL a meaning.
 * - A model is immutable: any number of threads may use one at a time. A generator belongs to one thread at a time; a
 *   second one gets LSTMGEN_BUSY.
 * - Nothing prints, exits, aborts, installs a signal handler, or keeps global state; no exception leaves a function.
 *   (A callback must not be left by longjmp or an exception either; one that throws ends as LSTMGEN_INTERNAL.)
 * - Text is UTF-8, ends with a 0 byte that the number of bytes does not count, and holds no other.
 */
#ifndef LSTMGEN_LSTMGEN_H
#define LSTMGEN_LSTMGEN_H

#include <stddef.h>
#include <stdint.h>

#ifndef LSTMGEN_API
#if defined(_WIN32) && defined(LSTMGEN_SHARED) && defined(lstmgen_EXPORTS)
#define LSTMGEN_API __declspec(dllexport)
#elif defined(_WIN32) && defined(LSTMGEN_SHARED)
#define LSTMGEN_API __declspec(dllimport)
#elif defined(__GNUC__)
#define LSTMGEN_API __attribute__((visibility("default")))
#else
#define LSTMGEN_API
#endif
#endif

/** Version of this header: major, which stays 0 until the ABI is settled. */
#define LSTMGEN_VERSION_MAJOR 0
/** Minor. */
#define LSTMGEN_VERSION_MINOR 1
/** Patch. */
#define LSTMGEN_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors ------------------------------------------------------------------------------------------------------ */

/** What a call came to; 0 is success. The numbers stay. */
typedef enum lstmgen_status {
    LSTMGEN_OK = 0,               /**< done */
    LSTMGEN_IO = 1,               /**< the file or stream cannot be read */
    LSTMGEN_FORMAT = 2,           /**< the bytes are not a model file, or a broken one */
    LSTMGEN_INVALID_ARGUMENT = 3, /**< a NULL, a freed handle, a number out of range, something impossible */
    LSTMGEN_OUT_OF_MEMORY = 4,    /**< all is as before the call */
    LSTMGEN_SHORT_BUFFER = 5,     /**< the caller's buffer does not hold the result */
    LSTMGEN_WRONG_VERSION = 6,    /**< the size of a struct, or a field set in it, is not known to this library */
    LSTMGEN_STOPPED = 7,          /**< a callback asked for the end: no failure, last_error stays as it was */
    LSTMGEN_BUSY = 8,             /**< the generator is in use: by another thread, or by the caller of this callback */
    LSTMGEN_INTERNAL = 9          /**< a bug in lstmgen, or an exception from a callback */
} lstmgen_status;

/** What went wrong in the last call of this thread that failed; "" before the first. Valid until the next such call. */
LSTMGEN_API const char* lstmgen_last_error(void);

/** Name of an lstmgen_status, such as "short buffer"; "unknown status" of any other number. Static. */
LSTMGEN_API const char* lstmgen_status_name(int status);

/** Version of the library that runs, such as "0.1.0"; LSTMGEN_VERSION_* is that of this header. Static. */
LSTMGEN_API const char* lstmgen_version(void);

/** The instruction sets that this processor can run, best first, of "avx512bf16", "avx512vnni", "avx512",
 *  "avx2", "neon", "baseline";
 * NULL from the end of the list on. Static. Which one a model uses is LSTMGEN_STRING_ISA. */
LSTMGEN_API const char* lstmgen_isa(size_t index);

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

/** Where weights, states, working memory and handles come from; names, vocabularies and what is listed in
 * docs/embedding.md come from operator new. `allocate` returns `bytes` > 0 at a multiple of `alignment` (a power of 2,
 * at most 64), or NULL: then the call that needed them gives LSTMGEN_OUT_OF_MEMORY. `release` gets a pointer from
 * `allocate`, never NULL, and the same `bytes`. Both are called by the thread that called lstmgen, and never by a step.
 */
typedef struct lstmgen_allocator {
    size_t size;                                                   /**< sizeof(lstmgen_allocator) */
    void* (*allocate)(void* user, size_t bytes, size_t alignment); /**< memory, or NULL */
    void (*release)(void* user, void* memory, size_t bytes);       /**< gives it back */
    void* user;                                                    /**< handed to both */
} lstmgen_allocator;

/* ---- Models ------------------------------------------------------------------------------------------------------ */

/** A network with its weights, vocabulary and facts; immutable, counted by references. */
typedef struct lstmgen_model lstmgen_model;

/** How to load. */
typedef struct lstmgen_load_options {
    size_t size;      /**< sizeof(lstmgen_load_options) */
    const char* name; /**< stands for the path in errors (from memory and streams); NULL: "<memory>" */
    const lstmgen_allocator* allocator; /**< NULL: operator new. The struct is copied; `user` must outlive the model */
} lstmgen_load_options;

/** Fills in the defaults; `size` is sizeof(lstmgen_load_options) of the caller. */
LSTMGEN_API lstmgen_status lstmgen_load_options_init(lstmgen_load_options* options, size_t size);

/** Each makes a model, with one reference that is the caller's: end it with lstmgen_model_release. `options` may be
 * NULL. On failure *model is NULL. The file, the memory and the stream are not needed afterwards. */
LSTMGEN_API lstmgen_status lstmgen_load_path(const char* path, const lstmgen_load_options* options,
                                             lstmgen_model** model);
/** From `bytes` bytes of a file, which are copied; otherwise as lstmgen_load_path. */
LSTMGEN_API lstmgen_status lstmgen_load_memory(const void* data, size_t bytes, const lstmgen_load_options* options,
                                               lstmgen_model** model);

/** Puts up to `bytes` > 0 bytes into `buffer`; returns how many, 0 at the end, (size_t)-1 for an error. */
typedef size_t (*lstmgen_read)(void* user, void* buffer, size_t bytes);
/** From what `read` gives, called by this thread until it returns 0; otherwise as lstmgen_load_path. */
LSTMGEN_API lstmgen_status lstmgen_load_stream(lstmgen_read read, void* user, const lstmgen_load_options* options,
                                               lstmgen_model** model);

/** One more reference, from any thread. */
LSTMGEN_API lstmgen_status lstmgen_model_retain(lstmgen_model* model);
/** One reference less, from any thread, and *model = NULL; the last one frees. Generators hold references of their own.
 * A *model that is NULL already is fine: a second release of the same variable does nothing. */
LSTMGEN_API lstmgen_status lstmgen_model_release(lstmgen_model** model);

/** How an element enters the network (docs/format.md, section 3). */
typedef enum lstmgen_encoding {
    LSTMGEN_ENCODING_ONEHOT = 0,  /**< as a row of zeros with a one */
    LSTMGEN_ENCODING_INDEX = 1,   /**< as an id, into an embedding */
    LSTMGEN_ENCODING_SCALED = 2,  /**< as id / outputs */
    LSTMGEN_ENCODING_FEATURES = 3, /**< reads numbers, predicts and steps, but does not generate */
    LSTMGEN_ENCODING_RAW = 4       /**< as its number of lstmgen_model_input_values, or its id */
} lstmgen_encoding;

/** What lstmgen_model_number tells. */
typedef enum lstmgen_number {
    LSTMGEN_NUMBER_ENCODING = 0,        /**< an lstmgen_encoding */
    LSTMGEN_NUMBER_INPUT_SIZE = 1,      /**< numbers a time step, or of ids for LSTMGEN_ENCODING_INDEX */
    LSTMGEN_NUMBER_OUTPUTS = 2,         /**< numbers an output; elements of a generator */
    LSTMGEN_NUMBER_WINDOW = 3,          /**< time steps that the network was saved with; 0: not fixed */
    LSTMGEN_NUMBER_OUTPUT_SEQUENCE = 4, /**< 1: an output at each time step */
    LSTMGEN_NUMBER_OUTPUT_STEPS = 5,    /**< steps of that; 0: as many as the input has */
    LSTMGEN_NUMBER_WHOLE = 6,           /**< 1: needs all time steps at once, so no steps, and refresh 1 only */
    LSTMGEN_NUMBER_FIXED_STEPS = 7,     /**< 1: takes exactly `window` time steps */
    LSTMGEN_NUMBER_LABELS = 8,          /**< labels of a classifier; 0: it is none */
    LSTMGEN_NUMBER_VOCABULARY = 9,      /**< elements with a name; 0: ids only */
    LSTMGEN_NUMBER_PRIME = 10,          /**< elements of the default prime; 0: there is none */
    LSTMGEN_NUMBER_HAS_PADDING = 11,    /**< 1: there is a padding element */
    LSTMGEN_NUMBER_PADDING = 12,        /**< its id, or 0 */
    LSTMGEN_NUMBER_LAYERS = 13,         /**< layers of the network */
    LSTMGEN_NUMBER_WEIGHT_BYTES = 14,   /**< of the packed weights in memory */
    LSTMGEN_NUMBER_ZERO_PADDING = 15,   /**< 1: vectors of zeros fill a short window */
    LSTMGEN_NUMBER_PREDICTOR = 16,      /**< 1: its outputs are no elements, it does not generate */
    LSTMGEN_NUMBER_INPUT_VALUES = 17    /**< numbers of lstmgen_model_input_values; 0: there are none */
} lstmgen_number;

/** What lstmgen_model_string tells; "" if the file does not say. */
typedef enum lstmgen_string {
    LSTMGEN_STRING_NAME = 0,           /**< of the model */
    LSTMGEN_STRING_DESCRIPTION = 1,    /**< what it was trained on, and for */
    LSTMGEN_STRING_AUTHOR = 2,         /**< who trained it */
    LSTMGEN_STRING_LICENSE = 3,        /**< of the model */
    LSTMGEN_STRING_SOURCE_URL = 4,     /**< where it comes from */
    LSTMGEN_STRING_CARD = 5,           /**< a JSON object */
    LSTMGEN_STRING_KERAS_VERSION = 6,  /**< that wrote the original */
    LSTMGEN_STRING_DTYPE = 7,          /**< "f32", "bf16" or "int8" */
    LSTMGEN_STRING_ISA = 8,            /**< kernels in use */
    LSTMGEN_STRING_VOCABULARY_KIND = 9 /**< "text", "tokens", or "" */
} lstmgen_string;

/** A layer. Pointers belong to the model. */
typedef struct lstmgen_layer {
    size_t size;                      /**< sizeof(lstmgen_layer), set by the caller */
    const char* type;                 /**< as in the file (docs/format.md, section 4) */
    const char* name;                 /**< as in Keras */
    const char* activation;           /**< "" if the type has none */
    const char* recurrent_activation; /**< likewise */
    size_t inputs;                    /**< size of the first source; the number of ids for an embedding */
    size_t outputs;                   /**< size of the output */
    const size_t* sources;            /**< what it reads: 0 for the network's input, j + 1 for layer j */
    size_t source_count;              /**< how many */
    int return_sequences;             /**< 1: gives an output at each time step */
} lstmgen_layer;

/** What the model says about itself; `what` is an lstmgen_number. */
LSTMGEN_API lstmgen_status lstmgen_model_number(const lstmgen_model* model, int what, uint64_t* number);
/** The same in words; `what` is an lstmgen_string. The text belongs to the model. `bytes` may be NULL. */
LSTMGEN_API lstmgen_status lstmgen_model_string(const lstmgen_model* model, int what, const char** text, size_t* bytes);
/** Text of an element, which belongs to the model; empty for some padding. `bytes` may be NULL. */
LSTMGEN_API lstmgen_status lstmgen_model_element(const lstmgen_model* model, uint32_t id, const char** text,
                                                 size_t* bytes);
/** Name of output `index` of a classifier, which belongs to the model. `bytes` may be NULL. */
LSTMGEN_API lstmgen_status lstmgen_model_label(const lstmgen_model* model, size_t index, const char** text,
                                               size_t* bytes);
/** The default prime, which belongs to the model; *count is 0 if there is none. */
LSTMGEN_API lstmgen_status lstmgen_model_prime(const lstmgen_model* model, const uint32_t** ids, size_t* count);
/** Of LSTMGEN_ENCODING_RAW the number that enters for each element, which belongs to the model; *count is 0 if that is
 * the id. */
LSTMGEN_API lstmgen_status lstmgen_model_input_values(const lstmgen_model* model, const float** values, size_t* count);
/** Fills in `layer`, whose `size` the caller sets. */
LSTMGEN_API lstmgen_status lstmgen_model_layer(const lstmgen_model* model, size_t index, lstmgen_layer* layer);

/** The ids of a text: of the longest elements that match, or, of the kind "tokens", of what stands between blanks
 * (ASCII space, tab, line feed, VT, FF, CR). `count` gets how many there are, also with LSTMGEN_SHORT_BUFFER; ids NULL
 * with capacity 0 only counts. What is not in the vocabulary is LSTMGEN_INVALID_ARGUMENT, with its position in the
 * error. */
LSTMGEN_API lstmgen_status lstmgen_encode(const lstmgen_model* model, const char* text, size_t bytes, uint32_t* ids,
                                          size_t capacity, size_t* count);

/* ---- Whole sequences --------------------------------------------------------------------------------------------- */

/** Numbers that predict puts out: batch * outputs, times the steps of the output if it is a sequence. */
LSTMGEN_API lstmgen_status lstmgen_predict_size(const lstmgen_model* model, size_t batch, size_t steps, size_t* count);

/** As Keras's predict, into y (batch, [output steps,] outputs), which has room for y_count floats: from ids
 * (batch, steps), ids_count = batch * steps, or from features (batch, steps, input_size), x_count of them; C order. */
LSTMGEN_API lstmgen_status lstmgen_predict_ids(const lstmgen_model* model, size_t batch, size_t steps,
                                               const uint32_t* ids, size_t ids_count, float* y, size_t y_count);
/** The same from x (batch, steps, input_size), x_count numbers. */
LSTMGEN_API lstmgen_status lstmgen_predict_features(const lstmgen_model* model, size_t batch, size_t steps,
                                                    const float* x, size_t x_count, float* y, size_t y_count);

/* ---- Generators -------------------------------------------------------------------------------------------------- */

/** Draws one element after the other; used by one thread at a time. */
typedef struct lstmgen_generator lstmgen_generator;

/** Filters are applied in the order logit_bias, repeat_penalty, top_k, top_p, min_p; then p_i is proportional to
 * y_i ^ (1 / temp). */
typedef struct lstmgen_options {
    size_t size;                    /**< sizeof(lstmgen_options) */
    double temp;                    /**< temperature, default 1; 0: the most likely element */
    double repeat_penalty;          /**< > 1: the last 64 elements become less likely; default 1: off */
    size_t top_k;                   /**< keep the k most likely elements; default 0: all */
    double top_p;                   /**< keep the most likely that together reach p; default 1: all */
    double min_p;                   /**< keep those with min_p times the greatest probability; default 0: all */
    const uint32_t* logit_bias_ids; /**< logit_bias[i] is added to ln y of element logit_bias_ids[i] */
    const double* logit_bias;       /**< logit_bias_count of them */
    size_t logit_bias_count;        /**< default 0 */
    uint64_t seed;                  /**< default 0; the same seed gives the same elements on every machine */
    size_t refresh;                 /**< default 1: each element from a fresh window of the last `window` ones, as a
                                       loop over predict; N: a window is kept for N; 0, or 1 without a window: the
                                       state is carried on */
    size_t threads;                 /**< default 1; they share the work of the windows, results do not depend on it */
    const lstmgen_allocator* allocator; /**< default NULL: the model's. The struct is copied */
} lstmgen_options;

/** Fills in the defaults; `size` is sizeof(lstmgen_options) of the caller. */
LSTMGEN_API lstmgen_status lstmgen_options_init(lstmgen_options* options, size_t size);

/** A generator with an empty context, which holds a reference to the model. `options`, which is not needed afterwards,
 * may be NULL. On failure *generator is NULL. */
LSTMGEN_API lstmgen_status lstmgen_generator_create(lstmgen_model* model, const lstmgen_options* options,
                                                    lstmgen_generator** generator);
/** Frees, and *generator = NULL; one that is NULL already is fine. */
LSTMGEN_API lstmgen_status lstmgen_generator_free(lstmgen_generator** generator);
/** Its model, without a new reference; NULL of what is no generator. */
LSTMGEN_API lstmgen_model* lstmgen_generator_model(const lstmgen_generator* generator);

/** Appends known elements, or the model's default prime, to the context. Real time, as all up to lstmgen_sample: no
 * allocation, lock, exception or system call with threads <= 1. */
LSTMGEN_API lstmgen_status lstmgen_feed(lstmgen_generator* generator, const uint32_t* ids, size_t count);
/** Appends the default prime of the model; LSTMGEN_INVALID_ARGUMENT if it has none. */
LSTMGEN_API lstmgen_status lstmgen_feed_prime(lstmgen_generator* generator);

/** Draws the next element and appends it to the context. An empty context is LSTMGEN_INVALID_ARGUMENT, unless there are
 * windows and the model has padding (LSTMGEN_NUMBER_HAS_PADDING or _ZERO_PADDING): then the window is all padding. */
LSTMGEN_API lstmgen_status lstmgen_next(lstmgen_generator* generator, uint32_t* id);
/** Draws `count` elements into `ids`. */
LSTMGEN_API lstmgen_status lstmgen_next_many(lstmgen_generator* generator, uint32_t* ids, size_t count);

/** Distribution of the next element after all filters: `outputs` numbers that add up to 1, into p with room for count.
 */
LSTMGEN_API lstmgen_status lstmgen_probabilities(lstmgen_generator* generator, double* p, size_t count);

/** ln of the probability of each of `count` elements given those before it, which it joins in the context. */
LSTMGEN_API lstmgen_status lstmgen_score(lstmgen_generator* generator, const uint32_t* ids, size_t count,
                                         double* log_p);

/** Draws up to `length` elements (SIZE_MAX: for ever) and hands each to the callback, which returns 0 to go on; else
 * the element stays in the context and the call gives LSTMGEN_STOPPED. `text` is that of lstmgen_model_element. */
typedef int (*lstmgen_on_id)(void* user, uint32_t id);
/** The same with the text of the element, which belongs to the model. */
typedef int (*lstmgen_on_text)(void* user, const char* text, size_t bytes);
/** Draws up to `length` elements (SIZE_MAX: for ever) for `callback`; LSTMGEN_STOPPED if that ended it. */
LSTMGEN_API lstmgen_status lstmgen_sample(lstmgen_generator* generator, size_t length, lstmgen_on_id callback,
                                          void* user);
/** The same for a callback that takes text; the model must have a vocabulary. */
LSTMGEN_API lstmgen_status lstmgen_sample_text(lstmgen_generator* generator, size_t length, lstmgen_on_text callback,
                                               void* user);

/** All that the elements to come depend on - options, context, random numbers - as bytes, the same on every machine,
 * into `state` with room for `capacity`. `bytes` gets how many there are, also with LSTMGEN_SHORT_BUFFER; state NULL
 * with capacity 0 only counts. Real time. */
LSTMGEN_API lstmgen_status lstmgen_generator_save(lstmgen_generator* generator, void* state, size_t capacity,
                                                  size_t* bytes);
/** A generator that goes on as the saved one does, element by element, in any process and on any machine: otherwise as
 * lstmgen_generator_create. `threads` and `allocator` as in lstmgen_options. LSTMGEN_FORMAT: a damaged state,
 * LSTMGEN_INVALID_ARGUMENT: one of another model file. */
LSTMGEN_API lstmgen_status lstmgen_generator_load(lstmgen_model* model, const void* state, size_t bytes, size_t threads,
                                                  const lstmgen_allocator* allocator, lstmgen_generator** generator);

/* ---- Many sequences ---------------------------------------------------------------------------------------------- */

/** What lstmgen_sample_many draws beside its options; arrays for each sequence may be NULL. */
typedef struct lstmgen_many {
    size_t size;                   /**< sizeof(lstmgen_many) */
    size_t count;                  /**< sequences; default 0 */
    size_t length;                 /**< elements of each, at most; default 1000 */
    const uint32_t* const* primes; /**< default NULL: for all the model's prime */
    const size_t* prime_sizes;     /**< elements of each prime; 0 only where lstmgen_next takes an empty context */
    const double* temps;           /**< default NULL: for all that of the options */
    const uint64_t* seeds;         /**< default NULL: seed, seed + 1, ... of the options */
    const uint32_t* const* stops;  /**< a sequence ends with the first of these, which is still part of it */
    const size_t* stop_sizes;      /**< elements of each, at least 1 */
    size_t stop_count;             /**< how many; default 0 */
    int (*on_wait)(void* user);    /**< called by this thread at least every 20 ms, or once an element; it returns 0 to
                                      go on. Default NULL */
    void* user;                    /**< for on_wait */
} lstmgen_many;

/** Fills in the defaults; `size` is sizeof(lstmgen_many) of the caller. */
LSTMGEN_API lstmgen_status lstmgen_many_init(lstmgen_many* many, size_t size);

/** Draws many->count sequences side by side, which is faster than one after the other; each is what a generator with
 * these options, temp, seed and prime draws. Sequence i goes to ids + i * many->length, and counts[i] says how many
 * elements it has; `ids` has room for ids_count >= many->count * many->length, `counts` for many->count. `options` may
 * be NULL. LSTMGEN_STOPPED if on_wait ended it: then what there is has been written. */
LSTMGEN_API lstmgen_status lstmgen_sample_many(const lstmgen_model* model, const lstmgen_options* options,
                                               const lstmgen_many* many, uint32_t* ids, size_t ids_count,
                                               size_t* counts);

/* ---- Steps, with the state in the caller's memory ---------------------------------------------------------------- */

/** Bytes of a state. Its memory may lie anywhere at a multiple of 16, is the caller's, and may be copied and stored, as
 * long as the model lives; it holds one pointer, to the model: for files there is lstmgen_state_save. Not for models
 * with LSTMGEN_NUMBER_WHOLE. */
LSTMGEN_API lstmgen_status lstmgen_state_size(const lstmgen_model* model, size_t* bytes);
/** The zero state. */
LSTMGEN_API lstmgen_status lstmgen_state_init(const lstmgen_model* model, void* state, size_t bytes);

/** One time step: an element, or input_size features, goes in; what the network puts out after it goes into y (outputs
 * floats), unless that is NULL, which is cheaper. Any number of states step at a time, each in one thread. Real time.
 */
LSTMGEN_API lstmgen_status lstmgen_step_id(const lstmgen_model* model, void* state, size_t bytes, uint32_t id, float* y,
                                           size_t y_count);
/** One time step from x, x_count = input_size features; otherwise as lstmgen_step_id. */
LSTMGEN_API lstmgen_status lstmgen_step_features(const lstmgen_model* model, void* state, size_t bytes, const float* x,
                                                 size_t x_count, float* y, size_t y_count);

/** What the next step needs of a state, as bytes, the same on every machine, into `to` with room for `capacity`.
 * `count` gets how many there are, the same for all states of a model, also with LSTMGEN_SHORT_BUFFER; to NULL with
 * capacity 0 only counts, and `state` may be NULL then. Real time, as the next. */
LSTMGEN_API lstmgen_status lstmgen_state_save(const lstmgen_model* model, const void* state, size_t bytes, void* to,
                                              size_t capacity, size_t* count);
/** Makes `state` what was saved, as lstmgen_state_init makes it the zero state. Errors as lstmgen_generator_load's. */
LSTMGEN_API lstmgen_status lstmgen_state_load(const lstmgen_model* model, void* state, size_t bytes, const void* from,
                                              size_t from_bytes);

#ifdef __cplusplus
}
#endif

#endif
