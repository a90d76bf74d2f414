"""The parameters of `/v1/completions`, and their checks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from lstmgen.arguments import Flag, Integer, near
from lstmgen.batch import Batch, Prepared
from lstmgen.engine_terms import decode, stops_of
from lstmgen.errors import NO_VALUE, OptionError, OptionTypeError, option, spelled
from lstmgen.model import Model
from lstmgen.options import TABLE, recommended
from lstmgen.serving.engine import MOST_PRIMES
from lstmgen.serving.failures import Failure, failure_of
from lstmgen.serving.limits import Limits
from lstmgen.vocabulary import plain_ids

# The library's names of parameters of OpenAI's API.
_NAMES = {"prompt": "prime", "max_tokens": "length"}
_OWN = ("model", "n", "best_of", "stream", "stream_options", "echo", "suffix", "user")
_NOT_HERE = {
    "beam": "not supported: use lstmgen sample on the command line",
    "logits_processor": "not supported: a request cannot hold a function",
    "include_prime": "not supported: use echo",
}
_KNOWN = (*_OWN, *_NAMES, *(name for name in TABLE if name not in _NOT_HERE))
_MOST = 128  # sequences in a request
_DIGITS = 20  # of a number that is no id
_MOST_DIGITS = 1000  # of an integer in a request
_MOST_VALUES = 100_000  # in the JSON of a request. No other request is answered while it is read
_MOST_STOPS = 2**16  # letters in all texts of an option. Each sequence looks for them
_LOGPROBS = Integer(0, most=100)
_MOST_LOGPROBS = 500_000  # log-probabilities in an answer that is no stream


class Asked(NamedTuple):
    """A request for completions, checked.

    prompts: for each prompt, its prepared candidates.
    texts: for each prompt, its text, which is empty without echo.
    stops: the stops, as `stops_of` returns them, in order.
    n: how many candidates of each prompt the answer has.
    stream: whether the answer is a stream.
    echo: whether each choice begins with its prompt.
    usage: whether a stream ends with the usage.
    logprobs: whether the answer has log-probabilities.
    """

    prompts: list[list[Prepared]]
    texts: list[str]
    stops: tuple[list[list[int]], list[bytes]]
    n: int
    stream: bool
    echo: bool
    usage: bool
    logprobs: bool


def parsed(data: bytes) -> dict[str, Any]:
    """Return the JSON object of a body. Raises `Failure` for anything else.

    >>> parsed(b'{"model": "latex"}')
    {'model': 'latex'}
    """
    try:
        text = data.decode()
        _check_size(text)
        found = json.loads(text, parse_int=_whole)
    except RecursionError:
        raise Failure(400, "the body: expected JSON, found lists or objects that are nested too deeply") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Failure(400, f"the body: expected JSON, found other text: {error}") from None
    if not isinstance(found, dict):
        raise Failure(400, f"the body: expected a JSON object, found {type(found).__name__}")
    return found


def _check_size(text: str) -> None:
    """Raise `Failure` for JSON of too many values."""
    if _values(text) > _MOST_VALUES and text.count('"') <= 4 * _MOST_VALUES:
        text = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])  # without its texts
    if _values(text) > _MOST_VALUES:
        raise Failure(413, f"the body: expected at most {_MOST_VALUES:,} values, found more", code="too_large")


def _whole(digits: str) -> int:
    """Return an integer. The time to read one grows with the square of its digits."""
    if len(digits) > _MOST_DIGITS:
        raise Failure(400, f"the body: expected integers of at most {_MOST_DIGITS:,} digits, found more")
    return int(digits)


def _values(text: str) -> int:
    return sum(map(text.count, "[{,"))


def asked(body: dict[str, Any], batch: Batch, limits: Limits) -> Asked:
    """Check the parameters of a request, and prepare its sequences.

    It may take seconds. Any thread may call it. Raises `Failure` for a wrong parameter.

    >>> import lstmgen
    >>> batch = lstmgen.Batch("latex")
    >>> found = asked({"prompt": "Let", "max_tokens": 5, "seed": 1, "n": 2}, batch, Limits())
    >>> [prepared.sampler["seed"] for prepared in found.prompts[0]]
    [1, 2]
    """
    names = {_NAMES.get(name, name): name for name in body}

    def spelling(name: str, value: object) -> str:
        name = names.get(name) or {"prime": "prompt", "length": "max_tokens"}.get(name, name)
        return name if value is NO_VALUE or value is ... else f'"{name}": {json.dumps(value)}'

    with spelled(spelling):
        try:
            return _asked(dict(body), batch, limits)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise failure_of(error, names) from None


def _asked(body: dict[str, Any], batch: Batch, limits: Limits) -> Asked:
    _check_names(body)
    body = {_NAMES.get(name, name): value for name, value in body.items()}
    n = _integer(body, "n", 1)
    best_of = _integer(body, "best_of", n)
    stream, echo = _flag(body, "stream"), _flag(body, "echo")
    if best_of < n:
        raise OptionError("best_of", f"at least n, which is {n}", best_of)
    if stream and best_of > n:
        raise OptionError("best_of", "at most n in a stream, which sends samples before it can compare them", best_of)
    usage = body.get("stream_options") or {}
    if not isinstance(usage, Mapping):
        raise OptionTypeError("stream_options", "an object", usage)
    model = batch.model
    primes = _prompts(body.get("prime"), model.vocabulary is not None)
    most = min(_MOST, limits.parallel + limits.queue)
    if len(primes) * best_of > most:
        raise Failure(400, f"n: expected at most {most} sequences for all prompts, found {len(primes) * best_of}", "n")
    options = _options(body, model, limits)
    if (logprobs := options.get("logprobs")) is not None:
        whole = len(primes) * best_of * (_LOGPROBS.check("logprobs", logprobs) + 1) * options["length"]
        if not stream and whole > _MOST_LOGPROBS:
            raise OptionError("logprobs", f"at most {_MOST_LOGPROBS:,} numbers in all without stream", whole)
    prompts: list[list[Prepared]] = []
    texts = []
    seed = body.get("seed")
    for prime in primes:
        first = batch.prepare({**options, "prime": prime, "seed": seed}, scored=best_of > n)
        seed = first.sampler["seed"] if seed is not None else first.sampler["seed"] >> 12  # exact in JavaScript
        TABLE["seed"].values.check("seed", seed + best_of - 1)
        if (size := best_of * len(primes) * len(first.prime)) > MOST_PRIMES:
            message = f"prompt: expected at most {MOST_PRIMES:,} elements for all sequences, found {size:,}"
            raise Failure(400, message, "prompt")
        many = [first._replace(sampler={**first.sampler, "seed": seed + i}) for i in range(best_of)]
        prompts.append(many)
        seed += best_of
        ids = first.prime[first.added :].tolist() if echo else []
        decoded = decode(model, ids)
        texts.append(decoded if isinstance(decoded, str) else " ".join(map(str, decoded)))
    ids, stop_texts = stops_of(model, options.get("stop"))
    stops = sorted(ids), sorted(stop_texts)
    usage_too = bool(usage.get("include_usage"))
    return Asked(prompts, texts, stops, n, stream, echo, usage_too, logprobs is not None)


def _check_names(body: Mapping[str, Any]) -> None:
    """Raise `Failure` for a parameter that the server does not have."""
    for name in body:
        if name in _NOT_HERE and body[name] is not None:
            raise Failure(400, f"{name}: {_NOT_HERE[name]}", name)
        if name not in _KNOWN and name not in _NOT_HERE:
            raise Failure(400, f"unknown parameter {name!r:.60}{near(name, _KNOWN)}", name[:60])
    for theirs, ours in _NAMES.items():
        if theirs in body and ours in body:
            raise Failure(400, f"{theirs} and {ours} mean the same: give one of them", theirs)
    if body.get("suffix") is not None:
        raise Failure(400, "suffix: not supported: a recurrent network reads only what comes before", "suffix")


def _options(body: Mapping[str, Any], model: Model, limits: Limits) -> dict[str, Any]:
    """Return the options of sampling in a request, completed by those that the model recommends."""
    options = {name: value for name, value in body.items() if name not in _OWN and name not in ("prime", "seed")}
    options |= recommended(model.metadata["card"], options)
    if options.get("length") is None:
        options["length"] = min(1000, limits.length)
    elif TABLE["length"].values.check("length", options["length"]) > limits.length:  # type: ignore[operator]
        raise OptionError("length", f"at most {limits.length}", options["length"])
    for name in ("stop", "dry_sequence_breakers"):
        if (size := _size(options.get(name))) > _MOST_STOPS:
            raise OptionError(name, f"at most {_MOST_STOPS} letters in all", size)
    if options.get("logit_bias") is not None:
        options["logit_bias"] = _biases(options["logit_bias"])
    if model.vocabulary is None and isinstance(options.get("stop"), (str, list)):
        options["stop"] = _stops_of_ids(options["stop"])
    return options


def _integer(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name)
    return default if value is None else Integer(1, most=_MOST).check(name, value)


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    return False if value is None else Flag().check(name, value)


def _prompts(given: object, named: bool) -> list[Any]:
    """Return the prompts of a request as a list."""
    if given is None or given in ("", []):
        return [None]
    if isinstance(given, str):
        return [_prompt(given, named)]
    if not isinstance(given, list):
        raise OptionTypeError("prime", "a text, ids, or a list of these", given)
    if all(isinstance(one, int) and not isinstance(one, bool) for one in given):
        return [given]
    if all(isinstance(one, str) for one in given) or all(isinstance(one, list) for one in given):
        if len(given) > _MOST:
            raise Failure(400, f"{option('prime')}: expected at most {_MOST} prompts, found {len(given)}", "prompt")
        return [_prompt(one, named) for one in given]
    raise OptionTypeError("prime", "a text, ids, or a list of these", given)


def _prompt(given: Any, named: bool) -> Any:
    if isinstance(given, str):
        return (given if named else plain_ids(given) or given) or None
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in given):
        raise OptionTypeError("prime", "a text, ids, or a list of these", given)
    return given or None


def _biases(given: object) -> Any:
    """Return biases with ids as integers. All keys of JSON are texts."""
    if not isinstance(given, Mapping):
        return given
    numbers = {key for key in given if key.isascii() and key.isdigit() and len(key) < _DIGITS}
    return {int(key) if key in numbers else key: value for key, value in given.items()}


def _size(given: object) -> int:
    """Return how many letters and values there are."""
    return len(given) if isinstance(given, str) else 1 + sum(map(_size, given)) if isinstance(given, list) else 1


def _stops_of_ids(given: Any) -> Any:
    found = [given] if isinstance(given, str) else given
    return [plain_ids(one) or one if isinstance(one, str) else one for one in found]
