// The Python module lstmgen._core: the C++ API with arrays in place of pointers. Users see the
// package in python/lstmgen, not this module.
#include <exception>

#include "bindings.hpp"

namespace {

void bind_errors() {
    static const py::handle format_error =
        py::object(py::module_::import("lstmgen.errors").attr("ModelFormatError")).release();
    py::register_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const lstmgen::Error& error) {
            switch (error.code()) {
                case lstmgen::ErrorCode::io: return py::set_error(PyExc_OSError, error.what());
                case lstmgen::ErrorCode::format: return py::set_error(format_error, error.what());
                case lstmgen::ErrorCode::stopped:
                    // A signal handler has raised, and its exception is set.
                    if (!PyErr_Occurred()) py::set_error(PyExc_RuntimeError, error.what());
                    return;
                case lstmgen::ErrorCode::busy: return py::set_error(PyExc_RuntimeError, error.what());
                case lstmgen::ErrorCode::ended:
                case lstmgen::ErrorCode::invalid_argument: return py::set_error(PyExc_ValueError, error.what());
            }
        }
    });
}

}  // namespace

// The macro's own function gets another name, so that another one can stand before it.
#define PyInit__core make_core
PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
    m.doc() = "The engine of lstmgen. Use the package, not this module.";
    bind_errors();
    bind_model(m);
    bind_grammar(m);
    bind_generator(m);
    bind_many(m);
}
#undef PyInit__core

// Python calls this in each interpreter that imports the module. Before 3.12, Python cannot refuse
// the module itself in a second interpreter. There the locks of pybind11 would wait for ever.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
    if (PyInterpreterState_Get() == PyInterpreterState_Main()) return make_core();
    PyErr_SetString(
        PyExc_ImportError,
        "lstmgen._core works in the main interpreter only, not in a subinterpreter: use threads or processes");
    return nullptr;
}
