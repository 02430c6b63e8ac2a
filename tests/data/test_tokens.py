"""Tokens: shown once, kept as digests in a private file, and gone as soon as they are revoked."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from data.errors import BadInput, Conflict, NotFound, StorageError, Unauthorized
from data.tokens import READ, SCOPES, UPLOAD, Refused, Tokens


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "home" / "tokens.json")


def test_a_token_is_found_by_its_text(tokens: Tokens) -> None:
    token, text = tokens.create("lab", (UPLOAD,), "0123456789ab", timedelta(days=1))
    found = tokens.find(text)
    assert (found.id, found.name, found.scopes, found.machine) == (
        token.id,
        "lab",
        ["upload"],
        "0123456789ab",
    )
    assert found.state == "valid"


def test_the_file_is_private_and_holds_no_secret(tokens: Tokens) -> None:
    """Nobody else can read the file, and what is in it does not let anybody in."""
    _, text = tokens.create("lab")
    content = tokens.path.read_text()
    assert text not in content
    assert text.rpartition("_")[2] not in content
    assert text[-20:] not in content
    if os.name == "posix":
        assert tokens.path.stat().st_mode & 0o777 == 0o600
    for piece in content.split('"'):
        with pytest.raises(Unauthorized):
            tokens.find(piece)


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_a_file_that_others_can_read_is_not_used(tokens: Tokens) -> None:
    _, text = tokens.create("lab")
    tokens.path.chmod(0o644)
    with pytest.raises(StorageError, match="chmod 600"):
        Tokens(tokens.path).find(text)


def test_texts_are_long_and_all_different(tokens: Tokens) -> None:
    texts = [tokens.create(f"lab {number}")[1] for number in range(50)]
    assert len({text.rpartition("_")[2][:20] for text in texts}) == 50
    assert all(len(text) == len("fw_") + 12 + 1 + 43 for text in texts)


CHANGES = [
    lambda text: text[:-1],
    lambda text: text + "x",
    lambda text: text[:-1] + "~",
    str.upper,
    lambda text: "",
    lambda text: "fw_" + "0" * 12 + text[15:],
    lambda text: text + "\0",
    lambda text: "ü" + text,
]


@pytest.mark.parametrize("change", CHANGES)
def test_any_other_text_is_unknown(tokens: Tokens, change) -> None:
    _, text = tokens.create("lab")
    with pytest.raises(Unauthorized, match="not known"):
        tokens.find(change(text))


def test_without_any_token_it_is_said_how_to_make_one(tokens: Tokens) -> None:
    with pytest.raises(Unauthorized, match="flopwatch token create"):
        tokens.find("fw_x")


def test_a_revoked_token_counts_no_more_at_once_in_another_process(tokens: Tokens) -> None:
    """The server sees what the command line did, at its next look."""
    _, text = tokens.create("lab")
    server = Tokens(tokens.path)
    assert server.find(text)
    code = (
        "import sys; from pathlib import Path; from data.tokens import Tokens; "
        "Tokens(Path(sys.argv[1])).revoke('lab')"
    )
    subprocess.run([sys.executable, "-c", code, tokens.path], check=True, cwd=Path(__file__).parents[2])
    with pytest.raises(Unauthorized, match="revoked"):
        server.find(text)
    with pytest.raises(NotFound, match="lab"):
        tokens.revoke("lab")
    assert tokens.create("lab")[1] != text


def test_an_expired_token_counts_no_more(tokens: Tokens) -> None:
    _, text = tokens.create("lab", valid_for=timedelta(seconds=2))
    assert tokens.find(text)
    time.sleep(2.1)
    with pytest.raises(Unauthorized, match="expired"):
        tokens.find(text)
    assert tokens.all()[0].state == "expired"


@pytest.mark.parametrize(
    ("name", "scopes", "machine"),
    [("", SCOPES, None), ("x" * 101, SCOPES, None), ("a\x1b[2J", SCOPES, None), ("a", ("admin",), None),
     ("a", (), None), ("a", SCOPES, "../../etc"), ("a", SCOPES, "0123456789AB")],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    tokens: Tokens, name: str, scopes: tuple[str, ...], machine: str | None
) -> None:
    with pytest.raises(BadInput):
        tokens.create(name, scopes, machine)
    assert not tokens.path.exists()


def test_a_name_is_taken_while_its_token_counts(tokens: Tokens) -> None:
    tokens.create("lab")
    with pytest.raises(Conflict):
        tokens.create(" lab ")


def test_the_last_use_is_written_down_and_nothing_else_changes(tokens: Tokens) -> None:
    token, text = tokens.create("lab", (READ,))
    server = Tokens(tokens.path)
    server.note(server.find(text), Refused("2026-11-24T00:00:00Z", "conflict", "no"))
    server.note(server.find(text))
    server.flush()
    (seen,) = Tokens(tokens.path).all()
    assert seen.last_used
    assert seen.last_refused
    assert seen.last_refused.code == "conflict"
    assert (seen.id, seen.scopes, seen.sha256) == (token.id, ["read"], token.sha256)
    assert tokens.revoke("lab").last_used == seen.last_used


def test_two_processes_change_the_file_and_nothing_is_lost(tokens: Tokens) -> None:
    code = (
        "import sys; from pathlib import Path; from data.tokens import Tokens\n"
        "for n in range(8): Tokens(Path(sys.argv[1])).create(f'{sys.argv[2]} {n}')"
    )
    makers = [
        subprocess.Popen([sys.executable, "-c", code, tokens.path, name], cwd=Path(__file__).parents[2])
        for name in "abc"
    ]
    assert [maker.wait(timeout=300) for maker in makers] == [0, 0, 0]
    assert len(tokens.all()) == 24


def test_a_damaged_file_lets_nobody_in_and_says_what_to_do(tokens: Tokens) -> None:
    _, text = tokens.create("lab")
    tokens.path.write_text("{")
    with pytest.raises(StorageError, match="damaged"):
        tokens.find(text)
