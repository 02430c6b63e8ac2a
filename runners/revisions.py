"""Revisions of a git repository: which there are, and a folder with the files of one, made once."""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from data import places
from data.errors import BadInput

__all__ = ["Revision", "between", "parse_revision"]


@dataclass(frozen=True)
class Revision:
    """A file or folder of a git repository as it was at a commit.

    ``path`` is where it is now; ``name`` is what the person called the commit, ``commit`` its full hash.
    """

    path: Path
    name: str
    commit: str

    def __str__(self) -> str:
        """Return it as it is written in a recipe."""
        return f"{self.path}@{self.name}"

    def files(self) -> Path:
        """Return the path of the file or folder in a worktree of the commit, which is made where it is missing.

        Raises BadInput if the commit has no such file.
        """
        root = _root(self.path)
        name = hashlib.sha256(f"{root} {self.commit}".encode()).hexdigest()[:16]
        folder = places.environments() / "worktrees" / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                _git(root, "worktree", "prune")
                _git(root, "worktree", "add", "--detach", "--force", str(folder), self.commit)
        found = folder / os.path.relpath(self.path, root)
        if not found.exists():
            raise BadInput(f"{self.path.name} is not in the commit {self.name} of {root}")
        return found


def parse_revision(text: str) -> Revision:
    """Return the revision that ``PATH@COMMIT`` means.  Raises BadInput saying what is wrong with it."""
    path_text, separator, name = text.rpartition("@")
    if not separator or not path_text or not name:
        raise BadInput(f"{text!r} names no revision; write PATH@COMMIT, such as kernels.py@main")
    path = Path(path_text).expanduser().absolute()
    if not path.exists():
        raise BadInput(f"{path_text} does not exist; give a file or folder in a git repository")
    return Revision(path, name, _git(_root(path), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"))


def between(good: Revision, bad: Revision) -> list[Revision]:
    """Return the commits after ``good`` up to ``bad`` that touch their path, the oldest first, then both ends.

    Raises BadInput where ``good`` is no ancestor of ``bad``.
    """
    root = _root(good.path)
    inside = os.path.relpath(good.path, root)
    if _git(root, "merge-base", good.commit, bad.commit) != good.commit:
        raise BadInput(f"{good.name} is no ancestor of {bad.name}: give the older commit as good")
    span = f"{good.commit}..{bad.commit}"
    commits = _git(root, "rev-list", "--first-parent", "--reverse", span, "--", inside).split()
    named = [Revision(good.path, commit[:12], commit) for commit in commits if commit != bad.commit]
    return [good, *named, bad]


def _root(path: Path) -> Path:
    folder = path if path.is_dir() else path.parent
    return Path(_git(folder, "rev-parse", "--show-toplevel"))


def _git(folder: Path, *words: str) -> str:
    """Return what git says; raises BadInput with its reason."""
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    if done.returncode:
        why = " ".join(done.stderr.split()) or f"git knows no {words[-1].removesuffix('^{commit}')!r} there"
        raise BadInput(f"{folder}: {why}")
    return done.stdout.strip()
