"""Attacks on the way in: each is tried on one board, and its answer is a row of the table in docs/uploads.md."""

import gzip
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app import reading
from app.api import access
from data.checks import check_index, check_ledger
from data.records import uuid7
from data.runfile import pack
from tests.app.site import RUNS, Site, open_site

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One board for all attacks: what one of them broke, the next would find."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FLOPWATCH_DB", "FLOPWATCH_LEDGER"):
            patch.delenv(name, raising=False)
        patch.setenv("FLOPWATCH_HOME", str(tmp_path_factory.mktemp("attacked")))
        with open_site(tmp_path_factory.mktemp("sent")) as opened:
            yield opened
        reading.close()


def _no_token(site: Site) -> Any:
    return site.client.post(RUNS, content=site.run())


def _before_any_token(site: Site) -> Any:
    _ = site.own
    aside = site.tokens.path.rename(site.tokens.path.with_suffix(".aside"))
    try:
        return site.send(site.run())
    finally:
        aside.rename(site.tokens.path)


def _guessed(site: Site) -> Any:
    text = site.token()
    return site.send(site.run(), text[:-1] + ("A" if text[-1] != "A" else "B"))


def _revoked(site: Site) -> Any:
    text = site.token("old")
    assert site.send(site.run(), text).status_code == 201
    site.tokens.revoke("old")
    return site.send(site.run(seed=2), text)


def _expired(site: Site) -> Any:
    return site.send(site.run(), site.token(valid_for=timedelta(microseconds=1)))


def _wrong_scope(site: Site) -> Any:
    return site.send(site.run(), site.token(scopes=("read",)))


def _reading_with_upload(site: Site) -> Any:
    text = site.token(scopes=("upload",))
    run = site.send(site.run(), text).json()["run"]
    return site.get(f"{RUNS}/{run}", text)


def _other_machine(site: Site) -> Any:
    return site.send(site.run(), site.token(machine="ffffffffffff"))


def _replay(site: Site) -> Any:
    content = site.run()
    site.send(content)
    return site.send(content)


def _same_id(site: Site) -> Any:
    run_id = uuid7()
    assert site.send(site.run(run_id=run_id)).status_code == 201
    return site.send(site.run(run_id=run_id, seed=1))


def _path_trick(trick: str) -> Callable[[Site], Any]:
    return lambda site: site.get(f"{RUNS}/{trick}")


def _id_in_file(site: Site) -> Any:
    return site.send(re.sub(rb'"id":"01[^"]+"', b'"id":"../../../tokens.json"', site.run()))


def _oversized(site: Site) -> Any:
    return site.send(os.urandom(1 << 10) * (33 << 10))


def _oversized_stream(site: Site) -> Any:
    return site.send(b"x" * (1 << 20) for _ in range(40))


def _length_lie(site: Site) -> Any:
    return site.send(b"x", content_length="9" * 30)


def _bomb(site: Site) -> Any:
    return site.send(gzip.compress(b"\0" * (200 << 20), 1))


def _bombs_in_a_row(site: Site) -> Any:
    return site.send(gzip.compress(b" " * (4 << 20), 9) * 60)


def _bomb_in_bomb(site: Site) -> Any:
    return site.send(gzip.compress(gzip.compress(site.run())))


def _torn_gzip(site: Site) -> Any:
    return site.send(pack(site.run())[:-20])


def _nested(opening: bytes, depth: int) -> Callable[[Site], Any]:
    def nest(site: Site) -> Any:
        closing = {b"[": b"]", b'{"a":': b"}"}[opening]
        deep = opening * depth + b"1" + closing * depth
        return site.send(site.run().replace(b'"governor":"performance"', b'"governor":' + deep, 1))

    return nest


def _field(name: bytes, value: bytes) -> Callable[[Site], Any]:
    """Put a value into a field of the first measurement, without its end so that the digest is no obstacle."""

    def put(site: Site) -> Any:
        lines = site.run().splitlines(keepends=True)[:-1]
        at = next(i for i, line in enumerate(lines) if b'"measurement"' in line)
        lines[at] = re.sub(rb'"%s":[^,}\]]+' % name, b'"%s":%s' % (name, value), lines[at], count=1)
        assert value in lines[at]
        return site.send(b"".join(lines))

    return put


def _first_line(old: bytes, new: bytes) -> Callable[[Site], Any]:
    def put(site: Site) -> Any:
        content = site.run()
        assert old in content
        return site.send(content.replace(old, new))

    return put


def _changed_digit(site: Site) -> Any:
    return site.send(site.run().replace(b'"time_ns":[1', b'"time_ns":[2', 1))


def _header(**headers: str) -> Callable[[Site], Any]:
    return lambda site: site.send(site.run(), **headers)


def _two_tokens(site: Site) -> Any:
    text = site.token()
    headers = [("Authorization", f"Bearer {text}"), ("Authorization", "Bearer fw_x")]
    return site.client.post(RUNS, content=site.run(), headers=headers)


