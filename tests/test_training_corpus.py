"""The texts that `lstmgen train text` reads: files, folders, character sets, columns of a CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmgen
from lstmgen.cli import main as cli
from lstmgen.evaluation import evaluate
from lstmgen.training import ClassifierSettings, MusicSettings, TextSettings, train_classifier, train_music, train_text
from lstmgen.training.tasks import corpus
from lstmgen.training.tasks.text import letters, parts, split


def write(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_a_corpus_comes_from_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keras: Any) -> None:
    monkeypatch.setattr("lstmgen.cli.train.read_stdin", lambda _: b"hello world\n" * 300)
    command = ["train", "text", "-", "-o", str(tmp_path / "m.bin"), "--units", "4", "--epochs", "1"]
    assert cli.main(command) == 0
    model = lstmgen.Model(tmp_path / "m.bin")
    assert model.vocabulary is not None
    assert model.vocabulary.elements == tuple(sorted(set("hello world\n")))
    assert "stdin" in (tmp_path / "m.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("sources", "expected"),
    [(["text", "-", "-"], "stdin can be read only once"), (["music", "-"], "music is read from files")],
)
def test_what_stdin_cannot_give_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sources: list[str], expected: str
) -> None:
    assert cli.main(["train", *sources, "-o", str(tmp_path / "m.bin")]) == 1
    assert expected in capsys.readouterr().err


def test_files_are_joined_in_the_order_given_with_a_line_end_between_them(tmp_path: Path) -> None:
    write(tmp_path, a_txt="first", b_txt="second\n", c_txt="third")
    paths = [tmp_path / name for name in ("c.txt", "b.txt", "a.txt")]
    read = corpus.read(paths)
    assert (read.text, read.names) == ("third\nsecond\nfirst", ("c.txt", "b.txt", "a.txt"))
    assert [read.text[part.start : part.stop] for part in read.parts] == ["third\n", "second\n", "first"]
    assert corpus.read(paths[:1]).text == "third"  # as it is


def test_a_folder_is_its_text_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, b_txt="b", a_tex="a", sub__c_md="c", _hidden="no", sub__d_bin=b"GG\0\0", sub__e_txt=b"\xff\xfe")
    with pytest.warns(UserWarning, match="skipped") as warned:
        found = corpus.read([tmp_path])
    assert (found.text, found.names) == ("a\nb\nc", ("a.tex", "b.txt", "c.md"))
    skipped = sorted(str(one.message) for one in warned)
    assert skipped[0].startswith(f"{tmp_path}/sub/d.bin: no text, by its name")
    assert skipped[1].startswith(f"{tmp_path}/sub/e.txt: not UTF-8")
    without = [tmp_path / name for name in ("b.txt", "sub/d.bin", "sub/e.txt", "none")]
    assert corpus.read([tmp_path / "b.txt", tmp_path], without=without).names == ("b.txt", "a.tex", "c.md")


@pytest.mark.filterwarnings("ignore:.*skipped:UserWarning")
def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, latin_txt="schön".encode("latin-1"), bad__x_bin=b"\0")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"latin\.txt: not UTF-8: .*give its character set, such as charset='latin-1'"):
        corpus.read([tmp_path / "latin.txt"])
    with pytest.raises(ValueError, match="charset: there is no character set 'utf-9'"):
        corpus.read([tmp_path / "latin.txt"], charset="utf-9")
    with pytest.raises(ValueError, match=r"latin\.txt: not UTF-16"):
        corpus.read([tmp_path / "latin.txt"], charset="utf-16")
    for folder in ("empty", "bad"):
        with pytest.raises(ValueError, match=rf"{folder}: expected text files, found none"):
            corpus.read([tmp_path / folder])
    with pytest.raises(OSError, match=r"none\.txt"):
        corpus.read([tmp_path / "none.txt"])


@pytest.mark.parametrize(
    ("charset", "text"),
    [("latin-1", "schön"), ("cp1251", "жёлтый"), ("utf-16", "\U0001f600"), ("utf-8", "ﬁ"), ("shift_jis", "日本")],
)
def test_character_sets(tmp_path: Path, charset: str, text: str) -> None:
    (tmp_path / "x.txt").write_bytes(text.encode(charset))
    assert corpus.read([tmp_path / "x.txt"], charset=charset).text == text


@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"])
def test_the_likeliest_character_set_is_named(tmp_path: Path, charset: str) -> None:
    text = "für „Käse“: schön\n" * 20 if charset != "latin-1" else "für Käse\n"
    (tmp_path / "x.txt").write_bytes(text.encode(charset))
    with pytest.raises(ValueError, match=rf"x\.txt: not UTF-8: .*give its character set, such as charset='{charset}'"):
        corpus.read([tmp_path / "x.txt"])
    assert corpus.read([tmp_path / "x.txt"], charset=charset).text == text


@pytest.mark.parametrize(
    ("written", "read", "doubt"),
    [
        ("cp1252", "latin-1", "it holds controls, which are quotes and dashes in cp1252: charset='cp1252'"),
        ("utf-8", "latin-1", "it is UTF-8 as well, and not ASCII: charset='utf-8'"),
        ("utf-8", "cp1250", "it is UTF-8 as well"),
    ],
)
def test_a_wrong_character_set_is_told(tmp_path: Path, written: str, read: str, doubt: str) -> None:
    (tmp_path / "x.txt").write_bytes(("“schön”" if written == "cp1252" else "schön").encode(written))
    with pytest.warns(UserWarning, match=rf"x\.txt: {doubt}"):
        corpus.read([tmp_path / "x.txt"], charset=read)


def test_files_that_are_no_text_by_their_names_are_not_learnt_from_in_any_character_set(tmp_path: Path) -> None:
    write(tmp_path, a_txt="a", b_pdf=b"%PDF-1.4", c_jpg=b"\xff")
    with pytest.warns(UserWarning, match=r"(b\.pdf|c\.jpg): no text, by its name; skipped"):
        assert corpus.read([tmp_path], charset="latin-1").names == ("a.txt",)


def test_lower_case(tmp_path: Path) -> None:
    write(tmp_path, a_txt="Straße ÄB")
    assert corpus.read([tmp_path / "a.txt"], lower=True).text == "straße äb"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_column_of_a_csv_is_a_text_of_lines(tmp_path: Path, separator: str) -> None:
    rows = [["id", "poem", "year"], ["1", f'"roses{separator} red"', "1900"], ["2", "", ""], ["3", '"two\nlines"', "1"]]
    write(tmp_path, a_csv="\ufeff" + "\r\n".join(separator.join(row) for row in rows))
    assert corpus.read([tmp_path / "a.csv"], column="poem").text == f"roses{separator} red\ntwo\nlines\n"
    with pytest.raises(ValueError, match=r"a\.csv: column: expected one of 'id', 'poem', 'year', found 'Poem'"):
        corpus.read([tmp_path / "a.csv"], column="Poem")
    write(tmp_path, b_csv='poem\n"open')
    with pytest.raises(ValueError, match=r"b\.csv: line 2: not CSV"):
        corpus.read([tmp_path / "b.csv"], column="poem")


@pytest.mark.slow(reason="trains on what other tests read")
def test_the_command_line_reads_a_folder_in_another_character_set(
    keras: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "".join(f"{i};Grüne Flaschen hängen an der Wand, {i} Stück\n" for i in range(60))
    write(tmp_path, in__a_csv=("nr;zeile\n" + lines).encode("latin-1"), in__b_csv="nr;zeile\n0;Ende".encode("latin-1"))
    out = tmp_path / "in" / "m.bin"
    options = ["--charset", "latin-1", "--lower", "--column", "zeile", "--units", "4", "--epochs", "1"]
    sizes = ["--batch", "32", "--length", "10", "--window", "10", "--holdout", "0.1"]
    command = ["train", "text", str(tmp_path / "in"), "-o", str(out)]
    assert cli.main([*command, *options, *sizes]) == 0
    told = capsys.readouterr().err
    assert "2 files: a.csv, b.csv\n" in told
    text = "".join(f"grüne flaschen hängen an der wand, {i} stück\n" for i in range(60)) + "ende\n"
    assert f"{tmp_path / 'in'}: {len(text):,} characters, {len(text):,} letters, {len(set(text))} different" in told
    assert cli.main([*command, "--resume", "--epochs", "1"]) == 0  # the model's own files in the folder are no text
    recipe = (tmp_path / "in" / "m.md").read_text()
    assert "| corpus | a.csv, b.csv |" in recipe
    assert "charset latin-1, lower True, column zeile" in recipe


def test_settings_of_the_text_are_on_the_card_only_if_they_are_told() -> None:
    assert {"charset", "lower", "column"}.isdisjoint(TextSettings().facts())
    assert TextSettings(lower=True, column="a").facts().items() >= {("lower", True), ("column", "a")}


def test_the_held_out_pieces_of_one_file_are_those_of_that_file_alone(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        write(tmp_path, **{name.replace(".", "_"): "".join(f"{name} {i:03d}\n" for i in range(300))})
    read = corpus.read([tmp_path])
    vocabulary = letters(read.text)
    settings = TextSettings(holdout_from="b.txt", holdout=0.2, window=40, length=10)
    training, held_out = parts("corpus", read, vocabulary, settings)
    alone = split(vocabulary.encode((tmp_path / "b.txt").read_text()).astype(np.int32), 0.2, least=80)[1]
    assert [piece.tolist() for piece in held_out] == [piece.tolist() for piece in alone]
    texts = ["".join(vocabulary.decode(piece)) for piece in training]
    assert texts[0] == (tmp_path / "a.txt").read_text()
    assert texts[-1] == (tmp_path / "c.txt").read_text()
    assert sum(map(len, training + held_out)) == len(read.text)


def test_a_file_of_the_corpus_is_named_by_its_name_or_the_end_of_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, one__a_txt="1", two__a_txt="2", two__b_txt="3")
    read = corpus.read([tmp_path])
    for name, start in [("b.txt", 4), ("two/a.txt", 2), (str(tmp_path / "one" / "a.txt"), 0)]:
        assert read.part(name).start == start
    with pytest.raises(ValueError, match=r"a name that only one of these files has, .*a\.txt, .*a\.txt; found"):
        read.part("a.txt")
    with pytest.raises(ValueError, match=r"expected one of the files of the corpus, .*b\.txt; found 'c.txt'"):
        read.part("c.txt")
    monkeypatch.chdir(tmp_path / "one")
    assert read.part("a.txt").start == 0  # the file that is here
    assert read.part("../two/a.txt").start == 2


def test_a_text_that_is_the_output_is_refused(tmp_path: Path) -> None:
    write(tmp_path, a_txt="abc", m_md="abc")
    with pytest.raises(ValueError, match=r"m\.md: the training reads this file"):
        train_text([tmp_path / "a.txt", tmp_path / "m.md"], tmp_path / "m.bin")


@pytest.mark.parametrize("given", ["a line\nand another", ["b" * 5000]])
def test_a_text_in_place_of_a_path_is_told(given: Any) -> None:
    for function in (train_text, lambda given, _: evaluate("latex", given)):
        with pytest.raises(ValueError, match=r"expected the path of a file or a folder, found the text '(a|b)"):
            function(given, "m.bin")


@pytest.mark.parametrize(
    ("function", "settings"),
    [(train_text, TextSettings), (train_music, MusicSettings), (train_classifier, ClassifierSettings)],
)
def test_a_setting_in_the_wrong_place_is_told_its_place(tmp_path: Path, function: Any, settings: Any) -> None:
    name = settings.__name__
    for wrong, told in (
        ({"epochs": 3}, rf"unexpected keyword argument 'epochs': it is a setting: {name}\(epochs=\.\.\.\)"),
        ({"epoch": 3}, "unexpected keyword argument 'epoch': did you mean 'epochs'"),
        ({"nmae": "x"}, "unexpected keyword argument 'nmae': did you mean 'name'"),
        ({"settings": {"epochs": 3}}, rf"settings: expected a {name}, found \{{'epochs': 3\}}"),
    ):
        with pytest.raises(TypeError, match=told):
            function(tmp_path / "none", tmp_path / "m.bin", **wrong)


def test_settings_may_be_numbers_of_numpy() -> None:
    values: Any = {"units": np.int64(4), "lr": np.float32(0.5), "carry": np.bool_(True), "level": np.str_("words")}
    settings = TextSettings(**values)
    settings.check()
    assert settings == TextSettings(units=4, lr=0.5, carry=True, level="words")
    assert type(settings.units) is int
