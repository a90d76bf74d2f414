"""What the outputs of a network are, how an element enters it, and what fills a short window.

Keras stores none of this. An option gives it, a measurement on a sequence shows it, or it is
assumed. Each assumption becomes a sentence that the user reads.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lstmgen import heads
from lstmgen.binfile import writer
from lstmgen.errors import ModelFormatError, OptionError, OptionTypeError, option
from lstmgen.heads import Head
from lstmgen.network import NETWORK_INPUT, Network, reference

Values = NDArray[np.float64]


class Assumption(NamedTuple):
    """A sentence on what was assumed.

    text: the sentence, without a full stop.
    doubtful: whether the opposite would be no surprise.

    >>> Assumption("id 0 fills a short window").doubtful
    False
    """

    text: str
    doubtful: bool = False


# -- what the outputs are ------------------------------------------------------------------------

_DISTRIBUTIONS = frozenset({"softmax", "log_softmax", "sparsemax"})
_POSITIVE = frozenset(
    {
        *("sigmoid", "hard_sigmoid", "hard_sigmoid_keras2", "sparse_sigmoid", "relu", "relu6", "softplus"),
        *("squareplus", "sparse_plus", "exponential"),
    }
)


class Outputs(NamedTuple):
    """Whether the outputs of a network are elements to draw, and why.

    generates: whether they are.
    kind: "distribution", "logits", "shares" (positive numbers in proportion to probabilities), or
        "numbers".
    activation: of the output.
    why: a clause that gives the reason.

    >>> Outputs(True, "logits", "linear", "3 numbers enter, 3 come out").kind
    'logits'
    """

    generates: bool
    kind: str
    activation: str
    why: str


def outputs_of(network: Network, wanted: bool) -> Outputs:
    """Return what the outputs of a network without labels are.

    network: the network.
    wanted: whether the caller gave elements, a prime or an encoding, which only a generator has.

    >>> from lstmgen.network import Layer
    >>> arrays = {"kernel": np.ones((3, 3)), "bias": np.zeros(3)}
    >>> layer = Layer("dense", "output", {"units": 3, "activation": "softmax"}, arrays)
    >>> found = outputs_of(Network((layer,), 0, 3, ""), wanted=False)
    >>> found.generates, found.kind
    (True, 'distribution')
    """
    kind, activation = _output_kind(network)
    size, n = network.input_size, network.outputs
    enters = f"{size} ids" if network.takes_ids else f"{size} number{'s' if size > 1 else ''} a step"
    come = f"{n} number{'s come' if n > 1 else ' comes'} out"
    if n == 1 or not (size == n or (size == 1 and not network.takes_ids) or (network.takes_ids and size > n)):
        return Outputs(False, kind, activation, f"{enters} enter{'s' if size == 1 else ''}, {come}")
    if network.takes_ids and size > n and not wanted:
        return Outputs(False, kind, activation, f"{enters} enter, only {come}")
    if kind == "numbers":
        return Outputs(False, kind, activation, f"its {n} outputs, {activation}, are no probabilities")
    if kind != "distribution" and not wanted and not network.takes_ids:
        reason = "as in a regression" if kind == "logits" else "which need not add up to 1"
        return Outputs(False, kind, activation, f"its {n} outputs are {activation}, {reason}")
    entering = f"one of {size} ids enters" if network.takes_ids else f"{enters} enter{'s' if size == 1 else ''}"
    return Outputs(True, kind, activation, f"{entering}, a {activation} over {n} elements comes out")


def _output_kind(network: Network, at: int | None = None) -> tuple[str, str]:
    """Return what kind of numbers layer `at`, or the last one, gives, and its activation."""
    i = end = len(network.layers) - 1 if at is None else at
    while network.layers[i].type == "reshape" and network.inputs(i)[0] != NETWORK_INPUT:
        i = network.inputs(i)[0]
    layer, last = network.layers[i], i == end
    activation = str(layer.options.get("activation", layer.type))
    if layer.type == "dense" and activation == "linear" and last:
        return "logits", activation
    if layer.type not in ("dense", "activation", "simple_rnn") or (activation == "log_softmax" and not last):
        return "numbers", activation
    if activation in _DISTRIBUTIONS:
        return "distribution", activation
    return "shares" if activation in _POSITIVE else "numbers", activation


def assumed_of_outputs(network: Network, outputs: Outputs, wanted: bool) -> list[Assumption]:
    """Return what is assumed if a network counts as a generator, or if it does not.

    network: the network.
    outputs: what `outputs_of` returned for it.
    wanted: whether the caller gave elements, a prime or an encoding.

    >>> from lstmgen.network import Layer
    >>> arrays = {"kernel": np.ones((3, 3)), "bias": np.zeros(3)}
    >>> layer = Layer("dense", "output", {"units": 3, "activation": "linear"}, arrays)
    >>> network = Network((layer,), 0, 3, "")
    >>> assumed_of_outputs(network, outputs_of(network, wanted=True), wanted=True)[0].text
    'its 3 linear outputs are logits, as trained with from_logits=True'
    """
    n = network.outputs
    if not outputs.generates:
        if not (network.input_size == n > 1 and outputs.kind in ("logits", "shares")) or wanted:
            return []
        text = f"it predicts and does not generate: {outputs.why}"
        return [Assumption(f"{text}; a vocabulary or {option('encoding', 'onehot')} makes them elements")]
    if outputs.kind == "logits":
        return [Assumption(f"its {n} linear outputs are logits, as trained with from_logits=True")]
    if outputs.kind == "shares":
        return [Assumption(f"its {n} outputs, {outputs.activation}, are in proportion to probabilities", doubtful=True)]
    return []


# -- notes of several outputs --------------------------------------------------------------------

_KEYS, _LOWEST_KEY = 88, 21  # of a piano; MIDI pitch


def note_heads(network: Network) -> tuple[list[Head], list[Assumption]]:
    """Return what the outputs are that the reader has joined to a note, and what is assumed.

    network: a network whose `elements` have the key "heads". Its last layer joins the outputs.

    Raises `ModelFormatError` for outputs of which no note can be made, and for a network into which
    no such note can enter.

    >>> from lstmgen.network import Layer
    >>> def dense(name: str, units: int) -> Layer:
    ...     arrays = {"kernel": np.ones((3, units)), "bias": np.zeros(units)}
    ...     return Layer("dense", name, {"units": units, "activation": "linear"}, arrays, (-1,))
    >>> layers = dense("pitch", 128), dense("step", 1), dense("duration", 1)
    >>> joined = Layer("concatenate", "note", {}, {}, (0, 1, 2))
    >>> wanted = {"heads": heads.recognised(["pitch", "step", "duration"])}
    >>> found, assumed = note_heads(Network((*layers, joined), 25, 3, "", elements=wanted))
    >>> [str(head) for head in found]
    ['pitch/128', 'step', 'duration']
    """
    if network.takes_ids:
        raise ModelFormatError(f"{option('heads')}: expected a network that numbers enter, found one that takes ids")
    wanted: Sequence[heads.Wanted] = network.elements["heads"]
    joined = network.inputs(len(network.layers) - 1)
    if NETWORK_INPUT in joined:
        raise ModelFormatError(f"{option('heads')}: one of the outputs is the input itself")
    sizes = [network.values[i].size for i in joined]
    entering = _entering(network.input_size, [head.part for head in wanted], sizes)
    names = ", ".join(str(head.layer) for head in wanted)
    found: list[Head] = []
    assumed = [Assumption(f"the outputs {names} together are a note, as in TensorFlow's music tutorial")]
    for head, i, size in zip(wanted, joined, sizes, strict=True):
        kind = "number" if size == 1 else _kind_of_head(network, head.part, i, assumed)
        lowest = _LOWEST_KEY if head.part == "pitch" and size == _KEYS else 0
        if lowest and head.lowest is None:
            text = f"the {size} pitches are the keys of a piano, from MIDI pitch {lowest} up"
            other = option("heads", "pitch+0,...")
            assumed.append(Assumption(f"{text}; {other} tells another", doubtful=True))
        lowest = lowest if head.lowest is None else head.lowest
        divisor = float(size) if head.divisor is None else head.divisor
        found.append(Head(head.part, size, kind, divisor, lowest, head.part in entering))
        heads.check(found[-1])
    told = network.elements.get("heads_told") and all(
        head.divisor is not None or size == 1 for head, size in zip(wanted, sizes, strict=True)
    )
    if not told:
        shown = [str(head) for head in found]
        text = f"a note enters as {', '.join(shown)}, in this order; {option('heads', ...)} tells another"
        assumed.append(Assumption(text, doubtful=shown != ["pitch/128", "step", "duration"]))
    assumed.append(Assumption("steps and durations are in seconds"))
    assumed.append(Assumption("without a prime a sample starts from a window of middle C, half a second each"))
    return found, assumed


def _kind_of_head(network: Network, part: str, i: int, assumed: list[Assumption]) -> str:
    """Return what the several numbers of layer `i` are, of which one is drawn."""
    size, (kind, activation) = network.values[i].size, _output_kind(network, i)
    if kind == "numbers":
        raise ModelFormatError(f"{option('heads')}: {part}: its {size} outputs, {activation}, are no probabilities")
    if kind == "shares":
        text = f"the {size} outputs of {part}, {activation}, are in proportion to probabilities"
        assumed.append(Assumption(text, doubtful=True))
    return "logits" if kind == "logits" or activation == "log_softmax" else "probabilities"


def _entering(inputs: int, parts: Sequence[str], sizes: Sequence[int]) -> frozenset[str]:
    """Return the parts that enter as one-hot vectors, of a network that `inputs` numbers enter."""
    ways = [frozenset[str](), frozenset({"pitch"}), frozenset({"pitch", "velocity"})]
    widths = [sum(size if part in way else 1 for part, size in zip(parts, sizes, strict=True)) for way in ways]
    if inputs not in widths:
        raise ModelFormatError(
            f"{option('heads')}: "
            f"expected {widths[0]} numbers a step to enter ({', '.join(parts)}), or {widths[1]} with a one-hot "
            f"pitch, found {inputs}"
        )
    return ways[widths.index(inputs)]


# -- how a number enters -------------------------------------------------------------------------

_OWN = "number"

# Each rule gives the number that stands for an element, from its id or from its own number.
RULES: dict[str, Callable[[Values, Values], Values]] = {
    "id/n": lambda ids, own: ids / len(ids),
    "id": lambda ids, own: ids,
    "number": lambda ids, own: own,
    "id/(n-1)": lambda ids, own: ids / (len(ids) - 1),
    "number/127": lambda ids, own: own / 127,
    "number/128": lambda ids, own: own / 128,
    "number/max": lambda ids, own: own / own.max(),
    "id/(n/2)-1": lambda ids, own: ids / (len(ids) / 2) - 1,
    "id+1": lambda ids, own: ids + 1,
}
_RAW_RULES = (_OWN, "id")  # the rules that "raw" may stand for
_COMMON = ("id/n", "id", _OWN)


class Encoding(NamedTuple):
    """How an element enters.

    name: the encoding of docs/format.md.
    values: with "raw", the number of each element, or None for its id.

    >>> Encoding("raw", (60.0, 62.0, 64.0)).values
    (60.0, 62.0, 64.0)
    """

    name: str
    values: tuple[float, ...] | None = None


def own_numbers(elements: Sequence[str] | None) -> Values | None:
    """Return the numbers that the elements are, such as pitches. None unless all are numbers.

    >>> own_numbers(["60", "62.5"]).tolist(), own_numbers(["60", "C4"])
    ([60.0, 62.5], None)
    """
    if elements is None or any("_" in element for element in elements):  # float() accepts 1_000
        return None
    try:
        values = np.array([float(element) for element in elements])
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def by_rule(rule: str, n: int, own: Values | None) -> Encoding:
    """Return the encoding that a rule of `RULES` stands for.

    rule: a key of `RULES`.
    n: number of elements.
    own: the numbers that the elements are, shape (n,), or None.

    Raises `ValueError` for a rule that does not fit.

    >>> by_rule("id/n", 4, None)
    Encoding(name='scaled', values=None)
    >>> by_rule("id+1", 3, None).values
    (1.0, 2.0, 3.0)
    """
    numbers = _numbers(rule, n, own)
    if rule in ("id/n", "id"):
        return Encoding("scaled" if rule == "id/n" else "raw")
    return Encoding("raw", tuple(numbers.tolist()))


def _numbers(rule: str, n: int, own: Values | None) -> Values:
    if rule not in RULES:
        raise OptionError("input_values", f"{n} numbers or one of {', '.join(RULES)}", rule)
    if rule.startswith(_OWN) and own is None:
        raise ValueError(f"{option('input_values', rule)}: the elements are not numbers")
    ids = np.arange(n, dtype=np.float64)
    with np.errstate(all="ignore"):
        numbers = RULES[rule](ids, ids if own is None else own)
        if not np.isfinite(numbers.astype(np.float32)).all():
            raise ValueError(f"{option('input_values', rule)}: it gives numbers that are not finite")
    return numbers


def described(rule: str, n: int) -> str:
    """Return a rule for `n` elements in words that name the encoding.

    >>> described("id/n", 50), described("id+1", 50)
    ('scaled (id / 50)', 'raw (id+1)')
    """
    words = {"id/n": f"scaled (id / {n})", "id": "raw (the id itself)", _OWN: "raw (the element's own number)"}
    return words.get(rule, f"raw ({rule})")


def number_encoding(
    network: Network, encoding: str | None, own: Values | None, sequence: Sequence[int], where: str
) -> tuple[Encoding, list[Assumption]]:
    """Return how one number a step stands for an element of a generator, and what is assumed.

    network: the network.
    encoding: "scaled", "raw", or None if no option gave it.
    own: the numbers that the elements are, or None.
    sequence: ids like those of the training. If there are enough, the rule that predicts them best
        is taken.
    where: what the sequence is, in the words of the sentence.

    In the example 1 follows 0, and 0 follows 1. The network knows that only of ids as they are.

    >>> from lstmgen.network import Layer
    >>> arrays = {"kernel": np.array([[9.0, -9.0]]), "bias": np.array([-4.5, 4.5])}
    >>> layer = Layer("dense", "output", {"units": 2, "activation": "softmax"}, arrays)
    >>> network = Network((layer,), 1, 1, "")
    >>> number_encoding(network, "scaled", None, [], "")
    (Encoding(name='scaled', values=None), [])
    >>> encoding, assumed = number_encoding(network, None, None, [0, 1] * 9, "a tune")
    >>> encoding.name, assumed[0].doubtful
    ('raw', True)
    """
    n = network.outputs
    if encoding == "scaled":
        return Encoding("scaled"), []
    rules = _fitting(n, own, _RAW_RULES if encoding == "raw" else tuple(RULES))
    if len(rules) == 1:
        return by_rule(rules[0], n, own), []
    scores = {}
    for rule in rules:
        if (score := bits(network, by_rule(rule, n, own), sequence)) is None:
            return _self_checked(network, own, [rule for rule in rules if rule in _COMMON])
        scores[rule] = score
    chance, best = float(np.log2(n)), min(scores.values())
    if best >= chance:
        checked, said = _self_checked(network, own, [rule for rule in rules if rule in _COMMON])
        why = f"no way for a number to enter predicts {where} better than chance: the best {best:.2f} bits an element"
        return checked, [Assumption(f"{said[0].text}; {why}", doubtful=True)]
    taken = next(rule for rule in rules if scores[rule] <= best + 0.05)  # of equal rules the most common
    others = sorted((scores[rule], rule) for rule in rules if rule != taken)
    against = sorted({others[0], *(other for other in others if other[1] in ("id/n", "id"))})
    rest = " and ".join(f"{score:.2f} for {described(rule, n)}" for score, rule in against)
    text = f"encoding {described(taken, n)}: {scores[taken]:.2f} bits an element on {where}, against {rest}"
    return by_rule(taken, n, own), [Assumption(text, doubtful=True)]


def _fitting(n: int, own: Values | None, rules: Iterable[str]) -> list[str]:
    """Return the rules that can be followed.

    A rule that gives the same numbers as an earlier one is left out.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for rule in rules:
        with contextlib.suppress(ValueError):
            numbers = _numbers(rule, n, own).astype(np.float32)
            if not any(np.array_equal(numbers, other) for other in found.values()):
                found[rule] = numbers
    return list(found)


