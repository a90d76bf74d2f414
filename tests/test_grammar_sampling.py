"""Sampling under a grammar: what may be drawn, how a text ends, and that every path draws the
same."""

from __future__ import annotations

import _thread
import asyncio
import itertools
import math
import operator
import pickle
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import _core, grammars
from lstmgen.cli import main as cli
from support.generators import LETTERS
from support.networks import network, packed

PRIME = "abcdefghijka"

PAIRS = 'root ::= pair+\npair ::= "a" ([bc] | pair)* "d"'


def is_paired(text: str) -> bool:
    depth = 0
    for i, letter in enumerate(text):
        depth += {"a": 1, "d": -1}.get(letter, 0)
        if letter not in "abcd" or depth < 0 or (depth == 0 and letter != "d") or (i == 0 and letter != "a"):
            return False
    return depth == 0 and text != ""


@pytest.fixture(scope="module")
def gen() -> lstmgen.Generator:
    return lstmgen.Generator(packed())


@pytest.mark.parametrize("refresh", [1, 7, None])
@pytest.mark.parametrize("length", [2, 3, 50, 201])
def test_a_sample_is_a_whole_text_of_the_grammar(gen: lstmgen.Generator, refresh: int | None, length: int) -> None:
    for seed in range(20):
        text = gen.sample(length, 1.3, seed=seed, grammar=PAIRS, refresh=refresh)
        assert is_paired(str(text)) and len(text) <= length


def test_without_finish_a_sample_may_be_cut_off(gen: lstmgen.Generator) -> None:
    texts = [str(gen.sample(31, seed=seed, grammar=PAIRS, finish=False)) for seed in range(20)]
    assert any(not is_paired(text) for text in texts)
    assert all(is_paired(text + "d" * (text.count("a") - text.count("d"))) or is_paired(text) for text in texts)


def test_the_distribution_is_the_networks_own_over_what_is_allowed(gen: lstmgen.Generator) -> None:
    stream = gen.stream(prime=PRIME, grammar_prime=False, grammar=PAIRS, finish=False, seed=3, refresh=None, temp=0.8)
    plain = gen.stream(prime=PRIME, seed=3, refresh=None, temp=0.8)
    text = ""
    for _ in range(60):
        p, q = stream.probabilities(), plain.probabilities()
        allowed = np.array(
            [is_paired(text + x + "d" * ((text + x).count("a") - (text + x).count("d"))) for x in LETTERS]
        )
        np.testing.assert_allclose(p, np.where(allowed, q, 0) / q[allowed].sum(), rtol=1e-9)
        x = str(next(stream))
        plain.feed(x)
        text += x


def test_every_path_draws_the_same(gen: lstmgen.Generator) -> None:
    options: dict[str, Any] = {"temp": 1.2, "grammar": PAIRS, "refresh": None, "top_k": 8, "dry_multiplier": 0.5}
    want = [str(gen.sample(80, seed=seed, **options)) for seed in range(4)]
    assert gen.sample_many(4, 80, seed=0, **options) == want
    assert lstmgen.Generator(gen.model, threads=3).sample_many(4, 80, seed=0, **options) == want
    assert "".join(map(str, gen.stream(80, seed=1, **options))) == want[1]

    async def drawn() -> str:
        return "".join([str(x) async for x in gen.astream(80, seed=2, **options)])

    assert asyncio.run(drawn()) == want[2]
    stream = gen.stream(80, seed=3, **options)
    begin = str(stream.take(33))
    for other in (
        stream.copy(),
        pickle.loads(pickle.dumps(stream)),
        gen.stream(47, state=stream.save_state()),
    ):
        assert other.grammar == PAIRS
        assert begin + str(other.take(1000)) == want[3]


def test_a_prime_belongs_to_the_text_if_it_is_given(gen: lstmgen.Generator) -> None:
    for seed in range(10):
        text = str(gen.sample(20, seed=seed, prime="ab", grammar=PAIRS))
        assert is_paired("ab" + text)
        assert is_paired(str(gen.sample(20, seed=seed, prime="ab", grammar=PAIRS, grammar_prime=False)))
        many = gen.sample_many(2, 20, seed=seed, prime=["ab", "adaa"], grammar=PAIRS)
        assert many[0] == text and is_paired("adaa" + str(many[1]))
        assert is_paired(str(gen.sample(20, seed=seed, prime="ab", grammar=PAIRS, include_prime=True)))
    with pytest.raises(ValueError, match=r"prime: the element 'k' at position 1 cannot .* grammar_prime=False lets"):
        gen.sample(20, prime="ak", grammar=PAIRS)


def test_a_text_that_is_complete_ends_the_sample(gen: lstmgen.Generator) -> None:
    word = 'root ::= "abc" | "abd"'
    assert gen.sample(50, seed=1, grammar=word) in ("abc", "abd")
    stream = gen.stream(50, grammar=word, seed=1, logprobs=3)
    assert "".join(map(str, stream)) in ("abc", "abd")
    assert stream.take(5) == ""
    with pytest.raises(ValueError, match="the text of the grammar is complete"):
        stream.probabilities()
    with pytest.raises(ValueError, match="the text of the grammar is complete"):
        stream.draw(np.zeros(len(LETTERS)))
    assert set(gen.sample_many(5, 50, seed=1, grammar=word)) <= {"abc", "abd"}
    assert gen.sample(50, grammar=word, beam=3) in ("abc", "abd")
    assert gen.sample(50, grammar=word, best_of=3, seed=2) in ("abc", "abd")


