"""The environment of the job before, rebuilt where the present one differs: a baseline repeats what was measured."""

import platform
from collections.abc import Callable

from data import places
from data.errors import FlopwatchError, RunFileError
from data.rundocument import RunDocument, read
from data.summary import summarise
from data.words import Status
from runners.environments import Refused, build, installed_versions
from runners.execute import Setting
from runners.reproduce import recipe_of

__all__ = ["changes_since", "rebuilt", "setting_of_previous"]

_OURS = f"{platform.python_implementation()} {platform.python_version()}"


def setting_of_previous(run_id: str, remark: Callable[[str], None]) -> Setting | None:
    """Return where to measure so that the environment is that of a run, or None where that is here.

    Where the environment cannot be rebuilt, ``remark`` is told why, and None is returned: the present one is measured.
    """
    if not run_id:
        return None
    try:
        original = _document(run_id)
        if original.run.protocol.get("recipe"):
            return None  # it was a repetition itself; a second one would keep the old environment for ever
        changes = changes_since(original)
        if not changes:
            return None
        remark(
            f"the environment differs from that of the job before ({', '.join(changes[:5])}); rebuilding that one"
        )
        setting = rebuilt(original)
    except (FlopwatchError, Refused, OSError) as error:
        remark(f"the environment of the job before cannot be rebuilt, measuring in the present one: {error}")
        return None
    remark("the environment of the job before is there again; this baseline is measured in it")
    return setting


def _document(run_id: str) -> RunDocument:
    path = places.runs() / f"{run_id}.run.jsonl"
    if not path.exists():
        raise RunFileError(f"its run file {path} is not there any more")
    return read(path)


def changes_since(original: RunDocument) -> list[str]:
    """Return what is installed otherwise than when a run was measured: ``numpy 2.2.6 -> 2.4.6``."""
    before = original.run.environment
    here = installed_versions(before.packages)
    found = [
        f"{name} {version} -> {here.get(name, 'absent')}"
        for name, version in sorted(before.packages.items())
        if here.get(name) != version
    ]
    if not _is_ours(before.interpreter):
        found.insert(0, f"{before.interpreter} -> {_OURS}")
    return found


def _is_ours(interpreter: str) -> bool:
    return f"{interpreter} ".startswith(f"{_OURS} ")


def rebuilt(original: RunDocument) -> Setting:
    """Return where workers run in the environment of a run, built by uv where it is not there yet.

    Raises Refused with the reason of uv, BadInput without uv, StorageError where nothing can be written.
    """
    recipe, lock = recipe_of(original)
    interpreter = original.run.environment.interpreter
    if not recipe.python and not _is_ours(interpreter):
        raise Refused(f"{interpreter} is not installed here any more")
    backends = {row.backend for row in summarise(original) if row.status == Status.OK}
    built = build(recipe, sorted(backends), lock)
    return Setting(built.place, protocol={"recipe": recipe.to_json(), "lock": built.lock.splitlines()})
