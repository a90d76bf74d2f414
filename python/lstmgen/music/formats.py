"""The one table of the kinds of music files: what can be read, and what can be written.

A new kind of file is a row of `FORMATS`. One that is written also needs a function in
`piece.WRITERS`. One that music21 reads also needs a bound in `parsing`.
"""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import NamedTuple

MAX_FILE = 2**26  # bytes of a music file


class Format(NamedTuple):
    """What a suffix of a file name stands for.

    reads: the name that music21 has for the format; None if such files are not read.
    writes: the name of the function in `piece.WRITERS`; None if such files are not written.
    text: whether a model of text may write such a file, too, since it holds text.
    sound: whether such a file holds sound.

    >>> FORMATS[".mxl"]
    Format(reads='musicxml', writes=None, text=False, sound=False)
    """

    reads: str | None = None
    writes: str | None = None
    text: bool = False
    sound: bool = False


FORMATS = {
    ".mid": Format(reads="midi", writes="midi"),
    ".midi": Format(reads="midi", writes="midi"),
    ".kar": Format(reads="midi"),
    ".musicxml": Format(reads="musicxml", writes="musicxml"),
    ".xml": Format(reads="musicxml", writes="musicxml", text=True),
    ".mxl": Format(reads="musicxml"),
    ".krn": Format(reads="humdrum", text=True),
    ".abc": Format(reads="abc", writes="abc", text=True),
    ".wav": Format(writes="wav", sound=True),
    ".mp3": Format(writes="mp3", sound=True),
    ".ogg": Format(writes="ogg", sound=True),
    ".flac": Format(writes="flac", sound=True),
    ".png": Format(writes="png"),
}
SYNTHS = ("builtin", "fluidsynth")  # what plays sound
READABLE = {suffix: row.reads for suffix, row in FORMATS.items() if row.reads}
SOUND = frozenset(suffix for suffix, row in FORMATS.items() if row.sound)
WRITABLE = {suffix: row.writes for suffix, row in FORMATS.items() if row.writes}

# Suffixes of files that hold neither text nor music that can be written here. Text under such a
# name would be taken for a broken file.
_BINARY = frozenset(
    "." + suffix
    for kinds in (
        "aac ac3 aif aifc aiff amr ape au caf dsf m4a m4b mka mp2 oga opus ra snd voc wave weba wma wv",  # sound
        "rmi smf",  # MIDI under other names
        "als flp gp gp3 gp4 gp5 gpx mscz mus ove ptb sib",  # scores and projects
        "sf2 sf3",  # instruments
        "apng avif bmp gif heic ico jfif jpe jpeg jpg jxl psd tga tif tiff webp",  # pictures
        "3gp avi flv m4v mkv mov mp4 mpeg mpg ogv webm wmv",  # films
        "doc docx dvi epub odp ods odt pdf ppt pptx xls xlsx",  # documents
        "7z bz2 gz jar rar tar tgz xz zip zst",  # archives
        "bin ckpt feather gguf h5 hdf5 joblib keras npy npz onnx parquet pb pickle pkl pt pth safetensors tflite",
        "db sqlite sqlite3",  # data
        "a class dll dylib exe lib o pyc pyd so wasm",  # programs
        "otf ttf woff woff2",  # fonts
    )
    for suffix in kinds.split()
)


def suffix_of(path: str | os.PathLike[str]) -> str:
    """Return the last suffix of a name in lower case, with its point; "" if there is none.

    >>> suffix_of("a/Song.MID"), suffix_of("notes")
    ('.mid', '')
    """
    return PurePath(path).suffix.lower()


def is_text(path: str | os.PathLike[str]) -> bool:
    """Return whether a file of this name may hold text.

    Every name may, unless its suffix belongs to music, sound, a picture or another binary format.

    >>> is_text("a.tex"), is_text("a"), is_text("page.xml"), is_text("a.mid"), is_text("a.aiff")
    (True, True, True, False, False)
    """
    suffix = suffix_of(path)
    return FORMATS[suffix].text if suffix in FORMATS else suffix not in _BINARY
