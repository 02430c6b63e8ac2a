"""The store: from entries to views, whole or not at all, in any order."""

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data import entries, migrations
from data.errors import IndexOwned, SchemaError, StorageError
from data.follow import follow
from data.ingest import take
from data.ledger import RUN, Entry, Ledger
from data.ledgers.directory import DirectoryLedger
from data.records import Line, Machine, Measurement, uuid7
from data.rows import measurement_id
from data.runfile import RunFileWriter, read
from data.schema_text import describe_columns, schema_markdown
from data.store import Store
from data.summary import summarise
from tests.data.any_records import measured
from tests.data.run_files import lines, run_bytes
from tests.data.views import CONTRACT, everything


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store(tmp_path / "index.duckdb") as opened:
        yield opened


def _ingest(store: Store, ledger: Ledger, found: Sequence[Entry]) -> None:
    store.ingest([take(entry, ledger) for entry in found], ledger)


def test_views_say_what_the_run_file_says(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    """Every summary of the file is a row of the board, the ceilings or both, with the same numbers."""
    content = run_bytes(tmp_path)
    _ingest(store, ledger, [ledger.append(RUN, content)])
    document = read(content)
    rows = {row["measurement_id"]: row for row in store.query("FROM board UNION ALL BY NAME FROM ceilings")}
    summaries = summarise(document)
    assert len(rows) == len(summaries) == 6
    for summary in summaries:
        row = rows[measurement_id(document.run.id, summary.key)]
        same = (
            *(
                "kernel",
                "status",
                "reason",
                "time_ns",
                "low_ns",
                "high_ns",
                "rate",
                "unit",
                "share_of_ceiling",
            ),
            *("max_relative_error", "processes", "samples", "flags", "flop", "footprint_bytes", "install"),
        )
        assert {name: row[name] for name in same} == {name: getattr(summary, name) for name in same}
        assert json.loads(row["attributes"]) == summary.attributes
    (run,) = store.query("FROM runs")
    assert (run["run_id"], run["status"], run["measurements"], run["ok"]) == (
        document.run.id,
        "complete",
        4,
        3,
    )
    (machine,) = store.query("FROM machines")
    assert (machine["machine"], machine["memory_gib"], machine["runs"]) == ("testbox", 16.0, 1)
    assert [row["status"] for row in store.query("FROM problems")] == ["wrong"]
    assert [row["install"] for row in store.query("FROM absent")] == ["pip install cupy"]


def test_every_raw_sample_is_kept(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    """The samples of the index are those of the file, process by process."""
    content = run_bytes(tmp_path)
    _ingest(store, ledger, [ledger.append(RUN, content)])
    _same_samples(store, content)


def _same_samples(store: Store, content: bytes) -> None:
    document = read(content)
    held = {
        (row["measurement_id"], row["process"]): row
        for row in store.query("FROM samples WHERE run_id = ?", [document.run.id])
    }
    sampled = [line for line in document.lines if line.samples]
    assert len(held) == len(sampled)
    for line in sampled:
        row = held[measurement_id(document.run.id, line.key), line.process]
        assert line.samples is not None
        for name in ("time_ns", "clean", "cpu_ns", "switches", "probe_ns", "round", "batch"):
            assert (row[name] or []) == getattr(line.samples, name), name
        assert (row["first_call_ns"], row["status"]) == (line.first_call_ns, line.status)
        assert json.loads(row["covariates"] or "{}") == line.attributes


def test_a_second_delivery_changes_nothing(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    """The same entries again, in one batch or two, are the same rows."""
    entry = ledger.append(RUN, run_bytes(tmp_path))
    _ingest(store, ledger, [entry])
    before = everything(store)
    _ingest(store, ledger, [entry])
    _ingest(store, ledger, [entry, entry])
    assert everything(store) == before
    assert store.unknown([entry]) == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("together", [True, False])
def test_a_longer_file_supersedes_what_it_continues(
    store: Store, tmp_path: Path, order: tuple[int, ...], together: bool
) -> None:
    """Whatever comes first, the run is there once, in the longest file; the others are remembered as superseded."""
    ledger = DirectoryLedger(tmp_path / "ledger")
    content = run_bytes(tmp_path)
    pieces = content.splitlines(keepends=True)
    parts = [b"".join(pieces[:12]), b"".join(pieces[:30]), content]
    arriving = [ledger.append(RUN, parts[number]) for number in order]
    for batch in [arriving] if together else [[entry] for entry in arriving]:
        _ingest(store, ledger, batch)
    (run,) = store.query("FROM runs")
    assert (run["status"], run["sha256"]) == ("complete", ledger.append(RUN, content).sha256)
    states = {row["sha256"]: row["state"] for row in store.query("FROM entry")}
    assert sorted(states.values()) == ["applied", "superseded", "superseded"]
    assert states[run["sha256"]] == "applied"
    _same_samples(store, content)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_files_of_one_run_every_index_takes_the_same(tmp_path: Path, order: tuple[int, int]) -> None:
    """Files that contradict each other are both remembered; which one counts does not depend on the order."""
    ledger = DirectoryLedger(tmp_path / "ledger")
    run_id = uuid7()
    entries = [ledger.append(RUN, run_bytes(tmp_path, run_id=run_id, seed=seed)) for seed in range(2)]
    with Store(tmp_path / "index.duckdb") as store:
        for number in order:
            _ingest(store, ledger, [entries[number]])
        states = {row["sha256"]: row["state"] for row in store.query("FROM entry")}
        (run,) = store.query("FROM runs")
    assert sorted(states.values()) == ["applied", "conflict"]
    assert run["sha256"] == max((entry.size_bytes, entry.sha256) for entry in entries)[1]


def test_what_cannot_be_read_is_refused_alone(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    """One bad entry in a batch is named with its reason; the others are indexed."""
    good = ledger.append(RUN, run_bytes(tmp_path))
    bad = ledger.append(RUN, b'{"kind":"run"}\n')
    odd = ledger.append("annotation", b'{"kind":"annotation"}')
    _ingest(store, ledger, [bad, good, odd])
    states = {row["sha256"]: (row["state"], row["message"]) for row in store.query("FROM entry")}
    assert states[good.sha256] == ("applied", None)
    assert states[bad.sha256][0] == states[odd.sha256][0] == "refused"
    assert "missing required field" in str(states[bad.sha256][1])
    assert store.unknown([good, bad, odd]) == []
    assert store.unknown([good, bad, odd], retry=True) == [bad, odd]


def test_what_a_later_version_writes_is_kept_out_of_the_way(
    store: Store, ledger: Ledger, tmp_path: Path
) -> None:
    """Lines of unknown kinds, even with fields of our names and other types, do not disturb the samples."""
    pieces = run_bytes(tmp_path).splitlines(keepends=True)[:-1]
    pieces.insert(3, b'{"kind":"weather","samples":"sunny","threads":"all","case":5}\n')
    content = b"".join(pieces)
    _ingest(store, ledger, [ledger.append(RUN, content)])
    _same_samples(store, content)


def test_a_field_given_twice_is_refused(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    """Where two readers could understand a line differently, nothing is stored."""
    pieces = run_bytes(tmp_path).splitlines(keepends=True)[:-1]
    pieces[4] = pieces[4].replace(b'"case":', b'"case":"matmul/other","case":', 1)
    _ingest(store, ledger, [ledger.append(RUN, b"".join(pieces))])
    (entry,) = store.query("FROM entry")
    assert (entry["state"], "does not fit" in entry["message"]) == ("refused", True)
    assert store.query("FROM runs") == []


def test_a_withdrawn_run_is_in_no_view_until_it_is_reinstated(
    store: Store, ledger: Ledger, tmp_path: Path
) -> None:
    """A withdrawal hides the run everywhere and keeps it citable; undoing it restores every row."""
    old, new = (
        run_bytes(tmp_path, seed=seed, started=f"2026-11-2{seed}T10:00:00Z", time_ns=1e6 * seed)
        for seed in (1, 2)
    )
    _ingest(store, ledger, [ledger.append(RUN, content) for content in (old, new)])
    before = everything(store)
    run_id = read(new).run.id
    withdrawal = entries.Withdrawal(run=run_id, reason="the fan had stopped")
    _ingest(store, ledger, [ledger.append(*entries.encode(withdrawal))])
    for view in CONTRACT:
        assert not any(run_id in repr(row) for row in store.query(f"FROM {view}")), view
    assert {row["run_id"] for row in store.query("FROM latest")} == {read(old).run.id}
    assert {row["run_id"] for row in store.query("FROM withdrawn")} == {run_id}
    assert [row["reason"] for row in store.query("FROM withdrawals")] == ["the fan had stopped"]
    undo = entries.Reinstatement(withdrawal=withdrawal.id, reason="it was the other machine")
    _ingest(store, ledger, [ledger.append(*entries.encode(undo))])
    after = everything(store)
    assert {view: after[view] for view in CONTRACT} == {view: before[view] for view in CONTRACT}
    (row,) = store.query("FROM withdrawals")
    assert row["undone_reason"] == "it was the other machine"


def test_a_single_measurement_can_be_withdrawn(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    """Only what is named disappears, and the run counts one less."""
    _ingest(store, ledger, [ledger.append(RUN, run_bytes(tmp_path))])
    target, *others = store.query("FROM board WHERE status = 'ok' ORDER BY case_id")
    statement = entries.Withdrawal(
        run=target["run_id"], reason="typo", measurements=[target["measurement_id"]]
    )
    _ingest(store, ledger, [ledger.append(*entries.encode(statement))])
    assert [row["case_id"] for row in store.query("FROM board WHERE status = 'ok' ORDER BY case_id")] == [
        row["case_id"] for row in others
    ]
    (run,) = store.query("FROM runs")
    assert (run["measurements"], run["ok"]) == (3, 2)


def test_the_newest_name_of_a_machine_counts(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    """A given name holds for runs before and after it, and the newest one goes before the others."""
    machine = Machine("00000000000a", "runner's name", "CPU", 1, 1, 1 << 30)
    for name, at in (("second", "2026-11-22T00:00:00Z"), ("first", "2026-11-21T00:00:00Z")):
        statement = entries.MachineName(machine=machine.id, name=name, at=at)
        _ingest(store, ledger, [ledger.append(*entries.encode(statement))])
    for seed in (1, 2):
        content = run_bytes(tmp_path, seed=seed, machine=machine, started=f"2026-11-2{seed}T10:00:00Z")
        _ingest(store, ledger, [ledger.append(RUN, content)])
        assert {row["machine"] for row in store.query("FROM board")} == {"second"}
        assert [row["machine"] for row in store.query("FROM machines")] == ["second"]


def test_statements_are_asked_for_by_what_they_are_about(store: Store, ledger: Ledger) -> None:
    """Annotations, decisions and acceptances show up in their views with their fields."""
    made = [
        entries.Annotation(text="new cooler", machine="00000000000a", since="2026-11-20T00:00:00Z", by="ada"),
        entries.Decision(series="0" * 16, decision="dismissed", reason="noise"),
        entries.Acceptance(series="1" * 16, change_at="2026-11-21T00:00:00Z", reason="wanted"),
    ]
    _ingest(store, ledger, [ledger.append(*entries.encode(one)) for one in made])
    (annotation,) = store.query("FROM annotations")
    assert (annotation["author"], annotation["text"], annotation["machine_id"]) == (
        "ada",
        "new cooler",
        "00000000000a",
    )
    assert annotation["since"].isoformat() == "2026-11-20T00:00:00+00:00"
    decided = {row["kind"]: row for row in store.query("FROM decisions")}
    assert decided["decision"]["decision"] == "dismissed"
    assert decided["acceptance"]["change_at"].isoformat() == "2026-11-21T00:00:00+00:00"


def test_an_annotation_is_about_all_that_it_names(store: Store, ledger: Ledger) -> None:
    """A machine, series, run, version or span of time: each is a column to join by, and NULL if it is not named."""
    day = {"since": "2026-11-20T00:00:00Z", "until": "2026-11-21T00:00:00Z"}
    about: list[dict[str, str]] = [
        {"machine": "00000000000a"},
        {"series": "1" * 16},
        {"run": uuid7()},
        {"version": "numpy 2.4.6"},
        day,
        {"machine": "00000000000a", "version": "driver 580.82", **day},
    ]
    for named in about:
        annotation = entries.Annotation(text=repr(sorted(named)), **named)  # type: ignore[arg-type]
        _ingest(store, ledger, [ledger.append(*entries.encode(annotation))])
    columns = {"machine": "machine_id", "series": "series_id", "run": "run_id"}
    rows = {row["text"]: row for row in store.query("FROM annotations")}
    assert len(rows) == len(about)
    for named in about:
        row = rows[repr(sorted(named))]
        for name in ("machine", "series", "run", "version"):
            assert row[columns.get(name, name)] == named.get(name)
        for name in ("since", "until"):
            moment = row[name] and row[name].strftime("%Y-%m-%dT%H:%M:%SZ")
            assert moment == named.get(name)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_each_withdrawal_has_to_be_undone(
    store: Store, ledger: Ledger, tmp_path: Path, order: tuple[int, int, int]
) -> None:
    """A run that was withdrawn twice stays hidden until both withdrawals are undone, in whatever order they arrive."""
    content = run_bytes(tmp_path)
    run_id = read(content).run.id
    first, second = (entries.Withdrawal(run=run_id, reason=reason) for reason in ("one", "two"))
    statements: list[entries.Record] = [first, second, entries.Reinstatement(withdrawal=first.id)]
    _ingest(store, ledger, [ledger.append(RUN, content)])
    for index in order:
        _ingest(store, ledger, [ledger.append(*entries.encode(statements[index]))])
    assert store.query("FROM runs") == []
    undo = entries.Reinstatement(withdrawal=second.id)
    _ingest(store, ledger, [ledger.append(*entries.encode(undo))])
    assert len(store.query("FROM runs")) == 1


def _history(folder: Path) -> list[tuple[str, bytes]]:
    """Contents that belong together in many ways: parts, contradictions, withdrawals, names."""
    other = Machine("00000000000b", "other", "CPU", 2, 2, 1 << 30)
    runs = [
        run_bytes(
            folder, seed=seed, started=f"2026-11-{10 + seed}T10:00:00Z", cells=2, processes=6, samples=3
        )
        for seed in range(3)
    ]
    runs.append(run_bytes(folder, seed=4, machine=other, started="2026-11-10T10:00:00Z", cells=2, samples=3))
    runs.append(b"".join(runs[1].splitlines(keepends=True)[:9]))
    runs.append(run_bytes(folder, seed=9, run_id=read(runs[2]).run.id, cells=1, samples=3))
    whole = entries.Withdrawal(run=read(runs[2]).run.id, reason="one")
    document = read(runs[1])
    key = next(iter(document.measurements))
    part = entries.Withdrawal(
        run=document.run.id, reason="two", measurements=[measurement_id(document.run.id, key)]
    )
    statements: list[entries.Record] = [
        whole,
        part,
        entries.Reinstatement(withdrawal=whole.id),
        entries.MachineName(machine=other.id, name="renamed", at="2026-11-20T00:00:00Z"),
        entries.MachineName(machine=other.id, name="renamed again", at="2026-11-21T00:00:00Z"),
        entries.Withdrawal(run=read(runs[0]).run.id, reason="three"),
    ]
    return [*((RUN, content) for content in runs), *(entries.encode(one) for one in statements)]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9))
def test_the_order_of_arrival_does_not_matter(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Any order of any entries in batches of any size gives the same views as all of them at once."""
    folder, rng = tmp_path_factory.mktemp("order"), random.Random(seed)
    ledger = DirectoryLedger(folder / "ledger")
    found = [ledger.append(kind, content) for kind, content in _history(folder)]
    with Store(folder / "sorted.duckdb") as store:
        _ingest(store, ledger, sorted(found, key=lambda entry: entry.sha256))
        expected = everything(store)
    rng.shuffle(found)
    with Store(folder / "shuffled.duckdb") as store:
        while found:
            size = rng.randint(1, len(found))
            batch, found = found[:size], found[size:]
            _ingest(store, ledger, batch)
        assert everything(store) == expected


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(measurements=st.lists(measured(), max_size=5, unique_by=lambda line: line.key))
def test_any_run_file_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, measurements: list[Measurement]
) -> None:
    """Run file, ledger, store, run file: the same bytes, and the same samples in between, whatever is in it."""
    folder = tmp_path_factory.mktemp("any")
    path = folder / "any.run.jsonl"
    with RunFileWriter(path) as writer:
        first: Line = next(lines())
        for line in (first, *measurements):
            writer.write(line)
        writer.end()
    ledger = DirectoryLedger(folder / "ledger")
    with Store(folder / "index.duckdb") as store:
        _ingest(store, ledger, [ledger.append(RUN, path.read_bytes())])
        assert store.query("SELECT state, message FROM entry") == [{"state": "applied", "message": None}]
        (run,) = store.query("FROM runs")
        assert ledger.read(run["sha256"]) == path.read_bytes()
        _same_samples(store, path.read_bytes())


# -- the file --------------------------------------------------------------------------------------------------


def test_every_table_view_and_column_is_described(store: Store) -> None:
    """A person with SQL finds a sentence for each."""
    for kind in ("tables", "views"):
        assert store.query(f"FROM duckdb_{kind}() WHERE NOT internal AND comment IS NULL") == []
    columns = describe_columns(store)
    assert {"board", "samples", "measurement"} <= columns.keys()
    assert [(table, name) for table, rows in columns.items() for name, _, text in rows if not text] == []


def test_the_published_description_is_current(store: Store) -> None:
    """docs/schema.md is what schema.sql says."""
    published = (Path(__file__).parents[2] / "docs" / "schema.md").read_text(encoding="utf-8")
    assert published == schema_markdown(store)


def test_a_newer_schema_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """An index of a later flopwatch is not touched."""
    path = tmp_path / "index.duckdb"
    with Store(path) as store, store.transaction() as cursor:
        cursor.execute("INSERT INTO schema_version VALUES (999, 'later', now())").fetchall()
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="upgrade flopwatch"):
        Store(path)
    assert path.read_bytes() == before


def test_a_migration_happens_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """A step that fails takes the steps before it back; when all work, they are remembered by name."""
    connection = duckdb.connect(str(tmp_path / "index.duckdb"))
    steps = migrations.MIGRATIONS
    assert migrations.migrate(connection.cursor(), steps) == 0
    newest = steps[-1].version
    good = migrations.Migration(newest + 1, "colour", "ALTER TABLE machine ADD COLUMN colour VARCHAR")
    bad = migrations.Migration(newest + 2, "broken", "ALTER TABLE nothing ADD COLUMN x INTEGER")
    with pytest.raises(duckdb.Error):
        migrations.migrate(connection.cursor(), (*steps, good, bad))
    columns = "SELECT count(*) FROM duckdb_columns() WHERE column_name = 'colour'"
    assert connection.cursor().execute(columns).fetchall() == [(0,)]
    assert migrations.migrate(connection.cursor(), (*steps, good)) == newest
    assert connection.cursor().execute(columns).fetchall() == [(1,)]
    held = connection.cursor().execute("SELECT name FROM schema_version ORDER BY version").fetchall()
    assert held[-1] == ("colour",)
    connection.close()


def test_another_database_is_not_taken_for_an_index(tmp_path: Path) -> None:
    """A DuckDB file of somebody else, a text file and a folder are refused in words, and left as they are."""
    foreign, text = tmp_path / "foreign.duckdb", tmp_path / "text.duckdb"
    duckdb.connect(str(foreign)).execute("CREATE TABLE t (a INTEGER)").close()
    text.write_text("hello " * 1000)
    with pytest.raises(SchemaError, match="not an index"):
        Store(foreign)
    with pytest.raises((SchemaError, StorageError), match="rebuild"):
        Store(text)
    assert text.read_text() == "hello " * 1000
    with pytest.raises(StorageError):
        Store(tmp_path)


def test_a_database_that_is_open_elsewhere_is_owned(tmp_path: Path) -> None:
    """Somebody has the file open in another program: the error says so and names the process."""
    import subprocess
    import sys

    Store(tmp_path / "index.duckdb").close()
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "index.duckdb"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(IndexOwned, match=str(other.pid)):
            Store(tmp_path / "index.duckdb")
        other.kill()


def test_following_the_ledger_reads_each_entry_once(store: Store, ledger: Ledger, tmp_path: Path) -> None:
    """What is new is indexed, what is known is not read again, and the progress is told."""
    told: list[tuple[int, int]] = []
    for seed in range(3):
        ledger.append(RUN, run_bytes(tmp_path, seed=seed))
    assert follow(store, ledger, progress=lambda done, total: told.append((done, total))) == 3
    assert told[-1] == (3, 3)
    assert follow(store, ledger) == 0
    ledger.append(RUN, run_bytes(tmp_path, seed=9))
    assert follow(store, ledger) == 1
    assert len(store.query("FROM runs")) == 4
