"""The command line writes text to stdout and all else to stderr.

A failure is one line, and status 1.
"""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import lstmgen
from lstmgen import bench, progress
from lstmgen.cli import main as cli
from support.networks import network, packed
from support.slow import slow_but
from support.terminals import Terminal

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals, pipes and devices")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Return a text model."""
    return saved(tmp_path / "tiny.bin", packed())


@pytest.fixture
def token_path(tmp_path: Path) -> str:
    of = network([("lstm", 6), ("dense", 5, "softmax")], 5, 4)
    words = ["The", "cat", "sat", "on", "a"]
    return saved(tmp_path / "words.bin", packed(of, vocabulary=words, vocabulary_kind="tokens"))


def saved(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


class Ran:
    """Exit status, stdout and stderr of a command line run in this process."""

    def __init__(self, argv: tuple[str, ...], capture: pytest.CaptureFixture[bytes]) -> None:
        try:
            self.status = cli.main(argv)
        except SystemExit as end:  # from argparse
            self.status = int(end.code or 0)
        self.raw, err = capture.readouterr()
        self.out, self.err = self.raw.decode(), err.decode()

    def failed(self, message: str) -> None:
        assert self.status == 1
        assert re.fullmatch(f"lstmgen: .*{message}.*\n", self.err), self.err
        assert self.out == ""

    def misused(self, message: str) -> None:
        assert self.status == 2
        assert self.err.startswith("usage: lstmgen")
        assert re.search(message, self.err)
        assert self.out == ""


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes]) -> Any:
    return lambda *argv: Ran(tuple(map(str, argv)), capsysbinary)


def start(*argv: str, **options: Any) -> subprocess.Popen[bytes]:
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-m", "lstmgen", *argv], **(pipes | options))


# -- sample ----------------------------------------------------------------------------------------


def test_sample_prints_exactly_the_text(run: Any, path: str) -> None:
    want = lstmgen.Generator(path).sample(50, seed=7)
    ran = run("sample", path, "--length", 50, "--seed", 7)
    assert (ran.status, ran.out) == (0, want)


def test_sample_says_its_seed_on_stderr(run: Any, path: str) -> None:
    assert run("sample", path, "--length", 5, "--seed", 7).err == "seed 7\n"


def test_the_seed_that_is_said_gives_the_text_again(run: Any, path: str) -> None:
    first = run("sample", path, "--length", 50)
    said = re.fullmatch(r"seed (\d+): (--seed \1) draws the same again\n", first.err)
    assert said
    assert run("sample", path, "--length", 50, *said[2].split()).out == first.out


def test_two_samples_differ(run: Any, path: str) -> None:
    assert run("sample", path, "--length", 50).out != run("sample", path, "--length", 50).out


def test_sample_prints_1000_elements_by_default(run: Any, path: str) -> None:
    assert len(run("sample", path, "--carry").out) == 1000


def test_a_length_of_0_prints_nothing(run: Any, path: str) -> None:
    assert run("sample", path, "--length", 0).raw == b""


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (["--temp", "0.5"], {"temp": 0.5}),
        (["--temp", "0"], {"temp": 0}),
        (["--inverse-temp", "1.5"], {"inverse_temp": 1.5}),
        (["--prime", "cab"], {"prime": "cab"}),
        (["--prime", ""], {}),
        (["--prime", "cab", "--include-prime"], {"prime": "cab", "include_prime": True}),
        (["--prime", "cXb", "--on-unknown", "skip"], {"prime": "cb"}),
        (["--prime", "cXb", "--on-unknown", "a"], {"prime": "cab"}),
        (["--temperature", "0.5"], {"temp": 0.5}),
        (["-t", "0.5"], {"temp": 0.5}),
        (["--prime-ids", "2,0,1"], {"prime": "cab"}),
        (["--logit-bias", "a=2.5", "--logit-bias", "b=-inf"], {"logit_bias": {"a": 2.5, "b": -np.inf}}),
        (["--carry"], {"refresh": None}),
        (["--refresh", "5"], {"refresh": 5}),
        (["--top-k", "3"], {"top_k": 3}),
        (["--top-p", "0.5"], {"top_p": 0.5}),
        (["--min-p", "0.5"], {"min_p": 0.5}),
        (["--repeat-penalty", "1.5"], {"repeat_penalty": 1.5}),
        (["--stop", "a", "--stop", "b"], {"stop": ["a", "b"]}),
        (["--threads", "2"], {}),
    ],
)
def test_each_option_is_that_of_sample(run: Any, path: str, argv: list[str], options: dict[str, Any]) -> None:
    want = lstmgen.Generator(path).sample(60, seed=1, **options)
    assert run("sample", path, "--length", 60, "--seed", 1, *argv).out == want


