"""Uploads over HTTP: what is right is stored once; limits; what is uploaded is data; what is told of machines."""

import asyncio
import errno
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app import fleet, reading
from app.api import access, bodies
from app.api.answers import Refusal
from data import places
from data.ledger import open_ledger
from data.runfile import pack, read
from tests.app.hostile import HOSTILE, with_text
from tests.app.site import RUNS, Site, open_site
from tests.data.run_files import MACHINE


@pytest.fixture
def site(home: Path, tmp_path: Path) -> Iterator[Site]:
    """An empty board."""
    assert home.name == "home"
    with open_site(tmp_path) as opened:
        yield opened


def test_a_run_is_stored_once_and_has_one_receipt(site: Site) -> None:
    """201 with a receipt; the same file again, packed or not, is 200 with the same receipt."""
    content = site.run()
    first = site.send(content)
    assert first.status_code == 201
    assert first.headers["location"] == f"runs/{first.json()['run']}"
    for again in (
        site.send(content),
        site.send(pack(content)),
        site.send(pack(content), content_encoding="gzip"),
    ):
        assert (again.status_code, again.json()) == (200, first.json())
    assert site.held() == 1
    document = read(content)
    receipt = first.json()
    assert (receipt["run"], receipt["sha256"], receipt["measurements"]) == (
        document.run.id,
        document.sha256,
        4,
    )


def test_what_was_sent_can_be_fetched_at_once(site: Site) -> None:
    """The file comes back byte for byte, before the index has it and after."""
    content = site.run()
    run = site.send(content).json()["run"]
    reader = site.token(scopes=("read",))
    for _ in range(2):
        answer = site.get(f"{RUNS}/{run}", reader)
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-disposition"].startswith("attachment")
        reading.store().sync()
    assert reading.ask("SELECT run_id FROM runs") == [{"run_id": run}]


def test_every_type_of_a_run_file_is_taken(site: Site) -> None:
    """Under each content type, under none, and as a stream without a length."""
    for kind in ("", *bodies.TYPES, "application/x-ndjson; charset=utf-8"):
        assert site.send(site.run(), content_type=kind).status_code == 201
    content = site.run()
    assert site.send(content[i : i + 1000] for i in range(0, len(content), 1000)).status_code == 201


# -- what is uploaded is data --------------------------------------------------------------------------------------


def test_hostile_text_is_kept_as_text(site: Site) -> None:
    """It is stored as it is, breaks no table, and no other row is changed."""
    site.send(site.run())
    for number, text in enumerate(HOSTILE):
        machine = replace(MACHINE, id=f"{number:012x}")
        answer = site.send(with_text(site.run(seed=number, machine=machine), text))
        assert answer.status_code == 201, answer.text
    reading.store().sync()
    assert len(reading.ask("FROM runs")) == len(HOSTILE) + 1
    for text in HOSTILE:
        (row,) = reading.ask("SELECT count(*) AS n FROM board WHERE contains(case_id, ?)", text)
        assert row["n"] == 5
    machines = site.get("/api/v1/machines")
    assert {one["cpu_model"] for one in machines.json()["machines"]} == {*HOSTILE, "Model 7"}
    assert machines.headers["content-type"] == "application/json"


# -- limits --------------------------------------------------------------------------------------------------------


