"""The options of sampling: what each means, what it may be, and where it comes from.

This is the one list of them. The checks, the flags of `lstmgen sample`, the attributes of a
`Stream`, the table in docs/sampling.md (`python -m lstmgen.options` prints it) and what the engine
is told follow from it by name.
"""

# Without `from __future__ import annotations`: the annotations of the classes below are read as
# objects.
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, TypedDict

from lstmgen.arguments import Biases, Flag, Function, Integer, Kind, Number, Text, in_short, near
from lstmgen.errors import OptionError, option

Elements = str | Iterable[str | int]
LogitsProcessor = Callable[[Any, Any], object]  # of two arrays: ids and logits
LogitBias = Mapping[str, float] | Mapping[int, float] | Mapping[str | int, float]

MOST_ROWS = 2**20  # that one call draws: each takes a few kilobytes before anything is drawn

# -- the options ---------------------------------------------------------------------------------


class Option(NamedTuple):
    """The facts of an option, except for its name and its type.

    values: the values that it may have.
    meaning: what it does, in sentences. Backticks mark the names of other options.
    default: the value that has the same effect as no value.
    without: what holds if the default is None.
    source: the paper or the program that it comes from.
    flags: short flags of the command line.
    one_of: options with the same text here exclude each other.
    none: what the value None means, if that is not the same as no value.
    changes: whether it may change between two elements of a stream.
    flag: whether the command line has it.
    only: "sample" or "stream", if the other one does not have it.

    >>> TABLE["top_k"].values.least, TABLE["top_k"].changes
    (1, True)
    """

    values: Kind
    meaning: str
    default: object = None
    without: str = "off"
    source: str = ""
    flags: tuple[str, ...] = ()
    one_of: str = ""
    none: str = ""
    changes: bool = False
    flag: bool = True
    only: str = ""


_TEMPERATURE = "temperature"
_MOST = "keeps the most likely"
LOOKBACK = 4096  # elements: LSTMGEN_MAX_LOOKBACK of the engine
MOST_SEQUENCES = 4096  # of a batch: LSTMGEN_MAX_BATCH of the engine
_ALL = f"-1: the last {LOOKBACK}, the most that are remembered."
_LLAMA = "llama.cpp"
_DRY = "p-e-w 2024, github.com/oobabooga/text-generation-webui/pull/5677; llama.cpp"
_XTC = "p-e-w 2024, github.com/oobabooga/text-generation-webui/pull/6335; llama.cpp"
_MIROSTAT = "Basu et al. 2021, arXiv:2007.14966; llama.cpp"
_DYNATEMP = "kalomaze 2023, github.com/ggml-org/llama.cpp/pull/4972; llama.cpp"


