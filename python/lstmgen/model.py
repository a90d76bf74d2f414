"""A network ready to run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lstmgen.binfile.sniffing import is_bin, read_bin
from lstmgen.bundled import Source, resolved
from lstmgen.errors import option
from lstmgen.signatures import ExportSignature
from lstmgen.vocabulary import Tokenizer, Vocabulary

if TYPE_CHECKING:
    from lstmgen.classifying import Classification, Classified
    from lstmgen.exporting import ExportOptions
    from lstmgen.heads import Head

try:
    from lstmgen import _core
except ImportError as error:
    error.add_note("lstmgen's native module is missing: install the package with 'pip install .'")
    raise


class Model:
    """A network with its weights, immutable, shared by any number of generators and threads.

    It pickles as the bytes of its `.bin`, made of its weights: the file may be changed or deleted,
    and the kernels of another machine serve there. `copy.copy` and `copy.deepcopy` give the model
    itself.

    `source` is the path of a `.bin` or of a model saved by Keras, the bytes of either, or the name
    of a bundled model. "latex.bin" stands for the bundled one where there is no such file, and a
    warning says so. A Keras model is exported in memory; `options` are those of `lstmgen.export`
    (vocab, vocab_from, encoding, prime, window, dtype ...). A `.bin` takes dtype only: its matrices
    are rounded to it.

    Raises `OSError`, such as `FileNotFoundError`, for a file that cannot be read,
    `ModelFormatError` for one that is broken or not supported, and `ValueError` if the environment
    variable LSTMGEN_ISA names kernels that cannot run here.
    """

    __signature__ = ExportSignature()

    def __init__(self, source: Source, **options: Unpack[ExportOptions]) -> None:
        source = resolved(source)
        name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
        if is_bin(source):
            if rest := options.keys() - {"dtype"}:
                found = ", ".join(map(option, sorted(rest)))
                raise TypeError(f"{name}: only a Keras file takes {found}: a .bin has its own")
            if (dtype := options.get("dtype")) is not None:
                from lstmgen.binfile.repacking import repack

                source = repack(read_bin(source), name, dtype)
        else:
            from lstmgen.exporting import convert

            source = convert(source, **options)
        self._native = _core.Model.from_bytes(source, name) if isinstance(source, bytes) else _core.Model.load(name)
        info = self._native.info
        self.vocabulary: Vocabulary | None = (
            Vocabulary(info.vocabulary, info.vocabulary_kind, Tokenizer.of_card(info.card)) if info.vocabulary else None
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of each output of a classifier; empty for any other network."""
        return tuple(self._native.info.labels)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The outputs that together are a note, in the order in which their values enter; empty for any other network.

        `lstmgen.music.NoteGenerator` draws such notes.
        """
        info = self._native.info
        if info.encoding != "features" or '"heads"' not in info.card:
            return ()
        from lstmgen.heads import of_card

        return of_card(self.metadata["card"], info.input_size, info.outputs)

    @property
    def generates(self) -> bool:
        """Whether a `Generator` can sample it: not a classifier, not a predictor, nor a network that reads features."""
        info = self._native.info
        return not info.labels and not info.predictor and info.encoding != "features"

    @property
    def layers(self) -> Sequence[_core.LayerInfo]:
        """The layers: type, name, inputs, outputs, activation, recurrent_activation,
        return_sequences.
        """
        return self._native.info.layers

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """As Keras: (None, T, features), or (None, T) for ids; T is None if it is not fixed."""
        info = self._native.info
        steps = info.window or None
        return (None, steps) if info.encoding == "index" else (None, steps, info.input_size)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """As Keras: (None, outputs), or (None, T, outputs) for an output at each step."""
        info = self._native.info
        if info.output_sequence:
            return (None, info.output_steps or info.window or None, info.outputs)
        return (None, info.outputs)

    @property
    def encoding(self) -> str:
        """How an element enters the network: "onehot", "index", "scaled", "raw" or "features"."""
        return self._native.info.encoding

    @property
    def input_values(self) -> tuple[float, ...] | None:
        """The number that enters for each element, such as its pitch; None if the file has none.

        Only with the encoding "raw", where the number is the id if the file has none.
        """
        return tuple(self._native.info.input_values) or None

    @property
    def window(self) -> int:
        """Time steps T that the network was saved with; 0 if not fixed."""
        return self._native.info.window

    @property
    def whole(self) -> bool:
        """Whether the network needs all steps of a window at once: no state can be carried."""
        return self._native.info.whole

    @property
    def fixed_steps(self) -> bool:
        """Whether the network takes exactly `window` steps, no fewer."""
        return self._native.info.fixed_steps

    @property
    def input_size(self) -> int:
        """Numbers that enter at each time step; for an Embedding, how many ids there are."""
        return self._native.info.input_size

    @property
    def outputs(self) -> int:
        """Numbers per output: elements of a generator, labels of a classifier, any numbers of a
        predictor.
        """
        return self._native.info.outputs

    @property
    def prime(self) -> NDArray[np.uint32]:
        """Ids of the file's default prime; empty if it has none."""
        return np.array(self._native.info.prime, np.uint32)

    @property
    def start(self) -> int | None:
        """Id of the element that comes before each prime that does not begin with it; None if there
        is none.

        The card names the element, under "start". A model of textgenrnn was trained on texts after
        `<s>`, and its own `generate` puts that before a prefix.
        """
        card = self.metadata["card"]
        start = card.get("start") if isinstance(card, dict) else None
        return self.vocabulary.ids.get(start) if self.vocabulary is not None and isinstance(start, str) else None

    @property
    def padding(self) -> int | None:
        """Id that fills a window on the left while the context is short; None if the file has none."""
        return self._native.info.padding

    @property
    def needs_windows(self) -> str:
        """Why carried state gives other distributions than windows do, or an empty text.

        A recurrent network that is run over a window and one whose state is carried nearly agree.
        They do not if the output looks at all steps of the window, as attention and pooling do, or
        if windows were filled up in training.
        """
        kinds = {"attention_pool": "attention", "average_pool": "pooling", "max_pool": "pooling"}
        over = sorted({kinds[layer.type] for layer in self.layers if layer.type in kinds})
        if self.window and over:
            return f"{' and '.join(over)} over the {self.window} steps of a window, not over all that came before"
        if self.window and (self.padding is not None or self.zero_padding):
            return f"its windows of {self.window} steps begin with padding while the text is short"
        return ""

    @property
    def zero_padding(self) -> bool:
        """Whether vectors of zeros fill a window on the left while the context is short."""
        return self._native.info.zero_padding

    @property
    def dtype(self) -> str:
        """Of the stored matrices: "f32", "bf16" or "int8"."""
        return self._native.info.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weights in memory."""
        return self._native.info.nbytes

    @property
    def isa(self) -> str:
        """Kernels in use: "avx512bf16", "avx512vnni", "avx512", "avx2", "neon" or "baseline"."""
        return self._native.info.isa

    @property
    def metadata(self) -> dict[str, Any]:
        """Facts from the file: name, description, author, license, source_url, keras_version, card."""
        info = self._native.info
        facts = {
            key: getattr(info, key)
            for key in ("name", "description", "author", "license", "source_url", "keras_version")
        }
        try:
            import json  # here, as few need it: imports are half of what starting costs

            card = json.loads(info.card or "{}")
        except (ValueError, RecursionError):  # opaque to the engine, so anything may be in it
            card = info.card
        return {**facts, "card": card}

    @property
    def assumed(self) -> tuple[str, ...]:
        """What was assumed when the model was exported, a sentence each: encoding, padding, prime,
        vocabulary ...
        """
        card = self.metadata["card"]
        said = card.get("assumed") if isinstance(card, dict) else None
        return tuple(map(str, said)) if isinstance(said, list) else ()

    def predict(self, x: ArrayLike) -> NDArray[np.float32]:
        """Return what Keras's predict does: (batch, outputs), or (batch, T, outputs).

        `x` is (batch, T, features), or (batch, T) of integer ids, each encoded as the network wants
        it; T >= 1. The same elements give the same numbers, bit for bit, as ids and as one-hot
        features. Nothing is padded.

        >>> import lstmgen
        >>> model = lstmgen.Model("latex")
        >>> model.predict([[0, 1, 2]]).shape == (1, model.outputs)
        True
        """
        values = np.asarray(x)
        if values.ndim not in (2, 3) or values.dtype.kind not in "iufb":
            raise ValueError(
                f"x: expected numbers (batch, T, features) or ids (batch, T), "
                f"found {values.dtype} of shape {values.shape}"
            )
        if values.shape[1] == 0:
            raise ValueError("x: expected at least one time step, found none")
        if values.ndim == 3:
            return self._native.predict_features(np.ascontiguousarray(values, np.float32))
        if values.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                ids = values.astype(np.int64)
            if self.encoding != "index" or not np.array_equal(ids, values):
                raise ValueError(
                    "x: expected integer ids, or features (batch, T, features), found floating-point numbers (batch, T)"
                )
            values = ids
        if values.size and (values.min() < 0 or values.max() >= 2**32):
            raise ValueError(f"x: expected ids >= 0, found {values.min()} to {values.max()}")
        return self._native.predict_ids(np.ascontiguousarray(values, np.uint32))

    def classify(self, sequences: Iterable[Classified], *, on_unknown: str = "error") -> list[Classification]:
        """Say which of `labels` each sequence has, and what the network puts out for each of them.

        A sequence is a text, elements or ids, or numbers for a network that takes features: (T,) or
        (T, features), or a text such as "0.5 1 -2". They may differ in length: each counts as it
        is, without padding, which Keras's masks leave out. Only a network with a window and
        padding, which may be zeros, is padded, on the left. `on_unknown`:
        what to do with elements outside the vocabulary: "error", "skip", or an element to put
        instead.
        """
        from lstmgen.classifying import classify

        return classify(self, sequences, on_unknown)

    def to_bytes(self) -> bytes:
        """Return the bytes of a `.bin` of this model."""
        return self._native.to_bytes()

    def measure_limits(self) -> tuple[float, float]:
        """Measure what one thread can do here at best: multiply-adds and bytes of weights a second.
        Takes 0.2 s.
        """
        return _core.measure_limits(self._native)

    def __reduce__(self) -> tuple[type[Model], tuple[bytes]]:
        return type(self), (self.to_bytes(),)

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: object) -> Model:
        return self

    def _repr_html_(self) -> str:
        from lstmgen.notebook import model_card

        return model_card(self)

    def __repr__(self) -> str:
        parts = [f"{self.input_size} {self.encoding}"]
        for layer in self.layers:
            activation = layer.activation if layer.type in ("dense", "activation") else ""
            size = "" if layer.type in ("affine", "activation") else f" {layer.outputs}"
            parts.append(" ".join(filter(None, (f"{layer.type}{size}", activation))))
        window = self.window or "any"
        return f"<lstmgen.Model {' > '.join(parts)}, window {window}, {self.outputs} outputs, {self.dtype}, {self.isa}>"


def is_keras_file(source: Source) -> bool:
    """Whether `source` is for the reader of Keras's files rather than a `.bin` or a bundled model."""
    return not is_bin(resolved(source, said=False))
