"""How a model stands against data: the bits, and the measures of what it draws."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen import music
from lstmgen.cli import main as cli
from lstmgen.evaluation import Evaluation, Row, evaluate, pieces, text
from lstmgen.evaluation.evaluation import divergence, overlap
from lstmgen.music import Note
from support.generators import LETTERS, T, tokens
from support.networks import network, packed

EVENTS = ["d12", "d24", "n60", "n62", "n64", "t12", "t24"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.txt"
    path.write_text("abcdefgh" * 10 + "ü")
    return path


def model_of_music() -> lstmgen.Model:
    of = network([("lstm", 8), ("dense", len(EVENTS), "softmax")], len(EVENTS), 6)
    return lstmgen.Model(packed(of, vocabulary=EVENTS, vocabulary_kind="tokens", prime=[2]))


# -- bits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refresh", [1, None])
def test_bits_are_those_of_score(data: Path, refresh: int | None) -> None:
    model = lstmgen.Model(packed())
    found = evaluate(model, data, samples=0, refresh=refresh)
    score = lstmgen.Generator(model).score("abcdefgh" * 10, refresh=refresh)
    assert found["bits/element"].data == pytest.approx(score.bits_per_element, rel=1e-12)
    assert found["perplexity"].data == pytest.approx(score.perplexity, rel=1e-12)
    assert found["bits/char"].data == pytest.approx(score.bits_per_element * 79 / 80, rel=1e-12)
    assert found["characters that the model does not know"].data == 1
    assert not found.distributions and found["characters"].drawn is None


def test_bits_of_pieces_are_of_each_by_itself(tmp_path: Path) -> None:
    model, sums, count = model_of_music(), 0.0, 0
    for i, pitches in enumerate(([60, 62, 64] * 4, [64, 60])):
        music.Music(Note(k, 1, pitch) for k, pitch in enumerate(pitches)).write(tmp_path / f"{i}.mid")
        (elements,) = music.read_pieces(tmp_path / f"{i}.mid", cache=False).pieces
        logs = lstmgen.Generator(model).log_probabilities(elements)
        sums, count = sums - logs.sum() / math.log(2), count + len(logs)
    found = evaluate(model, tmp_path, samples=0)
    assert found["bits/element"].data == pytest.approx(sums / count, rel=1e-12)
    assert found["elements that the model does not know"].data == 0


def test_words_have_no_bits_of_characters_but_of_elements(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("The cat sat on a cat")
    found = evaluate(tokens().model, path, samples=1, length=10, prime=["The"])
    assert found["bits/element"].data == tokens().score(["The", "cat", "sat", "on", "a", "cat"]).bits_per_element
    with pytest.raises(KeyError):
        found["bits/char"]


def test_tunes_in_abc_are_measured_as_music_too(tmp_path: Path) -> None:
    tune = "M:4/4\nL:1/8\nK:C\nCDEF GABc|cBAG FEDC|\n"
    (tmp_path / "two.abc").write_text(f"X:1\n{tune}\nX:2\n{tune.replace('K:C', 'K:D')}\n")
    found = evaluate("folk", tmp_path, samples=4, length=900, refresh=None, stop=["\n\n"])
    drawn = lstmgen.Generator("folk").sample_many(4, 900, seed=1, refresh=None, stop=["\n\n"])
    ended = [str(one) for one in drawn if str(one).endswith("\n\n")]
    for i, text_of_one in enumerate(ended):
        (tmp_path / f"drawn-{i}.abc").write_text(text_of_one)
    read = music.read_pieces(sorted(tmp_path.glob("drawn-*.abc")), cache=False).pieces
    assert found["pieces"] == Row("pieces", 2, len(read))
    assert found["notes"] == Row("notes", 32, sum(len(music.decode(one).notes) for one in read))
    assert {"character", "pitch", "duration"} <= found.distributions.keys()
    assert found["bits/char"].data and found["copies of 8 notes in any key %"].drawn is not None


def test_a_tune_that_was_cut_off_is_none(tmp_path: Path) -> None:
    (tmp_path / "one.abc").write_text("X:1\nL:1/4\nK:C\nCDEF|\n")
    found = evaluate("folk", tmp_path, samples=2, length=5, refresh=None)
    assert "pieces" not in {row.name for row in found.rows}
    assert "no sample has a whole tune: draw longer samples" in found.notes


# -- what is drawn ---------------------------------------------------------------------------------


def test_samples_are_those_of_sample_many(data: Path) -> None:
    model = lstmgen.Model(packed())
    found = evaluate(model, data, samples=3, length=40, temp=0.8, seed=5)
    drawn = [str(one) for one in lstmgen.Generator(model).sample_many(3, 40, 0.8, seed=5)]
    corpus = text.Corpus(data.read_text())
    assert found["characters"] == Row("characters", 81, 120)
    measured = [text.measure(one, corpus) for one in drawn]
    assert found["longest copy, characters"].drawn == max(len(one.longest_copy) for one in measured)
    assert found["distinct 20-grams %"].drawn == pytest.approx(np.mean([100 * (one.distinct or 0) for one in measured]))
    there, here = found.distributions["character"]
    assert there["a"] == 10 / 81
    assert here == {c: pytest.approx("".join(drawn).count(c) / 120) for c in here}


def test_copies_are_counted_against_the_corpus(data: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(str(lstmgen.Generator(lstmgen.Model(packed())).sample(60, 0.8, seed=1)))
    found = evaluate(lstmgen.Model(packed()), data, corpus=corpus, samples=1, length=60, temp=0.8)
    assert found["longest copy, characters"].drawn == 60 and found["in copies of 50 or more %"].drawn == 100


def test_music_is_measured(tmp_path: Path) -> None:
    model = model_of_music()
    music.Music(Note(k, 1, 60) for k in range(50)).write(tmp_path / "a.mid")
    found = evaluate(model, tmp_path, samples=2, length=50)
    drawn = [list(map(str, one)) for one in lstmgen.Generator(model).sample_many(2, 50, seed=1)]
    assert found["pieces"] == Row("pieces", 1, 2)
    assert found["notes"].drawn == sum(len(music.decode(one, notation="events").notes) for one in drawn)
    assert found["longest run of one pitch"].data == 50 and found["pieces that are stuck"].data == 1
    assert 0 <= (found["overlap of pitch"].drawn or 0) <= 1 and found["mean polyphony"].data == 1


def test_velocities_are_compared_where_they_are_kept() -> None:
    loud, soft = ([f"v{level}", "n60", "t24", "n62"] for level in (30, 10))
    both = pieces.Pieces.of([[*loud, "v10", "n64"]], "events"), pieces.Pieces.of([soft], "events")
    rows = {row.name: row.drawn for row in pieces.rows(*both)}
    assert rows["overlap of velocity"] == pytest.approx(1 / 3)
    plain = pieces.Pieces.of([["n60"]], "events")
    assert "overlap of velocity" not in {row.name for row in pieces.rows(plain, plain)}


def test_data_are_read_as_the_model_keeps_them(tmp_path: Path) -> None:
    elements = ["begin", "d24", "end", "n60", "n62", "t24", "v10", "v20"]
    of = network([("lstm", 8), ("dense", len(elements), "softmax")], len(elements), 6)
    model = lstmgen.Model(packed(of, vocabulary=elements, vocabulary_kind="tokens", prime=[0]))
    music.Music([Note(0, 1, 60, 40), Note(1, 1, 62, 80)], tempos=[music.Tempo(0, 90)]).write(tmp_path / "a.mid")
    found = evaluate(model, tmp_path, samples=0)
    assert found["elements that the model does not know"].data == 0
    written = ["begin", "d24", "v10", "n60", "t24", "v20", "n62", "end"]
    assert found["elements"].data == len(written)
    bits = -lstmgen.Generator(model).log_probabilities(written) / math.log(2)
    assert found["bits/note"].data == pytest.approx(bits.sum() / 2, rel=1e-12)
    shared = sum(cost for element, cost in zip(written[1:], bits, strict=True) if element[0] in "dnt")
    assert found["bits/note of pitches, times and tracks"].data == pytest.approx(shared / 2, rel=1e-12)


def test_copies_in_any_key(tmp_path: Path) -> None:
    tune = [60, 62, 64, 65, 67, 69, 71, 72, 74]
    there, higher = ([f"n{pitch + k}" for pitch in tune] for k in (0, 3))
    both = pieces.Pieces.of([there], "events"), pieces.Pieces.of([higher], "events")
    rows = {row.name: row.drawn for row in pieces.rows(*both)}
    assert rows["copies of 8 notes in the same key %"] == 0 and rows["copies of 8 notes in any key %"] == 100
    assert rows["overlap of pitch"] == pytest.approx(4 / 9) and rows["overlap of duration"] == 1


def test_what_the_card_says_of_the_data(data: Path) -> None:
    digest = hashlib.sha256(data.read_text().encode()).hexdigest()
    card = {"corpus_sha256": digest, "held_out_bits_per_char": {"window": 1.5}}
    (note, *_) = evaluate(lstmgen.Model(packed(card=json.dumps(card))), data, samples=0).notes
    assert note.startswith("the model learnt from this text") and "1.500 (window)" in note
    assert not evaluate(lstmgen.Model(packed()), data, samples=0).notes


def test_the_charset_and_the_case_are_those_of_the_card(tmp_path: Path) -> None:
    path = tmp_path / "data.txt"
    path.write_bytes("ABCDÜ".encode("latin-1"))
    model = lstmgen.Model(packed(card=json.dumps({"recipe": {"charset": "latin-1", "lower": True}})))
    assert evaluate(model, path, samples=0)["characters that the model does not know"].data == 1
    with pytest.raises(ValueError, match="expected a text of at least 2 elements that the model knows"):
        evaluate(model, path, samples=0, lower=False)


# -- measures --------------------------------------------------------------------------------------


def test_words_and_commands() -> None:
    corpus = text.Corpus("\\begin{lemma}\\label{lemma-odd}\nLet $X$ be closed, \\cap \\ref{x}\n")
    sample = "Let \\cap be \\cup klosed \\label{zzz} closed"
    found = text.measure(sample, corpus)
    assert (found.words, found.known_words) == (4, 0.75)
    assert found.known_commands == pytest.approx(2 / 3)
    assert text.unknown_words(sample, corpus) == {"klosed": 1}
    assert text.measure("1 2", corpus).known_words is None


def test_distinct_grams() -> None:
    assert text.distinct("ababab", 2) == 2 / 5
    assert text.distinct("abc", 3) == 1
    assert text.distinct("ab", 3) is None


def test_longest_copy(rng: np.random.Generator) -> None:
    assert text.longest_copy("xxhello worldyy", text.Corpus("say hello world")) == "hello world"
    assert text.longest_copy("abc", text.Corpus("xyz")) == ""
    assert text.longest_copy("abc", text.Corpus("")) == ""
    for _ in range(50):
        sample, corpus = ("".join(rng.choice(list("ab\n"), n)) for n in (30, 60))
        ends = range(len(sample) + 1)
        longest = max(j - i for i in ends for j in ends[i:] if sample[i:j] in corpus)
        found = text.longest_copy(sample, text.Corpus(corpus))
        assert found in sample and found in corpus and len(found) == longest


def test_copied(rng: np.random.Generator) -> None:
    letters = "".join(map(chr, range(1000, 1200)))
    sample = "??" + letters[10:70] + "?" + letters[100:149] + "?"
    assert text.copied(sample, text.Corpus(letters)).tolist() == [2 <= i < 62 for i in range(len(sample))]
    assert not text.copied("short", text.Corpus(letters)).any()
    for length in range(1, 8):
        sample, corpus = ("".join(rng.choice(list("abc"), n)) for n in (80, 40))
        known = [sample[j : j + length] in corpus for j in range(81 - length)]
        wanted = [any(known[max(0, i - length + 1) : i + 1]) for i in range(80)]
        assert text.copied(sample, text.Corpus(corpus), length).tolist() == wanted


def test_overlap_and_divergence() -> None:
    assert overlap({"a": 0.5, "b": 0.5}, {"b": 0.25, "c": 0.75}) == 0.25
    assert divergence({"a": 3}, {"a": 1, "b": 1}) == pytest.approx(
        0.5 * math.log2(0.5 / 0.8) + 0.5 * math.log2(0.5 / 0.2)
    )
    assert divergence({"a": 1}, {}) == pytest.approx(0)


# -- files, and the command line -------------------------------------------------------------------


def test_table_and_plot(tmp_path: Path) -> None:
    shares = {" ": 0.5, "$": 0.3, "|": 0.2}
    found = Evaluation("a|b", "d\n", (Row("x", 1234567, 0.5),), {"character": (shares, shares)}, ("a note",))
    table = "| a\\|b | d | drawn |\n|---|---|---|\n| x | 1,234,567 | 0.500 |\n\n- a note\n"
    assert found.markdown() == str(found) == table
    assert json.loads(found.to_json())["distributions"]["character"]["data"] == shares
    for name in ("a.png", "a.svg", "a.pdf"):
        found.plot(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    with pytest.raises(ValueError, match=r"a.gif: expected a name that ends with .png, .svg or .pdf, found '.gif'"):
        found.plot(tmp_path / "a.gif")
    with pytest.raises(ValueError, match="there is nothing to plot"):
        Evaluation("a", "b", ()).plot(tmp_path / "b.png")


def test_command_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "m.bin"
    model.write_bytes(packed())
    command = ["eval", str(model), str(data), "--samples", "2", "--length", "30", "--temp", "0.5", "--carry"]
    assert cli.main([*command, "--plot", str(tmp_path / "a.png")]) == 0
    table = capsys.readouterr().out
    expected = evaluate(str(model), data, samples=2, length=30, temp=0.5, refresh=None)
    assert table == expected.markdown() and (tmp_path / "a.png").exists()
    assert cli.main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(expected.to_json())


def test_a_picture_replaces_no_data_and_costs_no_table(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, text = tmp_path / "m.bin", data.read_text()
    model.write_bytes(packed())
    picture = data.rename(data.with_suffix(".svg"))
    command = ["eval", str(model), str(picture), "--samples", "1", "--length", "9", "--plot"]
    assert cli.main([*command, str(picture)]) == 1
    assert "what is read would be replaced" in capsys.readouterr().err
    assert picture.read_text() == text
    assert cli.main([*command, str(tmp_path / "no folder" / "a.png")]) == 1
    assert capsys.readouterr().out.startswith("| ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--samples", "-1"], "--samples: expected at least 0, found -1"),
        (["--length", "0"], "--length: expected at least 1, found 0"),
        (["--charset", "utf-99"], "--charset: there is no character set 'utf-99'"),
        (["--temp", "-1"], "--temp"),
        (["-t", "-1"], "--temp"),
        (["--grammar", "no-file"], "found no file no-file"),
        (["--corpus", "no-corpus"], "no-corpus: No such file"),
        (["--plot", "a.gif"], "a.gif: expected a name that ends with"),
    ],
)
def test_bad_options(options: list[str], said: str, data: Path, tmp_path: Path, capsys: Any) -> None:
    model = tmp_path / "m.bin"
    model.write_bytes(packed())
    assert cli.main(["eval", str(model), str(data), "--samples", "1", "--length", "9", *options]) == 1
    err = capsys.readouterr().err
    assert said in err and len(err.splitlines()) == 1


def test_models_that_draw_no_elements_are_refused(data: Path) -> None:
    labels = packed(
        network([("lstm", 4), ("dense", 2, "softmax")], 11, T), vocabulary=list(LETTERS), labels=["a", "b"], prime=None
    )
    with pytest.raises(ValueError, match="found one that gives labels"):
        evaluate(lstmgen.Model(labels), data)
    with pytest.raises(ValueError, match="found one that has no elements"):
        evaluate(lstmgen.Model(packed(vocabulary=None, prime=None)), data)


def test_options_of_text_are_refused_for_music(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="charset: only for text"):
        evaluate(model_of_music(), tmp_path, charset="utf-8")
