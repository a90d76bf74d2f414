"""Standard input and output, which `-` stands for on the command line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lstmgen import charsets, inputs

DASH = "-"
MAX_MODEL = 2**32  # bytes, as of a `.bin` that is a file
MODEL_HELP = "a .bin, a model saved by Keras, or a bundled model's name; - is stdin"


def file_name(text: str) -> str:
    """Return an argument that names a file. It is a `type` of argparse."""
    if not text.strip() or "\0" in text:  # an unset variable of a shell gives ""
        raise argparse.ArgumentTypeError(f"expected the name of a file, found {text!r:.60}")
    return text


def as_path(text: str) -> Path:
    """Return an argument that names a file, as a path. It is a `type` of argparse."""
    if file_name(text).endswith(tuple(filter(None, (os.sep, os.altsep)))):  # which a path would lose
        raise argparse.ArgumentTypeError(f"expected the name of a file, found that of a folder, {text!r:.60}")
    return Path(text)


def check_one_stdin(*arguments: str | Path | None) -> None:
    """Raise `ValueError` if several of these are `-`. Stdin can be read only once."""
    if [str(argument) for argument in arguments].count(DASH) > 1:
        raise ValueError("-: stdin can be read only once: name a file for one of the two arguments")


def read_stdin(most: int) -> bytes:
    """Return the bytes of stdin. Raises `ValueError` for more than `most`."""
    return inputs.read_from("stdin", sys.stdin.buffer, most)


def model_source(name: str) -> str | bytes:
    """Return what `Model` takes for the argument that names a model."""
    return read_stdin(MAX_MODEL) if name == DASH else name


def read_text(path: str | Path, most: int = inputs.MAX_TEXT) -> str:
    """Return the text of a file or of stdin, in UTF-8, of at most `most` bytes."""
    name, data = ("stdin", read_stdin(most)) if str(path) == DASH else (str(path), inputs.read(path, most))
    return charsets.decoded(name, data)


def check_stdout(what: str) -> None:
    """Raise `ValueError` if stdout is a terminal, which cannot show `what`."""
    if sys.stdout.isatty():
        raise ValueError(f"-: a terminal cannot show {what}: send it to a file with '> NAME', or to a program")


def write_stdout(data: bytes) -> None:
    """Write bytes to stdout."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
