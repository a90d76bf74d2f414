// lstmgen: sample from a recurrent network that Keras trained.
//
//     const auto model = lstmgen::Model::load("latex.bin");
//     lstmgen::Generator generator(model, {});
//     generator.feed(model.info().prime);
//     for (int i = 0; i < 1000; ++i) std::cout << model.info().vocabulary[generator.next()];
//
// Errors are thrown as lstmgen::Error. A Model is immutable: any number of threads may use one. A Generator belongs to
// one caller at a time. Nothing here prints, exits, aborts, or keeps global state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

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

namespace lstmgen {

enum class ErrorCode {
    io,                ///< the file cannot be read
    format,            ///< the bytes are not a model file, or a broken one
    invalid_argument,  ///< the caller asked for something impossible
};

/// What every function throws; what() names the file or the argument, what was expected, and what was found.
class LSTMGEN_API Error : public std::runtime_error {
public:
    /// With what() = `message`.
    Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
    /// The kind of error.
    ErrorCode code() const noexcept { return code_; }

private:
    ErrorCode code_;
};

/// How an element enters the network (docs/format.md, section 3).
enum class Encoding { onehot, index, scaled, features, raw };

/// A layer of a network.
struct LayerInfo {
    std::string type;                  ///< as in the file (docs/format.md, section 4)
    std::string name;                  ///< as in Keras
    std::vector<std::size_t> sources;  ///< what it reads: 0 for the network's input, j + 1 for layer j
    std::size_t inputs = 0;            ///< size of the first of these; the number of ids for an embedding
    std::size_t outputs = 0;           ///< size of its output
    std::string activation;            ///< empty if the type has none
    std::string recurrent_activation;  ///< empty if the type has none
    bool return_sequences = false;     ///< gives an output at each time step
};

/// What a model file says about itself.
struct ModelInfo {
    std::string name;                        ///< of the model; this and the next are empty if the file lacks them
    std::string description;                 ///< what it was trained on, and for
    std::string author;                      ///< who trained it
    std::string license;                     ///< of the model
    std::string source_url;                  ///< where it comes from
    std::string card;                        ///< a JSON object
    std::string keras_version;               ///< that wrote the original
    std::string dtype;                       ///< of the stored matrices: "f32", "bf16" or "int8"
    std::string isa;                         ///< kernels in use, such as "avx2": see lstmgen_isa
    Encoding encoding = Encoding::features;  ///< how an element enters
    std::size_t input_size = 0;              ///< numbers per time step, or of ids for Encoding::index
    std::vector<float> input_values;         ///< of Encoding::raw, the number of each element; empty: its id
    std::size_t outputs = 0;                 ///< numbers per output; elements of a generator
    std::size_t window = 0;                  ///< time steps T the network was saved with; 0: not fixed
    bool output_sequence = false;            ///< the network has an output at each time step
    std::size_t output_steps = 0;            ///< time steps of that output; 0: as many as the input has
    bool whole = false;                      ///< the network needs all time steps at once: no state can be carried
    bool fixed_steps = false;                ///< the network takes exactly `window` time steps
    std::vector<std::string> labels;         ///< of a classifier, the name of each output; empty if it is none
    bool predictor = false;                  ///< the outputs are no elements: the network does not generate
    std::vector<std::string> vocabulary;     ///< empty, or `outputs` elements (`input_size` with labels or predictor)
    std::string vocabulary_kind;             ///< "text", "tokens", or empty
    std::vector<std::uint32_t> prime;        ///< ids of the default prime
    std::optional<std::uint32_t> padding;    ///< id that fills a short window
    bool zero_padding = false;               ///< vectors of zeros fill a short window
    std::vector<LayerInfo> layers;           ///< in the order in which they run
    std::size_t nbytes = 0;                  ///< of the packed weights in memory
    std::uint32_t identity = 0;              ///< of the weights, whatever else a file says
};

class Network;

/// A network with its weights, ready to run. Copies share the same weights.
class LSTMGEN_API Model {
public:
    /// Reads a `.bin` file. The file may be changed or deleted afterwards. The kernels are chosen here, by what the
    /// processor and the operating system support, or by the environment variable LSTMGEN_ISA.
    static Model load(const std::string& path);

