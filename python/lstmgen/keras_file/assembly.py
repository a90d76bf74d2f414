"""The network under construction.

Layers are added one by one. Each reads values that earlier layers made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lstmgen.errors import ModelFormatError
from lstmgen.keras_file.spec import shown
from lstmgen.network import MAX_MATRIX, MAX_SIZE, NETWORK_INPUT, Array, Layer, Network, OptionValue, Value


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value in the network. It is the output of layer `index`, or the network's input."""

    index: int
    value: Value
    ids: bool = False
    mask: Tensor | None = None  # 0 at the steps that Keras leaves out
    steps_only: bool = False  # whether this tensor is itself a mask

    @property
    def rank(self) -> int:
        """Number of dimensions in Keras, including the batch."""
        return 2 if self.ids or self.value.steps is None else 3


MAX_BUILDS = 8192
MAX_INVENTED = 2**24

# These masks need no layer.
NO_STEPS = Tensor(-2, Value(1, 0), steps_only=True)
ALL_STEPS = Tensor(-3, Value(1, 0), steps_only=True)


class Assembly:
    """A network that grows layer by layer.

    window: the number of time steps; 0 if it is not fixed.
    input_size: the numbers per step; 0 if the input is ids.
    weights_only: whether the file has no config, so that options that it leaves out are unknown.
    """

    def __init__(self, window: int, input_size: int, *, weights_only: bool = False) -> None:
        self.weights_only = weights_only
        self.window, self.input_size = window, input_size
        self.assumed: list[str] = []
        self.elements: dict[str, Any] = {}  # becomes `Network.elements`
        self.outputs: dict[str, Value] = {}  # what each layer of Keras that is built puts out
        self._layers: list[Layer] = []
        self._builds = 0
        self._invented = 0
        self._names: set[str] = set()
        self._counts: dict[tuple[str, int], int] = {}  # by stem and digits, the number that may be free

    @property
    def input(self) -> Tensor:
        """The network's input."""
        return Tensor(NETWORK_INPUT, Value(self.input_size, 0), ids=self.input_size == 0)

    def count_build(self) -> None:
        """Count a call of a layer.

        The layers of a model that is called more than once count each time.
        """
        self._builds += 1
        if self._builds > MAX_BUILDS:
            raise ModelFormatError(f"expected at most {MAX_BUILDS} calls of layers, those within models included")

    def constant(self, size: int, value: float) -> Array:
        """Return numbers that are not in the file, such as the bias of a layer without one."""
        self._invented += size
        if self._invented > MAX_INVENTED:
            raise ModelFormatError(f"the layers ask for more than {MAX_INVENTED} numbers that are not in the file")
        return np.full(size, value, np.float32)

    def take_ids(self, count: int) -> None:
        """Record that an embedding reads ids below `count` from the input."""
        if self.input_size not in (0, count):
            raise ModelFormatError(f"the embeddings disagree on the number of ids: {self.input_size} and {count}")
        self.input_size = count

    def emit(
        self,
        kind: str,
        name: str,
        reads: Sequence[Tensor],
        arrays: Mapping[str, Array] | None = None,
        **options: OptionValue,
    ) -> Tensor:
        """Add a layer of docs/format.md and return its output.

        The output passes on the mask of the first value that the layer reads.
        """
        layer = Layer(kind, self._unique(name), options, dict(arrays or {}), tuple(t.index for t in reads))
        try:
            value = layer.row.value([t.value for t in reads], layer.options, self.window)
        except ModelFormatError as error:
            raise ModelFormatError(f"layer {shown(name)}: {error}") from None
        if value.size > MAX_SIZE or value.size * (value.steps or self.window or 1) > MAX_MATRIX:
            raise ModelFormatError(f"layer {shown(name)}: {value.size} numbers at each of its steps are too many")
        self._layers.append(layer)
        return Tensor(len(self._layers) - 1, value, mask=reads[0].mask)

    def reverse(self, tensor: Tensor, name: str) -> Tensor:
        """Return the same steps in reverse order."""
        return self.emit("reverse", f"{name}_reverse", [tensor])

    def network(self, output: Tensor, keras_version: str) -> Network:
        """Return the network that computes `output`, without the layers that it does not need."""
        if output.index == NETWORK_INPUT:
            raise ModelFormatError("no layer of the model computes anything")
        needed = {output.index}
        for i in range(output.index, -1, -1):
            if i in needed:
                needed.update(self._layers[i].inputs or ())
        order = sorted(needed - {NETWORK_INPUT})
        place = {NETWORK_INPUT: NETWORK_INPUT} | {old: new for new, old in enumerate(order)}
        layers = [
            replace(layer, inputs=tuple(place[j] for j in layer.inputs or ()))
            for layer in (self._layers[i] for i in order)
        ]
        return Network(tuple(layers), self.window, self.input_size, keras_version, tuple(self.assumed), self.elements)

    def _unique(self, wanted: str) -> str:
        """Return a name that docs/format.md allows. Keras's own name is kept where it can be."""
        name = base = re.sub(r"[^A-Za-z0-9_-]", "_", wanted[:40], flags=re.ASCII) or "layer"
        digits = 0
        while name in self._names:  # the least number that is free, which never becomes less
            digits += 1
            stem = base[: 39 - digits]
            count = self._counts.get((stem, digits), max(2, 10 ** (digits - 1)))
            while count < 10**digits and f"{stem}_{count}" in self._names:
                count += 1
            self._counts[stem, digits] = count
            name = f"{stem}_{min(count, 10**digits - 1)}"
        self._names.add(name)
        return name
