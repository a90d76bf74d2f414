// Signals and progress while the engine works without the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <thread>

namespace py = pybind11;

/// Lets Python handle signals every 20 ms while the GIL is released. A call returns false once a
/// signal handler has raised.
class SignalCheck {
public:
    bool operator()() {
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < std::chrono::milliseconds(20)) return true;
        last_ = now;
        // A daemon thread may outlive the interpreter. It must not ask for the GIL then, so it
        // waits for the process to end.
        while (interpreter_is_ending()) std::this_thread::sleep_for(std::chrono::seconds(1));
        const py::gil_scoped_acquire gil;
        return PyErr_CheckSignals() == 0 && !PyErr_Occurred();  // it may have raised before
    }

private:
    static bool interpreter_is_ending() {
#if PY_VERSION_HEX >= 0x030D0000
        return Py_IsFinalizing() != 0;
#else
        return _Py_IsFinalizing() != 0;
#endif
    }

    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// Tells a function of Python every 100 ms how much is done.
class Telling {
public:
    explicit Telling(const std::optional<py::function>& progress) : progress_(progress) {}

    /// Returns false once the function has raised.
    bool operator()() {
        const auto now = std::chrono::steady_clock::now();
        if (!progress_ || now - told_ < std::chrono::milliseconds(100)) return true;
        told_ = now;
        const py::gil_scoped_acquire gil;
        try {
            (*progress_)(done_.load());
        } catch (py::error_already_set& error) {
            error.restore();
            return false;
        }
        return true;
    }

    /// Null if there is nobody to tell.
    std::atomic<std::size_t>* done() { return progress_ ? &done_ : nullptr; }

private:
    const std::optional<py::function>& progress_;
    std::atomic<std::size_t> done_{0};
    std::chrono::steady_clock::time_point told_ = std::chrono::steady_clock::now();
};
