// Names that other object files use.
#pragma once

/// Marks the definition of a function that other object files call: the members of public classes, what the hot files
/// and the tests use. A release build with GCC (CMakeLists.txt, -fwhole-program) drops all other names of the one file
/// that the core is, and the functions that nothing in it calls. Functions of the C API need no mark: they have one.
#if defined(__GNUC__) && !defined(__clang__)
#define LSTMGEN_KEPT __attribute__((externally_visible))
#else
#define LSTMGEN_KEPT
#endif