def _method(method: str) -> Callable[[Site], Any]:
    return lambda site: site.client.request(method, RUNS, headers={"Authorization": f"Bearer {site.own}"})


ATTACKS: dict[str, tuple[int, Callable[[Site], Any]]] = {
    "no token": (401, _no_token),
    "any token on a fresh server": (401, _before_any_token),
    "guessed token": (401, _guessed),
    "revoked token": (401, _revoked),
    "expired token": (401, _expired),
    "two tokens in one request": (401, _two_tokens),
    "token in another scheme": (401, _header(authorization="Basic Zm9vOmJhcg==")),
    "token with control characters": (401, _header(authorization="Bearer fw_\x01\x7f\t\t")),
    "very long token": (401, _header(authorization="Bearer " + "x" * 60_000)),
    "upload with a token for reading": (403, _wrong_scope),
    "reading with a token for upload": (403, _reading_with_upload),
    "another machine's id": (403, _other_machine),
    "replay of a request": (200, _replay),
    "other content under a held id": (409, _same_id),
    "path in an id: ../../tokens.json": (404, _path_trick("..%2f..%2ftokens.json")),
    "path in an id: %2e%2e": (404, _path_trick("%2e%2e%2f%2e%2e%2fetc%2fpasswd")),
    "path in an id: null byte": (404, _path_trick("01a20d81-fb86-7e48-b43b-fa565c3fc4f5%00.json")),
    "SQL in an id": (404, _path_trick("' OR 1=1; DROP TABLE run; --")),
    "path as id of a run": (400, _id_in_file),
    "oversized body": (413, _oversized),
    "oversized body without a length": (413, _oversized_stream),
    "length of 30 digits": (413, _length_lie),
    "gzip bomb": (413, _bomb),
    "gzip bomb of many members": (413, _bombs_in_a_row),
    "gzip in gzip": (400, _bomb_in_bomb),
    "torn gzip": (400, _torn_gzip),
    "nesting of 100,000 lists": (400, _nested(b"[", 100_000)),
    "nesting of 100,000 objects": (400, _nested(b'{"a":', 100_000)),
    "text that is not UTF-8": (400, _first_line(b"testbox", b"test\xff\xfe")),
    "lone surrogate": (400, _first_line(b"testbox", b"\\ud800")),
    "NaN as a number": (400, _field(b"flop", b"NaN")),
    "Infinity as a number": (400, _field(b"flop", b"-Infinity")),
    "1e400 as a number": (400, _field(b"flop", b"1e400")),
    "negative work": (400, _field(b"flop", b"-5")),
    "count of 2^63": (400, _field(b"threads", b"9223372036854775808")),
    "unknown status": (400, _field(b"status", b'"fast"')),
    "date that does not exist": (
        400,
        _first_line(b"2026-11-22T10:00:00.000000Z", b"2026-02-31T10:00:00.000000Z"),
    ),
    "name of 201 characters": (400, _first_line(b"testbox", b"n" * 201)),
    "changed number": (400, _changed_digit),
    "web page as a run file": (415, _header(content_type="text/html")),
    "form": (415, _header(content_type="multipart/form-data; boundary=x")),
    "unknown encoding": (415, _header(content_encoding="br")),
    "promised gzip that is none": (201, _header(content_encoding="gzip")),
    "method that is not there": (405, _method("DELETE")),
}


#: How many right files an attack sends to prepare itself.
PREPARED = {"revoked token": 1, "reading with a token for upload": 1, "replay of a request": 1}
PREPARED |= {"other content under a held id": 1, "promised gzip that is none": 1}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_has_its_answer(site: Site, name: str) -> None:
    """The answer is JSON with a message, nothing of a refused file is stored, and no token is in the answer."""
    access.reset()
    expected, attack = ATTACKS[name]
    before = site.held()
    answer = attack(site)
    assert answer.status_code == expected, answer.text
    assert site.held() - before == PREPARED.get(name, 0)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "fw_" not in answer.text
    if expected >= 400:
        told = answer.json()["error"]
        assert set(told) == {"code", "message", "line", "field"}
        assert 10 < len(told["message"]) < 2000
    if expected == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_board_is_whole_after_all_of_it(site: Site) -> None:
    """A right file is taken as before, and ledger and index agree."""
    access.reset()
    assert site.send(site.run()).status_code == 201
    index = reading.store()
    index.sync()
    entries, findings = check_ledger(index.ledger)
    assert findings == []
    assert check_index(index, entries) == []


def test_the_table_in_the_docs_is_what_is_tried_here() -> None:
    """Each attack is a row of the table with its status, and each row is tried; those with a socket are elsewhere."""
    text = (ROOT / "docs" / "uploads.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| (.+?) \| (\d{3}|–) \|", text, re.MULTILINE))
    tried = {name: str(status) for name, (status, _) in ATTACKS.items()}
    elsewhere = {name for name, status in rows.items() if status == "–"}
    assert {name: status for name, status in rows.items() if name not in elsewhere} == tried
    assert len(elsewhere) >= 4
