// Tests of what the C ABI takes from the system. A step takes nothing. If any allocation fails, the
// call gives an error and leaks nothing.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

#include <lstmgen/lstmgen.h>
#include <lstmgen/lstmgen.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <vector>

#if defined(__linux__) && !defined(SANITIZED)
#include <dlfcn.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace {

std::atomic<long> allocations{0}, live{0}, locks{0};
std::atomic<long> left{-1};             // allocations until one fails; negative: none does
std::atomic<bool> fail_forever{false};  // all later allocations fail, too

bool granted() {
    ++allocations;
    for (long n = left; n >= 0; n = left) {
        if (n == 0 && fail_forever) return false;
        if (left.compare_exchange_strong(n, n - 1)) return n > 0;
    }
    return true;
}

void* counted(void* memory) {
    if (memory) ++live;
    return memory;
}

}  // namespace

#if defined(__GLIBC__) && !defined(SANITIZED)
// The allocations of C++ call these functions, too.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t n) { return granted() ? counted(__libc_malloc(n)) : nullptr; }
void* calloc(std::size_t n, std::size_t size) { return granted() ? counted(__libc_calloc(n, size)) : nullptr; }
void* realloc(void* p, std::size_t n) {
    if (!granted()) return nullptr;
    void* const to = __libc_realloc(p, n);
    if (!p && to) ++live;
    return to;
}
void* memalign(std::size_t alignment, std::size_t n) {
    return granted() ? counted(__libc_memalign(alignment, n)) : nullptr;
}
void* aligned_alloc(std::size_t alignment, std::size_t n) { return memalign(alignment, n); }
int posix_memalign(void** to, std::size_t alignment, std::size_t n) {
    *to = memalign(alignment, n);
    return *to ? 0 : 12;
}
void free(void* p) {
    if (p) --live;
    __libc_free(p);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
    using Lock = int (*)(pthread_mutex_t*);
    static const Lock real = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
    ++locks;
    return real(mutex);
}
}
#else
void* operator new(std::size_t n) {
    void* const p = granted() ? counted(std::malloc(n ? n : 1)) : nullptr;
    if (!p) throw std::bad_alloc();
    return p;
}
void* operator new(std::size_t n, std::align_val_t alignment) {
    const auto a = static_cast<std::size_t>(alignment);
    void* const p = granted() ? counted(std::aligned_alloc(a, (std::max<std::size_t>(n, 1) + a - 1) / a * a)) : nullptr;
    if (!p) throw std::bad_alloc();
    return p;
}
// Without it, sanitizers bring theirs.
void* operator new(std::size_t n, const std::nothrow_t&) noexcept {
    return granted() ? counted(std::malloc(n ? n : 1)) : nullptr;
}
void operator delete(void* p) noexcept {
    if (p) --live;
    std::free(p);
}
void operator delete(void* p, std::size_t) noexcept { operator delete(p); }
void operator delete(void* p, std::align_val_t) noexcept { operator delete(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { operator delete(p); }
#endif

namespace {

int failures = 0;

void check(bool fine, const char* what, int line) {
    if (fine) return;
    std::fprintf(stderr, "test_allocations.cpp:%d: %s (%s)\n", line, what, lstmgen_last_error());
    ++failures;
}
#define CHECK(condition) check(condition, #condition, __LINE__)

// The structs point at each other, so they cannot be copied.
struct Options {
    lstmgen_sampler_options sampler = LSTMGEN_SAMPLER_OPTIONS_INIT;
    lstmgen_generator_options generator = LSTMGEN_GENERATOR_OPTIONS_INIT;
    const std::uint32_t ids[2] = {1, 2};
    const double bias[2] = {0.5, -0.5};

    Options() { generator.sampler = &sampler; }
    Options(const Options&) = delete;
    Options& operator=(const Options&) = delete;
    void set_bias() {
        sampler.logit_bias_ids = ids;
        sampler.logit_bias = bias;
        sampler.logit_bias_count = 2;
    }
    // Options that look back, and every filter.
    void set_everything() {
        set_bias();
        sampler.top_k = 9;
        sampler.top_p = sampler.typical_p = 0.95;
        sampler.min_p = 0.01;
        sampler.top_n_sigma = 3.0;
        sampler.xtc_probability = 0.5;
        sampler.repeat_penalty = 1.1;
        sampler.frequency_penalty = sampler.presence_penalty = 0.1;
        sampler.repeat_last_n = LSTMGEN_MAX_LOOKBACK;
        sampler.dry_multiplier = 0.8;
        sampler.dynatemp_range = 0.5;
        sampler.ban = sampler.dry_sequence_breakers = ids;
        sampler.ban_count = 1;
        sampler.dry_sequence_breakers_count = 2;
        sampler.allow = all;
        sampler.allow_count = 8;
    }
    const std::uint32_t all[8] = {0, 1, 2, 3, 4, 5, 6, 7};
};

lstmgen_generator* create(lstmgen_model* model, std::size_t refresh, std::size_t threads = 1) {
    Options options;
    options.generator.refresh = refresh;
    options.generator.threads = threads;
    options.sampler.top_k = 5;
    options.sampler.top_p = 0.9;
    options.sampler.repeat_penalty = 1.1;
    lstmgen_generator* generator = nullptr;
    CHECK(lstmgen_generator_create(model, &options.generator, &generator) == LSTMGEN_OK);
    return generator;
}

constexpr std::size_t kElements = 11;  // of the tests' model

int go_on(void*, std::uint32_t) { return 0; }
void process(void*, const std::uint32_t*, std::size_t, double* logits, std::size_t) { logits[0] -= 1.0; }
int go_on_text(void*, const char*, std::size_t) { return 0; }

// Makes one of each call that takes no memory.
struct Steps {
    lstmgen_notes* notes = nullptr;
    lstmgen_model* model;
    lstmgen_generator *generator, *other;
    std::vector<double> p;
    std::vector<float> y;
    std::vector<std::uint64_t> state;
    std::vector<unsigned char> saved;

    Steps(lstmgen_model* m, std::size_t refresh)
        : model(m), generator(create(m, refresh)), other(create(m, refresh)), p(100), y(100), saved(1 << 14) {
        std::size_t bytes = 0;
        CHECK(lstmgen_state_size(m, &bytes) == LSTMGEN_OK);
        state.resize(bytes / 8 + 1);
        CHECK(lstmgen_state_init(m, state.data(), bytes) == LSTMGEN_OK);
        const char* const stop = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";  // it is not drawn
        const std::size_t size = std::strlen(stop);
        CHECK(lstmgen_generator_set_stop_texts(generator, &stop, &size, 1) == LSTMGEN_OK);
        CHECK(lstmgen_generator_copy(other, generator) == LSTMGEN_OK);
        CHECK(lstmgen_notes_create(nullptr, &notes) == LSTMGEN_OK);
    }
    ~Steps() {
        lstmgen_notes_free(&notes);
        lstmgen_generator_free(&generator);
        lstmgen_generator_free(&other);
    }
    Steps(const Steps&) = delete;
    Steps& operator=(const Steps&) = delete;

    // The sum of all statuses is 0.
    int run() {
        std::uint32_t ids[50];
        std::size_t bytes = 0;
        double log_p[20];
        Options options;
        options.set_bias();
        int sum = lstmgen_generator_feed_prime(generator);
        for (int i = 0; i < 50; ++i) sum += lstmgen_generator_next(generator, &ids[i]);
        sum += lstmgen_generator_next_many(generator, ids, 20);
        int ended = 0;
        sum += lstmgen_generator_ended(generator, &ended) + ended;
        sum += lstmgen_generator_go_on(generator);
        sum += lstmgen_generator_feed(generator, ids, 20);
        sum += lstmgen_generator_probabilities(generator, p.data(), p.size());
        sum += lstmgen_generator_score(generator, ids, 20, log_p);
        sum += lstmgen_generator_sample(generator, 20, go_on, nullptr);
        sum += lstmgen_generator_sample_text(generator, 20, go_on_text, nullptr);
        for (int i = 0; i < 20; ++i)
            sum += lstmgen_state_step_id(model, state.data(), state.size() * 8, ids[i], y.data(), y.size());
        sum += lstmgen_generator_copy(other, generator);
        sum += lstmgen_generator_next_many(other, ids, 20);
        sum += lstmgen_generator_set_options(generator, &options.sampler);
        sum += lstmgen_generator_next_many(generator, ids, 20);
        options.set_everything();
        for (const std::size_t mirostat : {0, 2}) {
            options.sampler.mirostat = mirostat;
            sum += lstmgen_generator_set_options(generator, &options.sampler);
            sum += lstmgen_generator_set_logits_processor(generator, process, nullptr);
            sum += lstmgen_generator_next_many(generator, ids, 50);
            sum += lstmgen_generator_copy(other, generator);
            sum += lstmgen_generator_next_many(other, ids, 20);
            sum += lstmgen_generator_logits(generator, p.data(), p.size());
            sum += lstmgen_generator_draw(generator, p.data(), kElements, ids);
            sum += lstmgen_generator_likeliest(generator, ids, p.data(), 5, &bytes);
            sum += lstmgen_generator_set_logits_processor(generator, nullptr, nullptr);
        }
        sum += lstmgen_generator_set_options(generator, nullptr);
        sum += lstmgen_generator_reset(generator, 5);
        sum += lstmgen_generator_feed_prime(generator);
        sum += lstmgen_generator_next_many(generator, ids, 20);
        sum += lstmgen_generator_save(generator, saved.data(), saved.size(), &bytes);
        sum += lstmgen_state_save(model, state.data(), state.size() * 8, saved.data(), saved.size(), &bytes);
        sum += lstmgen_state_load(model, state.data(), state.size() * 8, saved.data(), bytes);
        return sum + play();
    }

    int play() {
        lstmgen_note note = LSTMGEN_NOTE_INIT;
        int sum = lstmgen_notes_reset(notes);
        for (const char* element : {"d6", "n60", "t6", "n60", "b120", "n64"}) {
            sum += lstmgen_notes_feed_text(notes, element, std::strlen(element));
            if (element[0] == 'n') sum += lstmgen_notes_begun(notes, &note);
        }
        sum += lstmgen_notes_next(notes, &note);
        sum += lstmgen_notes_now(notes, nullptr, nullptr, nullptr);
        return sum + lstmgen_notes_finish(notes);
    }
};

void steps_take_nothing(lstmgen_model* model, std::size_t refresh) {
    Steps steps(model, refresh);
    const long before = allocations, locked = locks;
    const int status = steps.run();
    CHECK(status == 0);
    CHECK(allocations == before);
    CHECK(locks == locked);
#if defined(__linux__) && !defined(SANITIZED)
    // This runs in a process that the kernel kills at any system call, except read, write and the
    // end of a thread.
    const pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) _exit(2);
        syscall(SYS_exit, steps.run() == 0 ? 0 : 1);
    }
    int ended = 0;
    CHECK(waitpid(child, &ended, 0) == child);
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == 2)
        std::puts("system calls: not checked, there is no seccomp here");
    else
        CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
#endif
}

