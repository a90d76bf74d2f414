"""The tools that judge generated LaTeX, by a compiler and by what is open."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import latex_errors
import latex_nesting

TOOLS = Path(latex_errors.__file__).parent
needs_pdflatex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")

LOG = rf"""This is pdfTeX
{latex_errors.START}

! LaTeX Error: \begin{{lemma}} on input line 5 ended by \end{{proof}}.

l.7 \end{{proof}}
! Undefined control sequence.
<recently read> \fo
l.9 the \fo
           o
LaTeX Warning: Reference `lemma-x' on page 1 undefined on input line 9.
! Missing $ inserted.
l.12
! LaTeX Error: Too deeply nested.
l.13 \begin{{enumerate}}
{latex_errors.END}
! LaTeX Error: \begin{{lemma}} on input line 11 ended by \end{{document}}.
l.20 \end{{document}}
"""


CHAPTER = r"""\section{Spaces}
\label{section-spaces}

\noindent
A {\it space} has points, as $x_i \in X$.

\begin{lemma}
\label{lemma-one}
Let $X$ be a space. Then
\begin{enumerate}
\item $X$ is $\{x\}$, or
\item that is not
$$
X = Y^2
$$
\end{enumerate}
\end{lemma}

\begin{proof}
Omitted.
\end{proof}

\begin{remark}
This is all.
\end{remark}

"""


def tool(name: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOLS / name), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def brute_force_copy(text: str, corpus: str) -> int:
    ends = range(len(text) + 1)
    return max(j - i for i in ends for j in ends[i:] if text[i:j] in corpus)


def test_parse_log() -> None:
    log = latex_errors.parse(LOG)
    assert log.started and log.complete and not log.before
    assert [(e.kind, e.line) for e in log.errors] == [
        ("long-range", 7),
        ("undefined", 9),
        ("math", 12),
        ("other", 13),
        ("long-range", None),
    ]


def test_parse_log_that_stopped() -> None:
    log = latex_errors.parse(
        f"{latex_errors.START}\n! LaTeX Error: File `a.tex' not found.\n! Emergency stop.\nl.4 \\input{{a}}\n"
        "!  ==> Fatal error occurred, no output PDF file produced!\n"
    )
    assert log.errors == [latex_errors.Error("LaTeX Error: File `a.tex' not found.", 4)]
    assert not log.complete


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (r"LaTeX Error: \begin{document} ended by \end{proof}.", "long-range"),
        ("LaTeX Error: Lonely \\item--perhaps a missing list environment.", "long-range"),
        (r"File ended while scanning use of \@xdblarg.", "long-range"),
        ("LaTeX Error: Environment limma undefined.", "undefined"),
        ("Extra }, or forgotten $.", "math"),
        ("Double subscript.", "math"),
        (r"Paragraph ended before \label was complete.", "math"),
        ("LaTeX Error: Something's wrong--perhaps a missing \\item.", "other"),
    ],
)
def test_classes(message: str, kind: str) -> None:
    assert latex_errors.Error(message, 1).kind == kind


def test_whole_lines_and_paragraphs() -> None:
    assert latex_errors.whole_lines("half\na\n\nb\nhal") == ["a", "", "b"]
    assert latex_errors.whole_lines("half\na\n") == ["a"]
    assert latex_errors.paragraph_numbers(["a", "", "", "b", "c", ""]) == [0, 0, 0, 1, 1, 1]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "tiny.cls").write_text("\\ProvidesClass{tiny}\\LoadClass{article}\n")
    (folder / "preamble.tex").write_text("\\newtheorem{lemma}{Lemma}\n\\newtheorem{proof}{Proof}\n")
    return folder


@needs_pdflatex
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Good $x$, see \\ref{none}.\n", []),
        ("\\begin{lemma}\na\n\\end{proof}\n", [(4, "long-range")]),
        ("\\begin{lemma}\na\n", [(None, "long-range")]),
        ("a \\foo\n\n$x^2^3$\n", [(2, "undefined"), (4, "math")]),
        ("\\end{document}\n\\foo\n", [(2, "long-range"), (3, "undefined")]),
        ("\\input{missing}\n\\foo\n", [(2, "other"), (3, "undefined")]),
        ("\\foo\n\n\\section{Never closed\n\nb\n\n\\foo\n", [(2, "undefined"), (8, "undefined"), (None, "long-range")]),
    ],
)
def test_compile(texts: Path, body: str, expected: list[tuple[int | None, str]]) -> None:
    report = latex_errors.examine("partial $\n" + body + "partial \\fo", texts, 60)
    assert [(e.line, e.kind) for e in report.errors] == expected
    assert report.characters == len(body)


