// Objects of the module's types, where Python has no memory left.
#pragma once

#include <pybind11/pybind11.h>

#include <new>

/// Returns what a type needs so that an object without memory is a MemoryError. pybind11 uses what
/// tp_alloc returns without a check: the process would end.
inline pybind11::custom_type_setup checked_allocation() {
    return pybind11::custom_type_setup([](PyHeapTypeObject* heap_type) {
        PyTypeObject& type = heap_type->ht_type;
        // Only make_new_instance calls it, which is C++: an exception passes.
        type.tp_alloc = [](PyTypeObject* of, Py_ssize_t items) {
            PyObject* const made = PyType_GenericAlloc(of, items);
            if (made) return made;
            PyErr_Clear();
            throw std::bad_alloc();
        };
        type.tp_new = [](PyTypeObject* of, PyObject*, PyObject*) {
            try {
                return pybind11::detail::make_new_instance(of);
            } catch (const std::bad_alloc&) {
                return PyErr_NoMemory();
            }
        };
    });
}
