"""`lstmgen grammar`."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

import lstmgen
from lstmgen.binfile.sniffing import is_bin
from lstmgen.bundled import bundled
from lstmgen.cli.sample import grammar_text
from lstmgen.cli.streams import DASH, MODEL_HELP, check_one_stdin, file_name, model_source, read_text
from lstmgen.cli.terminal import print_json
from lstmgen.escaping import printable

if TYPE_CHECKING:
    from lstmgen.grammar_facts import GrammarFacts

_SHOWN = 12  # names of rules
_ASSUMED = "a text begins at the rule root, is all of what it matches, and is UTF-8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "grammar",
        type=file_name,
        metavar="GRAMMAR",
        help="a file of GBNF, balanced, json, latex or music, or a model with a grammar; own is the grammar of "
        "--model; - is stdin",
    )
    parser.add_argument(
        "--model", type=file_name, metavar="MODEL", help=f"model whose vocabulary must spell the grammar: {MODEL_HELP}"
    )
    parser.add_argument("--text", type=file_name, metavar="FILE", help="text to compare with the grammar; - is stdin")
    parser.add_argument("--json", action="store_true", help="for programs: one object")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from lstmgen.grammar_facts import GrammarFacts

    check_one_stdin(args.grammar, args.model, args.text)
    model = None if args.model is None else lstmgen.Model(model_source(args.model))
    named = f"GRAMMAR: {args.grammar}"
    text, model = _found(args.grammar, model)
    try:
        facts = GrammarFacts(text)
    except ValueError as error:
        raise ValueError(f"{named}: {str(error).partition(': ')[2]}") from None
    told: dict[str, Any] = {
        "grammar": args.grammar,
        "rules": facts.rules,
        "start": "root",
        "shortest": facts.shortest,
        "assumed": _ASSUMED,
    }
    wrong = [
        *(_of_model(told, facts, text, model) if model else ()),
        *(_of_text(told, facts, args.text) if args.text is not None else ()),
    ]
    if args.json:
        print_json(told)
    else:
        _print(told)
    if wrong:
        raise ValueError("; ".join(wrong))


def _found(given: str, model: lstmgen.Model | None) -> tuple[str, lstmgen.Model | None]:
    """Return the text of a grammar, and the model whose vocabulary must spell it."""
    from lstmgen import grammars

    if given == "own":
        if model is None:
            raise ValueError("GRAMMAR: own: expected --model, whose grammar it is")
        return _carried(given, model), model
    named = given in bundled() and given not in grammars.__all__ and not os.path.exists(given)
    if named or (given != DASH and is_bin(given)):
        own = lstmgen.Model(given)
        return _carried(given, own), model or own
    return grammar_text(given, "GRAMMAR"), model


def _carried(given: str, model: lstmgen.Model) -> str:
    if model.grammar is None:
        raise ValueError(f"GRAMMAR: {given}: the model has none; --grammar of export gives it one")
    return model.grammar


def _of_model(told: dict[str, Any], facts: GrammarFacts, text: str, model: lstmgen.Model) -> list[str]:
    """Add to `told` whether a vocabulary can spell a grammar. Returns what is wrong."""
    from lstmgen.engine_terms import compiled_grammar

    error = ""
    try:
        compiled_grammar(model, {"grammar": text})
    except ValueError as found:
        error = str(found).partition(": ")[2] or str(found)
    vocabulary = model.vocabulary
    # A vocabulary of bytes spells a character with several elements.
    listed = vocabulary is not None and vocabulary.kind != "bytes"
    missing = facts.missing(vocabulary.elements) if vocabulary is not None and listed else []
    told["model"] = {"spells": not error, "missing": missing}
    return [f"--model: {error}"] if error else []


def _of_text(told: dict[str, Any], facts: GrammarFacts, name: str) -> list[str]:
    """Add to `told` whether a text follows a grammar. Returns what is wrong."""
    text = read_text(name)
    try:
        found = facts.mismatch(text)
    except ValueError as error:
        raise ValueError(f"--text: {name}: {str(error).partition(': ')[2]}") from None
    told["text"] = {"matches": found is None, **(found._asdict() if found else {})}
    return [f"--text: {name}: {found}"] if found else []


def _print(told: dict[str, Any]) -> None:
    print(f"rules     {len(told['rules'])}: {printable(_some(told['rules'], ' '))}")
    print(f"start     {told['start']}")
    print(f"shortest  {told['shortest']} bytes")
    print(f"assumed   {told['assumed']}")
    if "model" in told:
        missing = told["model"]["missing"]
        print(f"model     its vocabulary {'spells it' if told['model']['spells'] else 'cannot spell it'}")
        if missing:
            print(f"missing   {_some(missing, ', ')}")
    if "text" in told:
        print(f"text      {'one of the grammar' if told['text']['matches'] else 'none of the grammar'}")


def _some(parts: list[str], between: str) -> str:
    more = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return between.join(parts[:_SHOWN]) + more
