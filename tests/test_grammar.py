"""Grammars: what may be drawn, how texts end, and what is refused."""

from __future__ import annotations

import json
import random
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lstmgen import _core, grammars
from support import oracle
from support.slow_grammar import Alt, Class, Lit, Node, Ref, Rep, Seq, SlowGrammar, gbnf

ASCII = ["\n", *map(chr, range(32, 127))]


def run_of(grammar: str, vocabulary: list[str] | list[bytes] = ASCII) -> _core.GrammarRun:
    return _core.GrammarAutomaton(grammar, vocabulary).start()


def allowed(run: _core.GrammarRun, vocabulary: list[str], left: int | None = None) -> set[str]:
    return {element for element, flag in zip(vocabulary, run.allowed(left), strict=True) if flag}


def accepts(grammar: str, text: str, vocabulary: list[str] = ASCII) -> bool:
    """Whether `text` is in the language, spelled by single characters."""
    run = run_of(grammar, vocabulary)
    for c in text:
        i = vocabulary.index(c)
        if not run.allowed()[i]:
            return False
        run.accept(i)
    return run.complete


# -- against a slow recogniser
# -----------------------------------------------------------------------


@st.composite
def languages(draw: st.DrawFn) -> tuple[dict[str, Node], list[str]]:
    """Rules without left recursion, and a vocabulary that can or cannot spell them."""
    characters = draw(st.sampled_from(["abc", "aé€"]))
    names = ["root", "x", "y"][: draw(st.integers(1, 3))]
    text = st.text(characters, max_size=3)
    char = st.sampled_from(characters)

    def nodes(i: int) -> st.SearchStrategy[Node]:
        leaves: list[st.SearchStrategy[Node]] = [
            st.builds(Lit, text),
            st.builds(Class, st.frozensets(char, min_size=1, max_size=2), st.booleans()),
            # A rule that may come round to this one stands after a character.
            st.builds(lambda c, name: Seq((Lit(c), Ref(name))), char, st.sampled_from(names)),
            st.builds(lambda c, name, d: Seq((Lit(c), Ref(name), Lit(d))), char, st.sampled_from(names), char),
        ]
        if names[i + 1 :]:
            leaves.append(st.builds(Ref, st.sampled_from(names[i + 1 :])))
        return st.recursive(
            st.one_of(leaves),
            lambda inner: st.one_of(
                st.builds(lambda some: Alt(tuple(some)), st.lists(inner, min_size=1, max_size=3)),
                st.builds(lambda some: Seq(tuple(some)), st.lists(inner, min_size=1, max_size=3)),
                st.builds(
                    lambda node, least, more: Rep(node, least, None if more is None else least + more),
                    inner,
                    st.integers(0, 2),
                    st.sampled_from([None, 1, 2]),
                ),
            ),
            max_leaves=5,
        )

    rules = {name: draw(nodes(i)) for i, name in enumerate(names)}
    singles = draw(st.lists(char, unique=True, max_size=3))
    longer = draw(st.lists(st.text(characters, min_size=2, max_size=3), max_size=3))
    return rules, [*(singles + longer or ["a"]), ""]


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(languages(), st.randoms(use_true_random=False), st.sampled_from([None, 5, 7]))
def test_allows_what_a_slow_recogniser_allows_and_ends_in_as_few_elements(
    language: tuple[dict[str, Node], list[str]], rng: random.Random, budget: int | None
) -> None:
    rules, vocabulary = language
    slow = SlowGrammar(rules, vocabulary)
    forms = slow.start()
    shortest = slow.shortest_end(forms)
    try:
        run = run_of(gbnf(rules), vocabulary)
    except ValueError:
        assert shortest in (None, float("inf"))
        return
    left = budget if budget is not None and run.remaining() <= budget else None
    for _ in range(6):
        shortest = slow.shortest_end(forms)
        assert shortest in (None, run.remaining())
        assert run.complete == slow.complete(forms)
        mask = run.allowed(left)
        for element, flag in zip(vocabulary, mask, strict=True):
            after = slow.read(forms, element) if element else frozenset()
            end = slow.shortest_end(after) if after else float("inf")
            if end is not None:
                assert flag == (end < float("inf") if left is None else end < left), element
        if not mask.any():
            assert run.complete
            break
        i = rng.choice([int(i) for i in np.flatnonzero(mask)])
        forms = slow.read(forms, vocabulary[i])
        run.accept(i)
        left = None if left is None else left - 1