# Another rule is taken if it has 0.1 bits, and 5 times as many as the most common rule. A network
# that was trained with another rule has almost none with the most common one.
_CLEAR = 0.1, 5


def _self_checked(network: Network, own: Values | None, rules: Sequence[str]) -> tuple[Encoding, list[Assumption]]:
    """Return the encoding of one of the rules, and what is assumed.

    It is the first rule, unless the output depends on the input with another one alone. Numbers of
    another scale than in training drive a network to one end of its range. It then gives the same
    output for almost any window.
    """
    n, common = network.outputs, rules[0]
    found = {rule: dependence(network, by_rule(rule, n, own)) for rule in rules}
    taken = max(rules, key=lambda rule: found[rule])
    least, times = _CLEAR
    if found[taken] < max(least, times * found[common]):
        taken = common
    others = " and ".join(f"with {described(rule, n)} {found[rule]:.2f}" for rule in rules if rule != taken)
    text = (
        f"encoding {described(taken, n)}: with it {found[taken]:.2f} bits of the next element depend on the window, "
        f"{others}; {option('encoding')} and {option('input_values')} say otherwise"
    )
    return by_rule(taken, n, own), [Assumption(text, doubtful=True)]


# -- how likely a sequence is --------------------------------------------------------------------

_STEPS = 40  # the length of a window if the model has none
_LEAST, _MOST = 8, 128  # the least and the highest number of windows to run
_WORK = 5e8  # multiply-adds that the windows may take together


