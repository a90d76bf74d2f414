"""The engines that lstmgen is measured against, each with the weights of the same Keras model.

Each package is imported where it is used. A package that is not installed costs only its own rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from importlib.util import find_spec
from typing import Any, ClassVar, NamedTuple

import numpy as np
from keras.layers import LSTM, BatchNormalization, Dense
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Unavailable(Exception):
    """Why an engine cannot run a model, in a line."""


class Peer(ABC):
    """An engine, made from a Keras model of batch size 1. A call returns the next probabilities.

    The model reads a window of the shape (1, T, inputs) from a zero state. If `carried`, it reads
    one step from the state that the last call left.
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    dtype: ClassVar[str] = "f32"

    @abstractmethod
    def __init__(self, model: Any, threads: int, *, carried: bool) -> None: ...

    @abstractmethod
    def __call__(self, x: Array) -> Array: ...

    @classmethod
    def unavailable(cls) -> str:
        """Why it runs nothing here, or nothing."""
        missing = [package for package in cls.packages if find_spec(package) is None]
        return f"not installed: {', '.join(missing)}" if missing else ""


class Predict(Peer):
    name = "model.predict"
    packages = ("tensorflow",)

    def __init__(self, model: Any, threads: int, *, carried: bool) -> None:
        self.predict = partial(model.predict, verbose=0)

    def __call__(self, x: Array) -> Array:
        return np.asarray(self.predict(x)[0], np.float32)


class TensorFlow(Peer):
    name = "tf.function"
    packages = ("tensorflow",)
    jit = False

    def __init__(self, model: Any, threads: int, *, carried: bool) -> None:
        import tensorflow

        spec = tensorflow.TensorSpec(model.input_shape, tensorflow.float32)
        self.function = tensorflow.function(
            lambda x: model(x, training=False), input_signature=[spec], jit_compile=self.jit
        )

    def __call__(self, x: Array) -> Array:
        return np.asarray(self.function(x)[0], np.float32)


class Xla(TensorFlow):
    name = "tf.function, XLA"
    jit = True


class LiteRt(Peer):
    name = "LiteRT"
    packages = ("tensorflow", "ai_edge_litert")

    def __init__(self, model: Any, threads: int, *, carried: bool) -> None:
        import tensorflow
        from ai_edge_litert.interpreter import Interpreter

        try:
            converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
            converter.experimental_enable_resource_variables = carried
            self.interpreter = Interpreter(model_content=converter.convert(), num_threads=threads)
            self.interpreter.allocate_tensors()
        except Exception as error:  # the converter's own class, RuntimeError, ValueError
            raise Unavailable(str(error).split("\n")[0]) from error
        (inputs,), (outputs,) = self.interpreter.get_input_details(), self.interpreter.get_output_details()
        self.input, self.output = inputs["index"], outputs["index"]

    def __call__(self, x: Array) -> Array:
        self.interpreter.set_tensor(self.input, x)
        self.interpreter.invoke()
        return np.asarray(self.interpreter.get_tensor(self.output)[0], np.float32)


class Torch(Peer):
    name = "PyTorch nn.LSTM"
    packages = ("torch",)

    def __init__(self, model: Any, threads: int, *, carried: bool) -> None:
        import torch

        torch.set_num_threads(threads)
        lstms, dense = layers_of(model)
        sizes = {len(lstm.recurrent_kernel) for lstm in lstms}
        if len(sizes) > 1:
            raise Unavailable(f"the layers of one nn.LSTM have one size, those of this model {sorted(sizes)}")
        self.lstm = torch.nn.LSTM(model.input_shape[-1], sizes.pop(), num_layers=len(lstms), batch_first=True)
        weights: dict[str, Array] = {}
        for i, lstm in enumerate(lstms):  # Keras and PyTorch have one order of the gates
            weights |= {f"weight_ih_l{i}": lstm.kernel.T, f"weight_hh_l{i}": lstm.recurrent_kernel.T}
            weights |= {f"bias_ih_l{i}": lstm.bias, f"bias_hh_l{i}": np.zeros_like(lstm.bias)}
        self.lstm.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
        self.head = torch.nn.Sequential()
        for layer in dense:
            linear = torch.nn.Linear(*layer.kernel.shape)
            linear.load_state_dict({"weight": torch.tensor(layer.kernel.T), "bias": torch.tensor(layer.bias)})
            self.head.append(linear)
            self.head.append({"relu": torch.nn.ReLU(), "softmax": torch.nn.Softmax(-1)}[layer.activation])
        self.torch, self.carried, self.state = torch, carried, None

    def __call__(self, x: Array) -> Array:
        with self.torch.inference_mode():
            y, state = self.lstm(self.torch.from_numpy(x), self.state)
            if self.carried:
                self.state = state
            return np.asarray(self.head(y[0, -1]).numpy(), np.float32)


class OnnxRuntime(Peer):
    name = "ONNX Runtime"
    packages = ("onnxruntime", "onnx")

    def __init__(self, model: Any, threads: int, *, carried: bool) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        graph = onnx_graph(model, carried=carried)
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.names = [i.name for i in self.session.get_inputs()]
        self.state = [np.zeros(i.shape, np.float32) for i in self.session.get_inputs()[1:]]

    def __call__(self, x: Array) -> Array:
        inputs = dict(zip(self.names, [x.swapaxes(0, 1), *self.state], strict=True))
        probabilities, *self.state = self.session.run(None, inputs)
        return np.asarray(probabilities[0], np.float32)