class _Common(TypedDict, total=False):
    include_prime: Annotated[bool, Option(Flag(), "The prime comes first in the result.", default=False)]
    logit_bias: Annotated[
        LogitBias | None,
        Option(
            Biases(),
            "Numbers to add to the logits of elements. -inf bans an element.",
            source="llama.cpp",
            changes=True,
        ),
    ]
    allow: Annotated[
        Elements | None,
        Option(
            Text("text, elements or ids", (Iterable,)),
            "Only these elements can be drawn.",
            without="all",
            changes=True,
        ),
    ]
    ban: Annotated[
        Elements | None,
        Option(
            Text("text, elements or ids", (Iterable,)),
            "These elements cannot be drawn, not even those of `allow`.",
            without="none",
            changes=True,
        ),
    ]
    grammar: Annotated[
        str | None,
        Option(
            Text("a grammar in GBNF, or 'own'", (str,), metavar="FILE"),
            "Draws only elements that keep the text within this grammar (docs/grammar.md). 'own' is the grammar of the "
            "model.",
            without="none",
            source="llama.cpp",
            one_of="grammar",
            changes=True,
        ),
    ]
    finish: Annotated[
        bool,
        Option(
            Flag(),
            "Completes the text of a grammar before `length` is reached. Without, a text of a grammar may be cut off "
            "anywhere.",
            default=True,
            changes=True,
        ),
    ]
    grammar_prime: Annotated[
        bool,
        Option(
            Flag(),
            "The text of the grammar begins with the prime, if the prime is given or is in the result. Without, it "
            "begins after the prime.",
            default=True,
        ),
    ]
    repeat_penalty: Annotated[
        float | None,
        Option(
            Number(0, without_least=True),
            "Above 1, each of the last `repeat_last_n` elements becomes less likely. Its logit is divided by this "
            "number if it is above 0, and multiplied by it otherwise.",
            source="Keskar et al. 2019, arXiv:1909.05858; llama.cpp",
            changes=True,
        ),
    ]
    frequency_penalty: Annotated[
        float | None,
        Option(
            Number(-math.inf),
            "Subtracted from the logit of each of the last `repeat_last_n` elements, once for each time that it occurs "
            "among them.",
            source=_LLAMA,
            changes=True,
        ),
    ]
    presence_penalty: Annotated[
        float | None,
        Option(
            Number(-math.inf),
            "Subtracted once from the logit of each of the last `repeat_last_n` elements.",
            source=_LLAMA,
            changes=True,
        ),
    ]
    repeat_last_n: Annotated[
        int | None,
        Option(
            Integer(-1, most=LOOKBACK),
            f"How many of the last elements the three penalties count. {_ALL}",
            default=64,
            source=_LLAMA,
            changes=True,
        ),
    ]
    dry_multiplier: Annotated[
        float | None,
        Option(
            Number(0),
            "Above 0, turns on DRY, a penalty for repetitions. An element that would continue a repetition of n "
            "elements loses multiplier * base ** (n - allowed length) from its logit. The repetition "
            "is the longest end of the text that also occurs before, with this element after it.",
            source=_DRY,
            changes=True,
        ),
    ]
    dry_base: Annotated[
        float | None,
        Option(
            Number(1),
            "How fast the penalty of DRY grows with the length of a repetition.",
            default=1.75,
            source=_DRY,
            changes=True,
        ),
    ]
    dry_allowed_length: Annotated[
        int | None,
        Option(
            Integer(1),
            "Repetitions of fewer elements have no penalty.",
            default=2,
            source=_DRY,
            changes=True,
        ),
    ]
    dry_penalty_last_n: Annotated[
        int | None,
        Option(
            Integer(-1, most=LOOKBACK),
            f"How many of the last elements DRY searches. {_ALL}",
            default=LOOKBACK,
            source=_DRY,
            changes=True,
        ),
    ]
    dry_sequence_breakers: Annotated[
        str | Sequence[str] | None,
        Option(
            Text("a text or a list of texts", (Iterable,), several=True),
            "DRY counts a repetition from after the last of these texts on. An empty list means no such texts.",
            without='line ends, and the characters : " *, if the model has them',
            source=_DRY,
            changes=True,
        ),
    ]
    top_n_sigma: Annotated[
        float | None,
        Option(
            Number(0),
            "Filter: keeps the elements whose logits are within n standard deviations of the greatest logit. 0: off.",
            source="Tang et al. 2024, arXiv:2411.07641; llama.cpp",
            changes=True,
        ),
    ]
    top_k: Annotated[
        int | None,
        Option(
            Integer(1),
            f"Filter: {_MOST} k elements.",
            source="Fan et al. 2018, arXiv:1805.04833; llama.cpp",
            changes=True,
        ),
    ]
    typical_p: Annotated[
        float | None,
        Option(
            Number(0, 1, without_least=True),
            "Filter: keeps the elements whose surprise is nearest to the entropy of the distribution, until together "
            "they have more than the probability p.",
            source="Meister et al. 2022, arXiv:2202.00666; llama.cpp",
            changes=True,
        ),
    ]
    top_p: Annotated[
        float | None,
        Option(
            Number(0, 1, without_least=True),
            f"Filter: {_MOST} elements that together have at least the probability p.",
            source="Holtzman et al. 2020, arXiv:1904.09751; llama.cpp",
            changes=True,
        ),
    ]
    min_p: Annotated[
        float | None,
        Option(
            Number(0, 1),
            "Filter: keeps the elements with at least p times the probability of the most likely one.",
            source="Nguyen et al. 2024, arXiv:2407.01082; llama.cpp",
            changes=True,
        ),
    ]
    xtc_probability: Annotated[
        float | None,
        Option(
            Number(0, 1),
            "Filter: with this probability, drops all elements that have at least the probability `xtc_threshold`, "
            "except for the least likely of them.",
            source=_XTC,
            changes=True,
        ),
    ]
    xtc_threshold: Annotated[
        float | None,
        Option(
            Number(0, 1),
            "XTC drops elements with at least this probability. Above 0.5 it drops none.",
            default=0.1,
            source=_XTC,
            changes=True,
        ),
    ]
    dynatemp_range: Annotated[
        float | None,
        Option(
            Number(0),
            "Above 0, the temperature depends on the entropy of the distribution. It rises from temp - range "
            "without entropy to temp + range with the greatest possible entropy.",
            source=_DYNATEMP,
            changes=True,
        ),
    ]
    dynatemp_exponent: Annotated[
        float | None,
        Option(
            Number(0),
            "The entropy, as a share of the greatest possible one, is raised to this power. Below 1, the temperature "
            "rises sooner.",
            default=1.0,
            source=_DYNATEMP,
            changes=True,
        ),
    ]
    mirostat: Annotated[
        int | None,
        Option(
            Integer(0, only=(0, 2)),
            "2: mirostat 2.0 replaces all filters and the dynamic temperature. It drops elements with a surprise above "
            "mu bits, and adapts mu so that the mean surprise becomes `mirostat_tau`. 0: off.",
            source=_MIROSTAT,
            changes=True,
        ),
    ]
    mirostat_tau: Annotated[
        float | None,
        Option(
            Number(0),
            "The mean surprise that mirostat aims at, in bits.",
            default=5.0,
            source=_MIROSTAT,
            changes=True,
        ),
    ]
    mirostat_eta: Annotated[
        float | None,
        Option(
            Number(0),
            "How fast mirostat adapts mu.",
            default=0.1,
            source=_MIROSTAT,
            changes=True,
        ),
    ]
    stop: Annotated[
        str | Sequence[str] | None,
        Option(
            Text("a text or a list of texts", (Iterable,), several=True),
            "The sample ends with the element that completes one of these texts. The result includes the text.",
            changes=True,
        ),
    ]
    refresh: Annotated[
        int | None,
        Option(
            Integer(1),
            "1: each element comes from a new window of the last T elements, as in a loop over Keras's predict. N: N "
            "elements come from one window, which is N times faster. A model without a window carries its state.",
            default=1,
            one_of="refresh",
            none="the network carries its state from element to element, which is fastest",
        ),
    ]
    on_unknown: Annotated[
        str,
        Option(
            Text("'error', 'skip' or an element", (str,), metavar="WHAT"),
            "What to do with elements outside the vocabulary. 'error' raises an error, and 'skip' leaves them out. An "
            "element takes their place.",
            default="error",
            changes=True,
        ),
    ]


