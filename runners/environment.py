"""The environment: interpreter, packages as resolved and BLAS libraries, from what the workers told of themselves."""

import hashlib
import importlib.metadata
import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from data.records import Environment
from runners import __version__
from runners.isolation import container_image
from runners.system import System

__all__ = ["describe_environment", "environment_id", "flopwatch_facts"]

_ROOT = Path(__file__).resolve().parent.parent

#: what a backend tells that differs between the workers of one run by design, or before and after a first call
_PER_PROCESS = ("threads", "threading_layer")


def describe_environment(
    worker_descriptions: list[dict[str, Any]], system: System | None = None
) -> Environment:
    """Join what the workers of one run told into one environment.

    Each description is a worker's answer to ``describe``: ``description`` (of :func:`runners.inside.gather`) and
    ``backends`` (name to facts).  The id hashes interpreter, packages and BLAS libraries.  Raises ValueError if the
    workers ran different interpreters or versions: those are different environments.
    """
    told = [answer["description"] for answer in worker_descriptions]
    interpreters = {_interpreter_name(one["interpreter"]) for one in told} or {
        "none: no worker could be started"
    }
    if len(interpreters) > 1:
        raise ValueError(f"workers of different interpreters: {', '.join(sorted(interpreters))}")
    interpreter = interpreters.pop()
    packages = _packages(told)
    blas = _blas(told)
    return Environment(
        id=environment_id(interpreter, packages, blas),
        interpreter=interpreter,
        packages=packages,
        blas=blas,
        attributes=_attributes(worker_descriptions, system or System()),
    )


def environment_id(interpreter: str, packages: dict[str, str], blas: list[dict[str, Any]]) -> str:
    """Return 12 hex digits of SHA-256 over what decides which code runs; with how many threads does not count."""
    libraries = [{key: value for key, value in library.items() if key != "threads"} for library in blas]
    what = {"interpreter": interpreter, "packages": packages, "blas": libraries}
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


def _interpreter_name(facts: dict[str, Any]) -> str:
    """Return ``CPython 3.13.1``, with what sets a build apart: ``debug``, ``free-threaded``."""
    words = [facts["implementation"], facts["version"]]
    words += ["debug"] if facts.get("debug") else []
    words += ["free-threaded"] if not facts.get("gil", True) else []
    return " ".join(words)


def _packages(told: list[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in told:
        for name, version in one["packages"].items():
            if found.setdefault(name, version) != version:
                raise ValueError(f"workers of different environments: {name} {found[name]} and {version}")
    return dict(sorted(found.items()))


def _blas(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each BLAS library once: file name, version, core type (``architecture``), ``threads`` in some worker."""
    threads: dict[str, set[int]] = {}
    for one in told:
        for pool in one["threadpools"]:
            if pool.get("user_api") == "blas":
                facts = {key: value for key, value in pool.items() if key not in ("num_threads", "user_api")}
                threads.setdefault(json.dumps(facts, sort_keys=True), set()).add(pool["num_threads"])
    return [json.loads(facts) | {"threads": sorted(threads[facts])} for facts in sorted(threads)]


def _attributes(descriptions: list[dict[str, Any]], system: System) -> dict[str, Any]:
    told = [answer["description"] for answer in descriptions]
    first: dict[str, Any] = told[0] if told else {}
    backends = {name: facts for answer in descriptions for name, facts in answer.get("backends", {}).items()}
    found = {
        "interpreter": first.get("interpreter"),
        "wheels": {name: digest for one in told for name, digest in one["wheels"].items()},
        "backends": {
            name: {key: value for key, value in facts.items() if key not in _PER_PROCESS}
            for name, facts in sorted(backends.items())
        },
        "thread_pools": sorted({pool["library"] for one in told for pool in one["threadpools"]}),
        "variables": _variables(told),
        **{
            key: first.get(key)
            for key in ("aslr", "hash_seed", "clocksource", "timer_resolution_ns", "threadpoolctl")
        },
        "container_image": container_image(system),
        "flopwatch": flopwatch_facts(),
    }
    return {key: value for key, value in found.items() if value not in (None, [], {})}


def _variables(told: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the values that each variable had in some worker: thread counts differ between them by design."""
    names = sorted({name for one in told for name in one["variables"]})
    return {
        name: sorted({one["variables"][name] for one in told if name in one["variables"]}) for name in names
    }


@cache
def flopwatch_facts() -> dict[str, Any]:
    """Return flopwatch's version, a digest of what runs in the workers, and in a checkout the commit and its state.

    ``dirty`` is true if any file differs from the commit.  What cannot be told is absent.
    """
    facts: dict[str, Any] = {"version": __version__, "sources": _sources_digest()}
    if not (_ROOT / ".git").exists():
        commit = _installed_commit()
        return facts | ({"commit": commit} if commit else {})
    for key, answer in (("commit", _git("rev-parse", "HEAD")), ("dirty", _git("status", "--porcelain"))):
        if answer is not None:
            facts[key] = bool(answer) if key == "dirty" else answer
    return facts


def _installed_commit() -> str | None:
    """Return the commit that an installer fetched flopwatch at (PEP 610), or None."""
    try:
        text = importlib.metadata.distribution("flopwatch").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    commit = json.loads(text or "{}").get("vcs_info", {}).get("commit_id")
    return str(commit) if commit else None


def _sources_digest() -> str:
    """Return 12 hex digits of SHA-256 over the names and contents of all that measures."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for source in sorted((*folder.rglob("*.py"), *folder.rglob("*.cu"))):
        digest.update(f"{source.relative_to(folder).as_posix()}\n".encode() + source.read_bytes())
    return digest.hexdigest()[:12]


def _git(*words: str) -> str | None:
    """Return what git says of the checkout, without waiting for its locks; None where git is missing or refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(_ROOT), *words],
            capture_output=True,
            text=True,
            timeout=20,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
