// The options of a sampler by name.
#include <string>
#include <type_traits>

#include "bindings.hpp"

namespace {

// Calls f(name, member) for each option of a sampler.
template <class Options, class F>
void for_each_option(Options& options, F&& f) {
#define VISIT(name, ...) f(#name, options.name);
    LSTMGEN_SAMPLER_NUMBERS(VISIT)
#undef VISIT
#define VISIT(name) f(#name, options.name);
    LSTMGEN_SAMPLER_LISTS(VISIT)
#undef VISIT
    f("logit_bias", options.logit_bias);
    f("seed", options.seed);
}

}  // namespace

void set_by_name(lstmgen::SamplerOptions& options, const py::dict& given) {
    std::size_t known = 0;
    for_each_option(options, [&](const char* name, auto& member) {
        if (!given.contains(name)) return;
        member = py::cast<std::decay_t<decltype(member)>>(given[name]);
        ++known;
    });
    if (known != given.size())
        throw py::type_error("the engine does not know one of these options: " + std::string(py::str(py::list(given))));
}

py::dict by_name(const lstmgen::SamplerOptions& options) {
    py::dict named;
    for_each_option(options, [&](const char* name, const auto& member) { named[name] = member; });
    return named;
}