class SamplingOptions(_Common, total=False):
    """How a sequence is drawn: the keywords of `Generator.sample`, `stream` and `astream`.

    `best_of` and `beam` are for `sample` alone, `logprobs` for the other two. docs/sampling.md has
    the meaning, the range, the default and the source of each. None has the same effect as no
    value, except for `length` and `refresh`.

    >>> import lstmgen
    >>> options: SamplingOptions = {"temp": 0.67, "top_k": 20, "seed": 1}
    >>> gen = lstmgen.Generator("latex")
    >>> gen.sample(20, **options) == gen.sample(20, temp=0.67, top_k=20, seed=1)
    True
    """

    temp: Annotated[
        float | None,
        Option(
            Number(0),
            "Temperature: the probability of an element is proportional to y ** (1 / temp), where y is the network's "
            "output for it. Below 1, likely elements become likelier. 0 takes the most likely element.",
            default=1.0,
            source="Ackley, Hinton and Sejnowski 1985",
            flags=("-t",),
            one_of=_TEMPERATURE,
            changes=True,
        ),
    ]
    temperature: Annotated[
        float | None,
        Option(Number(0), "The same as `temp`.", without="none", one_of=_TEMPERATURE, changes=True),
    ]
    inverse_temp: Annotated[
        float | None,
        Option(Number(0, without_least=True), "1 / `temp`.", without="none", one_of=_TEMPERATURE, changes=True),
    ]
    prime: Annotated[
        Elements | None,
        Option(
            Text("text, elements or ids", (Iterable,)),
            "The text to continue. With windows, only its last T elements count.",
            without="the model's own",
            one_of="prime",
        ),
    ]
    seed: Annotated[
        int | None,
        Option(
            Integer(0, bits=64),
            "The same seed gives the same sequence, with any number of threads and on every machine.",
            without="a new one",
            flags=("-s",),
        ),
    ]
    length: Annotated[
        int | None,
        Option(
            Integer(0),
            "The most elements to draw.",
            default=1000,
            flags=("-n",),
            none="a stream never ends",
            changes=True,
        ),
    ]
    best_of: Annotated[
        int | None,
        Option(
            Integer(1, most=MOST_ROWS),
            "Draws this many samples side by side, with the seeds `seed`, `seed` + 1 and so on. The result is the one "
            "with the greatest mean log-probability by the network alone.",
            without="1",
            one_of="search",
            only="sample",
        ),
    ]
    beam: Annotated[
        int | None,
        Option(
            Integer(1, most=MOST_ROWS),
            "Beam search, in which nothing is random. It keeps this many sequences, those with the greatest sum of "
            "log-probabilities. The result is the one with the greatest mean.",
            source="Lowerre 1976; Wu et al. 2016, arXiv:1609.08144",
            one_of="search",
            only="sample",
        ),
    ]
    logits_processor: Annotated[
        LogitsProcessor | None,
        Option(
            Function(),
            "A function that is called before each draw with the last ids and the logits, an array of float64 that it "
            "may change. All other options apply after it. It makes sampling slower.",
            changes=True,
            flag=False,
        ),
    ]
    logprobs: Annotated[
        int | None,
        Option(
            Integer(1),
            "A stream keeps the log-probabilities of this many elements at each draw, the most likely ones.",
            flag=False,
            only="stream",
        ),
    ]


