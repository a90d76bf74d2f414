"""Which backend Keras trains on: the one the user chose, or one that is installed."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from lstmgen.training import backend


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "")
    monkeypatch.delitem(sys.modules, "keras", raising=False)


def install(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(backend, "find_spec", lambda name: ModuleSpec(name, None) if name in names else None)


def chosen(monkeypatch: pytest.MonkeyPatch, *names: str) -> str:
    import os

    install(monkeypatch, *names)
    backend._choose_backend()
    return os.environ["KERAS_BACKEND"]


@pytest.mark.parametrize(
    ("installed", "name"),
    [(("jax",), "jax"), (("torch",), "torch"), (("jax", "torch"), "jax"), (("tensorflow", "jax"), ""), ((), "")],
)
def test_what_is_installed_is_taken(
    installed: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chosen(monkeypatch, *installed) == name
    err = capsys.readouterr().err
    assert err == (
        f"Keras runs on {name}, since TensorFlow is not installed; set KERAS_BACKEND={name} to hide this line\n"
        if name
        else ""
    )


def test_what_the_user_chose_stays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert chosen(monkeypatch, "jax") == "torch"
    monkeypatch.setenv("KERAS_BACKEND", "")
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert chosen(monkeypatch, "jax") == ""
    assert capsys.readouterr().err == ""