def bits(network: Network, encoding: Encoding, sequence: Sequence[int]) -> float | None:
    """Return the bits of each element of a sequence, given the window before it.

    network, encoding: how the elements enter the network.
    sequence: ids. None is returned if there are too few.

    The result is the mean over at most 128 windows that are spread over the sequence. A large
    network runs fewer. Windows are full. Shorter ones count if there is no full one and the network
    allows them.

    >>> from lstmgen.network import Layer
    >>> arrays = {"kernel": np.zeros((4, 4)), "bias": np.zeros(4)}
    >>> layer = Layer("dense", "output", {"units": 4, "activation": "softmax"}, arrays)
    >>> bits(Network((layer,), 2, 4, ""), Encoding("onehot"), [0, 1, 2, 3])
    2.0
    """
    steps = network.window or _STEPS
    full = len(sequence) - steps
    if full > 0:
        ends = np.arange(steps, len(sequence))
    elif network.fixed_steps or len(sequence) < 3:
        return None
    else:
        ends = np.arange(1, len(sequence))
    most = min(_affordable(network, steps), len(ends))
    ends = ends[np.unique(np.linspace(0, len(ends) - 1, most).astype(int))]
    ids = np.asarray(sequence)
    total = 0.0
    for length in sorted({min(int(end), steps) for end in ends}):
        rows = ends[np.minimum(ends, steps) == length]
        logs = _log_probabilities(network, encoding, np.stack([ids[end - length : end] for end in rows]))
        total -= float(logs[np.arange(len(rows)), ids[rows]].sum())
    return total / len(ends) / float(np.log(2)) if np.isfinite(total) else float("inf")


