"""Recipes of environments: what people write, files of them, and what is refused with which words."""

import subprocess

import pytest

from data.errors import BadInput
from runners.recipes import Recipe, from_file, package_of, parse, unique


def test_a_recipe_has_requirements_settings_and_variables():
    """Each part is told by its form; a part that begins with a comparison continues the requirement before it."""
    recipe = parse("numpy>=2.1,<2.3,numba==0.66.*,threads=2,python=3.12,OMP_PROC_BIND=true,name=old")
    assert recipe == Recipe(
        "old", ("numpy>=2.1,<2.3", "numba==0.66.*"), "3.12", 2, (("OMP_PROC_BIND", "true"),)
    )
    assert parse("numpy==2.4.6").name == "numpy==2.4.6"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("numpy 2", "numpy 2"),
        ("", "not understood"),
        ("threads=0", "threads=0"),
        ("threads=two", "threads=two"),
        ("kernels=missing.py", "names no revision"),
        ("kernels=missing.py@main", "missing.py does not exist"),
        ("omp=1", "omp=1"),
    ],
)
def test_what_cannot_be_is_named(text, word):
    """A wrong part is in the message, with what would have been right."""
    with pytest.raises(BadInput, match=word):
        parse(text)


def test_a_revision_is_resolved_and_an_unknown_one_refused(tmp_path):
    """A commit is kept by its full hash, and the name of the recipe has no folder in it."""
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "first")):
        (tmp_path / "k.py").write_text("KERNELS = ()\n")
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path), *words], check=True
        )
    recipe = parse(f"kernels={tmp_path}/k.py@HEAD")
    assert len(recipe.kernels.commit) == 40
    assert recipe.name == "kernels=k.py@HEAD"
    assert recipe.to_json()["kernels"] == {"path": "k.py", "name": "HEAD", "commit": recipe.kernels.commit}
    with pytest.raises(BadInput, match="git knows no 'nowhere'"):
        parse(f"kernels={tmp_path}/k.py@nowhere")
    (tmp_path.parent / "outside.py").write_text("")
    with pytest.raises(BadInput, match="not a git repository"):
        parse(f"kernels={tmp_path.parent}/outside.py@HEAD")


def test_equal_names_are_told_apart():
    """The same recipe twice is an A/A comparison: the second has a number."""
    assert [one.name for one in unique([parse("numpy==2.4.6")] * 3)] == [
        "numpy==2.4.6",
        "numpy==2.4.6 (2)",
        "numpy==2.4.6 (3)",
    ]


def test_packages_are_spelled_in_one_way():
    """Requirements of one package are seen to be of one package."""
    assert {
        package_of(text) for text in ("Scipy_OpenBLAS32==1", "scipy-openblas32>=0.3", "scipy.openblas32[x]")
    } == {"scipy-openblas32"}


def test_a_file_gives_all_combinations_but_the_excluded(tmp_path):
    """``axes`` are multiplied, ``exclude`` drops, ``include`` and ``with`` add; also inside a pyproject.toml."""
    matrix = """
with = ["numpy==2.0.2"]
axes = { numpy = ["1.26.4", "2.4.6"], python = ["3.11", "3.12"], OMP_PROC_BIND = ["true"] }
exclude = [{ numpy = "1.26.4", python = "3.12" }]
include = [{ numpy = ">=2.2,<2.3", threads = 2 }, "numba==0.66.*"]
"""
    file = tmp_path / "matrix.toml"
    file.write_text(matrix)
    expected = [
        "numpy==2.0.2",
        "numpy==1.26.4,python=3.11,OMP_PROC_BIND=true",
        "numpy==2.4.6,python=3.11,OMP_PROC_BIND=true",
        "numpy==2.4.6,python=3.12,OMP_PROC_BIND=true",
        "numpy>=2.2,<2.3,threads=2",
        "numba==0.66.*",
    ]
    assert from_file(file) == expected
    file.write_text("[tool.flopwatch.matrix]" + matrix)
    assert from_file(file) == expected
    assert all(parse(text).requirements for text in expected)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "nothing is not understood"),
        ("widths = 3", "widths is not understood"),
        ("with = 'numpy'", "with must be a list"),
        ("axes = 3", "axes must be a table"),
        ("with = [", "cannot be read as TOML"),
        ("axes = { numpy = ['1.26.4'] }\nexclude = ['numpy']", "exclude holds tables"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, content, word):
    """The message names the file and what in it is wrong."""
    file = tmp_path / "matrix.toml"
    file.write_text(content)
    with pytest.raises(BadInput, match=word) as found:
        from_file(file)
    assert "matrix.toml" in str(found.value)