# -- against an independent engine
# -------------------------------------------------------------------


@pytest.mark.parametrize("name", oracle.cases())
def test_allows_what_llguidance_allows(name: str) -> None:
    pytest.importorskip("llguidance", reason="needs llguidance: pip install 'lstmgen[test]'")
    n, differences = oracle.walk(oracle.cases()[name], 600 if "latex" in name else 3000, seed=2)
    assert differences == []
    assert n >= 600


# -- the notation
# ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grammar", "texts", "others"),
    [
        ('root ::= "a" | "b" "c"', ["a", "bc"], ["", "b", "ab"]),
        ('root ::= ("a" | "b") "c"', ["ac", "bc"], ["a", "c"]),
        ('root ::= "a"*', ["", "a", "aaa"], ["b"]),
        ('root ::= "ab"+', ["ab", "abab"], ["", "abb"]),
        ('root ::= "a"?', ["", "a"], ["aa"]),
        ('root ::= "a"{2}', ["aa"], ["a", "aaa"]),
        ('root ::= "a"{2,}', ["aa", "aaaaa"], ["a"]),
        ('root ::= "a"{1,3}', ["a", "aaa"], ["", "aaaa"]),
        ('root ::= "a"{0,2} "b"', ["b", "aab"], ["aaab"]),
        ('root ::= "a"{0} "b"', ["b"], ["ab"]),
        ('root ::= "a"{ 1 , 2 }', ["a", "aa"], ["aaa"]),
        ('root ::= ("a"*)* "b"', ["b", "aab"], ["a"]),
        ('root ::= ("a"?){2,3}', ["", "a", "aaa"], ["aaaa"]),
        ('root ::= "a"+?', ["", "a", "aa"], ["b"]),
        ("root ::= [a-c] [^a-c]", ["ad", "c!"], ["ab", "da"]),
        ("root ::= [-a] [a-] [\\]\\[^]", ["-a]", "a-[", "aa^"], ["b-]"]),
        ("root ::= .", ["a", "\n"], ["", "ab"]),
        (r'root ::= "\x41\u0042\U00000043" "\\\"\[\]\n"', ['ABC\\"[]\n'], ["ABC"]),
        (r"root ::= [\x30-\x39]", ["0", "9"], ["a"]),
        ('root ::= (\n  # a comment\n  "a" # and one more\n  | "b"\n)\n\n# the end', ["a", "b"], ["c"]),
        ('root ::= "a" |\n  "b"\nother ::= "c"', ["a", "b"], ["c"]),
        (
            'root ::=\n  under_score dash-ed Upper9\nunder_score ::= "a"\ndash-ed ::= "b"\nUpper9 ::= "c"',
            ["abc"],
            ["a"],
        ),
        ('root ::= "a"\r\n  \r\nx ::= "b"\r\n', ["a"], ["b"]),
        ('root ::= ""', [""], ["a"]),
        ('root ::= "a" root "b" | ""', ["", "ab", "aabb"], ["aab", "ba"]),
    ],
)
def test_reads_the_notation(grammar: str, texts: list[str], others: list[str]) -> None:
    for text in texts:
        assert accepts(grammar, text), text
    for text in others:
        assert not accepts(grammar, text), text


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        ("", "expected a rule named 'root'"),
        ('x ::= "a"', "expected a rule named 'root'"),
        ('root = "a"', "line 1, column 6: expected '::=' after 'root', found '='"),
        ('root ::= "a', "line 1, column 10: expected a second '\"'"),
        ("root ::= [a", "line 1, column 10: expected a ']'"),
        ("root ::= []", "line 1, column 11: expected a character of the class, found ']'"),
        ("root ::= [z-a]", "line 1, column 11: expected a range whose second character is not before"),
        ('root ::= ("a"', "line 1, column 14: expected ')', found the end"),
        ('root ::= "a")', "line 1, column 13: expected a character, a class, the name of a rule"),
        ("root ::= *", "line 1, column 10: expected something to repeat before '*'"),
        ('root ::= "a"{x}', "line 1, column 14: expected a number of repetitions, found 'x'"),
        ('root ::= "a"{2', "line 1, column 15: expected '}', found the end"),
        ('root ::= "a"{3,2}', "not below the least, 3; found 2"),
        ('root ::= "a"{99999999999999999999}', "expected up to 10000 repetitions"),
        (r'root ::= "\q"', r"line 1, column 12: expected one of \n \t"),
        (r'root ::= "\x4"', "line 1, column 14: expected two hexadecimal digits, found '\"'"),
        (r'root ::= "\uD800"', "expected the number of a Unicode character"),
        (r'root ::= "\U00110000"', "expected the number of a Unicode character"),
        ('root ::= "é" ]', "line 1, column 14: expected a character, a class"),
        ('root ::= "a"\n\n  x ::= nothing', "line 3, column 9: expected the name of a rule, found 'nothing'"),
        ('root ::= "a"\nroot ::= "b"', "line 2, column 1: expected the name of another rule, found 'root'"),
        ("root ::= <think>", "tokens in angle brackets are not read"),
        ('root ::= root "a" | "b"', "rule 'root' can begin with itself ('root' -> 'root')"),
        ('root ::= x\nx ::= y "a"\ny ::= x | "b"', "rule 'x' can begin with itself ('x' -> 'y' -> 'x')"),
        ('root ::= x "a"? root\nx ::= "b"*', "rule 'root' can begin with itself"),
        ('root ::= ("a"? root)* "b"', "rule 'root' can begin with itself"),
        ("root ::= " + "(" * 300 + '"a"' + ")" * 300, "nested parentheses"),
    ],
)
def test_names_the_place_of_an_error(grammar: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        run_of(grammar)
    assert message in str(error.value)


def test_refuses_text_that_is_no_utf8() -> None:
    with pytest.raises(ValueError, match="line 1, column 11: expected UTF-8"):
        _core.GrammarAutomaton(b'root ::= "\xff"', ["a"])


# -- the vocabulary
# ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grammar", "vocabulary", "message"),
    [
        ('root ::= "a€"', ["a", "b"], r"line 1, column 12: .*rule 'root': no element holds U\+20AC"),
        ('root ::= "a" digit\ndigit ::= [0-9]', ["a"], r"line 2, column 11: .*rule 'digit'.*a character of '\[0-9\]'"),
        ('root ::= "é"', ["Ã", "©"], "no element holds U"),
        ('root ::= "a" root', ["a"], "rule 'root' never ends"),
        ('root ::= "ab" "b"', ["ab", "ba"], "its elements join them in other ways"),
        ('root ::= "a"', [], "expected a vocabulary"),
        ('root ::= "a"', ["", "b"], "no element holds 'a'"),
    ],
)
def test_says_what_the_vocabulary_lacks(grammar: str, vocabulary: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.GrammarAutomaton(grammar, vocabulary)


def test_prunes_what_the_vocabulary_cannot_spell() -> None:
    vocabulary = ["a", "b", "c"]
    run = run_of('root ::= "a" ("xyz" | "b" "c" | "b" "d")', vocabulary)
    run.accept(0)
    run.accept(1)
    assert allowed(run, vocabulary) == {"c"}


def test_never_allows_empty_elements_and_those_that_are_excluded() -> None:
    grammar = _core.GrammarAutomaton("root ::= .*", ["a", "", "b", "c"], never=[2])
    assert grammar.start().allowed().tolist() == [True, False, False, True]


def test_elements_may_cross_the_ends_of_rules() -> None:
    vocabulary = ["{", "}}", "}", "x}", "x", "{x}"]
    run = run_of('root ::= group\ngroup ::= "{" (group | "x")* "}"', vocabulary)
    run.accept(0)
    assert allowed(run, vocabulary) == {"{", "}", "x}", "x", "{x}"}
    run.accept(0)
    assert allowed(run, vocabulary) == set(vocabulary)
    assert run.remaining() == 1  # "}}"
    run.accept(1)
    assert run.complete
    assert not run.allowed().any()


def test_elements_of_bytes_may_end_inside_a_character() -> None:
    vocabulary = [bytes([b]) for b in range(256)]
    run = run_of("root ::= [é€]+", vocabulary)
    assert np.flatnonzero(run.allowed()).tolist() == [0xC3, 0xE2]
    run.accept(0xE2)
    assert np.flatnonzero(run.allowed()).tolist() == [0x82]
    assert run.remaining() == 2
    run.accept(0x82)
    run.accept(0xAC)
    assert run.complete


def test_negated_classes_cover_all_of_unicode() -> None:
    vocabulary = ["a", "b", "é", "€", "😀", "\x00", "\uffff", "\U0010ffff"]
    run = run_of("root ::= [^aé]", vocabulary)
    assert allowed(run, vocabulary) == set(vocabulary) - {"a", "é"}


def test_counts_single_characters_where_elements_are_too_many() -> None:
    rng = random.Random(1)
    words = {"".join(rng.choices("abcdefgh ", k=rng.randint(3, 9))) for _ in range(6000)}
    vocabulary = [*"abcdefgh ", *sorted(words)]  # a word of the grammar ends inside of most elements
    grammar = _core.GrammarAutomaton('root ::= (word " ")+ word\nword ::= [a-h]+', vocabulary)
    assert grammar.closes_by_characters
    run = grammar.start()
    run.accept(vocabulary.index("a"))
    assert run.remaining() == 2
    for element in allowed(run, vocabulary, left=2):
        after = run.copy()
        after.accept(vocabulary.index(element))
        assert after.remaining() <= 1
    assert " " in allowed(run, vocabulary, left=2)


def test_elements_of_words_are_counted_without_single_characters() -> None:
    rng = random.Random(1)
    words = {"".join(rng.choices("abcdefgh", k=rng.randint(3, 9))) for _ in range(6000)}
    vocabulary = [" ", *sorted(words)]
    for rule in ('word (" " word)*', '(word " ")* word', "[a-h ]+"):
        grammar = _core.GrammarAutomaton(f"root ::= {rule}\nword ::= [a-h]+", vocabulary)
        assert not grammar.closes_by_characters
        run = grammar.start()
        assert run.remaining() == 1
        run.accept(20)
        assert run.complete
        assert len(allowed(run, vocabulary)) == len(vocabulary)
        assert len(allowed(run, vocabulary, left=1)) >= len(words)  # also two words that are written as one
    run = _core.GrammarAutomaton('root ::= [a-h ]+ "  "', vocabulary).start()
    run.accept(20)
    assert run.remaining() == 2
    assert allowed(run, vocabulary, left=2) == {" "}


# -- how texts end
# -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*oracle.cases(), "music"])
def test_texts_end_within_the_elements_that_are_left(name: str) -> None:
    if name == "music":
        case = oracle.Case(
            grammars.music(), [*(f"t{s}" for s in (1, 6, 12, 24)), *(f"n{p}" for p in range(40, 90)), "d12"]
        )
    else:
        case = oracle.cases()[name]
    grammar = _core.GrammarAutomaton(case.gbnf, case.vocabulary)
    rng = random.Random(3)
    for length in (40, 90, 200):
        run, text = grammar.start(), ""
        for left in range(length, 0, -1):
            choices = np.flatnonzero(run.allowed(left))
            if len(choices) == 0:
                break
            i = int(rng.choice(choices))
            run.accept(i)
            text += case.vocabulary[i]
        assert run.complete, text


def test_says_how_many_elements_a_text_needs() -> None:
    run = run_of('root ::= "abc"')
    assert run.remaining() == 3
    with pytest.raises(ValueError, match=r"needs 3 more elements to be complete; .* found room for 2"):
        run.allowed(2)


def test_refuses_an_element_that_is_not_allowed_and_goes_on() -> None:
    vocabulary = ["a", "ab", "abc", "c"]
    run = run_of('root ::= "ab" "c"', vocabulary)
    for bad in (3, 99):
        with pytest.raises(ValueError, match="grammar: "):
            run.accept(bad)
    run.accept(1)
    assert allowed(run, vocabulary) == {"c"}


# -- states
# ------------------------------------------------------------------------------------------


def test_a_saved_state_goes_on_elsewhere() -> None:
    case = oracle.cases()["latex, long elements"]
    rng = random.Random(4)
    grammar = _core.GrammarAutomaton(*case)
    run = grammar.start()
    for _ in range(100):
        other = grammar.start()
        other.load(run.save())
        assert other.save() == run.save()
        assert (other.allowed() == run.allowed()).all()
        assert other.remaining() == run.remaining()
        i = int(rng.choice(np.flatnonzero(run.allowed())))
        run.accept(i)
        copy = run.copy()
        assert copy.save() == run.save()
        copy.accept(int(np.flatnonzero(copy.allowed())[0]))


def test_refuses_states_that_are_damaged_or_of_another_grammar() -> None:
    run = run_of('root ::= "a" root "b" | "a" root "c" | ""')
    run.accept(ASCII.index("a"))
    state = run.save()
    with pytest.raises(ValueError, match="one of this grammar and vocabulary"):
        run_of('root ::= "a"*').load(state)
    other = run.copy()
    rng = random.Random(5)
    for n in range(len(state)):
        with pytest.raises(ValueError, match="the state of a grammar"):
            other.load(state[:n])
    for _ in range(2000):
        bad = bytearray(state)
        bad[rng.randrange(4, len(bad))] = rng.randrange(256)
        try:
            other.load(bytes(bad))
        except ValueError:
            continue
        other.allowed()
        other.remaining()
    other.load(state)
    assert other.save() == state


# -- hostile grammars
# --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grammar",
    [
        'root ::= "a" root root | "b"',
        'root ::= x root "b" | y root "c" | ""\nx ::= "a"\ny ::= "a"',
        'root ::= ("a"? "a"? "a"?)* "b"',
        "root ::= " + "(" * 150 + '"a"' + ")*" * 150,
        'root ::= "a"{10000}',
        'root ::= ("a"{0,100}){0,100}',
        'root ::= ("a"{100}){100}',
        "\n".join(f'r{i} ::= r{i + 1} "x" | r{i + 1} "y"' for i in range(400)) + '\nr400 ::= "a"\nroot ::= r0',
        "\n".join(f"r{i} ::= r{i + 1}? r{i + 1}?" for i in range(200)) + '\nr200 ::= "a"\nroot ::= r0',
        'root ::= "a" root "a" | "b" root "b" | ""',
        "root ::= " + " | ".join(f'"{i:05}"' for i in range(20000)),
        'root ::= (((((("a"{9000}){9000}){9000}){9000}){9000}){9000})',
        'root ::= "' + "a" * 2_000_000 + '"',
        "root ::= x{10000} x{10000}\nx ::= [a-z]{9,9999}",
        "root ::= " + '"a"? ' * 20_000,
        'root ::= (((("a"?){500}){500}){500})',
        'root ::= "a" root "x"? | "b"',
    ],
)
def test_hostile_grammars_end_within_bounds(grammar: str) -> None:
    start = time.process_time()
    try:
        run = run_of(grammar)
        rng = random.Random(6)
        for _ in range(300):
            choices = np.flatnonzero(run.allowed())
            if len(choices) == 0:
                break
            run.accept(int(rng.choice(choices)))
        run.save()
    except ValueError as error:
        assert str(error).startswith("grammar: ")
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    "grammar",
    [
        'root ::= "a" root "a" | "b" root "b" | ""',
        'root ::= "a" root "a"? | "a" root "a" "a" | ""',
        'root ::= "a" root root root | "a" root root | "a" | ""',
    ],
)
def test_an_element_of_an_ambiguous_text_takes_little_time(grammar: str) -> None:
    run = run_of(grammar)
    start = time.process_time()
    for _ in range(1500):
        run.accept(ASCII.index("a"))
    assert time.process_time() - start < 5
    assert run.remaining() <= 1500


