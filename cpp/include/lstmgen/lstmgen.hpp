// SPDX-License-Identifier: MIT
/// @file
/// lstmgen: sample from a recurrent network that Keras trained.
///
///     const auto model = lstmgen::Model::load("latex.bin");
///     lstmgen::Generator generator(model, {});
///     generator.feed(model.info().prime);
///     for (int i = 0; i < 1000; ++i) std::cout << model.info().vocabulary[generator.next()];
///
/// These hold for all functions:
///
/// - Errors are thrown as lstmgen::Error. Missing memory is std::bad_alloc.
/// - Bad arguments are errors with ErrorCode::invalid_argument: a null pointer with numbers to read
///   or write, a number out of range, a model or generator that was moved from.
/// - The shape of an array stands in parentheses after its name. Shapes are in C order: the last
///   index runs fastest. The caller makes sure that arrays have this size. The id of an element is
///   below info().outputs.
/// - After an error all is as before the call, unless the function says otherwise.
/// - A Model is immutable: any number of threads may use one at a time.
/// - A Generator belongs to one caller at a time. A second one, in another thread or inside a
///   callback, gets an Error with ErrorCode::busy. This includes the const functions. Destroying,
///   moving and assigning are not checked.
/// - Nothing prints, exits, aborts, or keeps global state.
#pragma once

#include <lstmgen/common.h>