    /// The same from memory, which is not needed afterwards. `name` stands for the path in error messages.
    static Model from_memory(const void* data, std::size_t size, const std::string& name = "<memory>");

    /// The bytes of a `.bin` of this model: those that it was read from. (Weights of bf16 below 2^-56 have become
    /// zero.)
    std::string bytes() const;

    /// Valid as long as any copy of the model.
    const ModelInfo& info() const noexcept;

    /// As Keras's predict: y (batch, outputs), or (batch, output_steps, outputs) if info().output_sequence, where
    /// output_steps is `steps` unless info() names a number, from the features x (batch, steps, input_size), C order.
    /// steps >= 1, and info().window if info().fixed_steps.
    void predict(const float* x, std::size_t batch, std::size_t steps, float* y) const;

    /// The same from ids (batch, steps), encoded as info().encoding says; each id below info().input_size (outputs for
    /// Encoding::scaled and Encoding::raw). One-hot features of the same ids give the same bits.
    void predict(const std::uint32_t* ids, std::size_t batch, std::size_t steps, float* y) const;

    /// Of the library's own use.
    const std::shared_ptr<const Network>& network() const noexcept { return network_; }

private:
    explicit Model(std::shared_ptr<const Network> network) : network_(std::move(network)) {}
    std::shared_ptr<const Network> network_;
};

/// How the next element is chosen from the network's output y. Filters are applied in the order of the members, then
/// p_i is proportional to y_i ^ (1 / temp).
struct SamplerOptions {
    std::vector<std::pair<std::uint32_t, double>> logit_bias;  ///< (id, number added to ln y)
    double repeat_penalty = 1.0;  ///< > 1: the last 64 elements become less likely (as in llama.cpp); 1: off
    std::size_t top_k = 0;        ///< keep the k most likely elements; 0: all
    double top_p = 1.0;           ///< keep the most likely elements that together reach p; 1: all
    double min_p = 0.0;           ///< keep the elements with at least min_p times the greatest probability; 0: all
    double temp = 1.0;            ///< temperature; 0: the most likely element
    std::uint64_t seed = 0;       ///< the same seed gives the same elements on every machine
};

/// The options of a sampler that are single numbers: X(name) for each. This is the one list of them: the Python module,
/// the C API and saved states follow it. A new option goes to the end, so that older states stay readable.
#define LSTMGEN_SAMPLER_NUMBERS(X) X(temp) X(repeat_penalty) X(top_p) X(min_p) X(top_k)

/// How a generator works.
struct GeneratorOptions {
    SamplerOptions sampler;  ///< how elements are chosen
    /// 1: each element comes from a fresh window of the last `window` elements, as a loop over Keras's predict does.
    /// N: from the last window .. window + N - 1 elements, N times cheaper. 0: the state is carried for ever,
    /// as it is with 1 if there is no window. A network with info().whole knows only 1.
    std::size_t refresh = 1;
    std::size_t threads = 1;  ///< share the lanes of the windows among so many threads; the results do not depend on it
};

/// Draws one element after the other. After construction nothing allocates, except the creation of threads.
class LSTMGEN_API Generator {
public:
    /// Called between elements; return false to stop.
    using Continue = std::function<bool()>;

    /// With an empty context; keeps the weights of `model`.
    Generator(const Model& model, const GeneratorOptions& options);
    /// Moved from, a generator may be destroyed or assigned to.
    Generator(Generator&&) noexcept;
    /// Likewise.
    Generator& operator=(Generator&&) noexcept;
    ~Generator();

