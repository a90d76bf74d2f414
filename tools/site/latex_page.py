"""Typeset a sample as a page: python tools/site/latex_page.py docs/images/page.png

Draws from the bundled model `latex`, puts the text into an article, and has pdflatex and pdftoppm
make a picture of the first page. Errors of the text are passed over, as by a person who presses
Enter. On Debian: apt install texlive-latex-recommended texlive-fonts-recommended poppler-utils
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import lstmgen

SEED, TEMP, LENGTH = 3, 0.67, 4200

PREAMBLE = r"""\documentclass[11pt]{amsart}
\usepackage[paperwidth=165mm,paperheight=200mm,margin=14mm]{geometry}
\usepackage{lmodern}
\usepackage[T1]{fontenc}
\newtheorem{theorem}{Theorem}[section]
\newtheorem{lemma}[theorem]{Lemma}
\newtheorem{proposition}[theorem]{Proposition}
\theoremstyle{definition}
\newtheorem{definition}[theorem]{Definition}
\newtheorem{example}[theorem]{Example}
\newtheorem{exercise}[theorem]{Exercise}
\newtheorem{situation}[theorem]{Situation}
\theoremstyle{remark}
\newtheorem{remark}[theorem]{Remark}
\newcommand{\Ob}{\operatorname{Ob}}
\newcommand{\colim}{\operatorname{colim}}
\newcommand{\Spec}{\operatorname{Spec}}
\pagestyle{empty}
\begin{document}
\section{Spaces}
"""


def page(folder: Path) -> Path:
    """Return the picture of the page."""
    text = str(lstmgen.Generator("latex").sample(LENGTH, temp=TEMP, seed=SEED))
    text = re.sub(r"\\ref\{([^}]*)\}", r"{\\small\\texttt{\1}}", text)  # there is nothing to refer to
    (folder / "page.tex").write_text(PREAMBLE + text + "\n\\end{document}\n")
    for _ in range(2):
        subprocess.run(["pdflatex", "-interaction=nonstopmode", "page.tex"], cwd=folder, stdout=subprocess.DEVNULL)
    words = ["pdftoppm", "-png", "-gray", "-r", "110", "-f", "1", "-l", "1", "-singlefile", "page.pdf", "page"]
    subprocess.run(words, cwd=folder, check=True)
    return folder / "page.png"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        Path(sys.argv[1]).write_bytes(page(Path(name)).read_bytes())
