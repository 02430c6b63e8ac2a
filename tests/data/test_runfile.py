"""Run files: written as measured, read whole or refused with line and field."""

import contextlib
import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import RunFileError, StorageError
from data.records import FORMAT, Line, Measurement, Note, Run
from data.runfile import RunFileWriter, json_schema, pack, read
from tests.data.any_records import ANY_LINE
from tests.data.run_files import lines, run_bytes

SCHEMA = Path(__file__).parents[2] / "docs" / "run-file.schema.json"


def _change(content: bytes, number: int, **changes: Any) -> bytes:
    """Change fields of line ``number`` (from 1); None removes a field.  The end is dropped, as it would not fit."""
    parts = content.splitlines()[:-1]
    line = json.loads(parts[number - 1])
    for name, value in changes.items():
        line.pop(name, None)
        if value is not None:
            line[name] = value
    parts[number - 1] = json.dumps(line).encode()
    return b"\n".join(parts) + b"\n"


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """A whole run file."""
    return run_bytes(tmp_path)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Every record comes back, in order, and the file counts as whole."""
    records = list(lines(seed=3))
    path = tmp_path / "a.run.jsonl"
    with RunFileWriter(path) as writer:
        for record in records:
            writer.write(record)
        writer.end()
    document = read(path)
    assert [document.run, *document.skipped] == records[:2]
    assert document.lines == [
        record for record in records if isinstance(record, type(document.lines[0]) | Measurement)
    ]
    assert document.notes == [record for record in records if isinstance(record, Note)]
    assert not document.interrupted
    assert document.content == path.read_bytes()
    assert len(document.measurements) == 4


def test_gzip_is_seen_by_itself(content: bytes, tmp_path: Path) -> None:
    """A packed file is the same document, also in several members."""
    assert read(pack(content)).sha256 == read(content).sha256
    assert read(gzip.compress(content[:100]) + gzip.compress(content[100:])).content == content
    assert pack(content) == pack(content)


def test_a_file_without_its_end_is_interrupted_and_readable(content: bytes) -> None:
    """Whatever was cut off, the whole lines before the cut are kept."""
    whole = content.splitlines(keepends=True)
    for cut in (len(whole[0]), len(whole[0]) + 1, len(content) // 2, len(content) - len(whole[-1]) + 5):
        document = read(content[:cut])
        assert document.interrupted
        assert content.startswith(document.content)
        assert document.content.endswith(b"\n")
        assert len(document.content) > cut - max(map(len, whole))


def test_a_file_is_plain_where_we_would_write_just_that(content: bytes) -> None:
    """One space more, a field or a kind of tomorrow: no longer plain.  The digest is told anyway."""
    assert read(content).plain
    assert read(pack(content)).sha256 == hashlib.sha256(content).hexdigest()
    lines_of_it = content.splitlines(keepends=True)[:-1]
    assert read(b"".join(lines_of_it)).plain
    for number in range(len(lines_of_it)):
        for new in (b'{ "kind"', b'{"tomorrow":1,"kind"'):
            changed = [*lines_of_it]
            changed[number] = changed[number].replace(b'{"kind"', new, 1)
            document = read(b"".join(changed))
            assert not document.plain
            assert document.sha256 == hashlib.sha256(document.content).hexdigest()
    assert not read(b"".join(lines_of_it) + b'{"kind":"tomorrow"}\n').plain


def test_an_end_without_its_newline_is_an_end(content: bytes) -> None:
    """An editor that drops the last newline does no harm."""
    assert read(content[:-1]).content == content


def test_a_resumed_file_goes_on_where_it_stopped(tmp_path: Path, content: bytes) -> None:
    """The torn line is dropped, what is held is told, and the end fits everything."""
    path = tmp_path / "torn.run.jsonl"
    path.write_bytes(content[: len(content) // 2])
    before = read(path)
    with RunFileWriter.resume(path) as writer:
        assert writer.held == before
        writer.write(Note(at="2026-11-22T10:00:01Z", topic="resumed", text="again"))
        writer.end()
    after = read(path)
    assert after.content.startswith(before.content)
    assert not after.interrupted
    assert after.notes[-1].topic == "resumed"


def test_only_an_interrupted_file_is_resumed(tmp_path: Path, content: bytes) -> None:
    """A complete, a packed and a missing file are refused in words."""
    for name, held in (("complete", content), ("packed", pack(content))):
        (tmp_path / name).write_bytes(held)
        with pytest.raises(RunFileError, match=name):
            RunFileWriter.resume(tmp_path / name)
        assert (tmp_path / name).read_bytes() == held
    with pytest.raises(StorageError, match="no such file"):
        RunFileWriter.resume(tmp_path / "missing")


def test_a_file_has_one_writer(tmp_path: Path) -> None:
    """Neither a second new file nor a second resumption gets hold of it."""
    path = tmp_path / "a.run.jsonl"
    with RunFileWriter(path) as writer:
        writer.write(next(lines()))
        with pytest.raises(StorageError, match="exists already"):
            RunFileWriter(path)
        with pytest.raises(StorageError, match="another process"):
            RunFileWriter.resume(path)
    RunFileWriter.resume(path).close()


def test_every_record_is_with_the_system_when_write_returns(tmp_path: Path) -> None:
    """A process that is killed at once has lost nothing that it had written."""
    path = tmp_path / "a.run.jsonl"
    code = (
        "import os, sys; from pathlib import Path; from data.runfile import RunFileWriter\n"
        "from tests.data.run_files import lines\n"
        "writer = RunFileWriter(Path(sys.argv[1]))\n"
        "for record in lines(): writer.write(record)\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, path], check=False)
    assert len(read(path).content.splitlines()) == len(list(lines()))


REFUSED: list[tuple[str, int, dict[str, Any], int, str | None, str]] = [
    ("newer format", 1, {"format": FORMAT + 1}, 1, "format", "upgrade flopwatch"),
    ("older than the first", 1, {"format": 0}, 1, "format", "no format 0"),
    ("no id", 1, {"id": None}, 1, None, "missing required field `id`"),
    ("wrong id", 1, {"id": "x"}, 1, "id", "regex"),
    ("first line of another kind", 1, {"kind": "note"}, 1, "kind", '"run"'),
    ("second run", 2, {"kind": "run"}, 2, None, "missing required field"),
    ("wrong type", 4, {"threads": "many"}, 4, "threads", "Expected `int`"),
    ("negative time", 5, {"samples": {"time_ns": [1, -1]}}, 5, "samples.time_ns[1]", ">= 0"),
    (
        "lists of different length",
        5,
        {"samples": {"time_ns": [1, 2], "clean": [True]}},
        5,
        "samples.clean",
        "1 values",
    ),
    ("unknown status", 5, {"status": "great"}, 5, "status", "great"),
    ("no such day", 3, {"started": "2026-02-30T00:00:00Z"}, 3, "started", "no moment"),
    ("no kind", 4, {"kind": None}, 4, None, "kind"),
]


@pytest.mark.parametrize(("number", "changes", "line", "field", "words"), [case[1:] for case in REFUSED],
                         ids=[case[0] for case in REFUSED])  # fmt: skip
def test_what_is_wrong_is_refused_with_line_and_field(
    content: bytes, number: int, changes: dict[str, Any], line: int, field: str | None, words: str
) -> None:
    """The error names the place, and says in words what is wrong there."""
    with pytest.raises(RunFileError) as caught:
        read(_change(content, number, **changes))
    assert (caught.value.line, caught.value.field) == (line, field)
    assert words in str(caught.value)
    assert caught.value.describe()["line"] == line


_NESTED = b'{"kind":"note","attributes":' + b'{"a":' * 100_000 + b"\n"


def _without_line(content: bytes, number: int) -> bytes:
    parts = content.splitlines(keepends=True)
    return b"".join(parts[: number - 1] + parts[number:])


def _swap(content: bytes) -> bytes:
    return content.replace(b'"testbox"', b'"testbux"')


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda content: b"", "empty"),
        (lambda content: b"\n", "is empty"),
        (lambda content: b"no json", "no whole line"),
        (lambda content: b"[1]\n", "Expected `object`"),
        (lambda content: b"\xff\xfe" + content, "UTF-8"),
        (lambda content: content.splitlines(keepends=True)[0] + _NESTED, "nested"),
        (lambda content: content[:20] + b"\n" + content[20:], "no JSON object"),
        (lambda content: content + content, "may follow the end"),
        (lambda content: _without_line(content, 4), "promises"),
        (_swap, "SHA-256"),
        (
            lambda content: b"".join(content.splitlines(keepends=True)[i] for i in (0, 2, 2)),
            "described before",
        ),
        (lambda content: b"".join(content.splitlines(keepends=True)[i] for i in (0, 2, 3, 3)), "timed"),
        (
            lambda content: b"".join(content.splitlines(keepends=True)[i] for i in (0, 0)),
            "second line of kind run",
        ),
        (lambda content: gzip.compress(content)[:-10], "ends early"),
        (lambda content: gzip.compress(content)[:50] + b"\0" * 90, "gzip"),
    ],
)
def test_a_spoilt_file_is_refused(content: bytes, spoil: Any, words: str) -> None:
    """Each kind of damage is told apart, and none is taken."""
    with pytest.raises(RunFileError, match=words):
        read(spoil(content))


def test_a_file_may_not_unpack_to_more_than_the_limit(content: bytes) -> None:
    """A small file that would fill the memory is refused before it does."""
    bomb = gzip.compress(content.splitlines(keepends=True)[0] + b" " * 50_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(RunFileError, match="MiB allowed"):
        read(bomb, limit_bytes=1_000_000)
    assert read(content, limit_bytes=len(content)).content == content
    with pytest.raises(RunFileError, match="MiB allowed"):
        read(content, limit_bytes=len(content) - 1)


def test_unknown_kinds_and_fields_are_kept(content: bytes) -> None:
    """A file of a later version of the same format is read as far as it is understood, and kept as it is."""
    parts = content.splitlines(keepends=True)[:-1]
    parts[3] = parts[3].replace(b'{"kind"', b'{"colour":"red","kind"', 1)
    parts.insert(2, b'{"kind":"weather","samples":7}\n')
    document = read(b"".join(parts))
    assert document.unknown == 1
    assert document.content == b"".join(parts)
    assert len(document.lines) == len(read(content).lines)


def test_the_published_schema_is_current_and_accepts_what_we_write(content: bytes) -> None:
    """docs/run-file.schema.json is what the records say, and every line of a file fits it."""
    published = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert published == json.loads(msgspec.json.encode(json_schema()))
    validator = jsonschema.Draft202012Validator(published)
    for line in content.splitlines():
        validator.validate(json.loads(line))
    wrong = json.loads(content.splitlines()[0]) | {"id": 7}
    assert list(validator.iter_errors(wrong))


def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    """A file that cannot be made is a StorageError with the place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="not a folder") as caught:
        RunFileWriter(tmp_path / "file" / "a.run.jsonl")
    assert caught.value.path == tmp_path / "file" / "a.run.jsonl"