#include <atomic>
#include <cfloat>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The C++ interface of lstmgen.
namespace lstmgen {

/// Kinds of errors.
enum class ErrorCode {
    io,                ///< The file cannot be read.
    format,            ///< The bytes are not a model file or a state, or a damaged one.
    invalid_argument,  ///< An argument is out of range, or impossible for this model.
    busy,     ///< The generator is in use, by another thread or by the caller of this callback.
    ended,    ///< A stop was drawn, or the text of the grammar is complete.
    stopped,  ///< LoadOptions::keep_going asked for the end.
};

/// The exception that every function throws. what() names the file or the argument, what was
/// expected, and what was found.
class LSTMGEN_API_CLASS Error : public std::runtime_error {
public:
    /// Makes an error of the kind `code`, with what() = `message`.
    Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
    /// Returns the kind of error.
    [[nodiscard]] ErrorCode code() const noexcept { return code_; }

private:
    ErrorCode code_;
};

/// How an element enters the network (docs/format.md, section 3).
enum class Encoding {
    onehot,    ///< a row of zeros with a single one
    index,     ///< an id, which an embedding reads
    scaled,    ///< the number id / outputs
    features,  ///< numbers of the caller's; such a network predicts and steps, but does not
               ///< generate
    raw,       ///< the number of the element in ModelInfo::input_values, or its id
};

/// A layer of a network.
struct LayerInfo {
    std::string type;  ///< the type as in the file (docs/format.md, section 4)
    std::string name;  ///< the name as in Keras
    std::vector<std::size_t>
        sources;                 ///< what it reads: 0 is the network's input, j + 1 is layer j
    std::size_t input_size = 0;  ///< size of the first source; for an embedding, the number of ids
    std::size_t outputs = 0;     ///< size of its output
    std::string activation;      ///< name of the activation; empty if the type has none
    std::string
        recurrent_activation;  ///< name of the activation of the gates; empty if the type has none
    bool return_sequences = false;  ///< whether it gives an output at each time step
};

/// What a model file says about itself. A text is empty if the file lacks it.
struct ModelInfo {
    std::string name;           ///< name of the model
    std::string description;    ///< what it was trained on, and for
    std::string author;         ///< who trained it
    std::string license;        ///< license of the model
    std::string source_url;     ///< where it comes from
    std::string card;           ///< the model's card: a JSON object
    std::string grammar;        ///< GBNF: which texts of it are well-formed; empty: it says nothing
    std::string keras_version;  ///< version of Keras that wrote the original
    std::string dtype;          ///< type of the stored matrices: "f32", "bf16" or "int8"
    std::string isa;            ///< name of the kernels in use; see supported_isas
    Encoding encoding = Encoding::features;  ///< how an element enters
    std::size_t input_size = 0;  ///< numbers in a time step; for Encoding::index, the number of ids
    std::vector<float>
        input_values;         ///< for Encoding::raw, the number of each element; empty: its id
    std::size_t outputs = 0;  ///< numbers in an output; for a generator, the number of elements
    std::size_t window = 0;   ///< time steps T that the network was saved with; 0: not fixed
    bool output_sequence = false;  ///< whether the network gives an output at each time step
    std::size_t output_steps = 0;  ///< time steps of that output; 0: as many as the input has
    bool whole = false;        ///< whether it needs all time steps at once: no state can be carried
    bool fixed_steps = false;  ///< whether it takes exactly `window` time steps
    std::vector<std::string>
        labels;              ///< names of a classifier's outputs; empty if it is not a classifier
    bool predictor = false;  ///< whether the outputs are no elements: it does not generate
    std::vector<std::string> vocabulary;   ///< texts of the elements (with labels or predictor,
                                           ///< `input_size`), or empty
    std::string vocabulary_kind;           ///< "text", "tokens", "bytes", or empty
    std::vector<std::uint32_t> prime;      ///< (n), ids of the default prime
    std::optional<std::uint32_t> padding;  ///< id that fills a short window
    bool zero_padding = false;             ///< whether vectors of zeros fill a short window
    std::vector<LayerInfo> layers;         ///< the layers, in the order in which they run
    std::size_t nbytes = 0;                ///< bytes of the packed weights in memory
    std::uint32_t identity = 0;            ///< checksum of the weights alone
};

class Network;

/// Asked now and then during long work. It returns false to stop.
using Continue = std::function<bool()>;

/// How a model is loaded.
struct LoadOptions {
    /// Name of the kernels that run the model, one of supported_isas(). Any other name is an error
    /// that lists these. Empty: what the environment variable LSTMGEN_ISA names, or the best if it
    /// is not set. The results are the same bits with all kernels.
    std::string isa;
    /// Asked in the load, in predict, in bytes, by generators of this model, also within an element
    /// under a grammar, and while a grammar is made: after about every millisecond of the work, by
    /// the thread that calls. Several threads may ask at a time.
    /// If it returns false, the call throws ErrorCode::stopped. A generator is then as before the
    /// call, except that feed and score may have read a part of the elements. Empty: nothing is
    /// asked.
    Continue keep_going = {};
};

/// A network with its weights, ready to run. Copies share the same weights.
class LSTMGEN_API_CLASS Model {
public:
    /// Reads the `.bin` file at `path`. The file may be changed or deleted afterwards. Throws
    /// ErrorCode::io if the file cannot be read, ErrorCode::format if it is not a model file or a
    /// damaged one, and ErrorCode::invalid_argument if this processor cannot run options.isa. A
    /// file of n bytes takes at most 64 n bytes + 16 MiB of memory and 8192 n + 2^28 multiply-adds.
    /// One that asks for more is ErrorCode::format.
    [[nodiscard]] static Model load(const std::string& path, const LoadOptions& options = {});

    /// Reads the bytes of a `.bin` file at `data` (size), which are not needed afterwards. `name`
    /// stands for the path in error messages. Errors are as in load.
    [[nodiscard]] static Model from_memory(const void* data, std::size_t size,
                                           const std::string& name = "<memory>",
                                           const LoadOptions& options = {});

    /// Returns the bytes of a `.bin` of this model. They are those that it was read from, except
    /// that subnormal weights, and weights of bf16 below 2^-56, have become zero.
    [[nodiscard]] std::string bytes() const;

    /// Returns what the file says about the model. The reference is valid as long as any copy of
    /// the model.
    [[nodiscard]] const ModelInfo& info() const;

    /// Returns the number of floats that `predict` writes: batch * outputs, or batch * output steps
    /// * outputs if info().output_sequence. The output has info().output_steps steps, or `steps` if
    /// that is 0. `batch` may be 0. `steps` is at least 1, and info().window if
    /// info().fixed_steps.
    [[nodiscard]] std::size_t predict_size(std::size_t batch, std::size_t steps) const;

