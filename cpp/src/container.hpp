// Reads a model file: from its bytes comes a checked description, and then one array after the
// other. Only this code, gguf.cpp and state.cpp read bytes that may be wrong. docs/format.md is the
// specification.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aligned.hpp"
#include "asking.hpp"
#include "description.hpp"
#include "lstmgen/lstmgen.hpp"
#include "source.hpp"
#include "tensor.hpp"

namespace lstmgen {

/// A reference to a function f(row, n, bytes), which takes n rows of an array from `row` on:
/// `bytes` (n, bytes of a row), as in the file. The function must outlive this.
class RowSink {
public:
    template <class F>
    explicit RowSink(const F& f)
        : f_(&f), call_([](const void* function, std::size_t row, std::size_t n, const std::byte* bytes) {
              (*static_cast<const F*>(function))(row, n, bytes);
          }) {}
    void operator()(std::size_t row, std::size_t n, const std::byte* bytes) const { call_(f_, row, n, bytes); }

private:
    const void* f_;
    void (*call_)(const void*, std::size_t, std::size_t, const std::byte*);
};

/// A model file. Its prefix, the part before the arrays, is read at once. Then each array is asked
/// for, in the order of the file. `finish` checks what could not be checked before.
///
/// All functions throw Error: with the code io if the file cannot be read, with the code format and
/// the name if it breaks the specification.
class Container {
public:
    virtual ~Container() = default;

    ModelInfo info;  // complete after `finish`, except for what the network adds
    std::vector<LayerDescription> layers;

    /// Reads the next array. Calls sink(row, n, bytes) for pieces of rows, in order. n is a
    /// multiple of 4, except in the last piece.
    virtual void rows(RowSink sink) = 0;
    /// Reads the next array and returns its numbers (rows, columns). Numbers of int8 are multiplied
    /// with their scales (columns), the array after it. If `scales` is not null, they are not
    /// multiplied, and it becomes the scales.
    virtual std::vector<float> floats(std::vector<float>* scales = nullptr) = 0;

    /// Returns the bytes before the arrays.
    virtual std::string file_prefix() const = 0;
    std::size_t checksum_at = 0;  // position in these bytes of the checksum

    /// Checks the rest of the file, after the last array.
    virtual SelfTest finish() = 0;
};

/// Returns the indices of texts in the order of their bytes.
std::vector<std::uint32_t> order_of(const std::vector<std::string>& texts);

/// Appends arrays, in the order of the file, to the bytes before them.
class ArrayWriter {
public:
    /// `keep_going`, which must outlive this, is asked before each array and now and then within.
    ArrayWriter(std::string& file, const Continue& keep_going)
        : file_(file), keep_going_(keep_going), asking_(keep_going) {}
    /// Begins an array with these bytes.
    void array(const void* data, std::size_t nbytes);
    /// Continues the last array.
    void more(const void* data, std::size_t nbytes);
    /// Appends an array of these numbers.
    void floats(const std::vector<float>& numbers);

private:
    std::string& file_;
    const Continue& keep_going_;
    Asking asking_;
};

/// Writes the checksum of a file into its four bytes at `checksum_at`. Asks `keep_going`.
void set_checksum(std::string& file, std::size_t checksum_at, const Continue& keep_going = {});

/// Opens a model file. `name` stands for it in messages. `keep_going`, which must outlive the
/// result, is asked before each piece of the file.
std::unique_ptr<Container> open_container(std::unique_ptr<Source> source, std::string name, const Continue& keep_going);

}  // namespace lstmgen
