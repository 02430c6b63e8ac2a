"""Measuring a run again: from its file alone, in its own environment, with every change named."""

import json
from pathlib import Path

import msgspec
import pytest

from data.errors import BadInput
from data.rundocument import read
from runners.recipes import Recipe
from runners.reproduce import recipe_of
from runners.uv import interpreter
from tests.data.run_files import run_bytes
from tests.runners.test_command_line import FAKE, environment, flopwatch

__all__ = ["environment"]


@pytest.fixture
def original(environment, tmp_path):
    """A run file of the fake kernel, as it came from elsewhere: its store is gone."""
    file = tmp_path / "original.run.jsonl"
    elsewhere = environment | {"FLOPWATCH_HOME": str(tmp_path / "elsewhere")}
    options = ("--variant", "one-ms", "--out", file, "--no-store", "--json")
    flopwatch(elsewhere, "run", "--case", "fake/steady", *FAKE, "--effort", "smoke", *options, check=0)
    return file


def test_a_run_is_reproduced_from_its_file_alone(environment, original):
    """In a new home its environment is built, found identical, and the verdict is stored beside the original."""
    done = flopwatch(environment, "reproduce", original, "--json", check=0)
    found = json.loads(done.stdout)
    assert found["environment_identical"]
    assert (found["comparability"], found["differences"]) == ("same", [])
    (result,) = found["results"]
    assert (result["case"], result["verdict"], result["inside"]) == ("fake/steady", "reproduced", True)
    assert found["badge"].startswith("flopwatch: 1 of 1 results of run ")
    document = read(Path(found["file"]))
    assert not document.interrupted
    assert document.run.protocol["reproduces"]["run"] == found["original"]
    again = json.loads(flopwatch(environment, "db", "info", "--json", check=0).stdout)
    assert again["runs"] == 2


def test_a_change_on_purpose_is_named_and_forbids_a_verdict(environment, original):
    """Another NumPy: the difference is named, the ratio is there, and the exit status says: nothing comparable."""
    done = flopwatch(environment, "reproduce", original, "--with", "numpy==2.2.6", "--json", check=3)
    found = json.loads(done.stdout)
    named = {one["what"]: one["now"] for one in found["differences"] if one["decides"]}
    assert named["numpy"] == "2.2.6"
    assert found["results"][0]["verdict"] == "not comparable"
    assert found["results"][0]["ratio"] == pytest.approx(1)


def test_a_wheel_that_is_gone_is_a_refusal_with_its_reason(environment, original, tmp_path):
    """Where the index has no such wheel any more, nothing is measured, and the message says which and what to do."""
    (tmp_path / "index").mkdir()
    gone = {"UV_DEFAULT_INDEX": str(tmp_path / "index"), "UV_CACHE_DIR": str(tmp_path / "cache")}
    done = flopwatch(environment | gone, "reproduce", original, check=3)
    assert "cannot be rebuilt" in done.stderr
    assert "numpy was not found" in done.stderr
    assert "--here" in done.stderr


def test_what_makes_no_sense_is_refused(environment, original, tmp_path):
    """A file that is not there, two places at once, a case that the run has not."""
    for words, reason in (
        (("missing.run.jsonl",), "is no file"),
        ((original, "--here", "--with", "numpy==2.2.6"), "give one of them"),
        ((original, "--case", "relu/*"), "it has fake/steady"),
        ((original, "--with", "numpy 2"), "not understood"),
    ):
        done = flopwatch(environment, "reproduce", *words, check=2)
        assert reason in done.stderr, done.stderr


def test_the_recipe_pins_what_the_run_had(tmp_path):
    """Packages by version, the very interpreter, the variables that choose code; a change goes first."""
    document = read(run_bytes(tmp_path))
    attributes = {"variables": {"OPENBLAS_CORETYPE": ["Haswell"], "OMP_NUM_THREADS": ["1", "2"]}}
    own = "CPython " + interpreter()[1].split()[0]
    environment = msgspec.structs.replace(document.run.environment, interpreter=own, attributes=attributes)
    document.run = msgspec.structs.replace(document.run, environment=environment)
    recipe, lock = recipe_of(document)
    assert recipe == Recipe(
        f"as in {document.run.id}", ("numpy==2.4.6",), variables=(("OPENBLAS_CORETYPE", "Haswell"),)
    )
    assert lock == ""
    changed, _ = recipe_of(document, "numpy==2.2.6,OPENBLAS_CORETYPE=Zen")
    assert (changed.requirements, dict(changed.variables)) == (
        ("numpy==2.2.6",),
        {"OPENBLAS_CORETYPE": "Zen"},
    )


def test_a_lock_is_used_while_nothing_is_changed_on_purpose(tmp_path):
    """An environment of a matrix brings its lock with hashes; kernels of a commit must be given."""
    document = read(
        run_bytes(
            tmp_path, protocol={"lock": ["numpy==2.4.6 \\", "  --hash=sha256:0"], "recipe": {"name": "a"}}
        )
    )
    assert recipe_of(document)[1] == "numpy==2.4.6 \\\n  --hash=sha256:0"
    assert recipe_of(document, "numpy==2.2.6")[1] == ""
    kernels = {"kernels": {"path": "k.py", "name": "main", "commit": "0" * 40}}
    document = read(run_bytes(tmp_path, protocol={"recipe": kernels}))
    with pytest.raises(BadInput, match="give --with kernels=PATH@000000000000"):
        recipe_of(document)
