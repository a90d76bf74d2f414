"""Each wrong command line is told in flags, never in the keywords of Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lstmgen import options
from lstmgen.cli import main as cli
from lstmgen.exporting import ExportOptions
from support.networks import network, packed

NAMES = {
    *ExportOptions.__annotations__,
    *options.TABLE,
    "as_saved",
    "windows",
    "resume",
    "overwrite",
    "from_",
    "prime_ids",
}
# `vocab_from=...`, `prime='a'`, `window: `, or a keyword with an underscore anywhere.
KEYWORDS = re.compile(
    rf"(?<![-\w.])({'|'.join(sorted(NAMES))})(=|: (expected|a|the|id) )"
    rf"|\b(Model|Generator)\."
    rf"|(?<![-\w./])({'|'.join(name for name in sorted(NAMES) if '_' in name)})\b"
)


@pytest.fixture
def folder(tmp_path: Path, small_h5: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a model of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "500")
    small_h5.rename("keras.h5")
    contents = {
        "text.bin": packed(),
        "ids.bin": packed(vocabulary=None, prime=None),
        "free.bin": packed(network(window=0), prime=None),
        "whole.bin": packed(network([("lstm", 4), ("reverse",), ("lstm", 4), ("dense", 11, "softmax")])),
        "labels.bin": packed(
            network([("lstm", 4), ("dense", 2, "softmax")], 2), encoding="features", labels=["a", "b"]
        ),
    }
    for name, data in contents.items():
        Path(name).write_bytes(data)
    for name, text in {"corpus.txt": "ab", "three.txt": "abc", "list.json": '["a", "b", "c"]', "bad.json": "{"}.items():
        Path(name).write_text(text, encoding="utf-8")
    yield tmp_path


WRONG = [
    "sample ids.bin",
    "sample ids.bin --prime abc",
    "sample ids.bin --prime-ids 99",
    "sample ids.bin --prime-ids 1 --stop a",
    "sample free.bin",
    "sample free.bin --prime a --refresh 3",
    "sample whole.bin --carry",
    "sample whole.bin --refresh 2",
    "sample text.bin --prime Z",
    "sample text.bin --stop Z",
    "sample text.bin --stop=",
    "sample text.bin --logit-bias Z=1",
    "sample text.bin --logit-bias a=nan",
    "sample text.bin --on-unknown Z",
    "sample text.bin --temp -1",
    "sample text.bin --top-k 0",
    "sample text.bin --top-p 2",
    "sample text.bin --length -1",
    "sample text.bin --seed -1",
    "sample text.bin --refresh 0",
    "sample text.bin --threads 0",
    "sample text.bin --vocab-from corpus.txt --lower --window 3",
    "sample labels.bin",
    "sample keras.h5 --prime-ids 1,2,3",
    "sample keras.h5 --vocab-from three.txt",
    "sample keras.h5 --vocab list.json --vocab-from three.txt",
    "sample keras.h5 --vocab bad.json",
    "sample keras.h5 --lower",
    "sample keras.h5 --charset latin-1",
    "sample keras.h5 --encoding index",
    "sample keras.h5 --encoding scaled",
    "sample keras.h5 --encoding raw --input-values number",
    "sample keras.h5 --encoding onehot --input-values 1,2",
    "sample keras.h5 --input-values nonsense",
    "sample keras.h5 --padding x",
    "sample keras.h5 --window 7",
    "sample keras.h5 --config Dense(2)",
    "export keras.h5 out.bin --prime ab",
    "export keras.h5 out.bin --prime xyz --vocab-from corpus.txt",
    "export keras.h5 out.bin --labels a",
    "export keras.h5 out.bin --labels a,a",
    "export keras.h5 out.bin --labels a,b --encoding scaled",
    "export keras.h5 out.bin --labels a,b --prime a",
    "export keras.h5 out.bin --encoding features --padding 0",
    "export keras.h5 out.bin --vocab-from corpus.txt --padding zz",
    "export keras.h5 out.bin --vocabulary-kind text",
    "export keras.h5 out.bin --output-layer nothing",
    "export keras.h5 out.bin --window 0",
    "export keras.h5 out.bin --card bad.json",
    "export keras.h5 out.bin --temp -3",
    "export text.bin out.bin --window 3 --lower --output-layer x",
    "export text.bin text.bin --dtype bf16",
    "info text.bin --vocab-from corpus.txt --lower",
    "info keras.h5 --vocab-from three.txt",
    "classify labels.bin x --on-unknown Z",
    "classify text.bin x",
    "classify keras.h5 x --labels a,b --vocab list.json",
    "predict text.bin corpus.txt",
    "predict keras.h5 --example --config Dense(2)",
    "predict keras.h5 --example --output-layer nothing",
    "verify text.bin keras.h5 --as-saved",
    "verify text.bin keras.h5 --windows 1",
    "train text corpus.txt -o out.bin --resume --overwrite",
    "train text corpus.txt -o out.bin --weight-decay 7",
    "train text corpus.txt -o out.bin --charset nonsense",
    "train text corpus.txt -o out.txt",
    "train text corpus.txt -o out.bin --column a",
    "train music corpus.txt -o out.bin --transpose --notation lesson",
    "train classifier corpus.txt -o out.bin --holdout 0.9",
]


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line_is_told_in_flags(folder: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    try:
        status = cli.main(line.split())
    except SystemExit as end:  # from argparse
        status = int(end.code or 0)
    out, err = capsys.readouterr()
    told = err.splitlines()[-1]
    assert status != 0, (out, err)
    assert told.startswith("lstmgen")
    assert not KEYWORDS.search(told.removeprefix("lstmgen: ")), told
