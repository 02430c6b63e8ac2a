"""Uploads at length: a network that loses 30 % of all packets, and many clients at once."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.ledger import open_ledger
from tests.app.board_server import BoardServer
from tests.data.run_files import write_run
from tests.soak.upload_load import measure

pytestmark = pytest.mark.soak

ROOT = Path(__file__).resolve().parents[2]
NAME, HERE, THERE = "flopwatch-lossy", "10.213.77.1", "10.213.77.2"


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture
def lossy_network() -> Iterator[str]:
    """A network namespace whose packets are lost in both directions, 30 % each way; its name."""
    if os.name != "posix" or os.getuid() != 0 or not shutil.which("ip") or not shutil.which("nft"):
        pytest.skip("needs root, ip and nft (apt-get install iproute2 nftables)")
    inside = ("ip", "netns", "exec", NAME)
    try:
        _run("ip", "netns", "add", NAME)
        _run("ip", "link", "add", "flopwatch0", "type", "veth", "peer", "name", "flopwatch1", "netns", NAME)
        _run("ip", "addr", "add", f"{HERE}/30", "dev", "flopwatch0")
        _run("ip", "link", "set", "flopwatch0", "up")
        _run(*inside, "ip", "addr", "add", f"{THERE}/30", "dev", "flopwatch1")
        _run(*inside, "ip", "link", "set", "flopwatch1", "up")
        _run(*inside, "nft", "add", "table", "inet", "loss")
        for hook in ("input", "output"):
            chain = f"{{ type filter hook {hook} priority 0 ; }}"
            _run(*inside, "nft", "add", "chain", "inet", "loss", hook, chain)
            _run(
                *inside, "nft", "add", "rule", "inet", "loss", hook, "numgen random mod 100 < 30 counter drop"
            )
    except (subprocess.CalledProcessError, OSError) as error:
        subprocess.run(["ip", "netns", "del", NAME], capture_output=True, check=False)
        pytest.skip(f"this kernel allows no such network: {error}")
    yield NAME
    _run("ip", "netns", "del", NAME)


def test_every_run_arrives_once_over_a_network_that_loses_a_third(lossy_network: str, tmp_path: Path) -> None:
    """Thirty runs, each exactly once, and packets were really lost."""
    home = tmp_path / "client"
    for number in range(30):
        write_run(home / "runs" / f"{number}.run.jsonl", seed=number)
    with BoardServer(tmp_path / "board", "--server.address", HERE, host=HERE) as board:
        done = subprocess.run(
            ["ip", "netns", "exec", lossy_network, sys.executable, "-m", "runners", "upload", "--plain",
             "--to", board.url, "--patience", "8m"],
            env=os.environ | {"FLOPWATCH_HOME": str(home), "FLOPWATCH_TOKEN": board.token("far away")},
            cwd=ROOT, capture_output=True, text=True, timeout=580, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    lost = subprocess.run(
        ["ip", "netns", "exec", lossy_network, "nft", "list", "table", "inet", "loss"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert lost.count("packets 0 bytes 0 drop") == 0, lost
    assert len(open_ledger(tmp_path / "board" / "ledger").follow()[0]) == 30
    assert len(list(home.rglob("*.receipt.json"))) == 30


def test_many_clients_lose_nothing(tmp_path: Path) -> None:
    """Fifty clients for two minutes: nothing lost, nothing twice, memory that does not grow."""
    run_file = write_run(tmp_path / "a.run.jsonl", cells=59, processes=6, samples=20)
    found = measure(run_file, clients=50, seconds=120, page_count=2)
    assert (found["lost"], found["duplicated"]) == (0, 0), found
    assert found["ledger_entries"] == found["uploads"]
    first, _, last = found["memory_mib_thirds"]
    assert last < 1.5 * first + 100, found