def least_bits(network: Network, encoding: str | None, own: Values | None, sequence: Sequence[int]) -> float:
    """Return the `bits` of the likeliest way for the elements to enter.

    network: a generator.
    encoding: "scaled", "raw", or None if no option gave it.
    own: the numbers that the elements are, shape (n,), or None.
    sequence: ids. The result is infinite if there are too few.

    >>> from lstmgen.network import Layer
    >>> arrays = {"kernel": np.zeros((4, 4)), "bias": np.zeros(4)}
    >>> layer = Layer("dense", "output", {"units": 4, "activation": "softmax"}, arrays)
    >>> least_bits(Network((layer,), 2, 4, ""), None, None, [0, 1, 2, 3])
    2.0
    """
    n = network.outputs
    if network.input_size == 1 and not network.takes_ids:
        rules = ["id/n"] if encoding == "scaled" else _fitting(n, own, _RAW_RULES if encoding == "raw" else RULES)
        ways = [by_rule(rule, n, own) for rule in rules]
    else:
        ways = [Encoding("index" if network.takes_ids else "onehot")]
    scores = [bits(network, way, sequence) for way in ways]
    return min((score for score in scores if score is not None), default=float("inf"))


def dependence(network: Network, encoding: Encoding) -> float:
    """Return how many bits of the next element depend on the window.

    network, encoding: how the elements enter the network.

    The result is the mutual information over random windows, at least 0.

    >>> from lstmgen.network import Layer
    >>> arrays = {"kernel": np.zeros((4, 4)), "bias": np.zeros(4)}
    >>> layer = Layer("dense", "output", {"units": 4, "activation": "softmax"}, arrays)
    >>> dependence(Network((layer,), 2, 4, ""), Encoding("onehot"))
    0.0
    """
    steps = network.window or _STEPS
    count = _affordable(network, steps)
    windows = np.random.default_rng(0).integers(0, network.outputs, (count, steps))
    logs = _log_probabilities(network, encoding, windows)
    p = np.exp(logs)
    mean = p.mean(axis=0)
    information = (p * logs).sum(axis=1).mean() - (mean * np.log(np.maximum(mean, 1e-300))).sum()
    return max(0.0, float(information / np.log(2))) if np.isfinite(information) else 0.0