    /// Appends known elements to the context. False if `keep_going` stopped it. With windows and info().padding or
    /// info().zero_padding, a context that is shorter than the window starts with padding.
    bool feed(const std::uint32_t* ids, std::size_t n, const Continue& keep_going = {});
    /// The same without a way to stop.
    bool feed(const std::vector<std::uint32_t>& ids) { return feed(ids.data(), ids.size()); }

    /// Draws the next element and appends it to the context. An empty context is an error, unless padding fills its
    /// windows: then the window of the first element is all padding.
    std::uint32_t next();

    /// The options in force. The seed is that of the construction or of the last `reset`; 0 after `load_state`.
    SamplerOptions options() const;
    /// Chooses the elements to come by other options. The seed does not count: the random numbers go on.
    void set_options(const SamplerOptions& options);
    /// Starts the random numbers of another seed; the context stays.
    void set_seed(std::uint64_t seed);
    /// ln of the probability with which the last element was drawn, after all filters; NaN if none was drawn yet.
    double log_probability() const;
    /// A second generator that goes on as this one does.
    Generator clone() const;

    /// Distribution of the next element: info().outputs numbers that add up to 1, after all filters.
    void probabilities(double* p);

    /// ln of the probability of each of n elements given those before it (the context included), at the options'
    /// temperature, into `log_p`; the elements are appended to the context. False if stopped.
    bool score(const std::uint32_t* ids, std::size_t n, double* log_p, const Continue& keep_going = {});

    /// All that the elements to come depend on - options, context, random numbers - as bytes, the same on every
    /// machine, written to `to` if they fit into `capacity`. Returns how many they are. Does not allocate.
    std::size_t save_state(void* to, std::size_t capacity);
    /// The same in a vector.
    std::vector<std::uint8_t> save_state() {
        std::vector<std::uint8_t> state(save_state(nullptr, 0));
        save_state(state.data(), state.size());
        return state;
    }
    /// A generator that goes on as the saved one does, bit for bit, in any process and on any machine. `model` is of
    /// the same file. Throws Error: ErrorCode::format if the state is damaged, invalid_argument if it is of another
    /// model.
    static Generator load_state(const Model& model, const void* state, std::size_t bytes, std::size_t threads = 1);

private:
    class Impl;
    explicit Generator(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

/// One of many sequences.
struct Request {
    SamplerOptions sampler;            ///< how its elements are chosen
    std::vector<std::uint32_t> prime;  ///< may be empty only where a Generator may start from an empty context
};

/// What many sequences have in common.
struct ManyOptions {
    std::size_t length = 1000;  ///< elements of each sequence, at most
    /// A sequence ends with the first of these that it draws, which is still part of it.
    std::vector<std::vector<std::uint32_t>> stops;
    std::size_t refresh = 1;  ///< as in GeneratorOptions
    std::size_t threads = 1;  ///< share the sequences; the results do not depend on it
};

/// Draws a sequence for each request, side by side, which is faster than one after the other; each is what a Generator
/// with the same options draws, bit for bit. `keep_going` is called by the calling thread, at least every 20 ms or once
/// an element; if it returns false, what there is is returned.
LSTMGEN_API std::vector<std::vector<std::uint32_t>> sample_many(const Model& model,
                                                                const std::vector<Request>& requests,
                                                                const ManyOptions& options,
                                                                const Generator::Continue& keep_going = {});

/// What one thread of this machine can do at best with the kernels of `model`, measured: takes about 0.2 s.
struct MachineLimits {
    double macs_per_second = 0.0;   ///< float32 multiply-adds in registers
    double bytes_per_second = 0.0;  ///< reading as many bytes as the model's weights have, again and again
};
LSTMGEN_API MachineLimits measure_limits(const Model& model);

/// Names of the instruction sets that this processor can run, best first.
LSTMGEN_API std::vector<std::string> supported_isas();

}  // namespace lstmgen
