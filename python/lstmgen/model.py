"""A network ready to run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lstmgen.arguments import utf8
from lstmgen.binfile.sniffing import is_bin, read_bin, read_card
from lstmgen.bundled import Source, resolved
from lstmgen.errors import option
from lstmgen.escaping import printable
from lstmgen.progress import counting
from lstmgen.signatures import KeywordSignature
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


_MOST_GRAMMARS = 8  # compiled ones that a model keeps


class Model:
    """A network with its weights. It never changes, and many generators and threads may share it.

    source: the path of a `.bin` or of a model saved by Keras, the bytes of either, or the name of a
        bundled model. A model saved by Keras is exported in memory.
    options: see `lstmgen.exporting.ExportOptions`. A `.bin` takes only `dtype`, to which its
        matrices are rounded.

    "latex.bin" stands for the bundled model where there is no such file, and a warning says so.

    A model pickles as the bytes of its `.bin`. The file may change or disappear meanwhile, and the
    other machine uses its own kernels. `copy.copy` and `copy.deepcopy` return the model itself.

    Raises `OSError`, such as `FileNotFoundError`, for a file that cannot be read. Raises
    `ModelFormatError` for a file that is broken or not supported. Raises `ValueError` or
    `TypeError` for a wrong option, and `ValueError` if the environment variable LSTMGEN_ISA names
    kernels that cannot run here.

    >>> model = Model("latex")
    >>> model.input_shape, model.output_shape, model.encoding, model.dtype
    ((None, None, 92), (None, 92), 'onehot', 'int8')
    >>> [layer.type for layer in model.layers]
    ['lstm', 'dense']
    """

    __signature__ = KeywordSignature("lstmgen.exporting", "ExportOptions")

    def __init__(self, source: Source, **options: Unpack[ExportOptions]) -> None:
        source = resolved(source)
        name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
        if is_bin(source):
            if rest := options.keys() - {"dtype"}:
                from lstmgen.exporting import check_names

                check_names("Model", rest)
                found = ", ".join(map(option, sorted(rest)))
                raise TypeError(f"{name}: only a Keras file takes {found}: a .bin has its own")
            if (dtype := options.get("dtype")) is not None:
                from lstmgen.binfile.repacking import repack

                source = repack(read_bin(source), name, dtype)
        else:
            from lstmgen.exporting import convert

            source = convert(source, **options)
        if not isinstance(source, bytes) and printable(name) != name:
            source = read_bin(source)  # the engine would show the name raw, or fail if it is not UTF-8
        if isinstance(source, bytes):
            self._native = _core.Model.from_bytes(source, printable(name))
        else:
            self._native = _core.Model.load(name)
        self._grammars: dict[tuple[str, tuple[int, ...]], _core.Grammar] = {}
        info = self._native.info
        self.vocabulary: Vocabulary | None = (
            Vocabulary(info.vocabulary, info.vocabulary_kind, Tokenizer.of_card(info.card)) if info.vocabulary else None
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of each output of a classifier. It is empty for any other network."""
        return tuple(self._native.info.labels)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The outputs that together are a note, in the order in which their values enter.

        It is empty for any other network. `lstmgen.music.NoteGenerator` draws such notes.
        """
        info = self._native.info
        if info.encoding != "features" or '"heads"' not in info.card:
            return ()
        from lstmgen.heads import of_card

        return of_card(self.metadata["card"], info.input_size, info.outputs)

    @property
    def generates(self) -> bool:
        """Whether a `Generator` can sample the model.

        It cannot sample a classifier, a predictor, or a network that reads features.
        """
        info = self._native.info
        return not info.labels and not info.predictor and info.encoding != "features"

    @property
    def layers(self) -> Sequence[_core.LayerInfo]:
        """The layers in the order in which they run.

        Each has the attributes type, name, sources, input_size, outputs, activation,
        recurrent_activation and return_sequences. A source is 0 for the input of the network, and
        i + 1 for layer i.
        """
        return self._native.info.layers

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of the input as in Keras: (None, T, features), or (None, T) for ids.

        T is None if the number of time steps is not fixed.
        """
        info = self._native.info
        steps = info.window or None
        return (None, steps) if info.encoding == "index" else (None, steps, info.input_size)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """The shape of the output as in Keras: (None, outputs), or (None, T, outputs).

        T is there if the network has an output at each time step. It is None if it is not fixed.
        """
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
        """The number that enters for each element, such as its pitch. None if the file has none.

        Only the encoding "raw" has such numbers. Without them the number is the id.
        """
        return tuple(self._native.info.input_values) or None

    @property
    def window(self) -> int:
        """The number of time steps T that the network was saved with. 0 if it is not fixed."""
        return self._native.info.window

    @property
    def whole(self) -> bool:
        """Whether the network needs all steps of a window at once. Then no state can be carried."""
        return self._native.info.whole

    @property
    def fixed_steps(self) -> bool:
        """Whether the network takes exactly `window` steps, no fewer."""
        return self._native.info.fixed_steps

    @property
    def input_size(self) -> int:
        """How many numbers enter at each time step. For an Embedding, how many ids there are."""
        return self._native.info.input_size

    @property
    def outputs(self) -> int:
        """How many numbers an output has: one for each element, or for each label."""
        return self._native.info.outputs

    @property
    def prime(self) -> NDArray[np.uint32]:
        """The ids of the file's default prime, shape (elements,). It is empty if there is none."""
        return np.array(self._native.info.prime, np.uint32)

    @property
    def start(self) -> int | None:
        """The id of the element that is put before each prime that does not begin with it, or None.

        The card names the element under "start". A model of textgenrnn was trained on texts after
        `<s>`, and the `generate` of textgenrnn puts that before a prefix.
        """
        card = self.metadata["card"]
        start = card.get("start") if isinstance(card, dict) else None
        return self.vocabulary.ids.get(start) if self.vocabulary is not None and isinstance(start, str) else None

    @property
    def padding(self) -> int | None:
        """The id that fills a short window on the left. None if there is none."""
        return self._native.info.padding

    @property
    def needs_windows(self) -> str:
        """Why a carried state gives other distributions than windows do. Empty if it does not.

        The distributions of windows and of a carried state are usually nearly equal. They differ if
        the output depends on all steps of the window, as attention and pooling do. They also differ
        if padding filled windows in training.
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
        """The type of the stored matrices: "f32", "bf16" or "int8"."""
        return self._native.info.dtype

    @property
    def nbytes(self) -> int:
        """How many bytes the packed weights take in memory."""
        return self._native.info.nbytes

    @property
    def isa(self) -> str:
        """The kernels in use.

        They are "avx512amx", "avx512bf16", "avx512vnni", "avx512", "avx2",
        "neoni8mm", "neondot", "neon" or "baseline".
        """
        return self._native.info.isa

    @property
    def isa_reason(self) -> str:
        """Why these kernels are in use, in a few words. They were chosen when the model was loaded.

        >>> isinstance(Model("latex").isa_reason, str)
        True
        """
        isas = _core.supported_isas()
        if os.environ.get("LSTMGEN_ISA") == self.isa:
            return "LSTMGEN_ISA names it"
        if self.isa == "avx512amx":
            return "this processor has AMX, and the system grants it; fewer than 8 rows at once take VNNI"
        if isas[0] == "avx512amx" and self.isa == isas[1]:
            return f"the best for {self.dtype}; this processor also has AMX, for int8"
        others = isas[isas.index(self.isa) + 1 :]
        if not others:
            return "it runs anywhere"
        reason = f"the best of those that can run here, before {', '.join(others)}"
        unused = _has_amx() and isas[0] != "avx512amx"
        return reason + "; this processor has AMX, but this system or build cannot use it" * unused

    @property
    def metadata(self) -> dict[str, Any]:
        """The facts of the file, each under its name.

        They are name, description, author, license, source_url, keras_version and card. The card is
        a dict, or a text if it is not JSON.
        """
        info = self._native.info
        facts = {
            key: getattr(info, key)
            for key in ("name", "description", "author", "license", "source_url", "keras_version")
        }
        return {**facts, "card": read_card(info.card)}

    @property
    def grammar(self) -> str | None:
        """The grammar that the file carries, in GBNF; None if it has none. `export` gives it one.

        >>> import lstmgen
        >>> lstmgen.Model("latex").grammar.startswith("root ::= ")
        True
        """
        return self._native.info.grammar or None

    def _compiled(self, text: str, never: tuple[int, ...]) -> _core.Grammar:
        """A grammar over the elements but those in `never`. The last ones are kept."""
        found = self._grammars.get((text, never))
        if found is None:
            found = _core.Grammar(self._native, utf8("grammar", text), never)
            if len(self._grammars) >= _MOST_GRAMMARS:
                self._grammars.clear()
            self._grammars[text, never] = found
        return found

    def _check_stops(self, ids: list[list[int]], texts: list[bytes]) -> None:
        """Raise `ValueError` for stops that no elements can make."""
        _core.check_stops(self._native, ids, texts)

    @property
    def assumed(self) -> tuple[str, ...]:
        """What was assumed when the model was exported, one sentence for each assumption.

        Options are spelled as for the program that exported it, in Python or on the command line.
        """
        card = self.metadata["card"]
        said = card.get("assumed") if isinstance(card, dict) else None
        return tuple(map(str, said)) if isinstance(said, list) else ()

    def predict(self, x: ArrayLike) -> NDArray[np.float32]:
        """Return the outputs for whole sequences, as `predict` of Keras does.

        x: numbers of the shape (batch, T, features), or integer ids of the shape (batch, T), which
            enter by the model's encoding. T is at least 1. Nothing is padded.

        Returns the outputs of the shape (batch, outputs), or (batch, T, outputs) if there is one at
        each step. Ids and their one-hot vectors give the same numbers, bit for bit. Raises
        `ValueError` for another shape or type, and for ids that do not exist.

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
            return _counted(self._native.predict_features, np.ascontiguousarray(values, np.float32))
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
        return _counted(self._native.predict_ids, np.ascontiguousarray(values, np.uint32))

    def classify(self, sequences: Iterable[Classified], *, on_unknown: str = "error") -> list[Classification]:
        """Return the label of each sequence, with the output for each label.

        sequences: texts, elements or ids. For a network that reads features a sequence is an array
            of the shape (T,) or (T, features), or a text such as "0.5 1 -2". The sequences may
            differ in length. They are padded, on the left, only if the model has a window and
            padding.
        on_unknown: "error", "skip" or an element, for elements that are not in the vocabulary.

        Raises `ValueError` or `TypeError` that names the first sequence that cannot be classified.
        Raises `ValueError` if the model has no labels.

        >>> import h5py, numpy as np, io
        >>> file = io.BytesIO()
        >>> shapes = {"lstm/cell/vars/0": (3, 8), "lstm/cell/vars/1": (2, 8), "lstm/cell/vars/2": 8}
        >>> shapes |= {"dense/vars/0": (2, 2), "dense/vars/1": 2}
        >>> with h5py.File(file, "w") as weights:
        ...     for name, shape in shapes.items():
        ...         weights[f"layers/{name}"] = np.zeros(shape, np.float32)
        >>> config = "Input((None, 3)), LSTM(2), Dense(2, softmax)"
        >>> told = {"vocab": ["a", "b", "c"], "labels": ["cat", "dog"]}
        >>> model = Model(file.getvalue(), config=config, **told)
        >>> model.classify(["abc", "ca"])[1]
        Classification(label='cat', probabilities={'cat': 0.5, 'dog': 0.5})
        """
        from lstmgen.classifying import classify

        return classify(self, sequences, on_unknown)

    def to_bytes(self) -> bytes:
        """Return the bytes of a `.bin` of this model.

        >>> model = Model("latex")
        >>> Model(model.to_bytes()).layers[0].outputs == model.layers[0].outputs
        True
        """
        return self._native.to_bytes()

    def measure_limits(self) -> tuple[float, float]:
        """Measure the limits of one thread on this machine, which takes 0.2 seconds.

        Returns multiply-adds per second, and bytes of weights per second.

        >>> arithmetic, memory = Model("latex").measure_limits()
        >>> arithmetic > 0 and memory > 0
        True
        """
        return _core.measure_limits(self._native)

    def __reduce__(self) -> tuple[type[Model], tuple[bytes]]:
        return type(self), (self.to_bytes(),)

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: object) -> Model:
        return self

    def _repr_html_(self) -> str:
        from lstmgen.html_tables import columns, table

        facts, vocabulary = self.metadata, self.vocabulary
        rows: dict[str, object] = {
            "name": facts["name"],
            "description": facts["description"],
            "licence": facts["license"],
            "reads": f"{self.input_size} {self.encoding}, {self.window or 'any number of'} steps",
            "gives": ", ".join(self.labels) or f"{self.outputs} numbers",
            "vocabulary": "" if vocabulary is None else f"{len(vocabulary)} elements, kind {vocabulary.kind}",
            "weights": f"{self.nbytes / 1e6:.1f} MB in memory, {self.dtype}, kernels {self.isa}",
            "assumed": "; ".join(self.assumed),
        }
        names = ("name", "type", "input_size", "outputs", "activation")
        layers = [{name: getattr(layer, name) for name in names} for layer in self.layers]
        return f"<b>lstmgen.Model</b>{table(rows)}{columns(layers)}"

    def __repr__(self) -> str:
        parts = [f"{self.input_size} {self.encoding}"]
        for layer in self.layers:
            activation = layer.activation if layer.type in ("dense", "activation") else ""
            size = "" if layer.type in ("affine", "activation") else f" {layer.outputs}"
            parts.append(" ".join(filter(None, (f"{layer.type}{size}", activation))))
        window = self.window or "any"
        return f"<lstmgen.Model {' > '.join(parts)}, window {window}, {self.outputs} outputs, {self.dtype}, {self.isa}>"


def _counted(run: Callable[..., NDArray[np.float32]], sequences: NDArray[Any]) -> NDArray[np.float32]:
    """Return the outputs for sequences, whose steps a bar counts if it takes long."""
    total = sequences.shape[0] * sequences.shape[1]
    with counting(total, "steps", "predicting") as done:
        found = run(sequences, progress=done)
        if done is not None:
            done(total)
    return found


def _has_amx() -> bool:
    """Whether Linux says that the processor has tiles for int8."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as facts:
            return " amx_int8" in facts.read()
    except OSError:
        return False


def is_keras_file(source: Source) -> bool:
    """Return whether `source` is a file of Keras, and not a `.bin` or the name of a bundled model.

    >>> is_keras_file("latex"), is_keras_file(b"GGUF..."), is_keras_file(b"PK...")
    (False, False, True)
    """
    return not is_bin(resolved(source, said=False))
