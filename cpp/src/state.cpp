#include "state.hpp"

#include <cstring>

#include "crc32.hpp"
#include "kept.hpp"
#include "message.hpp"

namespace lstmgen {
namespace {

constexpr char kStateMagic[8] = {'l', 's', 't', 'm', 's', 't', 'a', 't'};
constexpr std::uint32_t kStateVersion = 2;

std::uint32_t checksum(const std::byte* p, std::size_t n) {
    Crc32 crc;
    crc.update(p, n);
    return crc.value();
}

[[noreturn]] void damaged(Parts why) { fail(ErrorCode::format, {"the state: ", message(why)}); }

}  // namespace

LSTMGEN_KEPT StateWriter::StateWriter(StateKind kind, const ModelInfo& model, void* to) noexcept
    : to_(static_cast<std::byte*>(to)) {
    bytes(kStateMagic, sizeof kStateMagic);
    number(kStateVersion);
    number(static_cast<std::uint32_t>(kind));
    number(model.identity);
}

LSTMGEN_KEPT void StateWriter::bytes(const void* from, std::size_t n) noexcept {
    if (to_ && n > 0) std::memcpy(to_ + size_, from, n);
    size_ += n;
}

LSTMGEN_KEPT std::size_t StateWriter::end() noexcept {
    number(to_ ? checksum(to_, size_) : 0);
    return size_;
}

LSTMGEN_KEPT StateReader::StateReader(StateKind kind, const ModelInfo& model, const void* from, std::size_t size)
    : from_(static_cast<const std::byte*>(from)), left_(size) {
    char magic[sizeof kStateMagic] = {};
    if (size >= sizeof magic) bytes(magic, sizeof magic);
    if (std::memcmp(magic, kStateMagic, sizeof magic) != 0) damaged({"these bytes are none"});
    const auto version = number<std::uint32_t>();
    if (version != kStateVersion)
        damaged({"expected version %, found % (a newer lstmgen may read it)", kStateVersion, version});
    std::uint32_t sum = 0;
    if (left_ < sizeof sum) damaged({"it is cut off"});
    left_ -= sizeof sum;
    std::memcpy(&sum, from_ + left_, sizeof sum);
    if (sum != checksum(static_cast<const std::byte*>(from), size - sizeof sum))
        damaged({"the checksum is wrong: it is damaged"});
    if (number<std::uint32_t>() != static_cast<std::uint32_t>(kind))
        refuse({"the state: it is one of ",
                kind == StateKind::generator ? "steps, not of a generator" : "a generator, not of steps"});
    const auto of = number<std::uint32_t>();
    if (of != model.identity)
        refuse(
            {"the state: it is of another model: expected weights with the checksum %, found %", model.identity, of});
}

LSTMGEN_KEPT void StateReader::bytes(void* to, std::size_t n) {
    if (n > left_) damaged({"it is cut off"});
    if (n > 0) std::memcpy(to, from_, n);
    from_ += n;
    left_ -= n;
}

LSTMGEN_KEPT std::size_t StateReader::limited(std::uint64_t n, std::size_t most) {
    if (n > most) damaged({"expected a number up to %, found %", most, n});
    return static_cast<std::size_t>(n);
}

LSTMGEN_KEPT std::size_t StateReader::size(std::size_t most) { return limited(number<std::uint64_t>(), most); }

std::uint32_t StateReader::id(std::size_t n, std::uint32_t other) {
    const auto found = number<std::uint32_t>();
    return found == other ? found : static_cast<std::uint32_t>(limited(found, n - 1));
}

void StateReader::expect(std::size_t left) const {
    if (left_ != left) damaged({"expected % more bytes, found %", left, left_});
}

}  // namespace lstmgen
