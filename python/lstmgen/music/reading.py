"""Many music files in, in parallel, with a cache."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from lstmgen import arguments, inputs, limits
from lstmgen.errors import option
from lstmgen.escaping import printable
from lstmgen.files import write
from lstmgen.music.elements import KEYS, check_keep, check_notation, transposed
from lstmgen.music.formats import MAX_FILE, READABLE, suffix_of
from lstmgen.music.parsing import Result, bound, music21_version, needs_music21, parse, prepare, reason
from lstmgen.progress import counted

File = str | os.PathLike[str]

_VERSION = 5  # of what the cache holds: add 1 when a notation or the reading changes
_LONG = 3600.0  # seconds, for a file whose reading is not bounded
_WORKER = (
    "import json,sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from lstmgen.music import reading; reading._serve()"
)


class Pieces(NamedTuple):
    """What `read_pieces` found.

    pieces: the elements of each piece.
    sources: the file of each piece. A file in ABC notation has many. With `transpose`, each comes
        in twelve keys, one after the other.
    skipped: each file that could not be read, and why.

    >>> Pieces([["n60"]], [Path("a.mid")], []).pieces
    [['n60']]
    """

    pieces: list[list[str]]
    sources: list[Path]
    skipped: list[tuple[Path, str]]


def read_pieces(
    paths: File | Iterable[File],
    *,
    notation: str = "events",
    keep: str | Iterable[str] = (),
    transpose: bool = False,
    cache: bool | File = True,
    jobs: int | None = None,
) -> Pieces:
    """Read music files as pieces of elements.

    paths: files with a suffix of `READABLE` (MIDI, MusicXML, Humdrum, ABC), or folders. A folder
        stands for all such files in it and in the folders below.
    notation: "events" or "lesson", see `lstmgen.music.elements`. "events" has the notes of all
        parts in order of time. Ornaments without a duration are left out, repeats are as written.
        Each tune of a file in ABC notation is a piece. ABC is read as "events" only.
        "lesson" has the notes of the first instrument that has any, as music21 partitions a file
        and rounds its times; without instruments, all notes. Drums are left out of both.
    keep: what "events" keeps beside pitches and times: some of "velocity", "pedal", "tempo",
        "meter", "tracks" and "ends", as names or a text with commas between; "all", or "none".
        Velocities and the pedal are those of MIDI files; a score in notes has none.
    transpose: whether each piece comes in all twelve keys, 5 semitones down to 6 up. Only for
        "events".
    cache: True keeps what was read in the user's cache folder, False nowhere, a path there.
    jobs: number of processes that read, at least 1; None is one for each processor.

    A file that cannot be read is skipped, with a warning that names it. Raises `OSError` for a path
    that does not exist, `ValueError` for options out of range and if nothing is left, and
    `ImportError` without music21, which reads MusicXML, Humdrum and the notation "lesson".

    >>> from tempfile import TemporaryDirectory
    >>> from lstmgen.music import Music, Note
    >>> with TemporaryDirectory() as folder:
    ...     Music([Note(0, 1, 60), Note(1, 0.5, 64)]).write(f"{folder}/a.mid")
    ...     read_pieces(folder, cache=False, jobs=1).pieces
    [['d24', 'n60', 't24', 'd12', 'n64']]
    """
    check_notation(notation)
    transpose = arguments.Flag().check("transpose", transpose)
    asked = check_keep(keep)
    if asked and notation != "events":
        raise ValueError(f"{option('keep')}: only with {option('notation', 'events')}")
    how = " ".join([notation, ",".join(asked)]).strip()
    if transpose and notation != "events":
        raise ValueError(
            f"{option('transpose')}: only with {option('notation', 'events')}: the lesson's chords have no pitches"
        )
    if jobs is not None:
        jobs = arguments.Integer(1).check("jobs", jobs)
    if not isinstance(cache, bool):
        arguments.path("cache", cache)
    given = [paths] if isinstance(paths, str | os.PathLike) else arguments.items("paths", paths)
    files = _files([arguments.path("paths", one) for one in given])
    version = music21_version() if any(needs_music21(path, notation) for path in files) else ""
    found: dict[Path, list[list[str]]] = {}
    skipped: list[tuple[Path, str]] = []
    for path, result in _read_all(files, how, _Cache.at(cache, f"{_VERSION} {how} {version}"), jobs):
        if isinstance(result, str):
            skipped.append((path, result))
            warnings.warn(f"{printable(str(path))}: skipped: {result}", stacklevel=2)
        else:
            found[path] = result
    if not found:
        first = f"{printable(str(skipped[0][0]))}: {skipped[0][1]}"
        raise ValueError(f"no file could be read; the first of {len(skipped)}: {first}")
    keys = KEYS if transpose else range(1)
    of_files = [(path, elements) for path, read in found.items() for elements in read]
    pieces = [transposed(elements, key) for _, elements in of_files for key in keys]
    return Pieces(pieces, [path for path, _ in of_files for _ in keys], skipped)


def _files(paths: Sequence[File]) -> list[Path]:
    """Return the music files among `paths` and in the folders among them, each once."""
    files: dict[Path, Path] = {}
    for path in map(Path, paths):
        inside = [path]
        if path.is_dir():
            inside = [file for file in inputs.files_in(path) if suffix_of(file) in READABLE]
        if path.is_dir() and not inside:
            raise ValueError(f"{path}: no music in this folder: expected files {', '.join(READABLE)}")
        for file in inside:
            files.setdefault(Path(os.path.realpath(file, strict=file is path)), file)
    if not files:
        raise ValueError("paths: expected at least one file or folder, found none")
    return list(files.values())


class _Cache(NamedTuple):
    """Elements under the hash of the bytes that they were read from.

    A damaged entry counts as missing. An entry that cannot be written is left out.
    """

    folder: Path | None
    version: str

    @classmethod
    def at(cls, where: bool | File, version: str) -> _Cache:
        if isinstance(where, bool):
            return cls(_cache_folder() if where else None, version)
        return cls(Path(where), version)

    def name(self, path: Path, data: bytes) -> Path | None:
        key = hashlib.sha256(f"{self.version} {READABLE[suffix_of(path)]}\n".encode() + data)
        return self.folder / f"{key.hexdigest()}.json" if self.folder else None

    @staticmethod
    def read(name: Path | None) -> list[list[str]] | None:
        if name is None:
            return None
        try:
            stored = json.loads(name.read_bytes())
            pieces = [list(piece) for piece in stored["pieces"]]
            if stored["crc32"] == _checksum(pieces):
                return pieces
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            pass
        return None

    @staticmethod
    def write(name: Path | None, pieces: list[list[str]]) -> None:
        if name is None:
            return
        stored = {"crc32": _checksum(pieces), "pieces": pieces}
        with suppress(OSError):
            name.parent.mkdir(parents=True, exist_ok=True)
            write(name, json.dumps(stored).encode())


def _checksum(pieces: list[list[str]]) -> int:
    return zlib.crc32("\n".join(" ".join(piece) for piece in pieces).encode())


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(root) / "lstmgen" / "music"


def _read_all(files: Sequence[Path], how: str, cache: _Cache, jobs: int | None) -> list[tuple[Path, Result]]:
    """Return for each file the elements of its pieces, or the reason why there are none.

    how: the notation, and after a space what it keeps.
    """
    results: dict[Path, Result] = {}
    names: dict[Path, Path | None] = {}
    for path in files:
        try:
            data = _bytes(path)
        except (OSError, ValueError) as error:
            results[path] = reason(error)
            continue
        names[path] = cache.name(path, data)
        stored = cache.read(names[path])
        if stored is not None:
            results[path] = stored
    new = [path for path in files if path not in results]
    parsed = _parse_all(new, how, min(jobs or os.cpu_count() or 1, len(new)))
    for path, result in counted(parsed, len(new), "files", "reading"):
        results[path] = result
        if not isinstance(result, str):
            cache.write(names[path], result)
    return [(path, results[path]) for path in files]


def _bytes(path: Path) -> bytes:
    if suffix_of(path) not in READABLE:
        raise ValueError(f"not a kind of music file: expected {', '.join(READABLE)}")
    size = path.stat().st_size
    if not 0 < size <= MAX_FILE:
        raise ValueError(f"expected 1 to {MAX_FILE} bytes, found {size}" if size else "the file is empty")
    return path.read_bytes()


# -- processes that read ---------------------------------------------------------------------------
# A pool of `multiprocessing` would run the caller's script again, or inherit TensorFlow's threads.


def _parse_all(files: Sequence[Path], how: str, jobs: int) -> Iterator[tuple[Path, Result]]:
    if not sys.executable:
        yield from ((path, parse(path, *how.split())) for path in files)
        return
    with _Workers(jobs, how) as workers:
        if jobs <= 1:  # Ctrl-C ends what the main thread does, but not what another one does
            yield from ((path, workers.parse(path)) for path in files)
            return
        with ThreadPoolExecutor(jobs) as threads:
            try:
                yield from zip(files, threads.map(workers.parse, files), strict=True)
            finally:  # if interrupted, do not wait for the files that are left
                threads.shutdown(wait=False, cancel_futures=True)
                workers.stop()


class _Workers:
    """Processes that read one file after the other. A process that dies costs one file."""

    def __init__(self, count: int, how: str) -> None:
        self._how = how.split()
        self._alone = count == 1  # no process is faster than this one
        self._free: SimpleQueue[subprocess.Popen[str] | None] = SimpleQueue()
        self._all: list[subprocess.Popen[str]] = []
        self._stopped = False
        for _ in range(count):
            self._free.put(None)

    def parse(self, path: Path) -> Result:
        try:
            allowed = bound(path, self._how[0])
        except (OSError, ValueError) as error:
            return reason(error)
        if allowed is None and self._alone:
            return parse(path, *self._how)
        seconds, memory = allowed or (_LONG, sys.maxsize)
        process = self._free.get() or self._started()
        late = threading.Timer(limits.PATIENCE + 2 * seconds, process.kill)
        try:
            late.start()
            answer = self._ask(process, [str(path), self._how, *(allowed or ())])
            late.cancel()
            if answer.endswith("\n"):  # a process may die within an answer
                result: Result = json.loads(answer)
                self._free.put(process)
                return result
            self._end(process)
            self._free.put(None)
            if process.returncode == limits.OUT_OF_MEMORY:
                return f"reading it takes more memory than {memory / 2**20:,.0f} MiB"
            return limits.reason(process.returncode, seconds)
        except BaseException:
            late.cancel()
            process.kill()
            self._end(process)
            self._free.put(None)
            raise

    def stop(self) -> None:
        """End all processes at once, and those that are just starting."""
        self._stopped = True
        for process in self._all:
            process.kill()

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for process in self._all:
            self._end(process)

    def _started(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _WORKER],  # -I: a json.py in this folder is not what it imports
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        self._all.append(process)
        if self._stopped:
            process.kill()
        self._ask(process, limits.search_path())
        return process

    @staticmethod
    def _ask(process: subprocess.Popen[str], question: Sequence[str | float | list[str]]) -> str:
        """Return the answer, a line; empty if the process has ended."""
        assert process.stdin and process.stdout
        with suppress(OSError):
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
        return process.stdout.readline()

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        with suppress(OSError), process:  # closes the pipes, and waits
            pass


def _serve() -> None:
    """Answer the questions of `_Workers` on the standard output, which is closed to all others."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        print(json.dumps("ready"), file=answers, flush=True)
        for line in sys.stdin:
            path, how, *allowed = json.loads(line)
            try:
                if allowed:
                    prepare(Path(path), how[0])
                    limits.limit(*allowed, again=True)
                print(json.dumps(parse(Path(path), *how)), file=answers, flush=True)
            except MemoryError:
                os._exit(limits.OUT_OF_MEMORY)