class OpenVino(Peer):
    name = "OpenVINO"
    packages = ("openvino", "onnx")

    def __init__(self, model: Any, threads: int, *, carried: bool) -> None:
        import openvino

        options = {
            "INFERENCE_PRECISION_HINT": self.dtype,
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        core = openvino.Core()
        network = core.compile_model(core.read_model(onnx_graph(model, carried=carried)), "CPU", options)
        self.request = network.create_infer_request()
        self.state = [np.zeros(tuple(i.shape), np.float32) for i in network.inputs[1:]]

    def __call__(self, x: Array) -> Array:
        results = self.request.infer([x.swapaxes(0, 1), *self.state], share_inputs=True)
        probabilities, *self.state = results.values()
        return np.asarray(probabilities[0], np.float32)


class OpenVinoBf16(OpenVino):
    name = "OpenVINO, bf16"
    dtype = "bf16"

    @classmethod
    def unavailable(cls) -> str:
        if reason := super().unavailable():
            return reason
        import openvino

        if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            return "this processor has no instructions for bf16, and it would compute in f32"
        return ""


PEERS: dict[str, type[Peer]] = {
    "predict": Predict,
    "tf": TensorFlow,
    "xla": Xla,
    "litert": LiteRt,
    "torch": Torch,
    "onnx": OnnxRuntime,
    "openvino": OpenVino,
    "openvino-bf16": OpenVinoBf16,
}


# -- for the engines that do not read Keras models -------------------------------------------------


class Recurrent(NamedTuple):
    """An LSTM; the columns are those of the gates i f c o."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array


class Linear(NamedTuple):
    """A Dense layer."""

    kernel: Array
    bias: Array
    activation: str


def layers_of(model: Any) -> tuple[list[Recurrent], list[Linear]]:
    """Return the LSTMs of a Keras model, and the Dense layers after them.

    Each BatchNormalization is folded into the next Dense layer.
    """
    lstms, dense = [], []
    scale, offset = np.ones(1), np.zeros(1)
    for layer in model.layers:
        match layer:
            case LSTM():
                lstms.append(Recurrent(*layer.get_weights()))
            case BatchNormalization():
                gamma, beta, mean, variance = (w.astype(np.float64) for w in layer.get_weights())
                scale = gamma / np.sqrt(variance + layer.epsilon)
                offset = beta - mean * scale
            case Dense():
                kernel, bias = (w.astype(np.float64) for w in layer.get_weights())
                bias += (offset[:, None] * kernel).sum(axis=0)
                kernel *= scale[:, None]
                dense.append(Linear(kernel.astype(np.float32), bias.astype(np.float32), layer.activation.__name__))
                scale, offset = np.ones(1), np.zeros(1)
    return lstms, dense


def onnx_graph(model: Any, *, carried: bool) -> bytes:
    """Return the network in the operators of ONNX.

    The input has the shape (steps, 1, inputs), and the output (1, outputs). If carried, each h and
    c also goes in and comes out.
    """
    import onnx

    steps, inputs = model.input_shape[1:]
    tensor = partial(onnx.helper.make_tensor_value_info, elem_type=onnx.TensorProto.FLOAT)
    graph_inputs = [tensor("x", shape=(steps, 1, inputs))]
    graph_outputs = [tensor("probabilities", shape=(1, model.output_shape[-1]))]
    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(name: str, value: Any, dtype: type = np.float32) -> str:
        constants.append(onnx.numpy_helper.from_array(np.array(value, dtype, order="C"), name))
        return name

    def node(operator: str, operands: list[str], results: list[str], **attributes: Any) -> str:
        nodes.append(onnx.helper.make_node(operator, operands, results, **attributes))
        return results[0]

    lstms, dense = layers_of(model)
    x = "x"
    for i, lstm in enumerate(lstms):
        name, units = f"lstm_{i}", len(lstm.recurrent_kernel)
        kernel, recurrent_kernel, bias = map(_iofc, lstm)
        weights = [
            constant(f"{name}.W", kernel.T[None]),
            constant(f"{name}.R", recurrent_kernel.T[None]),
            constant(f"{name}.B", np.concatenate([bias, np.zeros_like(bias)])[None]),
        ]
        states, results = ["", ""], [f"{name}.y", f"{name}.h", f"{name}.c"]
        if carried:
            states = [f"{name}.h0", f"{name}.c0"]
            graph_inputs.extend(tensor(s, shape=(1, 1, units)) for s in states)
            graph_outputs.extend(tensor(s, shape=(1, 1, units)) for s in results[1:])
        node("LSTM", [x, *weights, "", *states], results, hidden_size=units)
        # y: (steps, directions, 1, units), h: (directions, 1, units), with one direction
        y, axis = (results[1], 0) if i == len(lstms) - 1 else (results[0], 1)
        x = node("Squeeze", [y, constant(f"{name}.axis", [axis], np.int64)], [f"{name}.out"])
    for i, layer in enumerate(dense):
        name = f"dense_{i}"
        weights = [constant(f"{name}.kernel", layer.kernel), constant(f"{name}.bias", layer.bias)]
        x = node("Gemm", [x, *weights], [f"{name}.sum"])
        result = "probabilities" if i == len(dense) - 1 else f"{name}.out"
        x = node({"relu": "Relu", "softmax": "Softmax"}[layer.activation], [x], [result])
    graph = onnx.helper.make_graph(nodes, "network", graph_inputs, graph_outputs, constants)
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString())


def _iofc(keras_gates: Array) -> Array:
    """From Keras's order of the gates, i f c o, to ONNX's."""
    i, f, c, o = np.split(keras_gates, 4, axis=-1)
    return np.concatenate([i, o, f, c], axis=-1)
