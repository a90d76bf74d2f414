"""`lstmgen grammar` says what a grammar is, and where a text leaves it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from unittest import mock

import pytest

from lstmgen import grammars
from lstmgen.cli import main as cli
from lstmgen.grammar_facts import GrammarFacts
from support.networks import packed

SUMS = (
    'root ::= (sum "\\n")+\nsum ::= term (" + " term)*\nterm ::= number | "(" sum ")"\nnumber ::= "0" | [1-9] [0-9]*\n'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sums.gbnf").write_text(SUMS)
    (tmp_path / "own.bin").write_bytes(packed(grammar="root ::= [a-k]+"))
    (tmp_path / "none.bin").write_bytes(packed())
    return tmp_path


def run(*words: str, stdin: bytes = b"") -> int:
    with mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin))):
        return cli.main(["grammar", *words])


# By text: what is wrong with it, or nothing.
TEXTS = {
    "1 + 2\n(3 + 45) + 0\n": "",
    "": "line 1, column 1: expected '(' or '0' to '9', found the end",
    "1 + 2": "line 1, column 6: expected U+000A, U+0020 or '0' to '9', found the end",
    "1 + 0": "line 1, column 6: expected U+000A or U+0020, found the end",
    "1\n(2 +3)": "line 2, column 5: expected U+0020, found '3'",
    "1\n07": "line 2, column 2: expected U+000A or U+0020, found '7'",
    "1é": "line 1, column 2: expected U+000A, U+0020 or '0' to '9', found U+00E9",
    "\x1b[2J": "line 1, column 1: expected '(' or '0' to '9', found U+001B",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_one_of_the_grammar_or_its_place_is_named(
    folder: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run("sums.gbnf", "--text", "-", stdin=text.encode())
    out, err = capsys.readouterr()
    assert out.splitlines()[:3] == ["rules     4: root sum term number", "start     root", "shortest  2 bytes"]
    assert out.endswith(f"text      {'none' if TEXTS[text] else 'one'} of the grammar\n")
    assert (status, err) == ((1, f"lstmgen: --text: -: {TEXTS[text]}\n") if TEXTS[text] else (0, ""))


# By grammar: what the error says.
WRONG = {
    "": "expected a rule named 'root', where each text begins; found no rules",
    "once upon a time": "line 1, column 6: expected '::=' after 'once'",
    "root ::= [a": "line 1, column 10: expected a ']' that ends the class, found the end",
    "root ::= x": "line 1, column 10: expected the name of a rule, found 'x', which has none",
    "root ::= root 'a'": "line 1, column 15: expected",
    'root ::= "a" root': "rule 'root' never ends",
    "root ::= " + "(" * 300: "expected up to 200 nested parentheses, found more",
    "root ::= " + ".{9999} " * 30: "expected up to 262144",
    "root ::= \x1b[2J": "found U+001B",
    "root ::= " + '"a"? "b"? ' * 10_000: "too ambiguous",
}


@pytest.mark.parametrize("grammar", WRONG)
def test_a_hostile_grammar_is_an_error_of_one_line(
    folder: Path, grammar: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("-", stdin=grammar.encode()) == 1
    out, err = capsys.readouterr()
    assert err.startswith("lstmgen: GRAMMAR: -: ")
    assert WRONG[grammar] in err
    assert err.count("\n") == 1
    assert err[:-1].isprintable()
    assert len(err) < 400
    assert out == ""


def test_files_that_hold_no_grammar_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bytes").write_bytes(b"root ::= \xff")
    for words, error in {
        ("missing.gbnf",): "GRAMMAR: expected a file, own, or one of balanced, json, latex, music; found no file",
        ("bytes",): "bytes: not UTF-8",
        ("/dev/zero",): "/dev/zero: not a regular file",
        ("own",): "own: expected --model, whose grammar",
        ("none.bin",): "none.bin: the model has none",
        ("own", "--model", "none.bin"): "own: the model has none",
        ("-", "--text", "-"): "stdin can be read only once",
        ("sums.gbnf", "--text", "missing"): "missing: No such file",
        ("sums.gbnf", "--text", "own.bin"): "own.bin: not UTF-8",
    }.items():
        assert run(*words) == 1
        assert error in capsys.readouterr().err


def test_a_text_that_is_too_ambiguous_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "deep.gbnf").write_text('root ::= "a" root "x"? | "b"')
    (folder / "text").write_text("a" * 40_000 + "b" + "x" * 9)
    assert run("deep.gbnf", "--text", "text") == 1
    assert "--text: text: it is too ambiguous" in capsys.readouterr().err


def test_a_model_spells_a_grammar_or_what_it_lacks_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("own.bin") == 0
    assert capsys.readouterr().out.endswith("model     its vocabulary spells it\n")
    assert run("own", "--model", "own.bin") == 0
    assert "missing" not in capsys.readouterr().out
    (folder / "more.gbnf").write_text('root ::= "abc" | "xyz" | [0-9]+ "é"')
    assert run("more.gbnf", "--model", "own.bin") == 0
    out = capsys.readouterr().out
    assert out.endswith("spells it\nmissing   'x', 'y', 'z', all of '0' to '9', U+00E9\n")
    assert run("sums.gbnf", "--model", "own.bin") == 1
    out, err = capsys.readouterr()
    assert "model     its vocabulary cannot spell it" in out
    assert "the vocabulary cannot spell rule" in err


def test_json_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sums.gbnf", "--model", "own.bin", "--text", "-", "--json", stdin=b"1\n2") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["rules"] == ["root", "sum", "term", "number"]
    assert found["model"]["spells"] is False
    assert found["text"] == {"matches": False, "line": 2, "column": 2, "expected": found["text"]["expected"]} | {
        "found": "the end"
    }


@pytest.mark.parametrize("name", sorted(grammars.__all__))
def test_the_grammars_that_are_bundled_are_sound(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name) == 0
    assert "rules" in capsys.readouterr().out


def test_a_place_counts_characters_and_a_character_is_read_as_a_whole() -> None:
    facts = GrammarFacts('root ::= "äöü" ("\U0001f600" | "é")')
    assert facts.mismatch("äöüé") is None
    assert facts.mismatch("äöü\U0001f600") is None
    wrong = facts.mismatch("äöü\U0001f601")  # three of its bytes are right
    assert wrong is not None
    assert str(wrong) == "line 1, column 4: expected a character beyond ASCII, found U+1F601"