@needs_pdflatex
def test_hundred_errors(texts: Path) -> None:
    report = latex_errors.examine("\n" + "\\foo\n" * 250, texts, 60)
    assert len(report.errors) == 250
    assert (report.restarts, report.paragraphs) == (2, 1)


@needs_pdflatex
def test_latex_errors_command_line(texts: Path, tmp_path: Path) -> None:
    sample = tmp_path / "sample.tex"
    sample.write_text("\n\\begin{lemma}\n\\end{proof}\n\\fo\n\n\\foo\n")
    done = tool("latex_errors.py", sample, "--texts", texts, "--messages")
    assert done.returncode == 0 and "3 errors (long-range 1, undefined 2, math 0, other 0), in 2 para" in done.stdout
    assert "on input line 2 ended by" in done.stdout
    (facts,) = json.loads(tool("latex_errors.py", sample, "--texts", texts, "--json").stdout)
    assert facts["errors"] == 3 and facts["classes"]["undefined"] == 2

    (texts / "preamble.tex").write_text("\\usepackage{no-such-package}\n")
    broken = tool("latex_errors.py", sample, "--texts", texts)
    assert broken.returncode == 1 and "no-such-package" in broken.stderr and "Traceback" not in broken.stderr


def test_latex_errors_without_compiler(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = tmp_path / "sample.tex"
    sample.write_text("\na\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = tool("latex_errors.py", sample, "--texts", texts)
    assert done.returncode == 1 and "apt-get install" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "errors", "still_open"),
    [
        ("\\begin{a}\\begin{b}\\end{b}\\end{a}", 0, 0),
        ("\\begin{a}\\begin{b}\\end{a}", 1, 0),
        ("\\begin{a}\\end{b}\\end{a}", 1, 0),
        ("\\end{a}", 1, 0),
        ("\\begin{a}", 0, 1),
        ("\\begin{a} {\\it b \\end{a}", 1, 0),
        ("\\begin{itemize}\n\\item a\n\\end{itemize}", 0, 0),
        ("\\begin{lemma}\n\\item a\n\\end{lemma}", 1, 0),
        ("a } {b}", 1, 0),
        ("\\{ \\$ \\}", 0, 0),
        ("$a$$b$ $$\nc\n$$", 0, 0),
        ("$$a$ b", 1, 0),
        ("$a_{b$ c", 1, 0),
        ("$a\n\nb", 1, 0),
        ("$\\text{for $x$}$, $x^{2}$", 0, 0),
    ],
)
def test_nesting(text: str, errors: int, still_open: int) -> None:
    assert latex_nesting.nesting(text) == (errors, still_open)


def test_nesting_of_right_text_with_something_taken_out() -> None:
    assert latex_nesting.nesting(CHAPTER) == (0, 0)
    signs = [found.start() for found in re.finditer(r"\\(?:begin|end)|(?<!\\)[{}$]", CHAPTER)]
    for at in signs:
        found = CHAPTER[at:]
        gone = 2 if found.startswith("$$") else found.index("}") + 1 if found.startswith("\\") else 1
        assert sum(latex_nesting.nesting(CHAPTER[:at] + found[gone:])) > 0, found[:20]


def test_nesting_command_line(tmp_path: Path) -> None:
    sample = tmp_path / "sample.tex"
    sample.write_text("\\begin{a}} {")
    assert tool("latex_nesting.py", sample).stdout == f"{sample}: errors of nesting 1, open at the end 2\n"


@pytest.mark.parametrize(
    "command", [("latex_errors.py", "--texts", "no-folder"), ("latex_nesting.py",)], ids=["errors", "nesting"]
)
def test_missing_files(command: tuple[str, ...], tmp_path: Path) -> None:
    done = tool(command[0], tmp_path / "no-sample", *command[1:])
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr
