"""Recipes: what sets one environment apart from the others, as people write it.

``numpy==2.4.6,numba==0.66.*,threads=2,OPENBLAS_CORETYPE=Haswell`` is one recipe.  Its parts are separated by commas:
requirements as pip takes them, ``python=``, ``threads=``, ``kernels=PATH@COMMIT``, ``package=PATH@COMMIT``, ``name=``,
and environment variables in capitals.  A part that begins with a comparison continues the requirement before it.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from data.errors import BadInput
from runners.revisions import Revision, parse_revision
from runners.uv import Refused, run_uv

__all__ = ["Recipe", "expand", "from_file", "package_of", "parse", "releases", "unique"]

_SETTINGS = ("name", "python", "threads", "kernels", "package")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[\w,.-]+\])?\s*((===?|~=|!=|<=?|>=?).+)?")
_MINORS = re.compile(r"([A-Za-z0-9._-]+)==(\d+)\.\*")
_MOST_MINORS = 40


@dataclass(frozen=True)
class Recipe:
    """What sets one environment apart: everything that is not named is as in flopwatch's own environment."""

    name: str
    requirements: tuple[str, ...] = ()
    python: str = ""
    threads: int | None = None
    variables: tuple[tuple[str, str], ...] = ()
    kernels: Revision | None = None
    package: Revision | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as the run file keeps it."""
        facts = {
            "name": self.name,
            "requirements": list(self.requirements),
            "python": self.python,
            "threads": self.threads,
            "variables": dict(self.variables),
        }
        for kind in ("kernels", "package"):
            revision: Revision | None = getattr(self, kind)
            if revision is not None:
                facts[kind] = {"path": revision.path.name, "name": revision.name, "commit": revision.commit}
        return {key: value for key, value in facts.items() if value not in (None, "", [], {})}


def package_of(requirement: str) -> str:
    """Return the normal spelling (PEP 503) of the package that a requirement names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;@]", requirement, maxsplit=1)[0]).lower()


def parse(text: str) -> Recipe:
    """Return the recipe that a person wrote.  Raises BadInput naming the part that is wrong."""
    requirements: list[str] = []
    settings: dict[str, Any] = {}
    variables: dict[str, str] = {}
    for part in (part.strip() for part in text.split(",")):
        name, separator, value = part.partition("=")
        if requirements and re.match(r"[<>=!~]", part):
            requirements[-1] += f",{part}"
        elif separator and not value.startswith("=") and name in _SETTINGS:
            settings[name] = value
        elif separator and not value.startswith("=") and _VARIABLE.fullmatch(name):
            variables[name] = value
        elif _REQUIREMENT.fullmatch(part):
            requirements.append(part)
        else:
            raise BadInput(
                f"{part!r} in {text!r} is not understood; write requirements such as numpy==2.4.6, "
                f"{', '.join(f'{setting}=' for setting in _SETTINGS)} or a variable such as OMP_PROC_BIND=true"
            )
    return Recipe(
        name=settings.get("name") or _name(text),
        requirements=tuple(requirements),
        python=settings.get("python", ""),
        threads=_threads(settings.get("threads")),
        variables=tuple(sorted(variables.items())),
        kernels=_revision(settings.get("kernels")),
        package=_revision(settings.get("package")),
    )


def _name(text: str) -> str:
    """Return what a recipe is called where nobody named it: its text, with the paths cut to their last part."""
    return re.sub(r"=(?:[^,=@]*/)?([^,/=@]+@)", r"=\1", text)


def _threads(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d*", text):
        raise BadInput(f"threads={text} is not possible; give a whole number from 1")
    return int(text)


def _revision(text: str | None) -> Revision | None:
    return None if text is None else parse_revision(text)


def unique(recipes: Iterable[Recipe]) -> list[Recipe]:
    """Return the recipes with names that tell them apart: the second of a name is called ``… (2)``."""
    seen: dict[str, int] = {}
    found = []
    for recipe in recipes:
        seen[recipe.name] = count = seen.get(recipe.name, 0) + 1
        found.append(recipe if count == 1 else replace(recipe, name=f"{recipe.name} ({count})"))
    return found


# -- ranges ----------------------------------------------------------------------------------------------------


def expand(text: str) -> list[Recipe]:
    """Return the recipes of a text: ``numpy==2.*`` stands for the latest release of each minor version.

    Raises BadInput where a range has no release that can be installed here.
    """
    parts = [_versions(part) for part in text.split(",")]
    return [parse(",".join(chosen)) for chosen in product(*parts)]


def _versions(part: str) -> list[str]:
    match = _MINORS.fullmatch(part.strip())
    if not match:
        return [part]
    package, major = match.groups()
    found: list[str] = []
    below = int(major) + 1
    bound = f"<{below}"
    while len(found) < _MOST_MINORS:
        version = _newest(f"{package}>={major}.0,{bound}")
        if version is None:
            break
        found.append(version)
        numbers = [int(number) for number in re.findall(r"\d+", version)]
        bound = f"<{numbers[0]}.{numbers[1] if len(numbers) > 1 else 0}.0a0"
    if not found:
        raise BadInput(f"{part} has no release with a wheel for this machine and interpreter")
    return [f"{package}=={version}" for version in reversed(found)]


def releases(package: str, after: str, before: str, limit: int = 400) -> list[str]:
    """Return the releases of a package strictly between two versions that can be installed here, the oldest first."""
    found: list[str] = []
    bound = before
    while len(found) < limit:
        version = _newest(f"{package}>{after},<{bound}")
        if version is None:
            return found[::-1]
        found.append(version)
        bound = version
    raise BadInput(f"{package} has more than {limit} releases between {after} and {before}; give closer ones")


def _newest(requirement: str) -> str | None:
    """Return the newest version that meets a requirement and has a wheel here, or None."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        wish = Path(folder, "wish.in")
        wish.write_text(requirement)
        try:
            text = run_uv(
                "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-deps",
                "--only-binary", ":all:", "--python", _python(), str(wish),
            )  # fmt: skip
        except Refused:
            return None
    match = re.search(r"==(\S+)", text)
    return match[1] if match else None


def _python() -> str:
    import sys

    return sys.executable


# -- files -----------------------------------------------------------------------------------------------------


def from_file(path: Path) -> list[str]:
    """Return the texts of the recipes in a TOML file: ``[tool.flopwatch.matrix]`` or the whole file.

    ``with`` lists recipes.  ``axes`` gives choices for each of several names (packages, settings, variables), of
    which every combination is taken; ``include`` adds recipes, ``exclude`` drops combinations that hold all of its
    values.  Raises BadInput naming what is wrong.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} cannot be read as TOML: {error}") from error
    table = content.get("tool", {}).get("flopwatch", {}).get("matrix", content)
    unknown = sorted(set(table) - {"with", "axes", "include", "exclude"})
    if unknown or not table:
        raise BadInput(
            f"{path}: {', '.join(unknown) or 'nothing'} is not understood; a matrix has with, axes, include, exclude"
        )
    axes = {
        str(name): [str(value) for value in _list(path, name, values)] for name, values in _table(path, table)
    }
    combinations = (
        [dict(zip(axes, chosen, strict=True)) for chosen in product(*axes.values())] if axes else []
    )
    dropped = _list(path, "exclude", table.get("exclude", []))
    kept = [one for one in combinations if not any(_holds(one, rule, path) for rule in dropped)]
    return [
        *map(str, _list(path, "with", table.get("with", []))),
        *(_text(one) for one in kept),
        *(
            one if isinstance(one, str) else _text(one)
            for one in _list(path, "include", table.get("include", []))
        ),
    ]


def _table(path: Path, table: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    axes = table.get("axes", {})
    if not isinstance(axes, dict):
        raise BadInput(f"{path}: axes must be a table such as {{ numpy = ['1.26.4', '2.4.6'] }}")
    return axes.items()


def _list(path: Path, name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadInput(f"{path}: {name} must be a list, not {value!r}")
    return value


def _holds(combination: Mapping[str, str], rule: Any, path: Path) -> bool:
    if not isinstance(rule, dict) or not rule:
        raise BadInput(
            f"{path}: exclude holds tables such as {{ numpy = '1.26.4', python = '3.13' }}, not {rule!r}"
        )
    return all(combination.get(str(name)) == str(value) for name, value in rule.items())


def _text(combination: Mapping[str, Any]) -> str:
    """Return one combination as a recipe: settings and variables with ``=``, packages with ``==``."""
    words = []
    for name, value in combination.items():
        is_package = name not in _SETTINGS and not _VARIABLE.fullmatch(name)
        bare = re.fullmatch(r"\d[\w.*+!-]*", str(value))
        words.append(f"{name}{'==' if is_package and bare else '' if is_package else '='}{value}")
    return ",".join(words)
