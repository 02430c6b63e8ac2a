"""Isolated environments by uv: made once, locked with hashes, refused with the resolver's words."""

import json
import subprocess

import pytest

from runners import uv
from runners.environments import Refused, build
from runners.recipes import parse

PRINT = "import importlib.metadata as m; print(m.version('numpy'))"


def version_in(built):
    done = subprocess.run([built.place.python, "-c", PRINT], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_an_environment_is_built_once_and_locked(home, monkeypatch):
    """It has what was asked for and nothing of flopwatch; the second time nothing is run, so no network is needed."""
    recipe = parse("numpy==2.2.6")
    built = build(recipe, ["numpy"])
    assert version_in(built) == "2.2.6"
    assert "numpy==2.2.6" in built.lock
    assert "--hash=sha256:" in built.lock
    inside = subprocess.run([built.place.python, "-c", "import msgspec"], capture_output=True, check=False)
    assert inside.returncode
    assert json.loads((built.folder / "made.json").read_text())["requirements"] == ["numpy==2.2.6"]

    def refuse(*words, folder=None):
        raise AssertionError(f"uv {words} was run")

    monkeypatch.setattr("runners.environments.run_uv", refuse)
    assert build(recipe, ["numpy"]) == built
    with pytest.raises(AssertionError, match="uv"):
        build(parse("numpy==2.2.5"), ["numpy"])


def test_what_is_not_named_is_as_it_is_here(home):
    """An empty recipe gives the versions of flopwatch's own environment."""
    import numpy as np

    assert version_in(build(parse("threads=1"), ["numpy"])) == np.__version__


def test_an_environment_that_cannot_be_says_why(home):
    """The resolver's own words come through in one line, and nothing half-made is taken for whole later."""
    for _ in range(2):
        with pytest.raises(Refused, match=r"there is no version of numpy==9\.9\.9"):
            build(parse("numpy==9.9.9"), ["numpy"])
    with pytest.raises(Refused, match=r"(?i)no interpreter found"):
        build(parse("numpy,python=3.99"), ["numpy"])


def test_a_wheel_that_is_gone_or_another_is_refused(home, tmp_path, monkeypatch):
    """With a lock exactly those wheels are installed: other content or none at all is refused with the reason."""
    lock = "numpy==2.2.6 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    with pytest.raises(Refused, match=r"(?i)hash"):
        build(parse("numpy==2.2.6"), ["numpy"], lock)
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("UV_DEFAULT_INDEX", str(tmp_path / "index"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(Refused, match="numpy"):
        build(parse("numpy==2.2.5"), ["numpy"])


def test_the_reason_is_one_line():
    """uv's drawing for terminals is taken out of its message."""
    text = "error: No solution\n  × No solution found:\n  ╰─▶ Because there is\n      no version of a==1\n"
    assert uv._reason(text) == "No solution No solution found: Because there is no version of a==1"
