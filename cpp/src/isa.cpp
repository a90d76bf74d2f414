#include "isa.hpp"

#include <cstdlib>
#include <string>
#include <string_view>

#include "kept.hpp"
#include "lstmgen/lstmgen.hpp"
#include "message.hpp"

#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_M_ARM64) || (defined(__aarch64__) && defined(_WIN32))
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#endif
#ifdef LSTMGEN_AMX
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#endif

namespace lstmgen {

using kernels::KernelTable;

namespace {

#if defined(__x86_64__) || defined(_M_X64)

struct Registers {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(unsigned leaf, unsigned part = 0) {
    Registers r;
#if defined(_MSC_VER)
    int out[4];
    __cpuidex(out, static_cast<int>(leaf), static_cast<int>(part));
    r = {unsigned(out[0]), unsigned(out[1]), unsigned(out[2]), unsigned(out[3])};
#else
    // If there is no such leaf, the registers stay zero.
    __get_cpuid_count(leaf, part, &r.eax, &r.ebx, &r.ecx, &r.edx);
#endif
    return r;
}

bool is_amd() {
    const Registers r = cpuid(0);
    return r.ebx == 0x68747541 && r.edx == 0x69746e65 && r.ecx == 0x444d4163;  // AuthenticAMD
}

// Returns the bits of the registers that the operating system saves when it switches tasks.
unsigned long long saved_registers() {
#if defined(_MSC_VER)
    return _xgetbv(0);
#else
    unsigned low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return static_cast<unsigned long long>(high) << 32 | low;
#endif
}

#ifdef LSTMGEN_AMX

// Returns whether the processor has tiles of AMX with int8, which the operating system saves.
bool has_tiles() {
    constexpr unsigned tiles = 1u << 24 | 1u << 25;  // leaf 7, edx: TILE and INT8
    constexpr unsigned long long registers = 0x60000;
    return (cpuid(7).edx & tiles) == tiles && (saved_registers() & registers) == registers;
}

// Asks the system for the tiles. Returns whether it grants them, and a first product is right. It
// may refuse, as systems before Linux 5.16 do, and where a signal stack is too small for them.
bool take_tiles() {
    constexpr long ask = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM
    if (syscall(SYS_arch_prctl, ask, tile_data) != 0) return false;
    constexpr std::size_t k = kernels::kAmxBytes, rows = kernels::kAmxRows, columns = kernels::kPanel;
    alignas(64) std::int8_t weights[k * columns];
    alignas(64) float x[rows * k], z[rows * columns] = {}, scales[columns], rounded[kernels::rounded_size(k, rows)];
    std::fill(std::begin(weights), std::end(weights), std::int8_t{-3});
    std::fill(std::begin(x), std::end(x), 300.0f);
    std::fill(std::begin(scales), std::end(scales), 1.0f);
    const KernelTable& table = kernels::avx512amx_table;
    const auto type = kernels::WeightType::int8;
    const kernels::Matrix matrix{weights,    k,      1,       type, table.layouts[static_cast<std::size_t>(type)],
                                 table.int8, scales, nullptr, true};
    table.gemm(matrix, 1, x, k, rows, z, columns, rounded);
    return std::all_of(std::begin(z), std::end(z), [](float sum) { return sum == -3.0f * 300.0f * k; });
}

// Returns whether tiles can be used. The system is asked once in the life of the process.
bool tiles_work() {
    static const bool work = has_tiles() && take_tiles();
    return work;
}

#endif

std::vector<const KernelTable*> vector_tables([[maybe_unused]] bool int8) {
    constexpr unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28;  // leaf 1, ecx
    constexpr unsigned avx2 = 1u << 5, avx512 = 1u << 16 | 1u << 30;        // leaf 7, ebx: F and BW
    constexpr unsigned vnni = 1u << 11;                                     // leaf 7, ecx
    constexpr unsigned bf16 = 1u << 5;                                      // leaf 7, part 1, eax
    constexpr unsigned long long ymm = 0x6, zmm = 0xe6;
    const unsigned basic = cpuid(1).ecx, extended = cpuid(7).ebx, more = cpuid(7).ecx;
    std::vector<const KernelTable*> tables;
    if ((basic & (fma | osxsave | avx)) != (fma | osxsave | avx) || !(extended & avx2)) return tables;
    const unsigned long long saved = saved_registers();
    if ((extended & avx512) == avx512 && (saved & zmm) == zmm) {
#ifdef LSTMGEN_AMX
        if ((more & vnni) && int8 && tiles_work()) tables.push_back(&kernels::avx512amx_table);
#endif
        if (more & vnni) tables.push_back(&kernels::avx512vnni_table);
        // With AVX512-BF16, windows of bf16 take 1.5 to 1.8 times as long on Intel (family 6 model
        // 207), and half as long on AMD (family 25 model 17). See docs/performance.md.
        if ((more & vnni) && (cpuid(7, 1).eax & bf16))
            tables.insert(is_amd() ? tables.begin() : tables.end(), &kernels::avx512bf16_table);
        tables.push_back(&kernels::avx512_table);
    }
    if ((saved & ymm) == ymm) tables.push_back(&kernels::avx2_table);
    return tables;
}

#elif defined(__aarch64__) || defined(_M_ARM64)

// Instructions for products of bytes: of rows (FEAT_DotProd), and of small matrices (FEAT_I8MM).
struct ByteProducts {
    bool rows = false, matrices = false;
};

// Returns what the processor has. Windows is not asked for products of matrices.
ByteProducts byte_products() {
#if defined(__linux__)
    constexpr unsigned long rows = 1ul << 20, matrices = 1ul << 13;  // HWCAP_ASIMDDP, HWCAP2_I8MM
    return {(getauxval(AT_HWCAP) & rows) != 0, (getauxval(AT_HWCAP2) & matrices) != 0};
#elif defined(__APPLE__)
    const auto has = [](const char* name) {
        int found = 0;
        std::size_t size = sizeof found;
        return sysctlbyname(name, &found, &size, nullptr, 0) == 0 && found != 0;
    };
    return {has("hw.optional.arm.FEAT_DotProd"), has("hw.optional.arm.FEAT_I8MM")};
#elif defined(_WIN32)
    constexpr unsigned long rows = 43;  // PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE
    return {IsProcessorFeaturePresent(rows) != 0, false};
#else
    return {};
#endif
}

// NEON is part of the base instruction set.
std::vector<const KernelTable*> vector_tables(bool) {
    const ByteProducts has = byte_products();
    std::vector<const KernelTable*> tables;
    if (has.rows && has.matrices) tables.push_back(&kernels::neoni8mm_table);
    if (has.rows) tables.push_back(&kernels::neondot_table);
    tables.push_back(&kernels::neon_table);
    return tables;
}

#elif defined(__EMSCRIPTEN__)

// A module with vectors loads only where there are vectors.
std::vector<const KernelTable*> vector_tables(bool) { return {&kernels::simd128_table}; }

#else

std::vector<const KernelTable*> vector_tables(bool) { return {}; }

#endif

}  // namespace

LSTMGEN_KEPT std::vector<const KernelTable*> supported_kernels(bool int8) {
    std::vector<const KernelTable*> tables = vector_tables(int8);
#ifndef __EMSCRIPTEN__
    tables.push_back(&kernels::baseline_table);
#endif
    return tables;
}

LSTMGEN_KEPT const KernelTable& choose_kernels(const std::string& isa, bool int8) {
    const char* const variable = std::getenv("LSTMGEN_ISA");
    const std::string_view wanted = !isa.empty() ? isa.c_str() : variable ? variable : "";
    const bool ask = wanted.empty() ? int8 : wanted == "avx512amx";
    for (const KernelTable* table : supported_kernels(ask))
        if (wanted.empty() || table->name == wanted) return *table;
    std::string names;
    for (const KernelTable* table : supported_kernels())
        names += (names.empty() ? "" : ", ") + std::string(table->name);
    refuse({"%: expected one of %, found % (no other can run here)", isa.empty() ? "LSTMGEN_ISA" : "isa", names,
            Part::quoted(wanted)});
}

}  // namespace lstmgen