// A step of a batch takes nothing, once its sequences have joined.
void batches_take_nothing(const char* path, std::size_t refresh) {
    lstmgen::Batch batch(lstmgen::Model::load(path), 4);
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
        lstmgen::BatchRequest request;
        request.sampler.seed = seed;
        request.prime.assign(40, 2);
        request.length = 20 + seed;
        request.refresh = refresh;
        request.scored = true;
        CHECK(batch.join(request) == seed);
    }
    batch.step();
    const long before = allocations;
    std::size_t drawn = 0;
    while (batch.size() > 0) drawn += batch.step().size();
    CHECK(drawn == 20 + 21 + 22 + 23);
    CHECK(allocations == before);
}

// Runs `work`, which returns a status, with each of its allocations failing, once or from there on.
// It must leak nothing.
void survives(const char* name, const std::function<lstmgen_status()>& work) {
    CHECK(work() == LSTMGEN_OK);  // the C library has allocated what it keeps
    for (const bool forever : {false, true}) {
        long n = 0;
        for (;; ++n) {
            fail_forever = forever;
            const long before = live;
            left = n;
            const lstmgen_status status = work();
            const bool failed = forever ? left == 0 : left < 0;
            left = -1;
            CHECK(live == before);
            CHECK(status == LSTMGEN_OK || status == LSTMGEN_OUT_OF_MEMORY || status == LSTMGEN_IO);
            if (status != LSTMGEN_OK) CHECK(failed && lstmgen_last_error()[0] != '\0');
            if (!failed || n > 100000) break;
        }
        std::printf("%s: %ld allocations, %s\n", name, n, forever ? "all fail from one on" : "one fails");
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const char* const path = argv[1];
    static char bytes[1 << 20];
    std::FILE* const file = std::fopen(path, "rb");
    if (!file) return 2;
    const std::size_t size = std::fread(bytes, 1, sizeof bytes, file);
    std::fclose(file);

    lstmgen_model* model = nullptr;
    CHECK(lstmgen_model_load_path(path, nullptr, &model) == LSTMGEN_OK);
    if (!model) return 1;
    for (const std::size_t refresh : {std::size_t{0}, std::size_t{1}, std::size_t{5}}) {
        steps_take_nothing(model, refresh);
        batches_take_nothing(path, refresh);
    }

    survives("load from a path", [&] {
        lstmgen_model* m = nullptr;
        const lstmgen_status status = lstmgen_model_load_path(path, nullptr, &m);
        CHECK((status == LSTMGEN_OK) == (m != nullptr));
        lstmgen_model_release(&m);
        return status;
    });
    survives("load from memory", [&] {
        lstmgen_model* m = nullptr;
        const lstmgen_status status = lstmgen_model_load_memory(bytes, size, nullptr, &m);
        lstmgen_model_release(&m);
        return status;
    });
    survives("load from a stream", [&] {
        lstmgen_model* m = nullptr;
        std::size_t at = 0;
        struct Source {
            const char* bytes;
            std::size_t size, *at;
        } source{bytes, size, &at};
        const lstmgen_status status = lstmgen_model_load_stream(
            [](void* user, void* to, std::size_t n) {
                const Source& s = *static_cast<Source*>(user);
                n = std::min(n, s.size - *s.at);
                std::memcpy(to, s.bytes + *s.at, n);
                *s.at += n;
                return n;
            },
            &source, nullptr, &m);
        lstmgen_model_release(&m);
        return status;
    });
    for (const std::size_t threads : {std::size_t{1}, std::size_t{3}})
        survives(threads == 1 ? "create and sample" : "create and sample with threads", [&] {
            Options options;
            options.set_bias();
            options.generator.threads = threads;
            lstmgen_generator* generator = nullptr;
            lstmgen_status status = lstmgen_generator_create(model, &options.generator, &generator);
            if (status == LSTMGEN_OK) status = lstmgen_generator_feed_prime(generator);
            if (status == LSTMGEN_OK) status = lstmgen_generator_sample(generator, 20, go_on, nullptr);
            lstmgen_generator_free(&generator);
            return status;
        });
    std::vector<unsigned char> state(1 << 14);
    {
        lstmgen_generator* generator = create(model, 5);
        std::size_t n = 0;
        CHECK(lstmgen_generator_feed_prime(generator) == LSTMGEN_OK);
        CHECK(lstmgen_generator_save(generator, state.data(), state.size(), &n) == LSTMGEN_OK);
        state.resize(n);
        lstmgen_generator_free(&generator);
    }
    survives("load a state", [&] {
        lstmgen_generator* generator = nullptr;
        const lstmgen_status status = lstmgen_generator_load(model, state.data(), state.size(), 1, nullptr, &generator);
        CHECK((status == LSTMGEN_OK) == (generator != nullptr));
        lstmgen_generator_free(&generator);
        return status;
    });
    for (const std::size_t threads : {std::size_t{1}, std::size_t{3}}) {
        lstmgen_generator* original = create(model, 5, threads);
        CHECK(lstmgen_generator_feed_prime(original) == LSTMGEN_OK);
        survives(threads == 1 ? "clone" : "clone with threads", [&] {
            lstmgen_generator* generator = nullptr;
            const lstmgen_status status = lstmgen_generator_clone(original, &generator);
            CHECK((status == LSTMGEN_OK) == (generator != nullptr));
            lstmgen_generator_free(&generator);
            return status;
        });
        lstmgen_generator_free(&original);
    }
    survives("sample many", [&] {
        lstmgen_many_options many = LSTMGEN_MANY_OPTIONS_INIT;
        many.count = 3;
        many.length = 4;
        std::uint32_t ids[12];
        std::size_t counts[3];
        return lstmgen_model_sample_many(model, nullptr, &many, ids, 12, counts);
    });
    survives("predict", [&] {
        const std::uint32_t ids[4] = {1, 2, 3, 4};
        float y[100];
        return lstmgen_model_predict_ids(model, 1, 4, ids, 4, y, 100);
    });
    survives("an error", [&] {
        std::uint32_t ids[1] = {1000};
        float y[100];
        const lstmgen_status status = lstmgen_model_predict_ids(model, 1, 1, ids, 1, y, 100);
        return status == LSTMGEN_INVALID_ARGUMENT ? LSTMGEN_OK : status;
    });
    lstmgen_model_release(&model);
    std::printf("%d failures\n", failures);
    return failures > 0;
}
