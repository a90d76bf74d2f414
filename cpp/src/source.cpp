#include "source.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "aligned.hpp"
#include "message.hpp"

namespace lstmgen {
namespace {

class MemorySource final : public Source {
public:
    MemorySource(const void* data, std::size_t size) : data_(static_cast<const std::byte*>(data)), size_(size) {}

    std::uint64_t size() const noexcept override { return size_; }
    const std::byte* prefix(std::size_t) override { return data_; }
    void begin(std::size_t position) override { position_ = position; }
    const std::byte* next(std::size_t n) override {
        const std::byte* const bytes = data_ + position_;
        position_ += n;
        return bytes;
    }

private:
    const std::byte* data_;
    std::size_t size_, position_ = 0;
};

class FileSource final : public Source {
public:
    explicit FileSource(const std::string& path) : path_(path) {
        std::error_code code;
        const auto place = std::filesystem::u8path(path);  // differs from `path` only on Windows
        const auto status = std::filesystem::status(place, code);
        if (!std::filesystem::exists(status)) fail_io("no such file");
        if (std::filesystem::is_directory(status)) fail_io("is a directory, expected a model file");
        if (!std::filesystem::is_regular_file(status)) fail_io("is not a regular file");
        size_ = std::filesystem::file_size(place, code);
        if (code) fail_io(code.message());
        file_.open(place, std::ios::binary);
        if (!file_) fail_io("cannot be opened for reading");
    }

    std::uint64_t size() const noexcept override { return size_; }
    const std::byte* prefix(std::size_t n) override {
        if (n > prefix_.size()) {
            Bytes more(n, Bytes::Raw{});
            if (prefix_.size() > 0) std::memcpy(more.data(), prefix_.data(), prefix_.size());
            read(more.data() + prefix_.size(), n - prefix_.size());
            prefix_ = std::move(more);
        }
        return prefix_.data();
    }
    void begin(std::size_t position) override { position_ = position; }
    const std::byte* next(std::size_t n) override {
        if (n > piece_.size()) {
            piece_ = Bytes();
            piece_ = Bytes(n, Bytes::Raw{});
        }
        const std::size_t known = std::min(n, prefix_.size() - position_);
        if (known > 0) std::memcpy(piece_.data(), prefix_.data() + position_, known);
        position_ += known;
        read(piece_.data() + known, n - known);
        return piece_.data();
    }

private:
    using Bytes = AlignedBuffer<std::byte>;

    [[noreturn]] void fail_io(std::string_view why) const { fail(ErrorCode::io, {"%: %", path_, why}); }
    void read(std::byte* to, std::size_t n) {
        if (n > 0 && !file_.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(n)))
            fail_io("reading stopped before the end");
    }

    std::string path_;
    std::uint64_t size_ = 0;
    std::ifstream file_;
    Bytes prefix_;              // the first bytes of the file, as many as were asked for
    Bytes piece_;               // the bytes of the last call of `next`, and room for more
    std::size_t position_ = 0;  // bytes of the prefix that `next` has given
};

}  // namespace

std::unique_ptr<Source> file_source(const std::string& path) { return std::make_unique<FileSource>(path); }

std::unique_ptr<Source> memory_source(const void* data, std::size_t size) {
    return std::make_unique<MemorySource>(data, size);
}

}  // namespace lstmgen
