"""Count mistakes of nesting in generated LaTeX, without a compiler.

    lstmgen sample latex --temp 0.67 --length 10000 > sample.tex
    python tools/latex_nesting.py sample.tex

One mistake is to close what was not opened last. Another is to leave something open where it must
end, such as a formula at the end of a paragraph. Each \\item outside of a list is one, too. What is
inside of something that is closed is closed with it. What is open at the end is told apart.
"""

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

LISTS = ("enumerate", "itemize", "description")
TEXT_IN_FORMULAS = re.compile(r"\\(?:text\w*|[mhf]box)$")
NESTED = re.compile(r"\\(begin|end)\{([^{}\n]*)\}|(\\item)(?![A-Za-z])|\\.|([{}]|\$\$?|\n[ \t]*\n)", re.DOTALL)


def nesting(text: str) -> tuple[int, int]:
    """Return the number of mistakes of nesting, and how many things are open at the end."""
    errors = 0
    # Names of environments, "$", "$$", "{", and "text{", in which a formula may begin.
    opened: list[str] = []

    def close(names: Iterable[str]) -> int:
        """Close the last that has one of these names, and what is inside of it.

        Returns the number of mistakes.
        """
        found = [i for i, name in enumerate(opened) if name in names]
        if not found:
            return 1
        inside = len(opened) - 1 - found[-1]
        del opened[found[-1] :]
        return int(inside > 0)

    for found in NESTED.finditer(text):
        sign = found[4] or ""
        formula = next((name for name in reversed(opened) if name != "{"), "")
        if found[1] == "begin":
            opened.append(found[2])
        elif found[1] == "end":
            errors += close([found[2]])
        elif found[3]:
            errors += not opened or opened[-1] not in LISTS
        elif sign == "{":
            before = text[max(0, found.start() - 16) : found.start()]
            opened.append("text{" if TEXT_IN_FORMULAS.search(before) else "{")
        elif sign == "}":
            errors += close(["{", "text{"])
        elif sign in ("$", "$$"):
            if formula in ("$", "$$"):
                errors += int(close([formula]) > 0 or sign < formula)
            if formula == "$" and sign == "$$":  # the end of one and the begin of another
                opened.append("$")
            elif formula not in ("$", "$$"):
                opened.append(sign)
        elif sign and formula in ("$", "$$"):  # the end of a paragraph
            errors += close([formula]) or 1
    return errors, len(opened)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("samples", type=Path, nargs="+", metavar="sample", help="generated text, UTF-8")
    for path in parser.parse_args().samples:
        try:
            errors, still_open = nesting(path.read_bytes().decode())
        except (OSError, ValueError) as error:
            print(f"{path}: {error.strerror if isinstance(error, OSError) else error}", file=sys.stderr)
            return 1
        print(f"{path}: errors of nesting {errors}, open at the end {still_open}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