def test_many_parallel_readings_keep_a_long_text_readable() -> None:
    run = run_of('root ::= "a" root "b" | "a" root "c" | ""')
    for _ in range(3000):
        run.accept(ASCII.index("a"))
    assert run.remaining() == 3000
    for c in "bc" * 1500:
        run.accept(ASCII.index(c))
    assert run.complete


# -- the bundled grammars
# --------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Let $X$ be a {\\it space}.\n\n\\begin{lemma}\n\\label{lemma-a}\nText.\n\\end{lemma}\n",
        "$$\nx_1^2 + \\frac{a}{b} = \\left( y \\right)\n$$\n",
        "\\begin{enumerate}\n\\item one\n\\item[(b)] two \\begin{itemize}\\item x\\end{itemize}\n\\end{enumerate}",
        "\\begin{align*}\na & = b \\\\\n& = c\n\\end{align*}",
        "100\\% of \\{x\\} at \\$5 % a comment with } and $\nmore",
        "\\begin{verbatim}\n}{$%&\n\\end{verbatim}",
        "\\(x\\) and \\[y\\] and \\section{A title}",
        "\\unknowncommand{x} \\anything",
        "$\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}$",
        "$f''_n$ and $x'^2$",
        "\\begin{tabular}{lr}a & b \\\\ c & $d$\\end{tabular}",
    ],
)
def test_latex_holds_what_is_right(text: str) -> None:
    assert accepts(grammars.latex(), text)


