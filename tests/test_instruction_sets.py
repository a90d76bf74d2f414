"""Each instruction set gives the same numbers."""

from __future__ import annotations

import json

import pytest

import lstmgen
from lstmgen import _core
from support.generators import run_python
from support.networks import packed
from support.slow import slow_but

DRAW = """
import json
import lstmgen
from support.networks import network, packed
gen = lstmgen.Generator(packed(dtype="{dtype}"))
draws = [gen.sample(300, seed=1, temp=0.8, refresh=r) for r in (1, 5, None)]
options = {
    "dry_multiplier": 0.8, "dry_base": 1.3, "top_n_sigma": 2.5, "top_k": 9, "typical_p": 0.95, "top_p": 0.95,
    "min_p": 0.01, "xtc_probability": 0.5, "repeat_penalty": 1.1, "frequency_penalty": 0.1, "presence_penalty": 0.1,
    "dynatemp_range": 0.3, "grammar": 'root ::= pair+\\npair ::= "a" ([b-j] | pair)* "k"',
}
draws.append(gen.sample(300, seed=1, temp=0.8, refresh=None, **options))
draws.append(gen.sample(300, seed=1, temp=0.8, refresh=None, mirostat=2))
draws.append(gen.sample_many(3, 300, seed=1, temp=0.8, refresh=None, **options))
assert draws[-1][0] == draws[3]
print(json.dumps([gen.model.isa, draws, gen.probabilities().tolist()]))
"""


@pytest.mark.parametrize(
    "dtype", slow_but({"bf16"}, ["f32", "bf16", "int8"], "starts a process for each instruction set")
)
def test_each_instruction_set_gives_the_same_numbers(dtype: str) -> None:
    found = {}
    for isa in _core.supported_isas():
        run = run_python(DRAW.replace("{dtype}", dtype), LSTMGEN_ISA=isa)
        assert run.returncode == 0, run.stderr
        used, *rest = json.loads(run.stdout)
        assert used == isa
        found[isa] = rest
    assert all(rest == found["baseline"] for rest in found.values())


def test_an_unknown_instruction_set_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTMGEN_ISA", "quantum")
    with pytest.raises(ValueError, match=r"LSTMGEN_ISA: expected one of .*baseline, found 'quantum'"):
        lstmgen.Model(packed())


def test_no_name_is_the_best_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTMGEN_ISA", "")
    isas = _core.supported_isas()
    assert lstmgen.Model(packed(dtype="int8")).isa == isas[0]
    others = [isa for isa in isas if isa != "avx512amx"]  # whose tiles serve only models of int8
    assert lstmgen.Model(packed()).isa == others[0]


@pytest.mark.parametrize(("found", "reason"), [(False, "before other"), (True, "before other; this processor has AMX")])
def test_tiles_that_cannot_be_used_are_said(found: bool, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LSTMGEN_ISA", raising=False)
    model = lstmgen.Model(packed())
    monkeypatch.setattr(_core, "supported_isas", lambda: [model.isa, "other"])
    monkeypatch.setattr("lstmgen.model._has_amx", lambda: found)
    assert model.isa_reason.startswith(f"the best of those that can run here, {reason}")
    assert found == ("AMX" in model.isa_reason)
