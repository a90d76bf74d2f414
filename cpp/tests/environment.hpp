#pragma once

#include <cstdlib>
#include <string>

// Sets LSTMGEN_ISA for the models that are loaded next. Empty means the best.
inline void choose_isa(const std::string& isa) {
#if defined(_WIN32)
    _putenv_s("LSTMGEN_ISA", isa.c_str());
#else
    setenv("LSTMGEN_ISA", isa.c_str(), 1);
#endif
}