    /// Computes what Keras's predict gives for the features `x` (batch, steps, info().input_size).
    /// `batch` and `steps` are as in predict_size. `y` gets the shape (batch, outputs), or (batch,
    /// output steps, outputs) if info().output_sequence. If `done` is not null, it counts the time
    /// steps that are done, up to batch * steps, each time before keep_going is asked. Throws Error
    /// if the network starts with an embedding, which reads ids.
    void predict(const float* x, std::size_t batch, std::size_t steps, float* y,
                 std::atomic<std::size_t>* done = nullptr) const;

    /// Computes the same from `ids` (batch, steps), which enter as info().encoding says. Each id is
    /// below info().input_size, or below info().outputs for Encoding::scaled and Encoding::raw.
    /// One-hot features of the same ids give the same bits. Throws Error if the network reads
    /// features.
    void predict(const std::uint32_t* ids, std::size_t batch, std::size_t steps, float* y,
                 std::atomic<std::size_t>* done = nullptr) const;

    /// Returns the network, for the library's own use.
    [[nodiscard]] const std::shared_ptr<const Network>& network() const;

private:
    explicit Model(std::shared_ptr<const Network> network) : network_(std::move(network)) {}
    std::shared_ptr<const Network> network_;
};

/// How the next element is chosen from the network's output y. The names and meanings are those of
/// llama.cpp; docs/sampling.md says more. The logits ln y pass these steps in this order:
/// logit_bias, allow and ban; the penalties (repeat, frequency, presence); DRY; top_n_sigma; top_k;
/// typical_p; top_p; min_p; XTC. Then the probability p_i is proportional to y_i ^ (1 / temp).
/// Mirostat replaces all steps after DRY, except the temperature.
struct SamplerOptions {
    /// Pairs (id, number that is added to ln y of that element), at most as many as there are
    /// elements. -infinity bans the element.
    std::vector<std::pair<std::uint32_t, double>> logit_bias;
    std::vector<std::uint32_t> allow;  ///< (n), only these ids can be drawn; empty: all
    std::vector<std::uint32_t> ban;    ///< (n), these ids cannot be drawn, allowed or not
    /// Above 0. The logit of each of the last repeat_last_n elements is divided by it if it is
    /// above 0, and multiplied with it if not.
    double repeat_penalty = 1.0;
    /// Finite. It is subtracted from the logit of each of these elements, once for each time that
    /// the element occurs among them.
    double frequency_penalty = 0.0;
    double presence_penalty = 0.0;   ///< finite: subtracted once from the logit of each of them
    std::size_t repeat_last_n = 64;  ///< at most LSTMGEN_MAX_LOOKBACK
    /// At least 0; 0: off. DRY subtracts multiplier * base ^ (length - allowed_length) from the
    /// logit of an element that would continue a repetition. `length` is the length of the longest
    /// end of the context that occurred before, among the last dry_penalty_last_n elements, with
    /// this element after it.
    double dry_multiplier = 0.0;
    double dry_base = 1.75;              ///< at least 1
    std::size_t dry_allowed_length = 2;  ///< at least 1; shorter repetitions lose nothing
    std::size_t dry_penalty_last_n = LSTMGEN_MAX_LOOKBACK;  ///< at most this
    /// (n), at most LSTMGEN_MAX_BREAKERS. Sequences of ids, with LSTMGEN_SEPARATOR between them.
    /// A repetition counts from after the last of them.
    std::vector<std::uint32_t> dry_sequence_breakers;
    double top_n_sigma = 0.0;  ///< at least 0: keep logits within n standard deviations of the
                               ///< greatest; 0: all
    std::size_t top_k = 0;     ///< keep the k most likely elements; 0: all
    double typical_p = 1.0;    ///< in (0, 1]: keep the elements whose surprise is nearest to the
                               ///< entropy, until they exceed p
    double top_p = 1.0;        ///< in (0, 1]: keep the most likely elements that together reach p
    double min_p =
        0.0;  ///< in [0, 1]: keep the elements with at least min_p times the greatest probability
    /// In [0, 1]. With this probability XTC drops all elements of at least the probability
    /// xtc_threshold, except the least likely of them.
    double xtc_probability = 0.0;
    double xtc_threshold = 0.1;  ///< in [0, 1]; above 0.5: off
    double temp = 1.0;           ///< temperature, at least 0; 0: the most likely element
    /// At least 0. The temperature grows from temp - range to temp + range while the entropy grows
    /// from 0 to the greatest possible one.
    double dynatemp_range = 0.0;
    /// At least 0. The entropy, as a part of the greatest, is raised to this power.
    double dynatemp_exponent = 1.0;
    std::size_t mirostat = 0;   ///< 0: off; 2: mirostat 2.0
    double mirostat_tau = 5.0;  ///< at least 0: bits of surprise that it aims at
    double mirostat_eta = 0.1;  ///< at least 0: how fast it learns
    std::uint64_t seed = 0;     ///< the same seed gives the same elements on every machine
};

/// The sampler's options that are single numbers, and what each may be: X(name, least, most,
/// whether `least` itself is excluded). Checks, saved states, the C API and the Python module
/// follow this list. A new option goes to its end, so that saved states stay readable.
#define LSTMGEN_SAMPLER_NUMBERS(X)                          \
    X(temp, 0.0, DBL_MAX, false)                            \
    X(repeat_penalty, 0.0, DBL_MAX, true)                   \
    X(top_p, 0.0, 1.0, true)                                \
    X(min_p, 0.0, 1.0, false)                               \
    X(top_k, 0.0, DBL_MAX, false)                           \
    X(typical_p, 0.0, 1.0, true)                            \
    X(top_n_sigma, 0.0, DBL_MAX, false)                     \
    X(xtc_probability, 0.0, 1.0, false)                     \
    X(xtc_threshold, 0.0, 1.0, false)                       \
    X(dry_multiplier, 0.0, DBL_MAX, false)                  \
    X(dry_base, 1.0, DBL_MAX, false)                        \
    X(dry_allowed_length, 1.0, DBL_MAX, false)              \
    X(dry_penalty_last_n, 0.0, LSTMGEN_MAX_LOOKBACK, false) \
    X(frequency_penalty, -DBL_MAX, DBL_MAX, false)          \
    X(presence_penalty, -DBL_MAX, DBL_MAX, false)           \
    X(repeat_last_n, 0.0, LSTMGEN_MAX_LOOKBACK, false)      \
    X(mirostat, 0.0, 2.0, false)                            \
    X(mirostat_tau, 0.0, DBL_MAX, false)                    \
    X(mirostat_eta, 0.0, DBL_MAX, false)                    \
    X(dynatemp_range, 0.0, DBL_MAX, false)                  \
    X(dynatemp_exponent, 0.0, DBL_MAX, false)

/// The sampler's options that are lists of ids, in the same way: X(name).
#define LSTMGEN_SAMPLER_LISTS(X) \
    X(allow)                     \
    X(ban)                       \
    X(dry_sequence_breakers)

/// Changes `logits` (count) of the next element in place, before any option does. There is one
/// number for each element. -infinity forbids the element. NaN is an error. `ids` (ids_count) are
/// the last elements of the context, the oldest first, at most LSTMGEN_MAX_LOOKBACK. An exception
/// ends the call.
using LogitsProcessor = void (*)(void* user, const std::uint32_t* ids, std::size_t ids_count,
                                 double* logits, std::size_t count);

struct CompiledGrammar;

/// Which texts are well-formed, in the notation of llama.cpp (GBNF; docs/grammar.md), compiled over
/// the elements of a model. It is immutable. Copies share it, and any number of threads may use it.
class LSTMGEN_API_CLASS Grammar {
public:
    /// No grammar: every text is well-formed.
    Grammar() = default;
    /// Compiles `gbnf`, in UTF-8, at most 1 MiB, over info().vocabulary. The ids in `never`, in any
    /// order, cannot be drawn; nor can padding that is more than one character, and elements
    /// without text. Throws ErrorCode::invalid_argument for a syntax error (line, column, what was
    /// expected), left recursion, a limit, elements that cannot spell any text, or a model without
    /// a vocabulary.
    Grammar(const Model& model, std::string_view gbnf,
            const std::vector<std::uint32_t>& never = {});

