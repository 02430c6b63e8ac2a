"""The interface and its description agree, and nothing that can be sent makes the server fail."""

import gzip
import random
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from starlette.applications import Starlette

from app import api, reading
from app.api import access
from app.api.openapi import document
from data.runfile import pack
from tests.app.site import Site, open_site
from tests.data.run_files import run_bytes

QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One board for all."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FLOPWATCH_DB", "FLOPWATCH_LEDGER"):
            patch.delenv(name, raising=False)
        patch.setenv("FLOPWATCH_HOME", str(tmp_path_factory.mktemp("fuzzed")))
        patch.setenv("FLOPWATCH_REQUESTS_PER_MINUTE", "1000000")
        patch.setattr(access, "WRONG_PER_MINUTE", 1_000_000)
        with open_site(tmp_path_factory.mktemp("sent")) as opened:
            opened.send(opened.run())
            reading.store().sync()
            yield opened
        reading.close()


schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", Starlette(routes=list(api.routes())))


@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=QUIET)
def test_every_answer_is_as_described(site: Site, case: Any) -> None:
    """Generated requests, right and wrong ones, with a token: no 500, and each answer has a described form."""
    checks = schemathesis.checks
    # A body of the right type can still be no run file, and the test shows a token in any case.
    excluded = [
        getattr(checks, name)
        for name in ("positive_data_acceptance", "ignored_auth")
        if hasattr(checks, name)
    ]
    case.call_and_validate(headers={"Authorization": f"Bearer {site.own}"}, excluded_checks=excluded)


def test_real_answers_fit_their_schemas(site: Site) -> None:
    """The receipt, the machines, health and an error, each against the schema of the document."""
    schemas = document()["components"]["schemas"]
    answers = {
        "Receipt": site.send(site.run()),
        "Machines": site.get("/api/v1/machines"),
        "Health": site.get("/api/v1/health"),
        "Error": site.send(b"{}"),
    }
    for name, answer in answers.items():
        Draft202012Validator(schemas[name]).validate(answer.json())
    assert set(schemas) == {*answers, "Heartbeat"}  # which is sent, not answered


@given(
    body=st.binary(max_size=2000),
    packed=st.booleans(),
    kind=st.sampled_from(["", "gzip", "br", "identity"]),
)
@settings(max_examples=100, deadline=None, suppress_health_check=QUIET)
def test_any_bytes_are_refused_in_words(site: Site, body: bytes, packed: bool, kind: str) -> None:
    """Random bytes, packed or not, are 400 or 415."""
    answer = site.send(gzip.compress(body) if packed else body, content_encoding=kind)
    assert answer.status_code in (400, 415), answer.text
    assert answer.json()["error"]["message"]


PIECES = [b"null", b"NaN", b"1e999", b"-1", b'"\\ud800"', b"[]", b"{}", b'""', b"9" * 400, b"\x00", b"true"]


def _mutated(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    to = min(len(content), at + rng.randrange(40))
    choice = rng.randrange(5)
    if choice == 0:
        return content[:at] + content[to:]
    if choice == 1:
        return content[:to] + content[at:]
    if choice == 2:
        return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
    if choice == 3:
        lines = content.splitlines(keepends=True)
        rng.shuffle(lines)
        return b"".join(lines)
    colon = content.find(b":", at)
    comma = content.find(b",", colon)
    return content[: colon + 1] + rng.choice(PIECES) + content[comma:] if 0 < colon < comma else content


@given(seed=st.integers(0, 2**32), edits=st.integers(1, 4))
@settings(max_examples=200, deadline=None, suppress_health_check=QUIET)
def test_a_run_file_with_mutations_never_breaks_the_server(site: Site, seed: int, edits: int) -> None:
    """Bytes removed, doubled, replaced; values and lines exchanged: whatever comes, the answer is no fault."""
    rng = random.Random(seed)
    content = run_bytes(site.folder, seed=rng.randrange(3), cells=1, processes=2, samples=3)
    if rng.random() < 0.7:  # without an end, mutations get past its digest
        content = b"".join(content.splitlines(keepends=True)[:-1])
    for _ in range(edits):
        content = _mutated(content, rng) or b"x"
    answer = site.send(pack(content) if rng.random() < 0.3 else content)
    assert answer.status_code in (200, 201, 400, 409), answer.text


def test_the_index_takes_all_that_was_let_in(site: Site) -> None:
    """What the fuzzers got past the checks is indexed; nothing of it is refused there."""
    index = reading.store()
    index.sync()
    assert index.query("SELECT sha256, message FROM entry WHERE state = 'refused'") == []