def test_a_stream_may_change_its_grammar_and_its_length(gen: lstmgen.Generator) -> None:
    stream = gen.stream(None, seed=4, grammar=PAIRS)
    text = str(stream.take(40))
    stream.length = 60
    assert is_paired(text + str(stream.take(1000)))
    stream.update(grammar="root ::= [e-h]+", length=70)
    assert set(str(stream.take(8))) <= set("efgh")
    stream.grammar = None
    assert stream.grammar is None
    stream.length = None
    assert set(str(stream.take(200))) - set("efgh")


def test_a_beam_search_stays_in_the_grammar(gen: lstmgen.Generator) -> None:
    text = str(gen.sample(12, grammar=PAIRS, beam=4))
    assert is_paired(text)

    def log_probability(text: str) -> float:
        stream = gen.stream(4, prime=PRIME, grammar_prime=False, grammar=PAIRS, refresh=None)
        total = 0.0
        for letter in text:
            total += math.log(stream.probabilities()[LETTERS.index(letter)])
            stream.draw(np.where(np.array(list(LETTERS)) == letter, 0, -np.inf))
        return total

    best = max(
        (text for text in map("".join, itertools.product("abcd", repeat=4)) if is_paired(text)),
        key=log_probability,
    )
    assert str(gen.sample(4, grammar=PAIRS, beam=300, refresh=None, prime=PRIME, grammar_prime=False)) == best