def _affordable(network: Network, steps: int) -> int:
    """Return how many windows a network can run on without a long wait."""
    weights = sum(a.size for layer in network.layers for a in layer.arrays.values() if layer.type != "embedding")
    return int(np.clip(_WORK / (weights * steps), _LEAST, _MOST))


def _log_probabilities(network: Network, encoding: Encoding, windows: NDArray[np.int64]) -> Values:
    """Return the natural logarithm of the probability of each element after each window.

    windows: ids (rows, steps).

    Returns (rows, elements).
    """
    x = np.stack([reference.encode(network, encoding.name, window.tolist(), encoding.values) for window in windows])
    y = reference.forward(network, x, np.float32)
    kind, activation = _output_kind(network)
    with np.errstate(all="ignore"):
        logits = (y[:, -1] if network.returns_sequences else y).astype(np.float64)
        if kind != "logits" and activation != "log_softmax":
            logits = np.log(np.maximum(logits, 1e-12))
        logits -= logits.max(axis=-1, keepdims=True)
        result: Values = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return result


def given_values(values: object, n: int, own: Values | None) -> Encoding:
    """Return the encoding that the option `input_values` asks for.

    values: a key of `RULES`, or a number for each element.
    n: number of elements.
    own: the numbers that the elements are, or None.

    >>> given_values([0.5, 1], 2, None)
    Encoding(name='raw', values=(0.5, 1.0))
    """
    if isinstance(values, str):
        return by_rule(values, n, own)
    if isinstance(values, bytes) or not isinstance(values, Iterable):
        raise OptionTypeError("input_values", f"{n} numbers or one of {', '.join(RULES)}", values)
    numbers = list(values)
    if not all(isinstance(number, int | float | np.integer | np.floating) for number in numbers):
        raise OptionTypeError("input_values", f"{n} numbers", numbers)
    return Encoding("raw", tuple(map(float, numbers)))