def test_a_prime_may_come_from_a_file(run: Any, path: str, tmp_path: Path) -> None:
    (tmp_path / "prime.txt").write_bytes(b"cab")
    ran = run("sample", path, "--length", 5, "--prime-file", tmp_path / "prime.txt", "--include-prime")
    assert ran.out.startswith("cab")


def test_text_is_utf_8_whatever_the_locale_says(tmp_path: Path) -> None:
    vocabulary = list("aßü語😀fghij\n")
    model = saved(tmp_path / "unicode.bin", packed(vocabulary=vocabulary))
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    process = start("sample", model, "--length", "80", "--seed", "1", env=env)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"seed 1\n")
    assert out.decode() == lstmgen.Generator(model).sample(80, seed=1)


def test_a_token_model_prints_its_elements_in_a_line(run: Any, token_path: str) -> None:
    want = lstmgen.Generator(token_path).sample(20, seed=1)
    assert run("sample", token_path, "--length", 20, "--seed", 1).out == " ".join(map(str, want)) + "\n"


def test_a_token_model_is_primed_with_words(run: Any, token_path: str) -> None:
    ran = run("sample", token_path, "--length", 3, "--prime", "The cat", "--include-prime")
    assert ran.out.split()[:2] == ["The", "cat"]


def test_a_model_without_vocabulary_prints_ids(run: Any, tmp_path: Path) -> None:
    model = saved(tmp_path / "ids.bin", packed(vocabulary=None))
    want = lstmgen.Generator(model).sample(20, seed=1)
    assert run("sample", model, "--length", 20, "--seed", 1).out == " ".join(map(str, want)) + "\n"


def test_a_prime_may_come_from_stdin(path: str) -> None:
    process = start("sample", path, "--length", "5", "--prime", "-", "--include-prime", stdin=subprocess.PIPE)
    out, _ = process.communicate(b"cab", timeout=60)
    assert (process.returncode, out[:3], len(out)) == (0, b"cab", 8)


def test_escapes_stand_for_characters_if_asked_for(run: Any, tmp_path: Path) -> None:
    model = saved(tmp_path / "x.bin", packed(vocabulary=list("abc\n\t\\ßghij")))
    argv = ("sample", model, "--length", 0, "--include-prime", "--escape")
    assert run(*argv, "--prime", r"a\n\t\\\xdf\u00dfb").out == "a\n\t\\ßßb"
    want = lstmgen.Generator(model).sample(300, seed=1, stop="\n")
    assert run("sample", model, "--length", 300, "--seed", 1, "--stop", r"\n", "--escape").out == want
    run(*argv, "--prime", r"a\q").failed(r"--escape: expected one of .*, found \\q")
    run(*argv, "--prime", "a\\").failed(r"--escape: expected one of .*, found \\")
    run("sample", model, "--prime", r"\n").failed(r"'n' .*at position 1")  # not asked for


@pytest.mark.parametrize(("typed", "near"), [("LATEX", "latex"), ("latx", "latex"), ("musik", "music")])
def test_a_bundled_model_that_is_misspelled_is_suggested(run: Any, typed: str, near: str) -> None:
    run("sample", typed).failed(
        rf"{typed}: No such file or directory: did you mean '{near}'\? \(bundled: folk, latex, music\)"
    )


def test_music_on_stdout_says_how_to_listen_to_it(run: Any, token_path: str) -> None:
    ran = run("sample", "music", "--length", 5)
    assert "-o out.mid" in ran.err
    assert "-o out.mid" not in run("sample", token_path, "--length", 5).err


# -- what a model recommends -----------------------------------------------------------------------


@pytest.fixture
def recommending(tmp_path: Path) -> str:
    """Return a model whose card recommends options of sampling."""
    return saved(tmp_path / "card.bin", packed(card='{"sample": {"temp": 0.5, "stop": ["fd"], "dance": 1}}'))


def test_what_the_card_recommends_is_used_and_said(run: Any, recommending: str) -> None:
    ran = run("sample", recommending, "--length", 500, "--seed", 7)
    assert ran.out == lstmgen.Generator(recommending).sample(500, 0.5, seed=7, stop="fd")
    assert ran.err == (
        "temp 0.5, as the model's card recommends; --temp changes it\n"
        "stop fd, as the model's card recommends; --stop changes it\n"
        "seed 7\n"
    )


def test_the_bundled_model_of_latex_recommends_its_temperature(run: Any) -> None:
    ran = run("sample", "latex", "--length", 40, "--seed", 1)
    assert ran.out == lstmgen.Generator("latex").sample(40, 0.67, seed=1, grammar="own")
    assert ran.err.startswith("temp 0.67, as the model's card recommends; --temp changes it\n")


