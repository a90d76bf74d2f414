// The file: GGUF bytes -> checked description, and its arrays, one after the other. The only code
// that believes nothing of what it reads (but for states, state.hpp); docs/format.md is its
// specification.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aligned.hpp"
#include "description.hpp"
#include "lstmgen/lstmgen.hpp"
#include "source.hpp"
#include "tensor.hpp"

namespace lstmgen {

/// A function that takes rows of an array, and must live as long as this.
class Take {
public:
    template <class F>
    explicit Take(const F& f)
        : f_(&f), call_([](const void* function, std::size_t row, std::size_t n, const std::byte* bytes) {
              (*static_cast<const F*>(function))(row, n, bytes);
          }) {}
    void operator()(std::size_t row, std::size_t n, const std::byte* bytes) const { call_(f_, row, n, bytes); }

private:
    const void* f_;
    void (*call_)(const void*, std::size_t, std::size_t, const std::byte*);
};

/// A model file. What stands before its arrays is read at once; then each array is asked for, in
/// the order of the file; and `finish` checks what could not be checked before.
///
/// All throw Error: code io if the file cannot be read, code format, and the name, if anything in
/// it breaks the specification.
class Container {
public:
    virtual ~Container() = default;

    ModelInfo info;  // after `finish` complete but for what the network adds
    std::vector<LayerDescription> layers;

    /// take(row, n, bytes) for all its rows, so many at a time; but for the last a multiple of 4.
    virtual void rows(Take take) = 0;
    /// The numbers of the next array, one after the other; of int8 times their scales, the array
    /// behind it, which `scales` is set to.
    virtual std::vector<float> floats(std::vector<float>* scales = nullptr) = 0;

    /// What stands before the arrays, and where in it the checksum is.
    virtual std::string file_prefix() const = 0;
    std::size_t checksum_at = 0;

    virtual SelfTest finish() = 0;
};

/// The indices of texts in the order of their bytes.
std::vector<std::uint32_t> order_of(const std::vector<std::string>& texts);

/// The arrays of a file, in their order, written after what stands before them.
class ArrayWriter {
public:
    explicit ArrayWriter(std::string& file) : file_(file) {}
    void array(const void* data, std::size_t nbytes);
    /// Continues the last array.
    void more(const void* data, std::size_t nbytes);
    void floats(const std::vector<float>& numbers);

private:
    std::string& file_;
};

/// The file with its checksum.
void set_checksum(std::string& file, std::size_t checksum_at);

std::unique_ptr<Container> open_container(std::unique_ptr<Source> source, std::string name);

}  // namespace lstmgen