    /// Whether there is one.
    explicit operator bool() const noexcept { return compiled_ != nullptr; }
    /// The text that it was compiled from. There must be one.
    [[nodiscard]] const std::string& text() const;

    /// For the library's own use.
    [[nodiscard]] const std::shared_ptr<const CompiledGrammar>& compiled() const {
        return compiled_;
    }

private:
    std::shared_ptr<const CompiledGrammar> compiled_;
};

/// As a length: without end.
constexpr std::uint64_t kUnlimited = LSTMGEN_UNLIMITED;

/// How a generator works.
struct GeneratorOptions {
    SamplerOptions sampler;  ///< how elements are chosen
    /// 1: each element comes from a fresh window of the last `window` elements, as in a loop over
    /// Keras's predict. N: a window serves N elements, from the last `window` .. `window` + N - 1
    /// elements, and costs N times less. 0: the state is carried on for ever; so it is with 1 if
    /// the model has no window. A network with info().whole takes only 1.
    std::size_t refresh = 1;
    /// Threads that share the work of the windows, at most LSTMGEN_MAX_THREADS; 0 and 1: only the
    /// caller's. The results do not depend on it.
    std::size_t threads = 1;
};

/// Draws one element after the other.
///
/// Real time: a generator of one thread neither allocates nor locks after its construction, unless
/// it throws. The exceptions are clone, load_state, options, and the save_state that returns a
/// vector.
class LSTMGEN_API_CLASS Generator {
public:
    /// Called between elements. It returns false to stop.
    using Continue = lstmgen::Continue;