def test_own_samplers_stay_in_the_grammar(gen: lstmgen.Generator) -> None:
    stream = gen.stream(seed=1, grammar=PAIRS)
    text = "".join(str(stream.draw(stream.logits())) for _ in range(50))
    assert text == gen.sample(1000, seed=1, grammar=PAIRS)[:50]

    def forbid_b(_ids: Any, logits: Any) -> None:
        logits[1] = -math.inf

    assert "b" not in str(gen.sample(100, seed=1, grammar=PAIRS, logits_processor=forbid_b))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grammar": "root ::= ("}, "grammar: line 1, column 11: expected"),
        ({"grammar": "json"}, r"lstmgen\.grammars\.json\(\) is one"),
        ({"grammar": 'root ::= root "a" | "b"'}, "can begin with itself"),
        ({"grammar": 'root ::= "a?"'}, "no element holds '\\?'"),
        ({"grammar": PAIRS, "ban": "d"}, "no element holds 'd'"),
        ({"grammar": PAIRS, "allow": "abc"}, "no element holds 'd'"),
        (
            {"grammar": PAIRS, "length": 1},
            "expected at least 2 more elements, as the shortest text of the grammar has, found 1",
        ),
        (
            {"grammar": PAIRS, "length": 0},
            "expected at least 2 more elements, as the shortest text of the grammar has, found 0",
        ),
        ({"grammar": "own"}, "the model carries none"),
        ({"grammar": 7}, "grammar: expected a grammar in GBNF, or 'own', found 7"),
        ({"grammar": PAIRS, "finish": 1}, "finish: expected True or False, found 1"),
    ],
)
def test_what_cannot_be_is_an_error_that_says_why(
    gen: lstmgen.Generator, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        gen.sample(**{"length": 50, "seed": 1, **options})
    with pytest.raises((ValueError, TypeError), match=message):
        gen.sample_many(2, **{"length": 50, "seed": 1, **options})


@pytest.mark.parametrize("padding", [None, 10])
def test_a_model_without_a_vocabulary_has_no_grammar(padding: int | None) -> None:
    ids = lstmgen.Generator(packed(vocabulary=None, padding=padding))
    with pytest.raises(ValueError, match="the model has no vocabulary"):
        ids.sample(5, grammar=PAIRS, prime=[0])


@pytest.mark.parametrize("kind", ["bytes", "tokens"])
def test_elements_of_bytes_and_of_many_letters(kind: str) -> None:
    elements = [f"<0x{i:02X}>" for i in range(0xA0, 0xC4)] if kind == "bytes" else ["n60", "n6", "0", "t6", "t12", "é"]
    n = len(elements)
    net = network([("lstm", 5), ("dense", n, "softmax")], inputs=n)
    gen = lstmgen.Generator(packed(net, vocabulary=elements, vocabulary_kind=kind, prime=[0]))
    if kind == "bytes":
        text = gen.sample(40, seed=1, grammar='root ::= "\\u00A5"+ "\\u00A9"')
        assert text == "¥" * (len(str(text)) - 1) + "©"
        return
    for seed in range(20):
        drawn = gen.sample(9, seed=seed, grammar='root ::= ("n60" "t" ("6" | "12"))+ ')
        text = "".join(map(str, drawn))
        assert set(text.replace("n60t", "|").strip("|").split("|")) <= {"6", "12"}


def test_a_bin_carries_a_grammar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, out, small = tmp_path / "plain.bin", tmp_path / "out.bin", tmp_path / "small.bin"
    (tmp_path / "pairs.gbnf").write_text(PAIRS)
    plain.write_bytes(packed(dtype="bf16"))
    assert cli.main(["export", str(plain), str(out), "--grammar", str(tmp_path / "pairs.gbnf")]) == 0
    model = lstmgen.Model(str(out))
    assert (model.grammar, model.dtype, lstmgen.Model(str(plain)).grammar) == (PAIRS, "bf16", None)
    x = np.array([[0, 1, 2]])
    assert (model.predict(x) == lstmgen.Model(str(plain)).predict(x)).all()
    assert cli.main(["export", str(out), str(small), "--dtype", "int8"]) == 0
    assert lstmgen.Model(str(small)).grammar == PAIRS
    capsys.readouterr()

    assert cli.main(["sample", str(out), "-n", "40", "-s", "3"]) == 0
    printed = capsys.readouterr()
    assert printed.out == lstmgen.Generator(model).sample(40, seed=3, grammar="own")
    assert is_paired(printed.out)
    assert "grammar own" in printed.err and "--no-grammar" in printed.err
    assert cli.main(["sample", str(out), "-n", "40", "-s", "3", "--no-grammar"]) == 0
    assert capsys.readouterr().out == lstmgen.Generator(model).sample(40, seed=3)
    assert cli.main(["sample", str(out), "-n", "40", "--grammar", str(tmp_path / "none")]) == 1
    assert "--grammar: expected a file, own, or one of balanced" in capsys.readouterr().err

    (tmp_path / "wrong.gbnf").write_text('root ::= "?"')
    assert cli.main(["export", str(plain), str(small), "--grammar", str(tmp_path / "wrong.gbnf")]) == 1
    assert "--grammar: line 1, column 11: the vocabulary cannot spell" in capsys.readouterr().err
    assert lstmgen.Model(str(small)).dtype == "int8"  # as it was


def test_the_bundled_grammars_work_with_the_bundled_models() -> None:
    latex = lstmgen.Generator("latex")
    pairs = str(latex.sample(300, seed=1, refresh=None, grammar=grammars.balanced(["{}", "()"])))
    assert pairs.count("{") == pairs.count("}") and pairs.count("(") == pairs.count(")")
    music = lstmgen.Generator("music")
    notes = music.sample(120, seed=1, refresh=None, grammar=grammars.music("3/4"))
    steps = sum(int(str(note)[1:]) for note in notes if str(note).startswith("t"))
    assert steps % 72 == 0


# -- Ctrl-C ----------------------------------------------------------------------------------------


def test_ctrl_c_is_heard_within_an_element_and_changes_no_text() -> None:
    letters = random.Random(1)
    words = sorted({"".join(letters.choices("abcdefgh", k=letters.randint(1, 10))) for _ in range(5000)})
    elements = [*words, "."]
    net = network([("embedding", 2), ("gru", 2), ("dense", len(elements), "softmax")], len(elements), 0)
    packing: dict[str, Any] = {"vocabulary": elements, "vocabulary_kind": "text", "prime": None}
    model = lstmgen.Model(packed(net, encoding="index", **packing))._native
    grammar = _core.Grammar(model, "root ::= (" + " | ".join(f'"{word}"' for word in words[::2]) + ')+ "."', [])

    def generator() -> _core.Generator:
        made = _core.Generator(model, {"seed": 1}, refresh=0, threads=1)
        made.set_grammar(grammar, 100)
        made.feed(np.array([0], np.uint32))
        return made

    want = generator().sample(5).tolist()
    native = generator()
    found: list[object] = []
    time.sleep(0.05)  # signals are looked for every 20 ms
    # Python itself would raise at its next byte code. There is none between the two calls.
    calls = itertools.starmap(operator.call, [(_thread.interrupt_main,), (native.ended,)])
    with pytest.raises(KeyboardInterrupt):
        found.extend(calls)
    assert found == [None]
    assert native.sample(5).tolist() == want


@pytest.mark.parametrize("logprobs", [None, 2])
def test_what_a_call_drew_before_ctrl_c_is_for_the_next_call(gen: lstmgen.Generator, logprobs: int | None) -> None:
    options: dict[str, Any] = {"seed": 1} | ({"logprobs": logprobs} if logprobs else {})
    want = gen.stream(**options)
    text = str(want.take(100))
    for at in (1, 2, 30):
        count = 0

        def stops(ids: Any, logits: Any, at: int = at) -> None:
            nonlocal count
            count += 1
            if count == at:
                raise KeyboardInterrupt

        stream = gen.stream(**options, logits_processor=stops)
        with pytest.raises(KeyboardInterrupt):
            stream.take(60)
        for copy in (stream.copy(), stream):
            assert str(copy.take(3)) == text[:3]
            assert len(copy.logprobs) == (3 if logprobs else 0)
            assert next(copy) == text[3]
            assert str(copy.take(96)) == text[4:]
