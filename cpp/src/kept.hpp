// Marks names that other object files use.
#pragma once

/// Marks the definition of a function that other object files call: members of public classes, and
/// what the hot files and the tests use. A release build with GCC (-fwhole-program in
/// CMakeLists.txt) compiles the core as one file. It drops all other names of this file, and the
/// functions that nothing in it calls. Functions of the C API have LSTMGEN_API, which is enough.
#if defined(__GNUC__) && !defined(__clang__)
#define LSTMGEN_KEPT __attribute__((externally_visible))
#else
#define LSTMGEN_KEPT
#endif

/// Marks a function that is never copied into its callers: a call takes less room than the address
/// of a variable of the thread.
#if defined(__GNUC__)
#define LSTMGEN_CALLED __attribute__((noinline))
#else
#define LSTMGEN_CALLED
#endif
