"""What people are told to type is what works where they are."""

import sys
from pathlib import Path

import pytest

from runners import remedies


@pytest.fixture
def in_a_checkout(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment that `just setup` makes: uv's, without pip."""
    monkeypatch.setattr(sys, "prefix", str(Path(remedies.__file__).parents[1] / ".venv"))
    monkeypatch.setattr(remedies, "_has_pip", lambda: False)
    return monkeypatch


@pytest.mark.parametrize(
    ("install", "typed"),
    [
        ("pip install flopwatch[torch]", ".tools/bin/uv pip install --python .venv -e '.[torch]'"),
        ("pip install mlx[cpu]", ".tools/bin/uv pip install --python .venv 'mlx[cpu]'"),
        ("run it on such a Mac", "run it on such a Mac"),
        ("nvidia-smi", "nvidia-smi"),
    ],
)
def test_an_environment_of_uv_has_no_pip(in_a_checkout: pytest.MonkeyPatch, install: str, typed: str) -> None:
    assert remedies.as_typed_here(install) == typed


def test_pip_is_kept_where_it_is(in_a_checkout: pytest.MonkeyPatch) -> None:
    """With a pip, or in an environment elsewhere, the words of the backend stand."""
    in_a_checkout.setattr(remedies, "_has_pip", lambda: True)
    assert remedies.as_typed_here("pip install mkl") == "pip install mkl"
    in_a_checkout.setattr(remedies, "_has_pip", lambda: False)
    in_a_checkout.setattr(sys, "prefix", "/elsewhere")
    assert remedies.as_typed_here("pip install mkl") == "pip install mkl"
