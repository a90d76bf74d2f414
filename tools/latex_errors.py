"""Count the errors that a LaTeX compiler finds in generated text.

    lstmgen sample latex --temp 0.67 --length 10000 > sample.tex
    python tools/latex_errors.py sample.tex --texts stacks-project/

The folder has preamble.tex and the class. The text, cut to whole lines, becomes the body of a
document with that class and preamble. pdflatex compiles it once without stopping at errors. The
total is the number of lines of its log that begin with `!`, as users of LaTeX count. An `Emergency
stop` or `Fatal error` after another error does not count. Undefined references and citations are
warnings.

The compiler gives up at an \\input of a missing file, after 100 errors in one paragraph, and if the
brace of a \\section is never closed. It is then started again after that place, without an open
environment, and the tool says so. An `\\end{document}` inside the text is one error, and the text
after it is compiled, too.

The classes:

- long-range: an environment that was never closed, or closed without being open; an \\item outside
  of a list; a group or an argument that does not end before the end of the text
- undefined: a command or an environment that does not exist
- math: formulas and braces, such as "Missing $ inserted", "Extra }", "Double superscript"
- other

An error causes others: an unclosed brace alone gives three or four. So the tool also counts the
paragraphs with at least one error, which is nearer to the number of mistakes.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

PACKAGES = "texlive-latex-base texlive-pictures lmodern"
HEADER_LINES = 3
START, END = "latex-errors: the text starts", "latex-errors: the text ends"
END_DOCUMENT = re.compile(r"\\end\s*\{document\}")
CLASSES: dict[str, re.Pattern[str]] = {
    "long-range": re.compile(
        r"\\begin\{.*\} (on input line \d+ )?ended by|Lonely \\item|File ended while scanning|Incomplete \\if"
        r"|Extra \\endgroup|\\end\{document\} inside|\\end occurred inside"
    ),
    "undefined": re.compile(r"Undefined control sequence|Environment .* undefined"),
    "math": re.compile(
        r"Missing|Extra|Too many \}|Double (sub|super)script|Display math|Bad math|math mode|Misplaced|delimiter"
        r"|Paragraph ended before|Argument of|Runaway|Forbidden control sequence|Limit controls|Xy-pic|paragraph mode"
    ),
}


@dataclass(frozen=True)
class Error:
    """One error: what the compiler says, and the line; None: at the end of the text, or unknown."""

    message: str
    line: int | None

    @property
    def kind(self) -> str:
        """The name of its class."""
        message = self.message
        if "perhaps a missing \\item" in message:
            return "other"
        return next((name for name, pattern in CLASSES.items() if pattern.search(message)), "other")


@dataclass(frozen=True)
class Log:
    """The errors in a log, before the text and in it, and whether the compiler read all of it."""

    before: list[Error]
    errors: list[Error]
    started: bool
    complete: bool


@dataclass(frozen=True)
class Findings:
    """What was found in one sample."""

    characters: int
    errors: list[Error]
    paragraphs: int
    restarts: int

    def facts(self) -> dict[str, Any]:
        """What --json prints of it."""
        kinds = Counter(error.kind for error in self.errors)
        return {
            "characters": self.characters,
            "errors": len(self.errors),
            "per_10000": round(1e4 * len(self.errors) / self.characters, 2),
            "classes": {kind: kinds[kind] for kind in (*CLASSES, "other")},
            "paragraphs_with_errors": self.paragraphs,
            "restarts": self.restarts,
            "messages": [{"line": e.line, "class": e.kind, "message": e.message} for e in self.errors],
        }


def parse(log: str) -> Log:
    """Read a log; the lines are those of the file that was compiled."""
    parts: dict[str, list[Error]] = {"before": [], START: [], END: []}
    part, open_error = "before", False
    for line in log.splitlines():
        if line.strip() in (START, END):
            part, open_error = line.strip(), False
        elif line.startswith("!"):
            message = line[1:].strip()
            if not message.startswith(("Emergency stop", "==> Fatal error")):
                parts[part].append(Error(message, None))
                open_error = True
        elif open_error and part != END and (match := re.match(r"l\.(\d+)", line)):
            parts[part][-1] = replace(parts[part][-1], line=int(match[1]))
            open_error = False
    return Log(parts["before"], parts[START] + parts[END], part != "before", part == END)


def compile_text(lines: list[str], texts: Path, timeout: float) -> Log:
    """Compile the lines once, in a new folder."""
    with tempfile.TemporaryDirectory(prefix="latex-errors-") as name:
        folder = Path(name)
        for source in [texts / "preamble.tex", *texts.glob("*.cls"), *texts.glob("*.sty")]:
            shutil.copy(source, folder)
        body = [class_and_preamble(texts), r"\begin{document}", rf"\typeout{{{START}}}%", *lines]
        body += ["", rf"\typeout{{{END}}}", r"\end{document}", ""]
        (folder / "sample.tex").write_text("\n".join(body), encoding="utf-8")
        settings = {"openin_any": "p", "openout_any": "p", "max_print_line": "1000", "TEXMFOUTPUT": name}
        command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-draftmode", "sample.tex"]
        try:
            subprocess.run(
                command,
                cwd=folder,
                env=os.environ | settings,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=timeout,
                check=False,
            )
        except FileNotFoundError:
            raise ValueError(f"no pdflatex; on Debian: apt-get install --no-install-recommends {PACKAGES}") from None
        except subprocess.TimeoutExpired:
            pass  # its log, as far as it goes
        log = folder / "sample.log"
        return parse(log.read_text(encoding="latin-1") if log.exists() else "")


def class_and_preamble(texts: Path) -> str:
    """Return the first line of the document.

    A preamble may name the class itself, as that of the Stacks project does.
    """
    if re.search(r"^\s*\\documentclass", (texts / "preamble.tex").read_text(encoding="utf-8"), re.MULTILINE):
        return r"\input{preamble}"
    classes = sorted(texts.glob("*.cls"))
    if len(classes) != 1:
        raise ValueError(f"{texts}: {len(classes)} classes (.cls), and preamble.tex has no \\documentclass")
    return rf"\documentclass{{{classes[0].stem}}}\input{{preamble}}"


def whole_lines(text: str) -> list[str]:
    """Cut what may be half a line off at both ends."""
    return text.split("\n")[1:-1]


def paragraph_numbers(lines: list[str]) -> list[int]:
    """Number the paragraph of each line; an empty line belongs to the one before, which it ends."""
    numbers, blank = [0], False
    for line in lines:
        numbers.append(numbers[-1] + (blank and bool(line.strip())))
        blank = not line.strip()
    return numbers[1:]


def inner_ends(lines: list[str]) -> tuple[list[str], list[Error]]:
    """Remove each \\end{document}, which would hide the text after it. Each is an error."""
    errors = [
        Error(r"\end{document} inside the text", number)
        for number, line in enumerate(lines, 1)
        for _ in END_DOCUMENT.findall(line)
    ]
    return [END_DOCUMENT.sub("", line) for line in lines], errors


def shifted(error: Error, lines: int) -> Error:
    """Add to the line of an error, and to the line that its message tells."""
    message = re.sub(r"(?<=on input line )\d+", lambda match: str(int(match[0]) + lines), error.message)
    return Error(message, None if error.line is None else error.line + lines)


def runaway(lines: list[str], texts: Path, timeout: float) -> tuple[int, Log]:
    """Find a paragraph in which the compiler begins to read for ever.

    Returns the number of lines up to its end, and their log.
    """
    numbers = [*paragraph_numbers(lines), -1]
    ends = [i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1]]
    good, bad = -1, len(ends) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if compile_text(lines[: ends[middle]], texts, timeout).complete:
            good = middle
        else:
            bad = middle
    return ends[bad], compile_text(lines[: ends[bad]], texts, timeout)


def compile_all(lines: list[str], texts: Path, timeout: float) -> tuple[list[Error], int]:
    """Compile the text, and start again after each place where the compiler gives up.

    Returns the errors, each with its line of the text, and how often the compiler was started.
    """
    errors: list[Error] = []
    first, runs = 0, 0
    while first < len(lines):
        log = compile_text(lines[first:], texts, timeout)
        if log.before or not log.started:
            reason = log.before[0].message if log.before else f"not read within {timeout:g} s"
            raise ValueError(f"{texts}: class and preamble alone do not compile: {reason} (Debian: {PACKAGES})")
        read = len(lines) - first
        if not log.complete:
            last = log.errors[-1].line if log.errors else None
            if last is None:
                read, log = runaway(lines[first:], texts, timeout)
            else:
                read = max(1, last - HEADER_LINES)
        errors += [shifted(error, first - HEADER_LINES) for error in log.errors]
        first, runs = first + read, runs + 1
    return errors, runs - 1


def examine(text: str, texts: Path, timeout: float) -> Findings:
    """Count the errors of one sample; their lines are those of the sample."""
    lines = whole_lines(text)
    if not any(line.strip() for line in lines):
        raise ValueError("no whole line of text")
    characters = sum(len(line) + 1 for line in lines)
    numbers = paragraph_numbers(lines)
    lines, ends = inner_ends(lines)
    found, restarts = compile_all(lines, texts, timeout)
    errors = sorted([*ends, *found], key=lambda e: len(lines) + 1 if e.line is None else e.line)
    inside = [e.line for e in errors if e.line is not None and e.line <= len(lines)]
    paragraphs = len({numbers[max(line, 1) - 1] for line in inside}) + (len(inside) < len(errors))
    return Findings(characters, [shifted(e, 1) for e in errors], paragraphs, restarts)


def describe(name: str, report: Findings, *, messages: bool) -> str:
    """Return what is printed for one sample."""
    facts = report.facts()
    classes = ", ".join(f"{kind} {count}" for kind, count in facts["classes"].items())
    again = f"; the compiler was started again {report.restarts} times" if report.restarts else ""
    text = (
        f"{name}: {facts['errors']} errors ({classes}), in {report.paragraphs} paragraphs; "
        f"{facts['per_10000']:g} per 10,000 of its {report.characters:,} characters{again}"
    )
    if messages:
        text += "".join(f"\n  {'end' if e.line is None else e.line}: {e.kind}: {e.message}" for e in report.errors)
    return text


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("samples", type=Path, nargs="+", metavar="sample", help="generated text, UTF-8")
    parser.add_argument("--texts", type=Path, required=True, help="folder with preamble.tex and the class")
    parser.add_argument("--timeout", type=float, default=20.0, help="seconds for one run of the compiler (20)")
    parser.add_argument("--messages", action="store_true", help="print each error with its line")
    parser.add_argument("--json", action="store_true", help="print JSON instead")
    return parser


def main() -> int:
    """Run the command line."""
    args = arguments().parse_args()
    reports: list[dict[str, Any]] = []
    path = args.texts
    try:
        if not (args.texts / "preamble.tex").is_file():
            raise ValueError("no preamble.tex there")
        for path in args.samples:
            report = examine(path.read_text(encoding="utf-8"), args.texts, args.timeout)
            reports.append({"file": str(path), **report.facts()})
            if not args.json:
                print(describe(str(path), report, messages=args.messages), flush=True)
    except OSError as error:
        print(f"{error.filename or path}: {error.strerror}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(reports, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