class ManyOptions(_Common, total=False):
    """The keywords of `Generator.sample_many`.

    They are those of `SamplingOptions`, without `best_of`, `beam`, `logits_processor` and
    `logprobs`. `temperature`, `inverse_temp`, `prime` and `seed` may be lists, one value for each
    sequence.

    >>> options: ManyOptions = {"seed": [1, 2], "top_k": 20}
    >>> import lstmgen
    >>> len(lstmgen.Generator("latex").sample_many(2, 10, **options))
    2
    """

    temperature: float | Sequence[float] | None
    inverse_temp: float | Sequence[float] | None
    prime: Elements | Sequence[Elements | None] | None
    seed: int | Sequence[int] | None


def _table() -> dict[str, Option]:
    annotations = SamplingOptions.__annotations__
    own = [name for name in annotations if name not in _Common.__annotations__]
    return {name: annotations[name].__metadata__[0] for name in [*own, *_Common.__annotations__]}


TABLE: Mapping[str, Option] = _table()
CHANGEABLE = tuple(name for name, entry in TABLE.items() if entry.changes)
# What a model's card may recommend, under "sample".
_NOT_RECOMMENDED = ("temperature", "inverse_temp", "length", "on_unknown", "logits_processor", "grammar", "finish")
RECOMMENDED = tuple(name for name in CHANGEABLE if name not in _NOT_RECOMMENDED)
# The defaults that a signature shows.
SHOWN_DEFAULTS = {name: entry.default for name, entry in TABLE.items()}
# What sample takes, what a stream takes, and what sample_many takes.
SAMPLE = tuple(name for name, entry in TABLE.items() if entry.only != "stream")
STREAM = tuple(name for name, entry in TABLE.items() if entry.only != "sample")
MANY = tuple(name for name, entry in TABLE.items() if not entry.only and name != "logits_processor")

# -- checks of what a caller gives ---------------------------------------------------------------


def checked(who: str, given: Mapping[str, Any], known: Iterable[str] = TABLE) -> dict[str, Any]:
    """Return the options that have a value, after a check of each value.

    who: the name of the function that takes the options.
    given: the options. None has the same effect as no value, unless `Option.none` has a meaning.
    known: the options that the function takes.

    Raises `TypeError` for any other option. Raises `OptionError` for a wrong value, and for two
    options that exclude each other.

    >>> checked("sample", {"temp": 1, "top_k": None, "refresh": None})
    {'temp': 1.0, 'refresh': None}
    """
    known = tuple(known)
    values = {}
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"{who}() got an unexpected keyword argument {name!r}{near(name, known)}")
        entry = TABLE[name]
        if value is not None:
            values[name] = entry.values.check(name, value)
        elif entry.none:
            values[name] = None
    for name in values:
        rivals = [other for other in known if TABLE[other].one_of == TABLE[name].one_of != ""]
        if len(found := [option(other) for other in rivals if other in values]) > 1:
            raise OptionError(name, f"one of {', '.join(map(option, rivals))}", found)
    return values