def test_too_many_requests_are_told_to_wait(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate is of one token: another goes on."""
    monkeypatch.setenv("FLOPWATCH_REQUESTS_PER_MINUTE", "3")
    content = site.run()
    answers = [site.send(content).status_code for _ in range(5)]
    assert answers == [201, 200, 200, 429, 429]
    answer = site.send(content)
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert site.send(content, site.token("other")).status_code == 200


def test_guessing_is_slowed_and_nobody_else_is(site: Site) -> None:
    """After some wrong tokens from an address, guesses are not even looked at; a right token from there works."""
    content = site.run()
    text = site.token()
    statuses = [site.send(content, f"fw_000000000000_{n:043}").status_code for n in range(40)]
    assert statuses == [401] * access.WRONG_PER_MINUTE + [429] * (40 - access.WRONG_PER_MINUTE)
    assert site.send(content, text).status_code == 201


def test_a_full_disk_is_507_and_stores_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as there is room, the same file is taken."""
    content, _ = site.run(), site.own

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("data.ledgers.directory.os.fsync", full)
        answer = site.send(content)
    assert answer.status_code == 507
    assert int(answer.headers["retry-after"]) > 0
    assert str(places.home()) not in answer.text
    assert site.held() == 0
    assert site.send(content).status_code == 201


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="mounting needs root")
def test_a_disk_that_is_really_full(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system of 256 KiB: what fits is stored, what does not is refused whole."""
    small = tmp_path / "small"
    small.mkdir()
    mount = shutil.which("mount") or "mount"
    if subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=256k", "none", small], capture_output=True
    ).returncode:
        pytest.skip("this system allows no mount")
    try:
        monkeypatch.setenv("FLOPWATCH_LEDGER", str(small / "ledger"))
        reading.close()
        contents = [site.run(seed=seed, samples=60) for seed in range(12)]
        statuses = [site.send(content).status_code for content in contents]
        assert set(statuses) == {201, 507}
        assert site.held() == statuses.count(201)
        for entry in open_ledger(places.ledger()).follow()[0]:
            assert open_ledger(places.ledger()).read(entry.sha256) in contents
    finally:
        reading.close()
        subprocess.run([shutil.which("umount") or "umount", small], check=True)


def test_an_index_that_is_not_ready_asks_to_come_again(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, content = site.token(), site.run()
    reading.close()
    monkeypatch.setenv("FLOPWATCH_DB", str(home / "tokens.json" / "x.duckdb"))
    answer = site.send(content, text)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_a_fault_of_the_server_is_json_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody thought of is a 500 with an error in the same form, and no detail of the inside."""
    monkeypatch.setattr("app.api.runs._accept", lambda body, token: 1 / 0)
    answer = site.send(site.run())
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "division" not in answer.text


# -- the machines --------------------------------------------------------------------------------------------------


def test_machines_tell_when_they_were_heard_of_and_what_failed(site: Site) -> None:
    """Last upload, version, problems; the contact of a bound token; the last refusal with its reason."""
    text = site.token("gpu box", machine=MACHINE.id)
    receipt = site.send(site.run(), text).json()
    assert site.send(b"{}", text).status_code == 400
    access.flush()
    reading.store().sync()
    told = site.get("/api/v1/machines", text).json()
    (machine,) = told["machines"]
    assert machine["machine"] == "testbox"
    assert machine["last_upload"] == receipt["received"]
    assert machine["last_run"] == receipt["run"]
    assert machine["flopwatch_version"] == "0.1.0"
    assert machine["problems"] == 1
    assert machine["last_contact"] >= receipt["received"][:19]
    assert machine["clock_ahead"] is False
    (refused,) = told["refused"]
    assert (refused["token"], refused["code"], refused["machine_id"]) == (
        "gpu box",
        "bad-run-file",
        MACHINE.id,
    )
    site.tokens.revoke("gpu box")
    assert fleet.refused() == []


def test_the_report_is_for_who_may_read(site: Site) -> None:
    """No token is 401, a token for upload 403; 404 while nothing is stored, then the report with the machine's name."""
    path = "/api/v1/report.md"
    assert site.client.get(path).status_code == 401
    assert site.get(path, site.token(scopes=("upload",))).status_code == 403
    reader = site.token(scopes=("read",))
    empty = site.get(path, reader)
    assert (empty.status_code, empty.json()["error"]["code"]) == (404, "not-found")
    assert site.send(site.run()).status_code == 201
    reading.store().sync()
    answer = site.get(path, reader)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text.startswith("# ")
    assert MACHINE.name in answer.text


def test_a_clock_that_is_ahead_is_marked(site: Site) -> None:
    site.send(site.run(started="2096-11-22T10:00:00.000000Z"))
    reading.store().sync()
    (row,) = fleet.machines()
    assert row["clock_ahead"] is True


# -- slow clients --------------------------------------------------------------------------------------------------


class Slow:
    """A request whose body comes in pieces with a pause before each."""

    def __init__(self, pieces: list[bytes], pause_s: float) -> None:
        self.headers: dict[str, str] = {}
        self._pieces, self._pause_s = pieces, pause_s

    async def stream(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await asyncio.sleep(self._pause_s)
            yield piece


@pytest.mark.parametrize(
    ("idle_s", "grace_s", "message"), [(0.05, 60.0, "nothing came"), (60.0, 0.0, "slower than")]
)
def test_a_body_that_stalls_or_crawls_is_ended(
    monkeypatch: pytest.MonkeyPatch, idle_s: float, grace_s: float, message: str
) -> None:
    """Whoever sends a byte now and then holds a place for a while, not for ever."""
    monkeypatch.setattr(bodies, "IDLE_S", idle_s)
    monkeypatch.setattr(bodies, "GRACE_S", grace_s)
    crawling: Any = Slow([b"x"] * 100, 0.3)
    with pytest.raises(Refusal, match=message) as caught:
        asyncio.run(bodies.receive(crawling, bytearray(), 1 << 20))
    assert caught.value.status == 408


def test_one_token_cannot_take_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies of a token are counted, and given back."""

    async def occupy() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(bodies.BODIES_OF_TOKEN):
                await stack.enter_async_context(bodies.room("a"))
            await stack.enter_async_context(bodies.room("b"))
            with pytest.raises(Refusal, match="at a time"):
                await stack.enter_async_context(bodies.room("a"))
        async with bodies.room("a"):
            pass

    asyncio.run(occupy())


def test_all_bodies_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it a client is asked to come again, and what was counted is given back."""
    monkeypatch.setattr(bodies, "BODIES_BYTES", 1000)

    async def send(size: int) -> None:
        body: Any = Slow([b"x" * size], 0.0)
        async with bodies.room("a") as held:
            await bodies.receive(body, held, 1 << 20)

    with pytest.raises(Refusal, match="as much as it can hold"):
        asyncio.run(send(1001))
    asyncio.run(send(900))
    asyncio.run(send(900))