@pytest.mark.parametrize(
    "text",
    [
        "}",
        "{",
        "$x",
        "$$x$",
        "\\begin{lemma}\\end{proof}",
        "\\begin{nothing}\\end{nothing}",
        "\\item x",
        "\\begin{itemize}text\\item x\\end{itemize}",
        "{\\item x}",
        "$x^1^2$",
        "$x_1_2$",
        "$x\n\ny$",
        "x_1",
        "a & b",
        "\\left( x",
        "$\\left( x$",
        "$\\frac{a}$",
        "\\section x",
        "\\begin{document}",
        "\\documentclass{x}",
        "\\(x\\]",
        "#1",
    ],
)
def test_latex_forbids_what_is_wrong(text: str) -> None:
    assert not accepts(grammars.latex(), text)


def test_latex_lists_nest_four_deep() -> None:
    for depth, right in (4, True), (5, False):
        text = "\\begin{itemize}\\item " * depth + "\\end{itemize}" * depth
        assert accepts(grammars.latex(), text) == right


def test_latex_knows_the_names_of_its_corpus() -> None:
    corpus = (
        "\\section{A} Let $\\alpha \\in \\mathcal{O}$ \\emph{be} \\dots\n\\begin{claim}\nx\n\\end{claim}\n"
        "\\begin{points}\n\\item a\n\\end{points} % \\hidden\n"
    )
    grammar = grammars.latex(corpus)
    assert accepts(grammar, corpus)
    for right in (
        "$\\alpha\\alpha$",
        "\\begin{claim}y\\end{claim}",
        "\\emph{x}",
        "\\begin{points} \\item\\end{points}",
    ):
        assert accepts(grammar, right), right
    wrong = ("\\alpha", "$\\beta$", "\\begin{lemma}\\end{lemma}", "$\\mathcal$", "\\emph", "\\hidden", "\\item")
    for text in wrong:
        assert not accepts(grammar, text), text