    /// Makes a generator with an empty context. It keeps the weights of `model`. Throws Error if an
    /// option is out of range, or if the model does not generate (a classifier, a predictor, or a
    /// network that reads features).
    Generator(const Model& model, const GeneratorOptions& options);
    /// Moves. The other generator may then only be destroyed or assigned to; any other use is an
    /// Error.
    Generator(Generator&& other) noexcept;
    /// Moves likewise.
    Generator& operator=(Generator&& other) noexcept;
    ~Generator();

    /// Returns the options in force. Their seed is that of the construction, of the last reset or
    /// of set_seed; 0 after load_state.
    [[nodiscard]] SamplerOptions options() const;
    /// Chooses elements by other options from the next one on. The context and the random numbers
    /// go on, so the seed does not count (see set_seed and reset).
    void set_options(const SamplerOptions& options);
    /// Starts the random numbers of another seed. The context and the options stay.
    void set_seed(std::uint64_t seed);
    /// Returns to an empty context and starts the random numbers of `seed`, as if the generator
    /// were new. The options stay.
    void reset(std::uint64_t seed);
    /// Sets a function that changes the logits of each element from the next one on. `user` is its
    /// first argument. `processor` may be null: none. Clones and copies have it, too. States do not
    /// hold it.
    void set_logits_processor(LogitsProcessor processor, void* user);
    /// Draws, from the next element on, only elements with which the text can still become one of
    /// `grammar`. The network and the options decide among them. The text begins here: what was
    /// drawn or fed before does not belong to it, and what is fed from now on does. At most
    /// `length` elements are going to be drawn, and then the text is complete. With kUnlimited it
    /// need never be complete. Without a grammar all elements are allowed again. Clones and states
    /// have it. It allocates, and so do the first elements after it, which teach it what is allowed
    /// where.
    void set_grammar(const Grammar& grammar, std::uint64_t length = kUnlimited);
    /// Draws at most `length` elements from now on. After them the text of the grammar is
    /// complete.
    void set_grammar_length(std::uint64_t length);
    /// The grammar in force, or none.
    [[nodiscard]] Grammar grammar() const;
    /// Ends the sequence after the first element in which a stop ends: one of the lists `ids`, or
    /// of the `texts` in UTF-8. A text is sought in the text of the elements, however they cut it,
    /// and may end within an element. The stop and its last element are part of the sequence. Each
    /// stop has 1 to LSTMGEN_MAX_LOOKBACK ids, which are below info().outputs, or bytes, which
    /// elements can hold. Texts need a vocabulary of the kind "text" or "bytes". Among tokens, a
    /// stop is the ids that Vocabulary::encode makes of it. The search begins here; it begins anew
    /// after a stop, feed, score and reset. Clones and states have the stops and what has been
    /// drawn of one. It allocates.
    void set_stops(const std::vector<std::vector<std::uint32_t>>& ids,
                   const std::vector<std::string>& texts = {});
    /// The lists of ids in force.
    [[nodiscard]] std::vector<std::vector<std::uint32_t>> stops() const;
    /// The texts in force.
    [[nodiscard]] std::vector<std::string> stop_texts() const;
    /// Lets more elements be drawn after a stop. It does nothing if no stop ended the sequence.
    void go_on();
    /// Whether the sequence has ended, so that `next` is an error. Either the last element
    /// completed a stop, or the text of the grammar is complete and nothing may follow.
    [[nodiscard]] bool ended() const;
    /// Returns a second generator that goes on as this one does, element for element. It allocates.
    [[nodiscard]] Generator clone() const;
    /// Makes this generator go on as `other` does. It does not allocate, without a grammar. Throws
    /// Error, and changes nothing, unless both are of one loaded model (or of copies of it) and
    /// have the same refresh and the same grammar.
    void copy_from(const Generator& other);

