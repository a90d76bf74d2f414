"""Where a training starts.

It starts from nothing, from its interruption, from a finished model, or from the weights of another
model.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lstmgen import keras_file
from lstmgen.binfile.repacking import network_of
from lstmgen.errors import option
from lstmgen.network import Network
from lstmgen.training import progress
from lstmgen.training.backend import import_keras
from lstmgen.training.checkpoint import Files, State
from lstmgen.training.settings import Settings

S = TypeVar("S", bound=Settings)
# The arrays of the layers that a training makes, in the order of Keras.
_ARRAYS = {
    "embedding": ("embeddings",),
    "lstm": ("kernel", "recurrent_kernel", "bias"),
    "dense": ("kernel", "bias"),
}
_DIGEST = "keras_model_sha256"  # the entry of the card of a .bin with the checksum of its .h5


@dataclass(frozen=True)
class Elements:
    """What the inputs and the outputs of a network stand for.

    inputs: the elements that may enter. Empty if numbers enter.
    outputs: the elements or labels that may come out.
    scaled: whether an element enters as its index divided by the number of elements.
    """

    inputs: Sequence[str]
    outputs: Sequence[str]
    scaled: bool = False


@dataclass
class Start(Generic[S]):
    """Where a training starts.

    files: the files of the training.
    settings: the settings that were given, completed by those of the model that it continues.
    state: the state of the interrupted training or of the finished model, or a new one.
    interrupted: whether it continues an interrupted training.
    weights: the file with the weights to begin with, or None.
    known: what the inputs and outputs of `weights` stand for, if a `.bin` tells it.
    card: the card of an existing model, which stays until a better one replaces it.
    """

    files: Files
    settings: S
    state: State
    interrupted: bool = False
    weights: Path | None = None
    known: Elements | None = None
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def resumed(self) -> bool:
        """Whether it continues an interrupted training or a finished model."""
        return self.interrupted or self.state.base > 0

    def check_data(self, facts: Mapping[str, Any], unit: str) -> None:
        """Take the facts about the data, for the card.

        Raises `ValueError` if the resumed training had other data.
        """
        state = self.state
        if self.resumed:
            _check_corpus(self.files.state if self.interrupted else self.files.out, state.facts, facts)
        else:
            state.recipe, state.facts = self.settings.facts(), {k: v for k, v in facts.items() if k != "recipe"}
        if not self.interrupted:
            state.best = _figure(self.card, unit)
            return
        # A killed process may have exported a better model than its state knows of.
        if not self.files.out.exists():
            state.best, state.best_epoch = math.inf, state.epochs
        elif _same_training(self.card, state):
            if _figure(self.card, unit) < state.best:
                state.best, state.best_epoch = _figure(self.card, unit), int(self.card["epochs"])
        elif not state.overwrites:
            raise ValueError(
                f"{self.files.out}: it does not belong to the interrupted training {self.files.state}: move one of "
                f"them away, or begin again with {option('overwrite', True)}"
            )

    def tell(self) -> None:
        """Say where the training continues."""
        state = self.state
        if self.interrupted:
            where = f"step {state.steps} of epoch {state.epochs + 1}" if state.steps else f"epoch {state.epochs}"
            progress.say(f"continuing after {where}")
        elif state.base:
            progress.say(
                f"continuing {self.files.out} from epoch {state.base} with a new optimizer; the file changes when an "
                "epoch is better"
            )

    def begin(self, model: Any, elements: Elements) -> None:
        """Give `model` the weights to start with."""
        if self.interrupted:
            self.state.restore(model, self.files.state)
        elif self.weights is not None:
            weights = _weights_of(self.weights)
            known = self.known or _assumed(self.weights, weights, elements)
            if elements.scaled and tuple(known.outputs) != tuple(elements.outputs):
                raise ValueError(
                    f"{self.weights}: expected the same elements as in the data, since an element enters as its index "
                    f"/ n_vocab: it has {len(known.outputs)}, the data have {len(elements.outputs)}, or others"
                )
            model.set_weights(_mapped(self.weights, model.get_weights(), weights, known, elements))
            if not self.state.base:
                progress.say(f"starting with the weights of {self.weights}: {_told(known, elements)}")


def begin(out: Path, settings: S, sources: Iterable[Path]) -> Start[S]:
    """Find out where a training that writes to `out` starts. Reads no data, and imports no Keras.

    Raises `ValueError` or `OSError` that names the file if a model would be replaced without
    `overwrite`, and if a state or a model cannot be resumed.
    """
    settings.check()
    files = Files(out)
    files.check(*sources)
    files.recover()
    there = files.existing()
    if settings.resume:
        if files.state in there:
            return _interrupted(files, settings)
        if files.out in there:
            return _finished(files, settings)
        if there:
            raise ValueError(
                f"{there[0]}: it cannot be resumed without {files.out.name}: give another output, or "
                f"{option('overwrite', True)}"
            )
        progress.say("nothing to resume: training from the start")
    elif there and not settings.overwrite:
        raise ValueError(_refusal(files, there[0]))
    start = Start(files, settings, State({}, {}, overwrites=files.out in there))
    if settings.from_:
        _take_weights(start, Path(settings.from_))
    return start


def _refusal(files: Files, found: Path) -> str:
    if files.state.exists():
        what, resume = f"{files.state}: it exists, from an interrupted training", "continues it"
    elif found == files.out:
        what, resume = f"{found}: it exists", "trains it for more epochs"
    else:
        what, resume = f"{found}: it exists without {files.out.name}", f"needs {files.out.name}"
    weights = files.keras if files.keras.exists() else "MODEL"
    return (
        f"{what}. {option('resume', True)} {resume}; {option('from_', str(weights))} with another output starts a new "
        f"training with its weights; {option('overwrite', True)} replaces it"
    )


def _interrupted(files: Files, settings: S) -> Start[S]:
    state = State.read(files.state)
    start = Start(files, settings.as_in(state.recipe, files.state), state, interrupted=True)
    if files.out.exists():
        start.card = _card(files.out)
    return start


def _finished(files: Files, settings: S) -> Start[S]:
    kept = _card(files.out)
    if not isinstance(kept.get("recipe"), dict) or not isinstance(kept.get("epochs"), int):
        raise ValueError(
            f"{files.out}: no training of lstmgen wrote it, so it cannot be resumed: give another output, or "
            f"{option('overwrite', True)}"
        )
    if not files.keras.exists():
        raise ValueError(f"{files.keras}: it is missing, but {files.out.name} can only be resumed with it")
    if _DIGEST not in kept:
        raise ValueError(
            f"{files.out}: an older version of lstmgen trained it, so it cannot be resumed: give another output with "
            f"{option('from_', str(files.keras))}, or {option('overwrite', True)}"
        )
    if kept[_DIGEST] != digest(files.keras.read_bytes()):
        raise ValueError(
            f"{files.keras}: {files.out.name} was not made from this model, so it cannot be resumed: give another "
            f"output with {option('from_', str(files.keras))}, or {option('overwrite', True)}"
        )
    recipe = kept["recipe"]
    state = State(recipe, kept, base=kept["epochs"], best_epoch=kept["epochs"])
    minutes = kept.get("training_minutes")
    state.seconds = 60.0 * minutes if isinstance(minutes, int | float) else 0.0
    return Start(
        files,
        settings.as_in(recipe, files.out),
        state,
        weights=files.keras,
        known=_elements_of(files.out),
        card=kept,
    )


def digest(data: bytes) -> str:
    """Return the checksum of an `.h5`, which the card of its `.bin` has."""
    return hashlib.sha256(data).hexdigest()


def digest_fact(data: bytes) -> dict[str, str]:
    """Return the entry of a card that holds `digest`."""
    return {_DIGEST: digest(data)}


def _card(path: Path) -> dict[str, Any]:
    """Return the facts in the card of a `.bin`. Raises `ValueError` for a broken one."""
    from lstmgen.model import Model

    try:
        card = Model(path).metadata["card"]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: its card is broken: {error}") from None
    return card if isinstance(card, dict) else {}


def _figure(card: Mapping[str, Any], unit: str) -> float:
    """Return the figure of a model from its card. A smaller figure is better."""
    figure = card.get(unit)
    return float(figure) if isinstance(figure, int | float) else math.inf


def _check_corpus(source: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    if there.get("corpus_sha256") == here["corpus_sha256"]:
        return
    differences = [
        f"{key.replace('_', ' ')}: it had {there[key]}, found {value}"
        for key, value in here.items()
        if key in there and there[key] != value and key not in ("recipe", "corpus_sha256")
    ]
    raise ValueError(
        f"{source}: it learnt from other data: {'; '.join(differences) or 'the content differs'}. To start a new "
        f"training with its weights, give another output and {option('from_')}"
    )


def _same_training(card: Mapping[str, Any], state: State) -> bool:
    return card.get("recipe") == state.recipe and card.get("corpus_sha256") == state.facts.get("corpus_sha256")


# -- weights of another model ----------------------------------------------------------------------


def _take_weights(start: Start[S], source: Path) -> None:
    """Take the weights and the architecture of `source`."""
    if source.suffix == ".bin":
        beside = [path for path in (source.with_suffix(".h5"), source.with_suffix(".keras")) if path.exists()]
        if not source.exists():
            raise FileNotFoundError(2, "No such file or directory", str(source))
        start.weights = beside[0] if beside else source
    else:
        start.weights = source
        source = source.with_suffix(".bin")
    network = _network_of(source)[0] if start.weights == source else keras_file.read(start.weights)
    start.settings = start.settings.as_in(architecture(network), start.weights, architecture=True)
    if source.exists():
        start.known = _elements_of(source)


def _network_of(path: Path) -> tuple[Network, list[NDArray[Any]]]:
    """Return the network of a `.bin`, and its arrays in the order of Keras.

    Raises `ValueError` for layers that no training of lstmgen makes.
    """
    network = network_of(path.read_bytes(), str(path))
    arrays: list[NDArray[Any]] = []
    for layer in network.layers:
        if layer.type not in _ARRAYS:
            raise ValueError(
                f"{path}: expected layers of the types {', '.join(_ARRAYS)}, found {layer.type}: give the Keras model, "
                f"or put it beside the .bin as {path.with_suffix('.h5').name}"
            )
        arrays += [np.asarray(layer.arrays[name], np.float32) for name in _ARRAYS[layer.type]]
    return network, arrays


def _weights_of(path: Path) -> list[NDArray[Any]]:
    """Return the weights of a model of Keras, or of a `.bin`, in the order of Keras."""
    if path.suffix == ".bin":
        return _network_of(path)[1]
    keras = import_keras()
    try:
        weights: list[NDArray[Any]] = keras.models.load_model(path, compile=False).get_weights()
    except Exception as error:  # of many kinds, since Keras runs the file's own layers
        raise ValueError(f"{path}: Keras cannot read it: {' '.join(str(error).split())[:200]}") from error
    return weights


def architecture(network: Network) -> dict[str, Any]:
    """Return the settings that follow from the weights of a network."""
    recurrent = [layer for layer in network.layers if layer.row.recurrent]
    embeddings = [layer for layer in network.layers if layer.type == "embedding"]
    found: dict[str, Any] = {}
    if recurrent and all(layer.type == "lstm" for layer in recurrent):
        found = {"units": recurrent[-1].options["units"], "layers": len(recurrent)}
    if embeddings:
        found["embedding"] = embeddings[0].options["units"]
    return {
        **found,
        "level": "words" if embeddings else "letters",
        "kind": "letters" if embeddings else "numbers",
        "notation": "events" if network.input_size > 1 else "lesson",
    }


def _elements_of(path: Path) -> Elements | None:
    """Return what the inputs and outputs of a `.bin` stand for, or None if they have no names."""
    from lstmgen.model import Model

    model = Model(path)
    elements = model.vocabulary.elements if model.vocabulary else ()
    return Elements(elements, model.labels or elements) if elements or model.labels else None


def _assumed(path: Path, weights: list[NDArray[Any]], elements: Elements) -> Elements:
    """Return the elements of a Keras model without a `.bin` beside it."""
    if weights[-1].shape != (len(elements.outputs),):
        raise ValueError(
            f"{path}: expected {len(elements.outputs)} outputs, one for each element of the data, found "
            f"{weights[-1].shape[0]}: put {path.with_suffix('.bin').name}, which has the vocabulary, beside it"
        )
    progress.say(f"assumed: the outputs of {path} stand for the same elements, in the same order")
    return elements


def _mapped(
    path: Path, own: list[NDArray[Any]], given: list[NDArray[Any]], known: Elements, wanted: Elements
) -> list[NDArray[Any]]:
    """Return the weights `given` in the order of other elements.

    own: the weights of the new network. A new element keeps its weights from there.
    known: the elements of `given`.
    wanted: the elements of the new network.

    The bias of a new output is the least bias in `given`, so that the output is unlikely until it
    is learnt.
    """
    mapped = []
    for i, (mine, theirs) in enumerate(zip(own, given, strict=False)):
        axis, there, here = -1, known.outputs, wanted.outputs  # of the last layer's kernel and bias
        if i < len(own) - 2:
            axis, there, here = 0, known.inputs, wanted.inputs if i == 0 else ()
        fits = mine.ndim == theirs.ndim and all(
            a == b
            for k, (a, b) in enumerate(zip(mine.shape, theirs.shape, strict=True))
            if not here or k != axis % mine.ndim
        )
        if not fits:
            break
        if not here:
            mapped.append(theirs)
            continue
        new = np.moveaxis(mine.copy(), axis, 0)
        if i == len(own) - 1:
            new[:] = theirs.min()
        at, of = _common(there, here, (theirs.shape[axis], mine.shape[axis]), path)
        new[at] = np.moveaxis(theirs, axis, 0)[of]
        mapped.append(np.moveaxis(new, 0, axis))
    if len(mapped) != len(own) or len(own) != len(given):
        raise ValueError(
            f"{path}: its weights do not fit: expected shapes {_shapes(own)}, found {_shapes(given)}: only the number "
            "of elements may differ"
        )
    return mapped


def _common(
    there: Sequence[str], here: Sequence[str], sizes: tuple[int, int], path: Path
) -> tuple[list[int], list[int]]:
    """Return the indices of common elements: a list of those in `here`, and one in `there`."""
    if (len(there), len(here)) != sizes:
        raise ValueError(f"{path}: expected weights for the {len(there)} elements of its .bin, found {sizes[0]}")
    at = {element: i for i, element in enumerate(there)}
    both = [(i, at[element]) for i, element in enumerate(here) if element in at]
    return [i for i, _ in both], [j for _, j in both]


def _shapes(weights: Iterable[NDArray[Any]]) -> str:
    return ", ".join(str(tuple(w.shape)) for w in weights)


def _told(known: Elements, wanted: Elements) -> str:
    """Return in words how the elements differ."""
    pairs = [("inputs", known.inputs, wanted.inputs), ("outputs", known.outputs, wanted.outputs)]
    if pairs[0][1:] == pairs[1][1:] or not wanted.inputs:
        pairs = [("elements", known.outputs, wanted.outputs)]
    parts = []
    for name, there, here in pairs:
        if tuple(there) == tuple(here):
            continue
        new, gone = [e for e in here if e not in set(there)], [e for e in there if e not in set(here)]
        shown = f" ({' '.join(map(repr, new[:10]))}{' ...' if len(new) > 10 else ''})" if new else ""
        parts.append(
            f"it has {len(here) - len(new)} of the {len(here)} {name}; {len(new)} are new{shown}; {len(gone)} of its "
            f"{name} are not used"
        )
    return "; ".join(parts) or "the elements are the same"
