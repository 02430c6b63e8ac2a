"""Whether ledger and index are whole, and whether they agree.  Findings are sentences for people."""

from collections.abc import Iterable

from data.entries import decode
from data.errors import FlopwatchError
from data.index import Index
from data.ledger import RUN, Entry, Ledger
from data.rows import measurement_id
from data.rundocument import read
from data.summary import summarise

__all__ = ["check_index", "check_ledger"]

#: Question → how many rows break a rule.
_RULES = {
    "measurements of no run": "SELECT count(*) FROM measurement ANTI JOIN run USING (run)",
    "measurements of no series": "SELECT count(*) FROM measurement ANTI JOIN series USING (series)",
    "samples of no measurement": "SELECT count(*) FROM sample ANTI JOIN measurement USING (run, series)",
    "processes of no run": "SELECT count(*) FROM process ANTI JOIN run USING (run)",
    "notes of no run": "SELECT count(*) FROM note ANTI JOIN run USING (run)",
    "runs of no machine": "SELECT count(*) FROM run ANTI JOIN machine USING (machine_id)",
    "runs in no environment": "SELECT count(*) FROM run ANTI JOIN environment USING (environment_id)",
    "runs of no entry": "SELECT count(*) FROM run ANTI JOIN entry USING (sha256)",
    "applied runs that are missing": "SELECT count(*) FROM (FROM entry WHERE kind = 'run' AND state = 'applied') "
    "ANTI JOIN run USING (sha256)",
    "runs that are held twice": "SELECT count(*) - count(DISTINCT run_id) FROM run",
    "series that are held twice": "SELECT count(*) - count(DISTINCT series_id) FROM series",
    "measurements that are held twice": "SELECT count(*) - count(DISTINCT measurement_id) FROM measurement",
    "speeds of results that are not ok": "SELECT count(*) FROM measurement "
    "WHERE status != 'ok' AND (time_ns IS NOT NULL OR rate IS NOT NULL)",
    "newest rows that are not the newest": "SELECT count(*) FROM ("
    "SELECT series, arg_max(measurement_id, (started, run_id)) AS measurement_id FROM measurement JOIN run USING (run) "
    "WHERE NOT measurement.withdrawn AND coalesce(run.protocol ->> 'purpose', 'series') = 'series' "
    "GROUP BY series) AS a "
    "FULL JOIN newest AS n ON n.series = a.series AND n.measurement_id = a.measurement_id "
    "WHERE a.series IS NULL OR n.series IS NULL",
}


def check_ledger(ledger: Ledger) -> tuple[list[Entry], list[str]]:
    """Read every entry of the ledger; return them, and what is wrong."""
    entries, _ = ledger.follow()
    findings = []
    for entry in entries:
        try:
            content = ledger.read(entry.sha256)
            read(content) if entry.kind == RUN else decode(content)
        except FlopwatchError as error:
            findings.append(f"entry {entry.sha256} ({entry.kind}): {error}")
    return entries, findings


def check_index(index: Index, entries: Iterable[Entry]) -> list[str]:
    """Return what is wrong inside the index, and where it differs from the ledger's ``entries``."""
    findings = []
    for what, sql in _RULES.items():
        (count,) = index.query(f"SELECT ({sql}) AS found")[0].values()
        if count:
            findings.append(f"index: {count} {what}; rebuild it: flopwatch db rebuild")
    in_ledger = {entry.sha256 for entry in entries}
    held = index.query("SELECT sha256, kind, state, message FROM entry")
    in_index = {row["sha256"] for row in held}
    for sha256 in sorted(in_ledger - in_index):
        findings.append(f"entry {sha256} is in the ledger and not in the index yet")
    for sha256 in sorted(in_index - in_ledger):
        findings.append(
            f"entry {sha256} is in the index and was lost from the ledger; restore it from a backup"
        )
    findings += _compare_runs(index)
    for row in held:
        if row["state"] in ("refused", "conflict"):
            findings.append(f"entry {row['sha256']} ({row['kind']}) is not used: {row['message']}")
    return findings


def _compare_runs(index: Index) -> list[str]:
    """Summarise each run file again, and compare with what the index says of it."""
    findings = []
    for row in index.query("SELECT run, run_id, sha256, samples_indexed FROM run ORDER BY run"):
        try:
            document = read(index.ledger.read(row["sha256"]))
        except FlopwatchError:
            continue  # the check of the ledger has told it
        expected = {
            measurement_id(row["run_id"], one.key): (one.status, one.time_ns) for one in summarise(document)
        }
        rows = index.query(
            "SELECT measurement_id, status, time_ns FROM measurement WHERE run = ?", [row["run"]]
        )
        found = {one["measurement_id"]: (one["status"], one["time_ns"]) for one in rows}
        sampled = sum(len(line.samples.time_ns) for line in document.lines if line.samples)
        counted = index.query(
            "SELECT coalesce(sum(len(time_ns)), 0)::BIGINT AS samples FROM sample WHERE run = ?", [row["run"]]
        )[0]["samples"]
        if found != expected or counted != (sampled if row["samples_indexed"] else 0):
            findings.append(
                f"index: run {row['run_id']} has other numbers than its file; flopwatch db rebuild"
            )
    return findings
