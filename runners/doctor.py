"""Examining the machine before a measurement: what would disturb or falsify it, and the remedy."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from data import places
from runners.checks import CHECKS
from runners.devices import nvidia_processes
from runners.findings import Facts, Finding
from runners.inside import gather
from runners.machine import describe_machine, state
from runners.quiet import LoadMeter
from runners.remedies import as_typed_here
from runners.system import System
from runners.workload import backends

__all__ = ["examine", "read_facts", "render"]

#: a program that uses less of a processor is not worth a word
_BUSY = 0.1


def examine(facts: Facts | None = None) -> list[Finding]:
    """Return a finding for each cause that is known, those that are fine included.

    Without ``facts`` this machine is watched for a second.
    """
    facts = facts or read_facts()
    return [check(facts) for check in CHECKS]


def read_facts(window_s: float = 1.0, system: System | None = None) -> Facts:
    """Read all that the checks look at, watching the load for ``window_s`` seconds."""
    system = system or System()
    before = _processor_seconds()
    meter = LoadMeter([os.getpid()])
    start = time.monotonic()
    time.sleep(window_s)
    load, elapsed = meter.read(), max(time.monotonic() - start, 1e-3)
    busy = _busy(before, _processor_seconds(), elapsed)
    machine = describe_machine(system=system)
    return Facts(
        machine=machine,
        state=state(system),
        load=load,
        busy=tuple(busy),
        process=gather(),
        device_processes=tuple(nvidia_processes(system)) if machine.attributes.get("devices") else (),
        scratch_free_bytes=_free_bytes(places.scratch()),
        accelerators=tuple(_accelerators()),
    )


def _accelerators() -> Iterator[dict[str, Any]]:
    """Say of each backend of a device whether it can be used here, or why not and how to get it."""
    for backend in backends().values():
        if backend.device != "cpu":
            state = backend.probe()
            facts = asdict(state) | {"install": as_typed_here(state.install)}
            yield {"backend": backend.name, "device": backend.device, **facts}


def _processor_seconds() -> dict[int, tuple[str, float]]:
    """Return name and processor seconds so far of every other process that may be looked at."""
    found = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is not None and process.pid not in (0, os.getpid()):
            found[process.pid] = (str(process.info["name"]), times.user + times.system)
    return found


def _busy(
    before: dict[int, tuple[str, float]], after: dict[int, tuple[str, float]], elapsed_s: float
) -> list[tuple[str, float]]:
    """Return the programs that used a processor between two looks, the busiest first, as shares of one processor."""
    shares: dict[str, float] = {}
    for pid, (name, seconds) in after.items():
        if pid in before and before[pid][0] == name:
            shares[name] = shares.get(name, 0.0) + (seconds - before[pid][1]) / elapsed_s
    return sorted(
        ((name, share) for name, share in shares.items() if share >= _BUSY), key=lambda one: -one[1]
    )


def _free_bytes(folder: Path) -> int | None:
    """Return the free bytes where a folder is or will be."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return None
    return None


def render(findings: Sequence[Finding]) -> None:
    """Print the findings for people, what matters first, each with its effect and the remedy."""
    from rich.table import Table
    from rich.text import Text

    from runners.printing import console

    order = {"warning": "bold red", "advice": "yellow", "ok": "green"}
    table = Table.grid(padding=(0, 2))
    for finding in sorted(findings, key=lambda one: list(order).index(one.level)):
        table.add_row(Text(finding.level, order[finding.level]), Text(finding.id, "bold"), Text(finding.seen))
        for word, text in (("effect", finding.effect), ("remedy", finding.remedy)):
            if text:
                table.add_row("", Text(word, "dim"), Text(text))
    screen = console()
    screen.print(table)
    counts = {level: sum(finding.level == level for finding in findings) for level in order}
    screen.print(f"\nwarnings: {counts['warning']}, advice: {counts['advice']}, fine: {counts['ok']}")