# -- what fills a short window -------------------------------------------------------------------

_PAD_NAME = re.compile(r"[<\[({_|]+pad(ding)?[>\])}_|]+", re.IGNORECASE)
_PAD_WORD = re.compile(r"pad(ding)?", re.IGNORECASE)  # it counts only as element 0
_UNKNOWN = re.compile(r"[<\[({_|]+(?:unk|unknown|oov|ukn)[>\])}_|]+|unk|oov", re.IGNORECASE)
_START = re.compile(r"<s>|[<\[|]+(start|bos|sos|go|begin|startoftext)[>\]|]+|startseq", re.IGNORECASE)


class Padding(NamedTuple):
    """What fills a short window.

    id: the id that does, or None.
    zeros: whether vectors of zeros do.

    >>> Padding(0).id, Padding(zeros=True).id
    (0, None)
    """

    id: int | None = None
    zeros: bool = False


def padding_of(
    network: Network, encoding: str, elements: Sequence[str] | None, sequence: Sequence[str]
) -> tuple[Padding, list[Assumption]]:
    """Return what fills a short window if no option gives it, and what is assumed.

    network, encoding: how the elements enter the network.
    elements: the vocabulary, or None.
    sequence: elements of a corpus. It may be empty.

    >>> from lstmgen.network import Layer
    >>> arrays = {"kernel": np.zeros((3, 3)), "bias": np.zeros(3)}
    >>> layer = Layer("dense", "output", {"units": 3, "activation": "softmax"}, arrays)
    >>> padding_of(Network((layer,), 2, 3, ""), "onehot", ["<pad>", "a", "b"], [])[0]
    Padding(id=0, zeros=False)
    """
    masked = _masked_value(network)
    if elements is not None:
        named = [i for i, e in enumerate(elements) if _PAD_NAME.fullmatch(e) or (i == 0 and _PAD_WORD.fullmatch(e))]
        if len(named) == 1:
            text = f"element {named[0]}, {elements[named[0]]!r}, fills a short window and is never drawn"
            return Padding(named[0]), [Assumption(text)]
    if network.takes_ids and masked == 0:
        if elements is None:
            return Padding(0), [Assumption("id 0 fills a short window and is never drawn: the Embedding masks it")]
        first = elements[0]
        if first not in sequence and (_UNKNOWN.fullmatch(first) or re.fullmatch(r"[<\[].*[>\]]", first)):
            text = f"id 0, {first!r}, fills a short window and is never drawn: the Embedding masks it (mask_zero)"
            return Padding(0), [Assumption(text)]
        text = f"id 0, {first!r}, is an element like any other, although the Embedding masks it (mask_zero)"
        return Padding(), [Assumption(text, doubtful=True)]
    if masked == 0 and network.window and encoding in writer.PADDED_WITH_ZEROS:
        return Padding(zeros=True), [Assumption("zero vectors fill a short window: the network masks them")]
    return Padding(), []