    /// Appends the known elements `ids` (n) to the context. If one id is not below info().outputs,
    /// none is appended. With windows and info().padding or info().zero_padding, a context that is
    /// shorter than the window starts with padding.
    void feed(const std::uint32_t* ids, std::size_t n) { static_cast<void>(feed(ids, n, {})); }
    /// Does the same, and can be stopped. Returns false if `keep_going` stopped it, after a part of
    /// the elements.
    [[nodiscard]] bool feed(const std::uint32_t* ids, std::size_t n, const Continue& keep_going);
    /// Appends all of `ids`.
    void feed(const std::vector<std::uint32_t>& ids) { feed(ids.data(), ids.size()); }

    /// Draws the next element and appends it to the context. An empty context is an error, unless
    /// padding fills its windows: then the window of the first element is all padding. Throws
    /// ErrorCode::ended if ended().
    [[nodiscard]] std::uint32_t next();

    /// Writes the distribution of the next element, after all filters, into `p` (info().outputs).
    /// The numbers add up to 1. The context stays. An empty one is an error as in next.
    void probabilities(double* p) const;

    /// Writes the logits of the next element into `logits` (info().outputs): ln y up to a constant.
    /// Neither the options nor a processor have changed them. The context stays. An empty one is an
    /// error as in next.
    void logits(double* logits) const;

    /// Draws the next element from the caller's `logits` (info().outputs) and appends it to the
    /// context. Element i has a probability proportional to e ^ logits[i], which the options do not
    /// change. -infinity forbids an element. NaN, infinity and nothing but -infinity are errors.
    /// The call takes one random number of this generator, so the seed makes the caller's own
    /// sampler reproducible.
    [[nodiscard]] std::uint32_t draw(const double* logits);

    /// Writes the likeliest next elements into `ids` (most), the likeliest first, and ln of their
    /// probabilities, after all filters, into `log_p` (most). Returns how many were written. Among
    /// equally likely elements the least id comes first.
    std::size_t likeliest(std::size_t most, std::uint32_t* ids, double* log_p) const;

    /// Returns ln of the probability with which the last element was drawn, after all filters. It
    /// is NaN if none was drawn since the construction, a reset or load_state.
    [[nodiscard]] double log_probability() const;

    /// Appends the elements `ids` (n) to the context. Writes ln of the probability of each, given
    /// those before it, into `log_p` (n). An element that a filter dropped has -infinity. An empty
    /// context is an error as in next. With a grammar, so is an element that cannot stand in its
    /// text, and, with ErrorCode::ended, one after its end. What came before it is in the context.
    void score(const std::uint32_t* ids, std::size_t n, double* log_p) {
        static_cast<void>(score(ids, n, log_p, {}));
    }
    /// Does the same, and can be stopped. Returns false if `keep_going` stopped it, after a part of
    /// the elements.
    [[nodiscard]] bool score(const std::uint32_t* ids, std::size_t n, double* log_p,
                             const Continue& keep_going);