@pytest.mark.parametrize("given", [["--temp", "1"], ["--temperature", "1"], ["--inverse-temp", "1"]])
def test_what_is_given_goes_before_what_is_recommended(run: Any, recommending: str, given: list[str]) -> None:
    ran = run("sample", recommending, "--length", 500, "--seed", 7, *given)
    assert ran.out == lstmgen.Generator(recommending).sample(500, 1.0, seed=7, stop="fd")
    assert "temp" not in ran.err


def test_python_does_not_use_what_is_recommended(recommending: str, path: str) -> None:
    assert lstmgen.Generator(recommending).sample(50, seed=7) == lstmgen.Generator(path).sample(50, seed=7)


@pytest.mark.parametrize("sample", ["[]", "3", '{"temp": "hot"}', '{"temp": null}', '{"stop": 5}', '{"seed": 1}'])
def test_a_card_that_recommends_nonsense_is_no_traceback(run: Any, tmp_path: Path, sample: str) -> None:
    ran = run("sample", saved(tmp_path / "x.bin", packed(card=f'{{"sample": {sample}}}')), "--length", 5)
    assert ran.status in (0, 1)
    assert ran.err.count("\n") <= 3


def test_an_export_writes_what_it_is_to_recommend(run: Any, small_h5: Path, tmp_path: Path) -> None:
    out, card = tmp_path / "out.bin", tmp_path / "card.json"
    card.write_text('{"bits": 1.5}')
    argv = ("export", small_h5, out, "--card", card)
    assert run(*argv, "--temp", 0.67, "--stop", "a", "--stop", "b", "--top-k", 2).status == 0
    assert lstmgen.Model(out).metadata["card"]["sample"] == {"temp": 0.67, "stop": ["a", "b"], "top_k": 2}
    assert lstmgen.Model(out).metadata["card"]["bits"] == 1.5
    run(*argv, "--temp", "-1").failed("--temp: expected a number >= 0, found -1.0")


# -- sample -o -------------------------------------------------------------------------------------


def test_output_goes_to_a_file(run: Any, path: str, tmp_path: Path) -> None:
    ran = run("sample", path, "--length", 50, "--seed", 1, "-o", tmp_path / "out.txt")
    assert (ran.status, ran.out, ran.err) == (0, "", "seed 1\n")
    assert (tmp_path / "out.txt").read_bytes().decode() == lstmgen.Generator(path).sample(50, seed=1)


