/* SPDX-License-Identifier: MIT */
/** @file
 * What lstmgen.h and lstmgen.hpp share: the version, limits, and how functions are exported.
 */
#ifndef LSTMGEN_COMMON_H
#define LSTMGEN_COMMON_H

/** Marks a function that the library exports. */
#ifndef LSTMGEN_API
#if defined(_WIN32) && defined(LSTMGEN_SHARED) && defined(lstmgen_EXPORTS)
#define LSTMGEN_API __declspec(dllexport)
#elif defined(_WIN32) && defined(LSTMGEN_SHARED)
#define LSTMGEN_API __declspec(dllimport)
#elif defined(__GNUC__) && !defined(__clang__)
#define LSTMGEN_API __attribute__((visibility("default"), externally_visible))
#elif defined(__GNUC__)
#define LSTMGEN_API __attribute__((visibility("default")))
#else
#define LSTMGEN_API
#endif
#endif

/** Marks a class that the library exports. */
#ifndef LSTMGEN_API_CLASS
#if defined(__GNUC__) && !(defined(_WIN32) && defined(LSTMGEN_SHARED))
#define LSTMGEN_API_CLASS __attribute__((visibility("default")))
#else
#define LSTMGEN_API_CLASS LSTMGEN_API
#endif
#endif

/** Marks a function whose result must not be ignored. The compiler warns if it is. */
#ifndef LSTMGEN_MUST_CHECK
#if defined(__cplusplus) && __cplusplus >= 201703L
#define LSTMGEN_MUST_CHECK [[nodiscard]]
#elif defined(__GNUC__)
#define LSTMGEN_MUST_CHECK __attribute__((warn_unused_result))
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L
#define LSTMGEN_MUST_CHECK [[nodiscard]]
#else
#define LSTMGEN_MUST_CHECK
#endif
#endif

/** Major version of these headers. It stays 0 until the ABI is settled. */
#define LSTMGEN_VERSION_MAJOR 0
/** Minor version of these headers. */
#define LSTMGEN_VERSION_MINOR 1
/** Patch version of these headers. */
#define LSTMGEN_VERSION_PATCH 0
/** Version of these headers as a number that grows: 10000 * major + 100 * minor + patch. */
#define LSTMGEN_VERSION \
    (LSTMGEN_VERSION_MAJOR * 10000 + LSTMGEN_VERSION_MINOR * 100 + LSTMGEN_VERSION_PATCH)
/** Version of these headers as text: "major.minor.patch". */
#define LSTMGEN_VERSION_STRING "0.1.0"

/** The most threads that a generator or a call takes. */
#define LSTMGEN_MAX_THREADS 1024

/** The most sequences of a batch. */
#define LSTMGEN_MAX_BATCH 4096

/** The most elements that the penalties look back. */
#define LSTMGEN_MAX_LOOKBACK 4096
/** The most numbers in dry_sequence_breakers. */
#define LSTMGEN_MAX_BREAKERS 1024
/** Stands between two sequences of ids in one array. It is no id. */
#define LSTMGEN_SEPARATOR 0xffffffffu

/** As a length: without end. */
#define LSTMGEN_UNLIMITED 0xffffffffffffffffu

#endif