def test_a_full_disk_leaves_no_part_of_a_line(tmp_path: Path) -> None:
    """The record that does not fit is refused, the file stays readable and can be completed."""
    import resource
    import signal

    path = tmp_path / "a.run.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    writer = RunFileWriter(path)
    written = 0
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
        with contextlib.suppress(StorageError):
            for record in lines():
                writer.write(record)
                written += 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert 0 < written < len(list(lines()))
    assert len(path.read_bytes().splitlines()) == written
    assert read(path).content == path.read_bytes()
    writer.write(Note(at="2026-11-22T10:00:01Z", topic="disk", text="there is space again"))
    writer.end()
    assert not read(path).interrupted


_FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_FUZZ
@given(rubbish=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(rubbish: bytes) -> None:
    """No input raises anything but RunFileError."""
    with contextlib.suppress(RunFileError):
        read(rubbish)


@_FUZZ
@given(data=st.data())
def test_any_damage_is_read_or_refused(content: bytes, data: st.DataObject) -> None:
    """Bytes of a right file that are cut, doubled, changed or swapped never crash the reader."""
    spoilt = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        start, length = data.draw(st.integers(0, len(spoilt))), data.draw(st.integers(0, 40))
        new = data.draw(
            st.binary(max_size=8) | st.sampled_from([b"\n", b"null", b"1e999", b'"', b"{}", b"-1", b"[]"])
        )
        spoilt[start : start + length] = new
    try:
        document = read(bytes(spoilt))
    except RunFileError:
        return
    assert isinstance(document.run, Run)


@_FUZZ
@given(line=ANY_LINE, end=st.booleans())
def test_any_record_survives_the_way_into_a_file(tmp_path: Path, line: Line, end: bool) -> None:
    """Whatever a record holds, writing and reading gives it back."""
    path = tmp_path / "any.run.jsonl"
    path.unlink(missing_ok=True)
    with RunFileWriter(path) as writer:
        writer.write(next(lines()))
        writer.write(line)
        if end:
            writer.end()
    document = read(path)
    assert line in [*document.lines, *document.processes, *document.skipped, *document.notes]
    assert path.stat().st_size == len(document.content)
