// What the files of lstmgen._core share.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "allocation.hpp"
#include "lstmgen/lstmgen.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

using Ids = py::array_t<std::uint32_t, py::array::c_style>;
using Floats = py::array_t<float, py::array::c_style>;
using IdLists = std::vector<std::vector<std::uint32_t>>;

inline void require_dims(const py::array& array, py::ssize_t dims) {
    if (array.ndim() != dims)
        throw lstmgen::Error(
            lstmgen::ErrorCode::invalid_argument,
            "expected an array of " + std::to_string(dims) + " dimensions, found " + std::to_string(array.ndim()));
}

/// Sets the options that `given` names; the others keep their values.
void set_by_name(lstmgen::SamplerOptions& options, const py::dict& given);
py::dict by_name(const lstmgen::SamplerOptions& options);

void bind_model(py::module_& m);      // model.cpp
void bind_generator(py::module_& m);  // generator.cpp
void bind_many(py::module_& m);       // many.cpp
void bind_grammar(py::module_& m);    // grammar.cpp
