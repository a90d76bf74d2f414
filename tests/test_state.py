"""A stream that is saved and continued is the stream that was not interrupted.

`Stream.save_state` saves it, and `stream(state=...)` continues it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lstmgen
from lstmgen import _core
from lstmgen.network import NETWORK_INPUT, Network
from support.networks import network, packed
from support.slow import slow_but

# These networks compute something else if their state is carried.
pytestmark = pytest.mark.filterwarnings("ignore:carried state gives another model:UserWarning")

HEAD = ("dense", 11, "softmax")
DAMAGED = "the state: "


def of(layers: list[Any], reads: dict[int, tuple[int, ...]] | None = None, **options: Any) -> Network:
    options.setdefault("inputs", 11)
    return network([*layers, HEAD], window=6, reads=reads, **options)


EMBEDDING = [("embedding", 7), ("lstm", 9), ("concatenate",)]

MODELS: dict[str, bytes] = {
    "two lstm": packed(),
    "two lstm in bf16": packed(dtype="bf16"),
    "two lstm in int8": packed(dtype="int8"),
    "embedding, gru": packed(of([("embedding", 7), ("gru", 70), ("gru", 8)]), encoding="index"),
    "gru of Keras 2": packed(of([("gru", 9, "elu", "sigmoid", False)])),
    "numbers": packed(of([("lstm", 9), ("simple_rnn", 8)], inputs=1), encoding="scaled"),
    "dense before": packed(of([("dense", 7, "relu"), ("lstm", 9), ("concatenate",), ("gru", 8)], {2: (0, 1)})),
    "output that reads an embedding": packed(of(EMBEDDING, {2: (0, 1)}, sequences=True), encoding="index"),
    "output that reads the input": packed(of([("lstm", 9), ("concatenate",)], {1: (NETWORK_INPUT, 0)}, sequences=True)),
    "attention": packed(of([("gru", 7), ("attention_pool", 1e-7)], sequences=True)),
    "average": packed(of([("gru", 7), ("average_pool",)], sequences=True), dtype="int8"),
    "maximum": packed(of([("gru", 7), ("max_pool",)], sequences=True)),
    "whole windows": packed(of([("reverse",), ("lstm", 9)], inputs=1), encoding="scaled"),
    "padding": packed(vocabulary=["", *"abcdefghij"], padding=0, prime=[1]),
    "raw numbers": packed(of([("lstm", 9)], inputs=1), encoding="raw", input_values=[i / 4 for i in range(11)]),
    "zeros": packed(zero_padding=True, prime=[1]),
    "zeros in whole windows": packed(of([("reverse",), ("lstm", 9)]), zero_padding=True, prime=[1]),
}


@pytest.fixture(params=MODELS)
def gen(request: pytest.FixtureRequest) -> lstmgen.Generator:
    return lstmgen.Generator(MODELS[request.param])


def refreshes(gen: lstmgen.Generator) -> tuple[int | None, ...]:
    # Up to the window, lanes run from what was read. From there on, at most two run along.
    return (1,) if gen.model.whole else (1, 4, gen.model.window, 50, 2**63 - 1, None)


def after(gen: lstmgen.Generator, state: bytes, length: int) -> str:
    return str(lstmgen.Generator(gen.model).stream(state=state).take(length))


# -- going on --------------------------------------------------------------------------------------


def test_a_saved_sample_ends_as_one_that_was_not_interrupted(gen: lstmgen.Generator) -> None:
    for refresh in refreshes(gen):
        whole = str(gen.sample(120, 0.8, seed=3, refresh=refresh))
        for drawn in (0, 1, 5, 6, 13, 57):
            stream = gen.stream(temp=0.8, seed=3, refresh=refresh)
            assert stream.take(drawn) == whole[:drawn]
            assert after(gen, stream.save_state(), 120 - drawn) == whole[drawn:]


@pytest.mark.parametrize("refresh", [1, 5, 50, None])
@pytest.mark.parametrize(
    "options",
    [
        {"repeat_penalty": 1.7},
        {"top_k": 4},
        {"top_p": 0.8, "min_p": 0.05},
        {"logit_bias": {"a": -3, "c": float("-inf")}, "temp": 2},
        {"prime": "abc"},
        {"prime": "abcdefghijk" * 9, "repeat_penalty": 1.1},
        {"temp": 0},
        {"mirostat": 2, "mirostat_tau": 2, "mirostat_eta": 0.5},
        {"dry_multiplier": 2, "dry_allowed_length": 1, "dry_sequence_breakers": ["ab", "c"], "temp": 0.3},
        {"xtc_probability": 0.5, "xtc_threshold": 0.05, "typical_p": 0.9, "top_n_sigma": 1.5},
        {"frequency_penalty": 0.3, "presence_penalty": -0.2, "repeat_last_n": 100, "ban": "a", "allow": "abcdef"},
        {"dynatemp_range": 0.5, "dynatemp_exponent": 2},
    ],
)
def test_the_options_are_kept(options: dict[str, Any], refresh: int | None) -> None:
    gen = lstmgen.Generator(packed())
    whole = str(gen.sample(150, seed=1, refresh=refresh, **options))
    for drawn in (0, 3, 70):
        stream = gen.stream(seed=1, refresh=refresh, **options)
        stream.take(drawn)
        assert after(gen, stream.save_state(), 150 - drawn) == whole[drawn:]


def test_many_short_pieces_are_one_long_sample(gen: lstmgen.Generator) -> None:
    for refresh in refreshes(gen):
        stream = gen.stream(seed=8, refresh=refresh)
        pieces = [str(stream.take(4))]
        for _ in range(14):
            stream = gen.stream(state=stream.save_state())
            pieces.append(str(stream.take(4)))
        assert "".join(pieces) == gen.sample(60, seed=8, refresh=refresh)


def test_saving_changes_nothing(gen: lstmgen.Generator) -> None:
    for refresh in refreshes(gen):
        stream = gen.stream(60, seed=8, refresh=refresh)
        states = []
        text = ""
        for letter in stream:
            text += str(letter)
            states.append(stream.save_state())
            assert stream.save_state() == states[-1]
        assert text == gen.sample(60, seed=8, refresh=refresh)
        assert after(gen, states[30], 29) == text[31:]


@pytest.mark.parametrize("refresh", [1, 4, None])
@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(threads: int, refresh: int | None) -> None:
    gen = lstmgen.Generator(packed())
    whole = str(gen.sample(80, seed=2, refresh=refresh))
    stream = gen.stream(seed=2, refresh=refresh)
    stream.take(30)
    other = lstmgen.Generator(gen.model, threads=threads)
    assert other.stream(state=stream.save_state()).take(50) == whole[30:]


def test_after_a_stop_text() -> None:
    gen = lstmgen.Generator(packed())
    stream = gen.stream(seed=2, stop="fd")
    first = str(stream.take(500))
    assert first.endswith("fd")
    state = stream.save_state()
    second = str(stream.take(500))
    assert first + second == str(gen.sample(500, seed=2))[: len(first + second)]
    assert "".join(map(str, gen.stream(500, state=state, stop="fd"))) == second


@pytest.mark.parametrize("refresh", [1, 4, 50, None])
def test_a_prime_comes_between(refresh: int | None) -> None:
    gen = lstmgen.Generator(packed())
    stream = gen.stream(temp=0, prime="abc", refresh=refresh)
    stream.take(20)
    state = stream.save_state()
    found = gen.stream(state=state, prime="cab", include_prime=True).take(20)
    assert str(found).startswith("cab")
    stream.feed("c")
    assert gen.stream(state=stream.save_state(), prime="ab").take(20) == str(found)[3:]


@pytest.mark.parametrize("refresh", [1, 4, 50, None])
def test_options_beside_a_state_take_the_place_of_its_own(refresh: int | None) -> None:
    gen = lstmgen.Generator(packed())
    stream = gen.stream(temp=2, top_k=7, seed=1, refresh=refresh)
    stream.take(20)
    state = stream.save_state()
    changed = gen.stream(state=state, temp=0.5, min_p=0.1)
    assert (changed.temp, changed.top_k, changed.min_p) == (0.5, 7, 0.1)
    stream.update(temp=0.5, min_p=0.1)
    assert changed.take(40) == stream.take(40)


def test_a_seed_beside_a_state_starts_new_random_numbers() -> None:
    gen = lstmgen.Generator(packed())
    stream = gen.stream(seed=1)
    text = stream.take(20)
    state = stream.save_state()
    first, second = (gen.stream(state=state, seed=seed).take(40) for seed in (1, 2))
    assert first != second
    # The context is what was drawn. A prime as long as the window makes the same context.
    assert first == gen.sample(40, prime=str(text)[-12:], seed=1)
    assert gen.stream(state=state).seed is None
    assert gen.stream(state=state, seed=2).seed == 2


@pytest.mark.parametrize("refresh", [1, 2, None])
def test_a_state_keeps_its_refresh(refresh: int | None) -> None:
    gen = lstmgen.Generator(packed())
    with pytest.raises(ValueError, match="refresh: a state keeps its own"):
        gen.stream(state=gen.stream().save_state(), refresh=refresh)


@pytest.mark.parametrize("refresh", [1, 4, 50, None])
def test_a_state_has_the_options_of_its_moment(refresh: int | None) -> None:
    gen = lstmgen.Generator(packed())
    stream = gen.stream(seed=5, refresh=refresh)
    for options in ({"temp": 0.5}, {"top_k": 3, "temp": 1.5}, {"repeat_penalty": 1.4}, {"logit_bias": {"a": -1.0}}):
        stream.take(7)
        stream.update(**options)
        resumed = gen.stream(state=stream.save_state())
        assert resumed.temp == stream.temp
        assert resumed.logit_bias == stream.logit_bias
        assert resumed.take(30) == stream.copy().take(30)


# -- elsewhere -------------------------------------------------------------------------------------

CONTINUE = """
import pathlib, sys, lstmgen
gen = lstmgen.Generator(sys.argv[1])
stream = gen.stream(state=pathlib.Path(sys.argv[2]).read_bytes())
print(stream.take(60))
pathlib.Path(sys.argv[2]).write_bytes(stream.save_state())
"""


@pytest.mark.parametrize(
    "name",
    slow_but(
        {"two lstm"},
        ["two lstm", "two lstm in bf16", "two lstm in int8", "output that reads an embedding"],
        "starts a process for each instruction set",
    ),
)
def test_other_processes_with_other_kernels_go_on(tmp_path: Path, name: str) -> None:
    model, state = tmp_path / "model.bin", tmp_path / "paused.state"
    model.write_bytes(MODELS[name])
    gen = lstmgen.Generator(model)
    for refresh in (1, 50, None):
        isas = _core.supported_isas()[::-1]
        whole = str(gen.sample(40 + 60 * len(isas), seed=6, refresh=refresh))
        stream = gen.stream(seed=6, refresh=refresh)
        stream.take(40)
        state.write_bytes(stream.save_state())
        text = whole[:40]
        for isa in isas:  # each needs its own process
            done = subprocess.run(
                [sys.executable, "-c", CONTINUE, model, state],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
                env={**os.environ, "LSTMGEN_ISA": isa},
            )
            text += done.stdout.strip()
        assert text == whole


OPTIONS = 8 + 3 * 4 + 2 * 8  # where the options that are numbers begin in a state
NUMBERS = 21  # of them. A new one comes after the others, and is one more


def test_a_state_stays_readable() -> None:
    """The layout is fixed byte by byte. A change of it needs another version number."""
    gen = lstmgen.Generator(packed(of([("simple_rnn", 3)])))
    stream = gen.stream(temp=0.5, seed=1, top_k=5, logit_bias={"b": 0.25}, refresh=None, prime="abc")
    stream.take(3)
    state = stream.save_state()
    at = 8 + 3 * 4
    assert struct.unpack("<8sII", state[: at - 4]) == (b"lstmstat", 2, 1)
    # refresh; how many options are numbers; temp, repeat_penalty, top_p, min_p, top_k, and the
    # later ones:
    assert struct.unpack_from("<QQddddQ", state, at) == (0, NUMBERS, 0.5, 1.0, 1.0, 0.0, 5)
    at += 7 * 8
    # typical_p, top_n_sigma, XTC; DRY; frequency and presence, repeat_last_n; mirostat; the dynamic
    # temperature
    later = struct.unpack_from("<ddddddQQddQQdddd", state, at)
    assert later == (1, 0, 0, 0.1, 0, 1.75, 2, 4096, 0, 0, 64, 0, 5, 0.1, 0, 1)
    at += (NUMBERS - 5) * 8  # with options that came later still
    assert struct.unpack_from("<QId", state, at) == (1, 1, 0.25)
    at += 8 + 4 + 8
    assert struct.unpack_from("<QQQ", state, at) == (0, 0, 0)  # allow, ban, dry_sequence_breakers
    at += 3 * 8
    assert struct.unpack_from("<Q", state, at) == (3,)
    at += 8 + 312 * 8
    assert struct.unpack_from("<Q6Bd", state, at) == (6, *state[at + 8 : at + 14], 10.0)  # the last ids, and mu
    assert list(state[at + 8 : at + 11]) == [0, 1, 2]
    at += 8 + 6 + 8
    assert struct.unpack_from("<QQQ", state, at) == (0, 1, 1)
    at += 3 * 8
    assert len(state) == at + 3 * 4 + 11 * 4 + 4
    assert zlib.crc32(state[:-4]) == struct.unpack("<I", state[-4:])[0]


def test_a_state_of_the_first_version_is_read() -> None:
    """It has five numbers, no lists, ids of four bytes, and no mu."""
    gen = lstmgen.Generator(packed(of([("simple_rnn", 3)])))
    stream = gen.stream(temp=0.5, seed=1, repeat_penalty=1.3, refresh=None, prime="abc")
    stream.take(7)
    state = stream.save_state()
    lists = OPTIONS + NUMBERS * 8
    randoms = lists + 8 + 3 * 8
    ids = randoms + 8 + 312 * 8
    (count,) = struct.unpack_from("<Q", state, ids)
    old = state[:28] + struct.pack("<Q", 5) + state[OPTIONS : OPTIONS + 5 * 8] + state[lists : lists + 8]
    old += state[randoms : ids + 8] + b"".join(struct.pack("<I", i) for i in state[ids + 8 : ids + 8 + count])
    old += state[ids + 8 + count + 8 :]
    assert gen.stream(state=with_checksum(old)).save_state() == state


# -- what is no state ------------------------------------------------------------------------------


def saved(refresh: int | None = 1, model: bytes | None = None) -> tuple[lstmgen.Generator, bytes]:
    gen = lstmgen.Generator(model or packed())
    with warnings.catch_warnings():  # also while tests are collected
        warnings.simplefilter("ignore", UserWarning)
        stream = gen.stream(seed=1, refresh=refresh, logit_bias={"a": 0.5})
    stream.take(30)
    return gen, stream.save_state()


def with_checksum(state: bytes) -> bytes:
    return state[:-4] + struct.pack("<I", zlib.crc32(state[:-4]))


def test_a_state_of_another_model_is_refused() -> None:
    _, state = saved()
    for other in (packed(of([("lstm", 9)])), packed(network(seed=8)), packed(dtype="bf16")):
        with pytest.raises(ValueError, match="of another model: expected weights with the checksum"):
            lstmgen.Generator(other).stream(state=state)


def test_what_is_no_state_is_refused() -> None:
    gen, state = saved()
    for junk in (b"", b"lstmsta", b"GGUF" * 10, packed()):
        with pytest.raises(lstmgen.ModelFormatError, match="these bytes are none"):
            gen.stream(state=junk)
    with pytest.raises(lstmgen.ModelFormatError, match="expected version 2, found 3"):
        gen.stream(state=state[:8] + b"\x03" + state[9:])
    with pytest.raises(TypeError, match="state: expected bytes, found str"):
        gen.stream(state="lstmstat")  # type: ignore[arg-type]
    for same in (bytearray(state), memoryview(state)):
        assert gen.stream(state=same).save_state() == state


def test_a_state_that_is_cut_off_or_goes_on_is_refused() -> None:
    for refresh in (1, 50, None):
        gen, state = saved(refresh)
        for size in (*range(40), *range(40, len(state) - 4, 7)):
            for part in (state[:size], with_checksum(state[:size] + b"1234")):
                with pytest.raises(lstmgen.ModelFormatError, match=DAMAGED):
                    gen.stream(state=part)
        with pytest.raises(lstmgen.ModelFormatError, match="the checksum is wrong"):
            gen.stream(state=state + b"1")
        with pytest.raises(lstmgen.ModelFormatError, match="the state: it is cut off"):
            gen.stream(state=with_checksum(state + b"123"))


STATES = {f"refresh {refresh}": saved(refresh) for refresh in (1, 4, 50, None)}
ZEROS = packed(zero_padding=True, prime=[1])
STATES |= {f"zeros, refresh {refresh}": saved(refresh, ZEROS) for refresh in (1, 50)}
relaxed = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(st.sampled_from([*STATES]), st.data())
def test_damage_is_noticed(name: str, data: st.DataObject) -> None:
    gen, state = STATES[name]
    at = data.draw(st.integers(0, len(state) - 1))
    damaged = bytearray(state)
    damaged[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=DAMAGED):
        gen.stream(state=damaged)


# Places of the numbers that are counts. The last counts the padding to come.
LISTS = OPTIONS + NUMBERS * 8
RANDOM = LISTS + 8 + 12 + 3 * 8
PLACES = [*range(20, LISTS + 1, 8), *range(LISTS + 20, RANDOM + 1, 8), RANDOM + 8 + 312 * 8, RANDOM + 16 + 312 * 8]
PLACES += [PLACES[-1] + 42, PLACES[-1] + 42 + 8]  # after 42 ids: mu; the padding to come


@relaxed
@given(st.sampled_from([*STATES]), st.data())
def test_forged_states_are_refused_or_drawn_from(name: str, data: st.DataObject) -> None:
    gen, state = STATES[name]
    forged = bytearray(state)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(PLACES) | st.integers(20, len(state) - 12))
        forged[place : place + 8] = data.draw(
            st.binary(min_size=8, max_size=8)
            | st.sampled_from([0, 1, 2, 63, 64, 65, 2**31, 2**32 - 1, 2**62, 2**64 - 1]).map(
                lambda n: n.to_bytes(8, "little")
            )
            | st.floats().map(lambda x: struct.pack("<d", x))
        )
    with contextlib.suppress(ValueError):
        gen.stream(state=with_checksum(bytes(forged)), prime="a").take(40)


def test_a_forged_option_is_damage() -> None:
    gen, state = saved()
    place = state.index(struct.pack("<d", 1.0))  # the first is one of the options, all of which are numbers above 0
    forged = state[:place] + struct.pack("<d", -1.0) + state[place + 8 :]
    with pytest.raises(lstmgen.ModelFormatError, match=r"the state: .*: expected a number"):
        gen.stream(state=with_checksum(forged))


def test_padding_of_a_model_without_it_is_damage() -> None:
    gen, state = saved()
    place = PLACES[-1]
    assert state[place : place + 16] == bytes(8) + (1).to_bytes(8, "little")  # no padding is left
    forged = state[:place] + (5).to_bytes(8, "little") + state[place + 8 :]
    with pytest.raises(lstmgen.ModelFormatError, match="the state: expected a number up to 0, found 5"):
        gen.stream(state=with_checksum(forged))


def test_a_state_is_of_the_weights_not_of_the_file() -> None:
    _, state = saved()
    other = lstmgen.Generator(packed(name="another name", prime=[1]))
    assert other.stream(state=state).save_state() == state


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_a_signal_handler_that_uses_the_generator_does_not_wait_for_itself() -> None:
    stream = lstmgen.Generator(packed()).stream()
    caught: list[RuntimeError] = []

    def handler(*_: object) -> None:
        try:
            stream.save_state()
        except RuntimeError as error:
            caught.append(error)
            raise

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(RuntimeError, match=r"the stream is in use: .* signal handler"):
            stream.take(10**9)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(caught) == 1
