#include "state.hpp"

#include <cstdio>
#include <cstring>

#include "crc32.hpp"

namespace lstmgen {
namespace {

constexpr char kMagic[8] = {'l', 's', 't', 'm', 's', 't', 'a', 't'};
constexpr std::uint32_t kVersion = 1;

std::uint32_t checksum(const std::byte* p, std::size_t n) {
    Crc32 crc;
    crc.update(p, n);
    return crc.value();
}

[[noreturn]] void fail(ErrorCode code, const char* why, unsigned long long want = 0, unsigned long long found = 0) {
    char text[128] = "the state: ";
    const std::size_t start = std::strlen(text);
    std::snprintf(text + start, sizeof text - start, why, want, found);
    throw Error(code, text);
}

[[noreturn]] void damaged(const char* why, unsigned long long want = 0, unsigned long long found = 0) {
    fail(ErrorCode::format, why, want, found);
}

}  // namespace

StateWriter::StateWriter(StateKind kind, const ModelInfo& model, void* to) noexcept : to_(static_cast<std::byte*>(to)) {
    bytes(kMagic, sizeof kMagic);
    number(kVersion);
    number(static_cast<std::uint32_t>(kind));
    number(model.checksum);
}

void StateWriter::bytes(const void* from, std::size_t n) noexcept {
    if (to_ && n > 0) std::memcpy(to_ + size_, from, n);
    size_ += n;
}

std::size_t StateWriter::end() noexcept {
    number(to_ ? checksum(to_, size_) : 0);
    return size_;
}

StateReader::StateReader(StateKind kind, const ModelInfo& model, const void* from, std::size_t size)
    : from_(static_cast<const std::byte*>(from)), left_(size) {
    char magic[sizeof kMagic] = {};
    if (size >= sizeof magic) bytes(magic, sizeof magic);
    if (std::memcmp(magic, kMagic, sizeof magic) != 0) damaged("these bytes are none");
    const auto version = number<std::uint32_t>();
    if (version != kVersion)
        damaged("expected version %llu, found %llu (a newer lstmgen may read it)", kVersion, version);
    std::uint32_t sum = 0;
    if (left_ < sizeof sum) damaged("it is cut off");
    left_ -= sizeof sum;
    std::memcpy(&sum, from_ + left_, sizeof sum);
    if (sum != checksum(static_cast<const std::byte*>(from), size - sizeof sum))
        damaged("the checksum is wrong: it is damaged");
    if (number<std::uint32_t>() != static_cast<std::uint32_t>(kind))
        fail(ErrorCode::invalid_argument, kind == StateKind::generator ? "it is one of steps, not of a generator"
                                                                       : "it is one of a generator, not of steps");
    const auto of = number<std::uint32_t>();
    if (of != model.checksum)
        fail(ErrorCode::invalid_argument,
             "it is of another model: expected the file with the checksum %llx, found %llx", model.checksum, of);
}

void StateReader::bytes(void* to, std::size_t n) {
    if (n > left_) damaged("it is cut off");
    if (n > 0) std::memcpy(to, from_, n);
    from_ += n;
    left_ -= n;
}

std::size_t StateReader::limited(std::uint64_t n, std::size_t most) {
    if (n > most) damaged("expected a number up to %llu, found %llu", most, n);
    return static_cast<std::size_t>(n);
}

void StateReader::expect(std::size_t left) const {
    if (left_ != left) damaged("expected %llu more bytes, found %llu", left, left_);
}

}  // namespace lstmgen
