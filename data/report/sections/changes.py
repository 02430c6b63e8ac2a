"""What is different from an earlier run."""

from data import queries
from data.compare import compare_runs, may_be_layout, sittings
from data.family import discoveries
from data.index import Index
from data.report import cells
from data.report.model import Section, Table
from data.rundocument import read
from data.summary import Key
from data.words import Verdict

__all__ = ["section"]


def _label(key: Key) -> list[str]:
    case, variant, condition, backend, _, threads = key
    return [case, variant if condition == "given" else f"{variant} ({condition})", backend, str(threads)]


def section(index: Index, old_id: str, new_id: str) -> Section:
    """Compare two runs: what differs in a table, the rest in a sentence."""
    old, new = (read(queries.run_file(index, run_id)) for run_id in (old_id, new_id))
    found = compare_runs(old, new)
    result = Section("changes", f"Changes since run {old_id}")
    if not found:
        result.text.append("The two runs have no measurement in common that was ok in both.")
        return result
    remaining = dict(zip(found, discoveries([one.p_value for one in found.values()]), strict=True))
    times = min(sittings(old.processes), sittings(new.processes))
    table = Table(
        "changes",
        f"Run {new_id} against run {old_id}",
        ["case", "variant", "backend", "threads", "new / old", "interval", "verdict", "remark"],
        right=frozenset({"threads", "new / old", "interval"}),
    )
    counts = dict.fromkeys(Verdict, 0)
    ranked = sorted(found.items(), key=lambda item: (-item[1].ratio, item[0]))
    for key, one in ranked:
        counts[one.verdict] += 1
        if not one.differs:
            continue
        ratio, low, high = cells.figures(one.ratio, one.low, one.high)
        remarks = [] if remaining[key] else ["may be chance, among so many"]
        if may_be_layout(one, times):
            remarks.append("may be the layout of memory")
        table.rows.append([*_label(key), ratio, f"{low} – {high}", one.verdict.value, cells.listed(remarks)])
    told = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    result.text.append(f"Of {len(found)} measurements that both runs have: {told}.")
    if old.run.machine.id != new.run.machine.id:
        result.text.append("The runs are of different machines, so the ratios compare the machines as well.")
    if old.run.environment.id != new.run.environment.id:
        result.text.append(_environment(old.run.environment.packages, new.run.environment.packages))
    if table.rows:
        result.tables.append(table)
    return result


def _environment(old: dict[str, str], new: dict[str, str]) -> str:
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    if not names:
        return "The environments differ in more than packages; see the runs."
    told = ", ".join(f"{name} {old.get(name, 'absent')} → {new.get(name, 'absent')}" for name in names)
    return f"The environments differ: {told}."