def test_music_has_bars_that_add_up() -> None:
    vocabulary = [f"t{step}" for step in grammars._STEPS] + [f"d{step}" for step in grammars._STEPS]
    vocabulary += [f"n{pitch}" for pitch in range(21, 109)]
    vocabulary += ["begin", "end", "v1", "v32", "k1", "k15", "p0", "p1", "b60", "b120", "m3/4", "m4/4", "m6/8"]
    for meter, points in ("4/4", 96), ("3/4", 72), ("6/8", 72):
        run = run_of(grammars.music(meter, bars=3), vocabulary)
        rng = random.Random(7)
        at = 0
        ends: list[int] = []
        drawn: list[str] = []
        while choices := [int(i) for i in np.flatnonzero(run.allowed(400 - len(ends)))]:
            element = vocabulary[i := rng.choice(choices)]
            run.accept(i)
            drawn.append(element)
            at += int(element[1:]) if element[0] == "t" else 0
            ends.append(at)
        assert run.complete
        assert at == 3 * points
        assert all(text in ("begin", "end", f"m{meter}") for text in drawn if text[0] in "em" or text == "begin")
        assert {points, 2 * points} <= set(ends)


def test_music_refuses_meters_that_the_grid_does_not_hold() -> None:
    for meter in ("5", "4/3", "99/4", "0/4"):
        with pytest.raises(ValueError, match="meter: expected one such as '4/4'"):
            grammars.music(meter)
    with pytest.raises(ValueError, match="bars: expected 1 to 64"):
        grammars.music(bars=0)


@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_json_holds_what_python_writes(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert accepts(grammars.json(), text, sorted({*ASCII, *text}))


def test_python_reads_what_the_json_grammar_writes() -> None:
    grammar, rng = _core.GrammarAutomaton(grammars.json(), ASCII), random.Random(8)
    for _ in range(200):
        run, text = grammar.start(), ""
        for left in range(60, 0, -1):
            choices = np.flatnonzero(run.allowed(left))
            if len(choices) == 0:
                break
            i = int(rng.choice(choices))
            run.accept(i)
            text += ASCII[i]
        json.loads(text)


def test_balanced_brackets() -> None:
    grammar = grammars.balanced(["()", "[]"])
    assert accepts(grammar, "a(b[c]d)[]e{")
    for text in ("(", ")", "(]", "([)]"):
        assert not accepts(grammar, text)
    for pairs in ([], ["("], ["()", "(]"], ["(("]):
        with pytest.raises(ValueError, match="pairs: expected strings of two characters"):
            grammars.balanced(pairs)
