"""Finding a change: the search itself, the points between two ends, and a real slow-down in a file's history."""

import math
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import BadInput, NothingMeasured
from runners import workload
from runners.bisection import Side, bisect, locate, points
from runners.environments import Built
from runners.lines import Observer
from runners.process import Place
from runners.wishes import Wishes
from tests.runners.conftest import FAKE_KERNELS

FILE = FAKE_KERNELS.read_text()


@given(st.integers(2, 300), st.data())
def test_the_first_bad_point_is_found_in_logarithmic_time(count, data):
    """Wherever it is, with as many questions as halving takes."""
    first_bad = data.draw(st.integers(1, count - 1))
    asked = []

    def side_of(index):
        asked.append(index)
        return Side.BAD if index >= first_bad else Side.GOOD

    assert locate(count, side_of) == (first_bad - 1, first_bad)
    assert len(asked) <= math.ceil(math.log2(count))


@given(st.integers(3, 60), st.data())
def test_points_that_cannot_be_told_are_left_between(count, data):
    """The true change lies between the points that are named, and nothing else lies there but what cannot be told."""
    first_bad = data.draw(st.integers(1, count - 1))
    absent = data.draw(st.sets(st.integers(1, count - 2)))

    def side_of(index):
        return Side.ABSENT if index in absent else Side.BAD if index >= first_bad else Side.GOOD

    good, bad = locate(count, side_of)
    assert good < first_bad <= bad
    assert set(range(good + 1, bad)) <= absent


def repository(folder, versions):
    """A git repository with one commit of ``kernels.py`` for each text; return the file and the commits."""
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder))
    subprocess.run([*git, "init", "-q"], check=True)
    commits = []
    for number, text in enumerate(versions):
        (folder / "kernels.py").write_text(f"{text}\n# version {number}\n")
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", f"version {number}"], check=True)
        done = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        commits.append(done.stdout.strip())
    return folder / "kernels.py", commits


def test_points_are_the_commits_that_touch_the_file(tmp_path):
    """From good to bad, ends included; a commit of another file is no point, and the wrong order is refused."""
    file, commits = repository(tmp_path, [FILE] * 4)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path))
    (tmp_path / "other.txt").write_text("x")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "other"], check=True)
    found = points(f"kernels={file}@{commits[0]}", f"kernels={file}@{commits[3]}")
    assert [one.kernels.commit for one in found] == commits
    with pytest.raises(BadInput, match="no ancestor"):
        points(f"kernels={file}@{commits[3]}", f"kernels={file}@{commits[0]}")
    with pytest.raises(BadInput, match="nothing lies between"):
        points(f"kernels={file}@{commits[2]}", f"kernels={file}@{commits[3]}")


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("numpy==2.0.0", "numba==0.66.0"),
        ("numpy==2.0.0", "numpy==2.4.6,threads=2"),
        ("threads=1", "threads=2"),
    ],
)
def test_ends_that_differ_in_something_else_are_refused(good, bad):
    """One version or one commit, and nothing besides."""
    with pytest.raises(BadInput, match="must differ in one version"):
        points(good, bad)


@pytest.fixture
def _no_building(monkeypatch, home):
    """Let recipes run in the environment of the tests, with the kernels of their commit."""

    def build(recipe, names):
        variables = (("FLOPWATCH_KERNELS", str(recipe.kernels.files())),)
        return Built(Place(variables=variables, stamp=recipe.kernels.commit), "", home)

    monkeypatch.setattr("runners.matrix.build", build)
    monkeypatch.delenv("FLOPWATCH_KERNELS", raising=False)
    workload.kernels.cache_clear()
    yield
    monkeypatch.undo()
    workload.kernels.cache_clear()


ONE_MS = '"one-ms", "numpy", threads="one", applies=_only("steady", "odd"))(_taking(1_000_000))'
WISHES = Wishes(
    profile="full",
    effort="quick",
    cases=("fake/steady",),
    variants=("one-ms",),
    backends=("numpy",),
    threads=(1,),
    store=False,
)


@pytest.mark.usefixtures("_no_building")
def test_a_slow_down_in_the_history_of_a_file_is_found(tmp_path, monkeypatch):
    """Six commits, of which the fourth makes a call 5 % slower and the third does not compile at all."""
    slow = FILE.replace(ONE_MS, ONE_MS.replace("1_000_000", "1_050_000"))
    assert slow != FILE
    file, commits = repository(tmp_path, [FILE, FILE, "this is no Python", slow, slow, slow])
    monkeypatch.setenv("FLOPWATCH_KERNELS", "")
    found = bisect(
        points(f"kernels={file}@{commits[0]}", f"kernels={file}@{commits[5]}"),
        WISHES,
        Observer(),
        ["flopwatch"],
    )
    assert (found.good, found.bad) == (commits[1][:12], commits[3][:12])
    assert found.between == [commits[2][:12]]
    assert found.ratio == pytest.approx(1.05, abs=0.001)
    absent = {step.name: step for step in found.steps}[commits[2][:12]]
    assert absent.side == Side.ABSENT
    assert "cannot be read" in absent.reason


@pytest.mark.usefixtures("_no_building")
def test_ends_that_do_not_differ_are_no_change(tmp_path, monkeypatch):
    """Nothing is looked for where there is nothing."""
    monkeypatch.setattr("runners.bisection._ATTEMPTS", 1)
    file, commits = repository(tmp_path, [FILE] * 3)
    with pytest.raises(NothingMeasured, match=r"no difference was found between .* in 6 processes each"):
        bisect(points(f"kernels={file}@{commits[0]}", f"kernels={file}@{commits[2]}"), WISHES, Observer(), [])
