"""What the operating system tells of itself, through one object that tests replace.

Files are read under ``root`` and programs answer through ``command``, so that a description of any machine can be
made from a folder of files that looks like its ``/proc`` and ``/sys``.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["System", "parse_cpu_list", "parse_size"]


@dataclass
class System:
    """The sources of facts: a file tree, programs, environment variables and the platform's name."""

    root: Path = Path("/")
    platform: str = sys.platform
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def text(self, path: str) -> str | None:
        """Return the contents of a file without surrounding blanks, or None where it cannot be read."""
        try:
            return (self.root / path.lstrip("/")).read_text("utf-8", errors="replace").strip("\0 \n")
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """Return the integer in a file, or None where there is none."""
        try:
            return int(self.text(path) or "")
        except ValueError:
            return None

    def glob(self, pattern: str) -> list[str]:
        """Return the paths below the root that match, sorted, each with a leading slash."""
        try:
            found = sorted(self.root.glob(pattern.lstrip("/")))
        except OSError:
            return []
        return [f"/{path.relative_to(self.root).as_posix()}" for path in found]

    def exists(self, path: str) -> bool:
        """Say whether a file is there."""
        return (self.root / path.lstrip("/")).exists()

    def command(self, *words: str) -> str | None:
        """Return what a program prints, or None where it is missing, fails or needs more than 10 s."""
        program = shutil.which(words[0])
        if program is None:
            return None
        try:
            done = subprocess.run(
                [program, *words[1:]],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=10,
                env={**os.environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None


def parse_cpu_list(text: str) -> list[int]:
    """Return the processors of a list as the Linux kernel writes it: ``0-3,8`` is [0, 1, 2, 3, 8]."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip(), re.ASCII)
        if match:
            found.extend(range(int(match[1]), int(match[2] or match[1]) + 1))
    return found


def parse_size(text: str) -> int | None:
    """Return the bytes of a size as sysfs writes it: ``512K`` is 524288; None for anything else."""
    match = re.fullmatch(r"(\d+)([KMG]?)", text.strip(), re.ASCII)
    return int(match[1]) * {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}[match[2]] if match else None