def test_output_of_a_token_model_is_what_it_would_print(run: Any, token_path: str, tmp_path: Path) -> None:
    argv = ("sample", token_path, "--length", 9, "--seed", 1)
    run(*argv, "-o", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_bytes() == run(*argv).raw


def test_an_existing_file_stays_when_the_prime_is_wrong(run: Any, path: str, tmp_path: Path) -> None:
    out = Path(saved(tmp_path / "out.txt", b"precious"))
    run("sample", path, "--prime", "X", "-o", out).failed("'X'")
    assert out.read_bytes() == b"precious"


def test_an_existing_file_stays_when_sampling_fails_midway(
    run: Any, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(*args: Any, **options: Any) -> Iterator[str]:
        yield "abc"
        raise OSError("out of luck")

    monkeypatch.setattr(lstmgen.Generator, "stream", stream)
    out = Path(saved(tmp_path / "out.txt", b"precious"))
    ran = run("sample", path, "-o", out, "--seed", 1)
    assert (ran.status, ran.err) == (1, "seed 1\nlstmgen: out of luck\n")
    assert out.read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.txt", "tiny.bin"]


def test_an_existing_file_stays_when_it_cannot_be_replaced(
    run: Any, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    out = Path(saved(tmp_path / "out.txt", b"precious"))
    ran = run("sample", path, "-o", out, "--seed", 1)
    assert ran.status == 1
    assert ran.err == f"seed 1\nlstmgen: {out}: cannot write: No space left on device\n"
    assert out.read_bytes() == b"precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.txt", "tiny.bin"]


def test_a_missing_output_folder_is_one_line(run: Any, path: str, tmp_path: Path) -> None:
    ran = run("sample", path, "--seed", 1, "-o", tmp_path / "no" / "out.txt")
    assert ran.status == 1
    assert ran.err == f"lstmgen: {tmp_path}/no/out.txt: cannot write into the folder {tmp_path}/no\n"


def test_output_to_a_dash_is_stdout(run: Any, path: str, tmp_path: Path) -> None:
    want = lstmgen.Generator(path).sample(50, seed=1)
    assert run("sample", path, "--length", 50, "--seed", 1, "-o", "-").out == want
    ran = run("sample", path, "--length", 50, "--seed", 1, "-o", tmp_path / "out.txt", "-o", "-")
    assert ran.out == (tmp_path / "out.txt").read_text() == want


def test_a_long_sample_into_a_file_shows_its_progress_on_a_terminal(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr(progress, "DELAY", 0.0)
    assert cli.main(["sample", path, "-n", "50", "-s", "1", "-o", str(tmp_path / "out.txt")]) == 0
    assert re.search(r"\r *\d+%.* \d+/50 \[\d\d:\d\d<.* elements/s\]|\r *0%.*0/50", terminal.getvalue())
    assert terminal.getvalue().endswith("\r")  # the line is empty again


# -- pipes and signals -----------------------------------------------------------------------------


@posix
def test_a_reader_that_has_had_enough_ends_it_quietly(path: str) -> None:
    process = start("sample", path, "--length", str(10**9), "--carry", "--seed", "1")
    assert process.stdout is not None
    assert process.stderr is not None
    assert len(process.stdout.read(10)) == 10
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b"seed 1\n"
    process.stderr.close()


@posix
def test_a_full_disk_is_one_line(path: str) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        process = start("sample", path, "--length", "100000", "--carry", "--seed", "1", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == b"seed 1\nlstmgen: the output cannot be written: No space left on device\n"


@posix
@pytest.mark.parametrize("argv", [("--help",), ("--version",), ("sample", "--help"), ("train", "text", "--help")])
def test_a_help_that_cannot_be_written_is_one_line(argv: tuple[str, ...]) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        process = start(*argv, stdout=full)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"lstmgen: the output cannot be written: No space left on device\n")
    status, _, err = without("1", *argv)
    assert (status, err) == (1, b"lstmgen: the output cannot be written: Bad file descriptor\n")


CLOSED = """
import os, sys
for descriptor in sys.argv[1]:
    os.close(int(descriptor))
os.execv(sys.executable, [sys.executable, "-m", "lstmgen", *sys.argv[2:]])
"""


def without(descriptors: str, *argv: str) -> tuple[int, bytes, bytes]:
    """Return status, stdout and stderr of a command started without these descriptors (`>&-`)."""
    pipes: Any = {"stdin": subprocess.DEVNULL, "capture_output": True, "timeout": 60}
    ran = subprocess.run([sys.executable, "-c", CLOSED, descriptors, *argv], **pipes, check=False)
    return ran.returncode, ran.stdout, ran.stderr


@posix
@pytest.mark.parametrize("argv", [("info",), ("sample", "--seed", "1"), ("predict", "--example")])
def test_a_closed_stdout_is_one_line(path: str, argv: tuple[str, ...]) -> None:
    status, _, err = without("1", argv[0], path, *argv[1:])
    assert status == 1
    assert err.endswith(b"lstmgen: the output cannot be written: Bad file descriptor\n")
    assert b"Traceback" not in err


@posix
def test_a_closed_stderr_leaves_stdout_as_it_is(path: str) -> None:
    want = lstmgen.Generator(path).sample(20, seed=1)
    assert without("2", "sample", path, "--length", "20", "--seed", "1") == (0, str(want).encode(), b"")


@posix
@pytest.mark.parametrize("descriptors", ["0", "01", "12", "012"])
def test_no_closed_stream_is_a_traceback(path: str, tmp_path: Path, descriptors: str) -> None:
    out = tmp_path / "out.txt"
    status, _, err = without(descriptors, "sample", path, "--length", "20", "--seed", "1", "-o", str(out))
    assert (status, out.read_text(encoding="utf-8")) == (0, lstmgen.Generator(path).sample(20, seed=1))
    assert b"Traceback" not in err
    assert without(descriptors, "--help")[0] == int("1" in descriptors)


@pytest.mark.parametrize("encoding", slow_but({"ascii"}, ["latin-1", "ascii", "cp1252"], "starts a process each"))
def test_what_the_terminal_cannot_show_is_escaped(tmp_path: Path, encoding: str) -> None:
    of = saved(tmp_path / "unicode.bin", packed(vocabulary=list("aßü語😀fghij\n"), name="Größe 語"))
    env = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    for argv, status, shown in [
        (["info", of], 0, r"\u8a9e \U0001f600 f g h"),
        (["sample", of, "--prime", "語☃"], 1, r"\u2603"),
        (["sample", "語"], 1, r"\u8a9e: No such file"),
    ]:
        process = start(*argv, env=env)
        out, err = process.communicate(timeout=60)
        assert process.returncode == status
        assert shown.encode() in out + err
        assert b"Traceback" not in err
    process = start("info", of, "--json", env=env)
    assert json.loads(process.communicate(timeout=60)[0])["vocabulary"][3] == "語"


@posix
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("output", [False, True])
def test_ctrl_c_ends_it_quietly(path: str, tmp_path: Path, output: bool) -> None:
    out = Path(saved(tmp_path / "out.txt", b"precious"))
    more = ["-o", str(out)] if output else []
    process = start(
        *("sample", path, "--length", str(10**9), "--carry", "--seed", "1", *more),
        stdout=subprocess.DEVNULL,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == b"seed 1\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert process.stderr.read() == b""
    process.stderr.close()
    assert out.read_bytes() == b"precious"


# -- what fails ------------------------------------------------------------------------------------


def test_a_missing_file_is_one_line(run: Any, tmp_path: Path) -> None:
    run("sample", tmp_path / "no.bin").failed(r"no\.bin: No such file or directory")


def test_a_directory_is_one_line(run: Any, tmp_path: Path) -> None:
    run("sample", tmp_path).failed("a folder; expected a file that Keras saved")


@pytest.mark.parametrize("name", ["x.bin", "x.txt", "x.h5", "x"])
@pytest.mark.parametrize("data", [b"", b"hello", b"GGUF", b"\0" * 4096, packed()[:999]])
def test_what_is_no_model_is_one_line(run: Any, tmp_path: Path, name: str, data: bytes) -> None:
    run("sample", saved(tmp_path / name, data)).failed(re.escape(name))


def test_a_damaged_model_is_one_line(run: Any, tmp_path: Path) -> None:
    run("sample", saved(tmp_path / "x.bin", packed()[:-1] + b"\x01")).failed("the checksum is wrong")


def test_an_unknown_character_is_one_line(run: Any, path: str) -> None:
    run("sample", path, "--prime", "abß").failed(r"'ß' \(U\+00DF\) at position 2 is not in the vocabulary")


def test_an_unknown_control_character_is_one_line(run: Any, path: str) -> None:
    run("sample", path, "--prime", "ab\n\x1b[2J").failed(r"'\\n' \(U\+000A\) at position 2")


def test_a_missing_prime_file_is_one_line(run: Any, path: str, tmp_path: Path) -> None:
    run("sample", path, "--prime-file", tmp_path / "no.txt").failed(r"no\.txt: No such file or directory")


def test_a_prime_file_may_begin_with_the_mark_of_windows(run: Any, path: str, tmp_path: Path) -> None:
    plain, marked = saved(tmp_path / "a.txt", b"abc"), saved(tmp_path / "b.txt", b"\xef\xbb\xbfabc")
    drawn = [
        run("sample", path, "-n", 9, "-s", 1, "--prime-file", file, "--include-prime").out for file in (plain, marked)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith("abc")


def test_a_prime_file_of_another_character_set_is_told_what_to_do(run: Any, path: str, tmp_path: Path) -> None:
    wide = saved(tmp_path / "x.txt", "abc".encode("utf-16"))
    run("sample", path, "--prime-file", wide).failed(r"x\.txt: not UTF-8: .*; save it as UTF-8: it may be utf-16")


def test_numbers_and_layers_of_another_character_set_are_told_what_to_do(
    run: Any, path: str, small_h5: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "w.h5"
    with h5py.File(small_h5) as whole, h5py.File(weights, "w") as file:
        of = whole["model_weights"]
        file.attrs.update(of.attrs)
        for name in of:
            of.copy(name, file)
    layers = "Input((4, 2)), LSTM(3), Dense(2, softmax)"
    for command, text in (["predict", path], "0,1"), (["info", weights, "--config"], layers):
        marked = saved(tmp_path / "marked.json", text.encode("utf-8-sig"))
        assert run(*command, marked).status == 0
        wide = saved(tmp_path / "wide.json", text.encode("utf-16"))
        run(*command, wide).failed(r"wide\.json: not UTF-8: .*; save it as UTF-8: it may be utf-16")


def test_a_sample_does_not_replace_what_it_reads(run: Any, path: str, tmp_path: Path) -> None:
    prime = saved(tmp_path / "prime.txt", b"abc")
    run("sample", path, "--prime-file", prime, "-o", prime).failed(r"prime\.txt: what is read would be replaced")
    assert Path(prime).read_bytes() == b"abc"
    model = tmp_path / "model"
    model.write_bytes(Path(path).read_bytes())
    run("sample", model, "-o", model).failed("model: what is read would be replaced")
    ids = tmp_path / "ids.npy"
    np.save(ids, np.array([[0, 1]]))
    run("predict", path, ids, "-o", ids).failed(r"ids\.npy: what is read would be replaced")


def test_a_prime_file_that_is_no_text_is_one_line(run: Any, path: str, tmp_path: Path) -> None:
    run("sample", path, "--prime-file", saved(tmp_path / "x.txt", b"\xff\xfe")).failed(r"x\.txt: not UTF-8")


def test_a_network_of_features_is_one_line(run: Any, tmp_path: Path) -> None:
    of = network([("lstm", 4), ("dense", 1, "sigmoid")], 3, 5)
    model = saved(tmp_path / "x.bin", packed(of, encoding="features"))
    run("sample", model).failed("predicts, but does not generate")


def test_vocab_from_for_a_bin_is_one_line(run: Any, path: str) -> None:
    run("sample", path, "--vocab-from", path).failed("only a Keras file takes --vocab-from")


def test_an_unknown_instruction_set_is_one_line(run: Any, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTMGEN_ISA", "quantum")
    run("sample", path).failed("LSTMGEN_ISA: expected one of .*'quantum'")


def test_an_export_that_cannot_be_opened_here_writes_nothing(
    run: Any, small_h5: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSTMGEN_ISA", "quantum")
    run("export", small_h5, tmp_path / "new.bin").failed("LSTMGEN_ISA: expected one of .*'quantum'")
    assert not (tmp_path / "new.bin").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--temp", "-1"], "--temp: expected a number >= 0"),
        (["-t", "nan"], "--temp: expected a number >= 0"),
        (["--inverse-temp", "0"], "--inverse-temp: expected a number > 0"),
        (["-n", "-1"], "--length: expected at least 0, found -1"),
        (["-s", "-1"], "--seed: expected at least 0, found -1"),
        (["--refresh", "0"], "--refresh: expected at least 1, found 0"),
        (["--threads", "0"], "--threads: expected at least 1, found 0"),
        (["--top-k", "0"], "--top-k: expected at least 1, found 0"),
        (["--top-p", "2"], "--top-p: expected"),
        (["--stop", ""], "--stop: expected texts of at least one element"),
        (["--on-unknown", "X"], "--on-unknown: expected"),
    ],
)
def test_a_value_out_of_range_is_one_line(run: Any, path: str, argv: list[str], message: str) -> None:
    run("sample", path, *argv).failed(message)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["smaple"], "did you mean 'sample'"),
        (["train", "txt"], "did you mean 'text'"),
        (["sample", "m", "--tmp", "1"], "did you mean '--temp'"),
        (["sample", "m", "--min_p=1"], "did you mean '--min-p'"),
        (["info", "m", "--temperatur", "1"], r"lstmgen info: error: unrecognized arguments: --temperatur 1$"),
        (["train", "text", "m", "-o", "x", "--unit", "1", "--hold"], "lstmgen train text: error"),
        (["sample", "m", "--\x1b[2J"], r"--\\x1b\[2J"),
        (["sample"], "model"),
        (["sample", "m", "--nonsense"], "--nonsense"),
        (["sample", "m", "--length", "many"], "--length: expected an integer >= 0, found 'many'"),
        (["sample", "m", "--temp", "hot"], "--temp: expected a number >= 0, found 'hot'"),
        (["sample", "m", "--logit-bias", "a"], "--logit-bias: expected a mapping .*, found 'a'"),
        (["sample", "m", "--prime-ids", "1,b"], "--prime-ids: expected ids such as 1,2,3, found '1,b'"),
        (["sample", "m", "--temp", "1", "--inverse-temp", "1"], "not allowed with"),
        (["sample", "m", "--prime", "a", "--prime-file", "f"], "not allowed with"),
        (["sample", "m", "--carry", "--refresh", "2"], "not allowed with"),
        (["sample", "m", "-o", "folder/"], "expected the name of a file, found that of a folder, 'folder/'"),
        (["info"], "model"),
    ],
)
def test_misuse_shows_the_usage(run: Any, argv: list[str], message: str) -> None:
    run(*argv).misused(message)


@posix
def test_a_failing_process_shows_no_traceback(tmp_path: Path) -> None:
    process = start("sample", saved(tmp_path / "x.bin", b"GGUF"))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, b"")
    assert err.decode() == f"lstmgen: {tmp_path}/x.bin: the file ends inside the header at byte 4\n"


# -- the rest --------------------------------------------------------------------------------------


def test_version(run: Any) -> None:
    assert run("--version").out == f"lstmgen {lstmgen.__version__}\n"


@pytest.mark.parametrize("command", ["sample", "export", "info", "train", "verify", "bench"])
def test_each_command_has_help(run: Any, command: str) -> None:
    ran = run(command, "--help")
    assert ran.status == 0
    assert ran.out.startswith(f"usage: lstmgen {command}")


def test_info_shows_what_is_inside(run: Any, tmp_path: Path) -> None:
    facts: Any = {"name": "A name", "license": "MIT", "card": '{"bits per character": 1.25}'}
    ran = run("info", saved(tmp_path / "x.bin", packed(**facts)))
    assert ran.status == 0
    lines = {line[:22].strip(): line[23:] for line in ran.out.splitlines()}
    assert lines["name"] == "A name"
    assert lines["license"] == "MIT"
    assert lines["bits per character"] == "1.25"
    assert lines["encoding"] == "onehot"
    assert lines["input shape"] == "(None, 12, 11)"
    assert lines["vocabulary"] == "11 elements: a b c d e f g h i j k"
    assert lines["prime"] == "12 elements: ahdkgcjfbiea"
    assert "author" not in lines
    assert re.search(r"lstm_0 +lstm +11 -> 20 +tanh, sigmoid\n", ran.out)
    assert re.search(r"dense_2 +dense +17 -> 11 +softmax\n", ran.out)


def test_info_as_json_is_for_programs(run: Any, path: str) -> None:
    facts = json.loads(run("info", path, "--json").out)
    assert facts["encoding"] == "onehot"
    assert facts["input_shape"] == [None, 12, 11]
    assert facts["output_shape"] == [None, 11]
    assert facts["vocabulary"] == list("abcdefghijk")
    assert facts["vocabulary_kind"] == "text"
    assert facts["layers"][0] == {
        "type": "lstm",
        "name": "lstm_0",
        "input_size": 11,
        "outputs": 20,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "return_sequences": True,
        "sources": [0],
    }


def test_info_explains_a_keras_file(run: Any, small_h5: Path) -> None:
    ran = run("info", str(small_h5))
    assert ran.status == 0
    lines = {line[:22].strip(): line[23:] for line in ran.out.splitlines()}
    assert lines["kind"] == "whole model (HDF5)"
    assert lines["keras version"] == "2.1.5"
    assert lines["input shape"] == "(None, 4, 2)"
    assert lines["output shape"] == "(None, 2)"
    assert re.search(r"lstm_1 +LSTM +\(None, 3\) +units 3\n", ran.out)
    assert "refused" not in lines
    assert json.loads(run("info", str(small_h5), "--json").out)["layers"][0]["class_name"] == "LSTM"


def test_info_says_what_would_be_refused(run: Any, small_h5: Path) -> None:
    with h5py.File(small_h5, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        model["config"][1] = {"class_name": "Lambda", "config": {"name": "double"}}
        file.attrs["model_config"] = json.dumps(model)
    ran = run("info", str(small_h5))
    assert ran.status == 0
    assert re.search(r"refused +layer double: a Lambda layer holds Python code, which is never run", ran.out)
    assert re.search(r"double +Lambda +REFUSED: a Lambda layer holds Python code", ran.out)


def test_info_of_weights_says_what_is_assumed(run: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"lstm_1", b"dense_1"]
        file.attrs["keras_version"] = b"2.2.4"
        shapes = {"lstm_1": [("kernel", (5, 12)), ("recurrent_kernel", (3, 12)), ("bias", (12,))]}
        shapes["dense_1"] = [("kernel", (3, 5)), ("bias", (5,))]
        for layer, arrays in shapes.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name, _ in arrays]
            for name, shape in arrays:
                group[f"{layer}/{name}:0"] = rng.normal(size=shape).astype(np.float32)
    ran = run("info", str(path))
    assert "weights only" in ran.out
    assert "read from the weights as LSTM 3 > Dense 5" in ran.out
    assert "gates are hard_sigmoid" in ran.out
    assert "(None, 7, 5)" in run("info", str(path), "--config", "LSTM(3) > Dense(5, softmax)", "--window", "7").out


@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize("facts", [{"vocabulary": None}, {"prime": None}, {"dtype": "bf16"}, {"card": "[1]"}])
def test_info_takes_any_model(run: Any, tmp_path: Path, facts: dict[str, Any], as_json: tuple[str, ...]) -> None:
    assert run("info", saved(tmp_path / "x.bin", packed(**facts)), *as_json).status == 0


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_info_sends_no_commands_to_the_terminal(run: Any, tmp_path: Path, as_json: tuple[str, ...]) -> None:
    evil = "\x1b]0;owned\x07\x9b2J\r"
    card = json.dumps({evil: [evil, "\ud800"]})
    vocabulary = [evil, *"bcdefghijk"]
    data = packed(name=evil, description=evil, card=card, vocabulary=vocabulary)
    ran = run("info", saved(tmp_path / "x.bin", data), *as_json)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.replace("\n", "").isprintable()


@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize("depth", [10, 300, 900, 100_000])
def test_info_survives_a_deep_card(run: Any, tmp_path: Path, depth: int, as_json: tuple[str, ...]) -> None:
    card = '{"a":' + "[" * depth + "]" * depth + "}"
    ran = run("info", saved(tmp_path / "x.bin", packed(card=card)), *as_json)
    assert ran.status in (0, 1)
    assert ran.err.count("\n") == ran.status


def test_info_of_what_is_no_model_is_one_line(run: Any, tmp_path: Path) -> None:
    run("info", saved(tmp_path / "x.bin", b"hello")).failed(r"x\.bin")


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("measure", "advise"):
        monkeypatch.setattr(bench, name, functools.partial(getattr(bench, name), seconds=0.02))


def test_bench_shows_both_ways_of_sampling(run: Any, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    ran = run("bench", path)
    assert ran.status == 0
    first, kernels, *modes = ran.out.splitlines()
    model = lstmgen.Model(path)
    assert (first, kernels) == (f"{model!r}, 1 thread", f"{model.isa}: {model.isa_reason}")
    row = r"{} +[\d,]+ elements/s +\d+% of the {} limit"
    assert re.fullmatch(row.format(r"window \(--refresh 1\)", "arithmetic"), modes[0])
    assert re.fullmatch(row.format(r"carried \(--carry\)", "memory"), modes[1])
    assert modes[2].startswith("other options: ")
    assert modes[-1].startswith("recommended: ")
    options = {line.split("  ")[1].strip(): line for line in modes[3:-1]}
    assert {"as it is", "--carry", "--dtype bf16", "--dtype int8"} <= options.keys()
    assert re.search(r"\d\.\d\d window, +\d+\.\d\d carried +\d\.\d\d\d bits", options["--dtype int8"])


@pytest.fixture
def pooled_path(tmp_path: Path) -> str:
    """Return a network whose output averages all steps of its window. Carried state changes it."""
    of = network([("lstm", 12), ("average_pool",), ("dense", 12, "softmax")], 12, 9, sequences=True)
    of.layers[0].arrays["recurrent_kernel"][:] *= 3
    of.layers[-1].arrays["kernel"][:] *= 60
    data = packed(of, vocabulary=list("abcdefghijkl"), vocabulary_kind="text", prime=[1, 2, 3])
    return saved(tmp_path / "pooled.bin", data)


def test_bench_recommends_no_option_that_changes_the_score(
    run: Any, pooled_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    ran = run("bench", pooled_path)
    assert ran.status == 0
    carry = next(line for line in ran.out.splitlines() if line.startswith("  --carry"))
    before = next(line for line in ran.out.splitlines() if line.startswith("  as it is"))
    assert float(carry.split()[-4]) > float(before.split()[-2]) + 0.1
    assert carry.endswith("not recommended")
    assert "--carry is another model: pooling over the 9 steps of a window, not over all that came before" in ran.out
    assert "--carry" not in ran.out.splitlines()[-1]


def test_bench_scores_the_text_that_is_given(
    run: Any, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    vocabulary = lstmgen.Model(path).vocabulary
    assert vocabulary is not None
    text = "".join(vocabulary.elements) * 3
    (tmp_path / "text.txt").write_text(text)
    ran = run("bench", path, "--text", str(tmp_path / "text.txt"))
    assert f"bits of an element of {tmp_path / 'text.txt'}:" in ran.out
    bits = lstmgen.Generator(path).score(text).bits_per_element
    assert re.search(rf"as it is +{bits:.3f} bits", ran.out)


@pytest.mark.parametrize("asked", [["--carry"], ["--refresh", "5"]])
def test_carried_state_of_a_network_that_pools_its_window_is_warned_of(
    run: Any, pooled_path: str, asked: list[str]
) -> None:
    ran = run("sample", pooled_path, "--length", "3", *asked)
    assert ran.status == 0
    assert "warning: carried state gives another model here: pooling over the 9 steps of a window" in ran.err
    assert "warning" not in run("sample", pooled_path, "--length", "3").err


def test_bench_of_a_model_without_a_window_shows_the_carried_state(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    ran = run("bench", saved(tmp_path / "x.bin", packed(network(window=0), prime=None)))
    assert ran.status == 0
    assert "carried" in ran.out
    assert "window (refresh" not in ran.out


def test_bench_of_a_network_of_features_is_one_line(run: Any, tmp_path: Path) -> None:
    of = network([("lstm", 4), ("dense", 1, "sigmoid")], 3, 5)
    ran = run("bench", saved(tmp_path / "x.bin", packed(of, encoding="features")))
    assert ran.status == 1
    assert "predicts, but does not generate" in ran.err


# -- for C and C++ programs ------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--cmake-dir", "--include-dir", "--library"])
def test_a_checkout_has_no_files_for_other_programs(run: Any, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setitem(cli._DEVELOPMENT, option, ("nowhere", "it"))
    run(option).failed(f"{option}: not in this checkout: it comes with an installed wheel, 'pip install .'")