def short_prime(network: Network, encoding: str) -> list[Assumption]:
    """Return what is assumed of a prime shorter than the window if nothing fills the window.

    network, encoding: how the elements enter the network.

    >>> from lstmgen.network import Layer
    >>> arrays = {"kernel": np.zeros((3, 3)), "bias": np.zeros(3)}
    >>> layer = Layer("dense", "output", {"units": 3, "activation": "softmax"}, arrays)
    >>> short_prime(Network((layer,), 1, 3, ""), "onehot")
    []
    """
    if not network.window:
        text = "no fixed number of time steps: the state is carried from element to element"
        return [Assumption(f"{text}; {option('window', ...)} sets one")]
    if network.window < 2:
        return []
    if network.fixed_steps:
        return [Assumption(f"a prime has at least {network.window} elements, as the network takes exactly that many")]
    zeros = "" if encoding == "index" else f"; {option('padding', 'zeros')} puts zero vectors before it"
    return [Assumption(f"a prime shorter than {network.window} elements is read as it is, from the zero state{zeros}")]


def given_padding(padding: object, elements: Sequence[str] | None, count: int) -> Padding:
    """Return what the option `padding` asks for.

    padding: "zeros", "none", an element, or its id from 0 to count - 1.
    elements: the vocabulary, or None.
    count: number of elements.

    Raises `ValueError` for anything else.

    >>> given_padding("zeros", None, 3), given_padding("b", ["a", "b"], 2)
    (Padding(id=None, zeros=True), Padding(id=1, zeros=False))
    """
    if padding == "zeros":
        return Padding(zeros=True)
    if padding == "none":
        return Padding()
    if isinstance(padding, str):
        if elements is not None and padding in elements:
            return Padding(elements.index(padding))
        if padding.isascii() and padding.isdigit() and len(padding) < 10:
            padding = int(padding)
    if isinstance(padding, int | np.integer) and not isinstance(padding, bool) and 0 <= padding < count:
        return Padding(int(padding))
    known = "an id" if elements is None else "an element of the vocabulary, an id"
    raise OptionError("padding", f"'zeros', 'none', or {known} from 0 to {count - 1}", padding)


def assumed_of_names(elements: Sequence[str] | None, padding: Padding) -> list[Assumption]:
    """Return what is assumed of elements whose names have a usual meaning.

    elements: the vocabulary, or None.
    padding: what fills a short window.

    >>> assumed_of_names(["a", "<unk>"], Padding())[0].text[:30]
    "'<unk>' stands for what is not"
    """
    for i, element in enumerate(elements or ()):
        if i != padding.id and _UNKNOWN.fullmatch(element):
            return [Assumption(f"{element!r} stands for what is not known, and is drawn like any other element")]
    return []


def start_element(elements: Sequence[str] | None) -> str | None:
    """Return the element that is put before each text, such as `<s>`, or None.

    >>> start_element(["a", "<s>"])
    '<s>'
    """
    return next((element for element in elements or () if _START.fullmatch(element)), None)


def _masked_value(network: Network) -> float | None:
    """Return the number that a mask of the network's input leaves out, or None without a mask."""
    masks = [
        layer for i, layer in enumerate(network.layers) if layer.type == "mask" and NETWORK_INPUT in network.inputs(i)
    ]
    return float(masks[0].options["value"]) if masks else None