    /// Writes all that later elements depend on into `to` (capacity bytes), if it fits: options,
    /// context and random numbers. The bytes are the same on every machine. Returns their number.
    /// `to` may be null if `capacity` is 0.
    [[nodiscard]] std::size_t save_state(void* to, std::size_t capacity) const;
    /// Returns the same bytes in a vector.
    [[nodiscard]] std::vector<std::uint8_t> save_state() const {
        std::vector<std::uint8_t> state(save_state(nullptr, 0));
        static_cast<void>(save_state(state.data(), state.size()));
        return state;
    }
    /// Makes a generator from `state` (bytes), which goes on as the saved one does, bit for bit, in
    /// any process and on any machine. `threads` is as in GeneratorOptions. Throws
    /// ErrorCode::format if the state is damaged, and ErrorCode::invalid_argument if it is a state
    /// of another model file.
    [[nodiscard]] static Generator load_state(const Model& model, const void* state,
                                              std::size_t bytes, std::size_t threads = 1);

private:
    class Impl;
    explicit Generator(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

/// One of many sequences.
struct Request {
    SamplerOptions sampler;  ///< how its elements are chosen
    /// (n), ids before its first element. Empty only if next accepts an empty context.
    std::vector<std::uint32_t> prime;
    /// How many of the last elements of the prime belong to the text of the grammar.
    std::size_t grammar_prime = 0;
};

/// What many sequences have in common.
struct ManyOptions {
    std::size_t length = 1000;  ///< the most elements of a sequence
    /// (stops, ids of each). A sequence ends with the first of these that it draws, as in
    /// Generator::set_stops.
    std::vector<std::vector<std::uint32_t>> stops;
    std::vector<std::string> stop_texts;  ///< likewise
    std::size_t refresh = 1;              ///< as in GeneratorOptions
    std::size_t threads = 1;  ///< threads that share the sequences, at most LSTMGEN_MAX_THREADS
    /// Null, or (requests): gets for each sequence the sum of ln of the probabilities that the
    /// network alone, without options, gives its elements.
    double* scores = nullptr;
    Grammar grammar;     ///< which elements can be drawn, as in Generator::set_grammar
    bool finish = true;  ///< the text of the grammar is complete after `length` elements, or before
    /// Null, or counts the elements that are done, up to `length` for each request: those that were
    /// drawn, and those that a sequence leaves out since it has ended. Any thread may read it.
    std::atomic<std::size_t>* done = nullptr;
};

/// Draws a sequence for each of `requests`, side by side, which is faster than one after the other.
/// Each is what a Generator with the same options draws, bit for bit. The result has the ids of
/// each sequence. Throws the errors of Generator.
///
/// The calling thread calls `keep_going` at least every 20 ms, or once an element. If it returns
/// false, the result holds what has been drawn so far.
[[nodiscard]] LSTMGEN_API std::vector<std::vector<std::uint32_t>> sample_many(
    const Model& model, const std::vector<Request>& requests, const ManyOptions& options,
    const Generator::Continue& keep_going = {});

/// A sequence that joins a batch.
struct BatchRequest : Request {
    std::uint64_t length = 1000;  ///< the most elements of it
    /// (stops, ids of each). It ends with the first of these that it draws, as in
    /// Generator::set_stops.
    std::vector<std::vector<std::uint32_t>> stops;
    std::vector<std::string> stop_texts;  ///< likewise
    std::size_t refresh = 1;              ///< as in GeneratorOptions
    Grammar grammar;     ///< which elements can be drawn, as in Generator::set_grammar
    bool finish = true;  ///< the text of the grammar is complete after `length` elements, or before
    bool scored = false;  ///< whether Batch::score counts
};

/// Why a sequence of a batch is over.
enum class Ending {
    none,     ///< it goes on
    length,   ///< it has all its elements
    stop,     ///< it drew a stop
    grammar,  ///< its text of the grammar is complete
    error,    ///< it cannot go on: see Batch::error
};

/// What a step of a batch says of a sequence.
struct BatchElement {
    std::size_t sequence = 0;      ///< as Batch::join returned it
    std::uint32_t id = 0;          ///< the element, if `drawn`
    bool drawn = false;            ///< false: it ended without another element
    Ending ending = Ending::none;  ///< whether it is over
};

/// Sequences that are drawn side by side, so that each weight is read once for all of them. Each
/// may join and leave between any two elements. Each is what a Generator with its options draws,
/// bit for bit.
///
/// A batch belongs to one caller at a time, as a Generator does. A step allocates only what a
/// grammar learns.
class LSTMGEN_API_CLASS Batch {
public:
    /// Makes a batch for up to `most` sequences, 1 to LSTMGEN_MAX_BATCH. It keeps the weights of
    /// `model`. `threads` share the lanes, as in GeneratorOptions.
    Batch(const Model& model, std::size_t most, std::size_t threads = 1);
    /// Moves. The other batch may then only be destroyed or assigned to.
    Batch(Batch&& other) noexcept;
    /// Moves likewise.
    Batch& operator=(Batch&& other) noexcept;
    ~Batch();

    /// Lets a sequence join. Returns its number, below `most`, which no other sequence has until it
    /// is over or leaves. Throws the errors of sample_many for its request, and Error if the batch
    /// is full. Steps read the prime in pieces, beside the elements of the others.
    [[nodiscard]] std::size_t join(BatchRequest request);
    /// Drops a sequence that is not over.
    void leave(std::size_t sequence);
    /// Lets a sequence that is drawing rest: it keeps its place in the batch, and costs nothing.
    /// Throws Error if it is over or still reads its prime. It does nothing if it rests already.
    void pause(std::size_t sequence);
    /// Lets a sequence that rests go on, from where it was.
    void resume(std::size_t sequence);
    /// Returns how many sequences are not over.
    [[nodiscard]] std::size_t size() const;
    /// Returns how many of these rest.
    [[nodiscard]] std::size_t resting() const;
    /// Draws an element for each sequence that has read its prime, and lets the others read a piece
    /// of theirs. Returns what was drawn; it is valid until the next call of join or step. A
    /// sequence that is over has left, and its number may be given to another one.
    ///
    /// If LoadOptions::keep_going stops it, it throws ErrorCode::stopped, or returns the elements
    /// that were drawn before. The next step continues.
    const std::vector<BatchElement>& step();

    /// Returns ln of the probability with which the newest element of a sequence was drawn, as
    /// Generator::log_probability does. This function and the next three are for sequences of the
    /// last step, also those that are over, until the next call of join or step.
    [[nodiscard]] double log_probability(std::size_t sequence) const;
    /// Writes the likeliest elements at the place of the newest element into `ids` (most) and
    /// `log_p` (most), as Generator::likeliest does for the next one.
    std::size_t likeliest(std::size_t sequence, std::size_t most, std::uint32_t* ids,
                          double* log_p) const;
    /// Returns the sum of ln of the probabilities that the network alone gives the elements of a
    /// sequence; 0 unless BatchRequest::scored.
    [[nodiscard]] double score(std::size_t sequence) const;
    /// Returns why a sequence ended with Ending::error.
    [[nodiscard]] const std::string& error(std::size_t sequence) const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

/// What one thread of this machine can do at best with the kernels of a model.
struct MachineLimits {
    double macs_per_second = 0.0;  ///< float32 multiply-adds a second, in registers
    /// Bytes a second that are read from a block of the size of the model's weights, many times.
    double bytes_per_second = 0.0;
};
/// Measures these limits on the calling thread. It takes about 0.2 s.
[[nodiscard]] LSTMGEN_API MachineLimits measure_limits(const Model& model);

/// Returns the names of the instruction sets that this processor can run, the best first. They are
/// the names that LoadOptions::isa takes. The best of a model that is not of int8 is not
/// "avx512amx".
[[nodiscard]] LSTMGEN_API std::vector<std::string> supported_isas();

}  // namespace lstmgen
