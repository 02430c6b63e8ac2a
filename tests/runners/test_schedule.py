"""The files for schedulers: accepted by the tool or the published schema that judges them, installed and taken back."""

import os
import plistlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from data.errors import BadInput
from runners.cli import main
from runners.schedulers import SCHEDULERS
from runners.schedulers.base import NodeType, Plan, times
from runners.schedulers.cron import block, with_block
from tests.runners.test_schedulers_real import require

OPTIONS = ("--every", "24h", "--at", "03:17", "--case", "mat*", "--label", "note=50% of $x & <more>")


@pytest.fixture(autouse=True)
def _home(home, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("FLOPWATCH_TOKEN", "fw_secret")


def plan(**fields):
    usual = {
        "name": "nightly",
        "program": (sys.executable,),
        "options": OPTIONS,
        "every_s": 86_400,
        "at_s": 3 * 3600 + 17 * 60,
        "variables": {"FLOPWATCH_HOME": "/srv/flop watch"},
        "home": Path("/srv/flop watch"),
        "shared": Path("/shared"),
        "upload": "https://bench.example.org",
        "node_types": (NodeType("gpu", {"count": "3", "gres": "gpu:1"}),),
    }
    return Plan(**usual | fields)


def files(name, tmp_path, **fields):
    node_types = {
        "kubernetes": (NodeType("gpu", {"gpu": "1", "accelerator": "h100"}), NodeType("cpu", {"count": "3"}))
    }
    chosen = {"node_types": node_types[name]} if name in node_types else {}
    found = []
    for file in SCHEDULERS[name].files(plan(**chosen | fields)):
        path = tmp_path / file.path.name
        path.write_text(file.text, file.encoding)
        found.append(path)
    return found


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_file_is_commented_and_holds_no_token(name, tmp_path):
    """Each says what it is, runs the job with its options, and no secret is in it."""
    for path in files(name, tmp_path):
        text = path.read_text("utf-16" if name == "windows" else "utf-8")
        assert "flopwatch" in text.split("\n\n")[0] or "<!--" in text or "#" in text.split("\n")[0]
        assert "fw_secret" not in text
    assert any(
        "03:17" in path.read_text("utf-16" if name == "windows" else "utf-8")
        for path in files(name, tmp_path)
    )


def test_systemd_accepts_the_units(tmp_path):
    """systemd-analyze verify has nothing to say, and says something of a unit that is wrong."""
    require("" if shutil.which("systemd-analyze") else "not installed: systemd-analyze")
    units = files("systemd", tmp_path)
    words = ["systemd-analyze", "verify", "--user", *map(str, units)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    ours = [line for line in done.stderr.splitlines() if "flopwatch" in line]
    assert (done.returncode, ours) == (0, [])
    units[1].write_text(units[1].read_text().replace("*:17:00", "*:77:00"))
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert "flopwatch-nightly.timer" in done.stderr


def test_the_shell_reads_the_script_of_slurm(tmp_path):
    """bash parses it, and each option comes out as one word."""
    (script,) = files("slurm", tmp_path)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert "--array=0-2 --gres=gpu:1" in script.read_text()
    with pytest.raises(BadInput, match="colour"):
        files("slurm", tmp_path, node_types=(NodeType("a", {"colour": "red"}),))
    with pytest.raises(BadInput, match="--shared"):
        files("slurm", tmp_path, shared=None)


def test_kubernetes_has_a_schema_that_accepts_the_manifest(tmp_path):
    """The published schema takes it strictly, with a claim and with a board, and refuses a wrong field."""
    validate = pytest.importorskip("kubernetes_validate")
    import yaml

    (path,) = files("kubernetes", tmp_path, claim="flopwatch")
    documents = list(yaml.safe_load_all(path.read_text()))
    assert [document["kind"] for document in documents] == ["PersistentVolumeClaim", "CronJob", "CronJob"]
    for document in documents:
        validate.validate(document, "1.30", strict=True)
    container = documents[1]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["job", *OPTIONS]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    documents[1]["spec"]["shedule"] = "x"
    with pytest.raises(validate.ValidationError):
        validate.validate(documents[1], "1.30", strict=True)
    with pytest.raises(BadInput, match="leaves nothing behind"):
        files("kubernetes", tmp_path, claim="", upload="")


@pytest.mark.parametrize(
    ("schema", "file"),
    [("github-workflows", None), ("compose-spec", "compose.yaml")],
)
def test_published_schemas_accept_workflow_and_compose_file(schema, file, tmp_path):
    """The schemas of GitHub workflows and of compose files take ours, and refuse a wrong one."""
    pytest.importorskip("check_jsonschema")
    source = (
        Path(__file__).resolve().parents[2] / "containers" / file if file else files("github", tmp_path)[0]
    )
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*words, source], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(source.read_text().replace("runs-on:", "run-on:").replace("services:", "servces:"))
    assert subprocess.run([*words, wrong], capture_output=True, check=False, timeout=120).returncode != 0


def test_launchd_and_task_scheduler_get_what_they_read(tmp_path):
    """The property list and the task hold the very words of the job."""
    (listed,) = files("launchd", tmp_path)
    read = plistlib.loads(listed.read_bytes())
    assert read["ProgramArguments"] == [sys.executable, "job", *OPTIONS]
    assert read["StartCalendarInterval"] == {"Minute": 17}
    (task,) = files("windows", tmp_path)
    assert task.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff")
    space = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    root = ElementTree.fromstring(task.read_bytes())
    assert root.find(f".//{space}Interval").text == "PT1H"
    assert "note=50% of $x & <more>" in root.find(f".//{space}Arguments").text


def test_a_table_keeps_what_others_wrote():
    """Only our block is replaced; one without an end is not touched."""
    held = "MAILTO=me\n5 4 * * * backup\n"
    once = with_block(held, "nightly", block("nightly", "1 * * * * a\n"))
    assert once.startswith(held)
    twice = with_block(once + "9 9 * * * other\n", "nightly", block("nightly", "2 * * * * b\n"))
    assert "1 * * * * a" not in twice
    assert "9 9 * * * other" in twice
    assert with_block(twice, "nightly", "") == held + "9 9 * * * other\n"
    assert with_block(once, "night", "") == once
    with pytest.raises(BadInput, match="no end"):
        with_block(once.replace("# <<< flopwatch nightly\n", ""), "nightly", "")


@pytest.mark.parametrize(
    ("every_s", "at_s", "text"),
    [
        (86_400, 11_820, "17 3 * * *"),
        (604_800, 0, "0 0 * * 1"),
        (21_600, 11_820, "17 3,9,15,21 * * *"),
        (3600, 300, "5 * * * *"),
    ],
)
def test_rhythms_in_the_words_of_cron(every_s, at_s, text):
    """Days, weeks and parts of a day."""
    assert times(plan(every_s=every_s, at_s=at_s)) == text
    with pytest.raises(BadInput, match="cannot be said"):
        times(plan(every_s=48 * 3600))


def test_install_shows_its_steps_and_can_be_undone(tmp_path, monkeypatch, capsys):
    """With a manager that notes what it is told: a second install changes nothing, remove leaves nothing."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("systemctl", "loginctl"):
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/told"\n')
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    assert main(["schedule", "install", "systemd", "--name", "nightly", "--dry-run"]) == 0
    assert "write" in capsys.readouterr().out
    units = tmp_path / "user" / ".config" / "systemd" / "user"
    assert not units.exists()
    for word in ("written", "is there already"):
        assert main(["schedule", "install", "systemd", "--name", "nightly", "--profile", "smoke"]) == 0
        assert word in capsys.readouterr().out
    assert "--every 24h --name nightly --profile smoke" in (units / "flopwatch-nightly.service").read_text()
    assert "enable --now flopwatch-nightly.timer" in (tmp_path / "told").read_text()
    assert main(["schedule", "remove", "systemd", "--name", "nightly"]) == 0
    assert list(units.iterdir()) == []
    assert main(["schedule", "status", "systemd"]) == 0
    assert "no log yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("print", "nix"), "no scheduler 'nix'"),
        (("print", "cron", "--every", "7h"), "no rhythm"),
        (("print", "cron", "--evry", "7h"), "--evry"),
        (("print", "cron", "--name", "a b"), "no name"),
        (("print", "slurm", "--shared", "x", "--node-type", "a:b"), "KEY=VALUE"),
        (("print", "kubernetes"), "leaves nothing behind"),
        (("start", "cron"), "there is no 'start'"),
    ],
)
def test_wrong_wishes_are_one_line(words, said, capsys):
    """The value that cannot be is named."""
    try:
        status = main(["schedule", *words])
    except SystemExit as end:
        status = end.code
    assert status == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