def with_positional(who: str, given: Mapping[str, Any], **positional: Any) -> dict[str, Any]:
    """Return the options that are `given` by name together with those given by position.

    who: the name of the function that takes the options.

    Raises `TypeError` for an option that is given in both ways.

    >>> with_positional("sample", {"seed": 1}, length=20, temp=None)
    {'length': 20, 'temp': None, 'seed': 1}
    """
    if twice := [name for name in given if not _is_default(name, positional.get(name))]:
        raise TypeError(f"{who}() got multiple values for argument {twice[0]!r}")
    return {**positional, **given}


def _is_default(name: str, value: object) -> bool:
    return value is None or (type(value) in (int, float) and value == TABLE[name].default)


def temperature(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the temperature under the name that the engine has for it.

    values: checked options. Without a temperature among them the result is empty.

    >>> temperature({"inverse_temp": 4.0}), temperature({"top_k": 3})
    ({'temp': 0.25}, {})
    """
    if (inverse := values.get("inverse_temp")) is not None:
        if math.isinf(1 / inverse):
            raise OptionError("inverse_temp", "a number whose inverse is finite", inverse)
        return {"temp": 1 / inverse}
    given = [values[name] for name in ("temp", "temperature") if name in values]
    return {"temp": given[0]} if given else {}


def recommended(card: object, given: Iterable[str]) -> dict[str, Any]:
    """Return the options that a model's card recommends, without those that a caller gives.

    card: the card, from `Model.metadata`.
    given: the names of the given options. An option that one of them excludes is left out, too.

    >>> recommended({"sample": {"temp": 0.67, "min_p": 0.05}}, ["inverse_temp"])
    {'min_p': 0.05}
    """
    found = card.get("sample") if isinstance(card, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    taken = {TABLE[name].one_of or name for name in given}
    return {
        name: value
        for name, value in found.items()
        if name in RECOMMENDED and (TABLE[name].one_of or name) not in taken
    }


# -- the options in words ------------------------------------------------------------------------


def default(name: str) -> str:
    """Return in words what holds without the option `name`.

    >>> default("temp"), default("top_k"), default("seed")
    ('1', 'off', 'a new one')
    """
    entry = TABLE[name]
    if entry.default is None:
        return entry.without
    return f"{entry.default:g}" if isinstance(entry.default, float) else str(entry.default)


def worded(meaning: str, spell: Callable[[str], str]) -> str:
    """Return a meaning in which `spell` writes the names of other options.

    >>> worded("1 / `temp`.", lambda name: f"--{name}")
    '1 / --temp.'
    """
    return re.sub(r"`(\w+)`", lambda found: spell(found[1]), meaning)


def meanings(names: Iterable[str]) -> str:
    """Return options with meaning, values and default, one in each line.

    >>> meanings(["inverse_temp"])
    'inverse_temp: 1 / `temp`. (> 0; default: none)'
    """
    return "\n".join(_line(name, TABLE[name]) for name in names)


def _line(name: str, entry: Option) -> str:
    none = f" None: {entry.none}." if entry.none else ""
    return f"{name}: {entry.meaning}{none} ({in_short(entry.values)}; default: {default(name)})"


def table() -> str:
    """Return the options as a table in Markdown.

    >>> print(table().splitlines()[0])
    | option | values | default | meaning | source |
    """
    rows = [("option", "values", "default", "meaning", "source"), ("---",) * 5]
    for name, entry in TABLE.items():
        values = in_short(entry.values)
        if entry.none:
            values += ", or None"
        meaning = f"{entry.meaning} None: {entry.none}." if entry.none else entry.meaning
        if entry.only:
            meaning += f" Only for `{entry.only}`."
        rows.append((f"`{name}`", values, default(name), meaning, entry.source))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def typescript() -> str:
    """Return the options that are numbers, and that may change, as types for JavaScript.

    The build of web/ writes them to web/options.d.ts.

    >>> "  top_k?: number | null;" in typescript().splitlines()
    True
    """
    lines = ["// SPDX-License-Identifier: MIT", "/** Options that are numbers. */", "export interface NumberOptions {"]
    for name, entry in TABLE.items():
        if isinstance(entry.values, Number | Integer) and entry.changes and not entry.none:
            lines.append(f"  /** {entry.meaning} Values: {entry.values}. Default: {default(name)}. */")
            lines.append(f"  {name}?: number | null;")
    return "\n".join([*lines, "}", ""])


if __name__ == "__main__":
    if sys.argv[1:2] == ["typescript"]:
        with open(sys.argv[2], "w", encoding="utf-8") as written:
            written.write(typescript())
    else:
        print(table())
