"""Options that several commands share, and the wishes that they stand for."""

import argparse
import re
from typing import TYPE_CHECKING

from runners.commands._words import share

if TYPE_CHECKING:
    from runners.wishes import Wishes

__all__ = ["choices", "duration", "label", "outcomes", "pause", "precision", "wishes_from"]


def choices(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is measured and how long."""
    from data.words import Effort, Profile

    add = parser.add_argument
    profiles, efforts = [profile.value for profile in Profile], [effort.value for effort in Effort]
    add("--profile", choices=profiles, help="which cases (default: quick, or all that --case names)")
    add("--effort", choices=efforts, help="how many processes replicate each case (default: the profile's)")
    add(
        "--case",
        action="append",
        default=[],
        metavar="GLOB",
        help="only these cases (of all, or of --profile)",
    )
    add("--variant", action="append", default=[], metavar="GLOB", help="only these variants")
    add("--backend", action="append", default=[], metavar="NAME", help="only these backends")
    add(
        "--threads",
        action="append",
        default=[],
        type=int,
        metavar="N",
        help="thread counts (default: 1 and cores)",
    )
    add("--precision", type=precision, metavar="2%", help="stop a case when its interval is this narrow")
    add("--apart", type=pause, metavar="1h", help="time between the two sittings of --effort rigorous")
    add("--budget", type=duration, metavar="10m", help="start no further block after this time (s, m or h)")
    add("--seed", type=int, default=0, metavar="N", help="seed of the inputs (default: 0)")
    add("--label", action="append", default=[], type=label, metavar="KEY=VALUE", help="kept with the run")
    add("--machine", metavar="NAME", help="a name for this machine (default: its host name)")
    add(
        "--limit",
        type=duration,
        default=300.0,
        metavar="5m",
        help="kill a process that does not answer in this time",
    )


def outcomes(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what becomes of what was measured."""
    parser.add_argument("--no-store", action="store_true", help="keep the run file only")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def wishes_from(options: argparse.Namespace) -> "Wishes":
    """Return what the options of :func:`choices` ask for.  Raises BadInput for a seed that cannot be."""
    from data.errors import BadInput
    from runners.wishes import Wishes

    if not 0 <= options.seed < 2**32:
        raise BadInput(f"--seed {options.seed} is not possible; give a number from 0 to {2**32 - 1}")
    return Wishes(
        profile=options.profile or ("full" if options.case else "quick"),
        effort=options.effort or (None if options.profile else "quick"),
        cases=tuple(options.case),
        variants=tuple(options.variant),
        backends=tuple(options.backend),
        threads=tuple(options.threads),
        precision=options.precision,
        apart_s=options.apart,
        budget_s=options.budget,
        seed=options.seed,
        labels=dict(options.label),
        machine=options.machine,
        limit_s=options.limit,
        store=not getattr(options, "no_store", False),
    )


def duration(text: str) -> float:
    """Return the seconds of a duration such as 90s, 10m or 2h."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h)?", text.strip())
    if not match or not 0 < float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"] <= 30 * 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write for example 90s, 10m or 2h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]


def pause(text: str) -> float:
    """Return the seconds of a duration, which may be none at all."""
    return 0.0 if re.fullmatch(r"0\s*[smh]?", text.strip()) else duration(text)


def precision(text: str) -> float:
    """Return how narrow an interval shall be, as a share that was written as 2% or 0.02."""
    try:
        found = share(text)
    except argparse.ArgumentTypeError:
        found = 0.0
    if found < 0.0005:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no precision; write for example 2% or 0.02 (0.05% to 99%)"
        )
    return found


def label(text: str) -> tuple[str, str]:
    """Return key and value of a label."""
    name, separator, value = text.partition("=")
    if not separator or not name.strip() or not value.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is no label; write KEY=VALUE")
    return name.strip(), value.strip()
