"""The machine and the software as they were detected, the runs, and the commands that measure it again."""

from typing import Any

import msgspec

from data.report import cells
from data.report.context import Context
from data.report.model import Section, Table

__all__ = ["commands", "section"]


#: what is longer is cut: the run file has it in full
_LONGEST = 400


def _text(value: Any) -> str:
    """Say a detected value in a cell."""
    if isinstance(value, dict):
        value = ", ".join(f"{name.replace('_', ' ')} {_text(one)}" for name, one in value.items())
    if isinstance(value, list):
        value = cells.listed(_text(one) for one in value)
    text = "unknown" if value in (None, "") else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _caches(found: list[dict[str, Any]]) -> str:
    return cells.listed(
        f"{one.get('count', 1)} × L{one['level']} {one.get('type', '')} {one['size_bytes'] / 1024:,.0f} KiB"
        for one in found
    )


def _machine(context: Context) -> Table:
    machine = context.machine
    attributes: dict[str, Any] = msgspec.json.decode(machine["attributes"])
    table = Table("machine", "Machine, as detected", ["what", "found"])
    table.rows = [
        ["processor", machine["cpu_model"]],
        ["cores and threads", f"{machine['cores'] or 'unknown'} and {machine['threads'] or 'unknown'}"],
        ["memory", f"{machine['memory_gib']} GiB" if machine["memory_gib"] else "unknown"],
        ["devices", cells.listed(machine["devices"])],
        ["id", machine["machine_id"]],
    ]
    for name, value in sorted(attributes.items()):
        shown = _caches(value) if name == "caches" and isinstance(value, list) else _text(value)
        table.rows.append([name.replace("_", " "), shown])
    return table


def _software(context: Context) -> Table:
    table = Table(
        "software", "Software, as resolved", ["environment", "interpreter", "packages", "BLAS libraries"]
    )
    used = list(dict.fromkeys(str(run["environment_id"]) for run in context.runs))
    rows = context.index.query(
        "FROM environments WHERE environment_id IN (SELECT unnest(?)) ORDER BY environment_id", [used]
    )
    for row in rows:
        packages: dict[str, str] = msgspec.json.decode(row["packages"])
        blas: list[dict[str, Any]] = msgspec.json.decode(row["blas"])
        libraries = [
            " ".join(
                str(one[name]) for name in ("library", "version", "architecture", "core") if one.get(name)
            )
            for one in blas
        ]
        table.rows.append(
            [
                *(row["environment_id"], row["interpreter"]),
                cells.listed(f"{name} {version}" for name, version in sorted(packages.items())),
                cells.listed(libraries),
            ]
        )
    return table


def section(context: Context) -> Section:
    """Machine and software."""
    return Section("system", "System", tables=[_machine(context), _software(context)])


def commands(context: Context) -> Section:
    """The runs that this report speaks of, and how to repeat them."""
    table = Table(
        "runs",
        "Runs, the newest first",
        ["run", "began", "profile", "effort", "state", "ok", "not ok", "flopwatch", "environment", "command"],
        right=frozenset({"ok", "not ok"}),
    )
    for run in context.runs:
        version = " ".join(
            str(part) for part in (run["flopwatch_version"], (run["flopwatch_commit"] or "")[:12]) if part
        )
        table.rows.append(
            [
                *(run["run_id"], cells.moment(run["started"]), run["profile"], run["effort"], run["status"]),
                *(str(run["ok"]), str(run["not_ok"]), version or cells.NONE, run["environment_id"]),
                " ".join(run["command"]) or cells.NONE,
            ]
        )
    return Section("runs", "Runs and commands", tables=[table])
