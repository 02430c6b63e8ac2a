"""What the command line says of itself: examples that hold, completion, hints, colours, JSON."""

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runners.cli import COMMANDS, main, whole_parser

ROOT = Path(__file__).resolve().parents[2]
#: what these print is a document or a script, which has a format of its own
DOCUMENTS = {"report", "export", "completion"}
#: unattended: what became of it is asked with `flopwatch schedule status --json`
UNATTENDED = {"job"}


def _command(name):
    (action,) = (action for action in whole_parser()._actions if action.choices and "run" in action.choices)
    return action.choices[name]


def _examples(text):
    """Return the commands of an epilog, continued lines joined, without the remark behind them."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [
        re.split(r"\s{2,}|\s\| | > ", line.strip())[0]
        for line in joined.splitlines()
        if "  flopwatch " in line
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_it_accepts(name):
    """Each help shows how the command is used, and what it shows can be typed."""
    parser = _command(name)
    examples = [line for line in _examples(parser.epilog or "") if line.startswith(f"flopwatch {name}")]
    assert examples, f"flopwatch {name} --help shows no example"
    for line in examples:
        options, unknown = whole_parser().parse_known_args(shlex.split(line)[1:])
        assert options.command == name, line
        assert not unknown, line


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - DOCUMENTS - UNATTENDED))
def test_whatever_prints_results_prints_them_as_json(name):
    """Each command that prints results has --json, itself or in each of its actions."""
    parser = _command(name)
    actions = [choice for action in parser._actions for choice in _parsers(action)]
    for one in actions or [parser]:
        assert "--json" in one.format_help(), one.prog


def _parsers(action):
    """Return the actions of a command that print something."""
    choices = action.choices.values() if isinstance(action.choices, dict) else ()
    return [one for one in choices if one.prog != "flopwatch token revoke"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("lst",), "unknown command 'lst': did you mean list?"),
        (("list", "--jsn"), "unknown option '--jsn': did you mean --json?"),
        (("run", "--profil=quick"), "unknown option '--profil=quick': did you mean --profile?"),
        (("db", "info", "--jsn"), "did you mean --json?"),
        (("db", "ifno"), "there is no 'ifno': did you mean info?"),
        (("run", "--profile", "qick"), "argument --profile: there is no 'qick': did you mean quick?"),
        (("completion", "fish"), "there is no 'fish': choose from bash, zsh, tcsh"),
        (("list", "--utterly-else"), "unknown option '--utterly-else' (see flopwatch list --help)"),
        (("list", "matmul"), "unrecognized arguments: matmul"),
    ],
)
def test_what_was_meant_is_named(words, hint, capsys):
    """A command, action, option or value that is misspelt is answered in one line with the nearest that exists."""
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert hint in said
    assert len(said.splitlines()) == 1


def _completed(script, *words):
    """Return what bash would offer for the last word."""
    line = " ".join(shlex.quote(word) for word in words)
    code = (
        f"source {shlex.quote(str(script))}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
        "$(complete -p flopwatch | sed 's/.*-F \\([^ ]*\\).*/\\1/'); printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_and_values(tmp_path, capsys):
    """Bash, with the script that is printed, completes what stands after flopwatch."""
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "flopwatch"
    script.write_text(capsys.readouterr().out)
    assert set(_completed(script, "flopwatch", "re")) == {"report", "reproduce", "regressions"}
    assert "--profile" in _completed(script, "flopwatch", "run", "--pro")
    assert _completed(script, "flopwatch", "run", "--profile", "qu") == ["quick"]


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_a_script_too(shell, capsys):
    """The scripts of zsh and tcsh name every command; a shell that is here reads its own without complaint."""
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _in_terminal(words, **variables):
    """Run a program in a terminal of 120 columns and return all that it wrote there."""
    ours, theirs = pty.openpty()
    environment = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")
    }
    environment |= {"TERM": "xterm-256color", "COLUMNS": "120", "PYTHONPATH": str(ROOT)} | variables
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
    except OSError:  # the other end is closed: the program has ended
        pass
    os.close(ours)
    assert process.wait(60) == 0, said
    return said.decode()


DOCTOR = [sys.executable, "-m", "runners", "doctor"]
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


def test_colours_are_for_terminals(tmp_path):
    """A terminal gets colours; NO_COLOR keeps them out, and a pipe gets no escape sequence at all."""
    assert COLOUR.search(_in_terminal(DOCTOR, FLOPWATCH_HOME=str(tmp_path)))
    assert not COLOUR.search(_in_terminal(DOCTOR, FLOPWATCH_HOME=str(tmp_path), NO_COLOR="1"))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FLOPWATCH_HOME": str(tmp_path)}
    piped = subprocess.run(DOCTOR, env=environment, capture_output=True, text=True, check=True)
    assert "\x1b" not in piped.stdout + piped.stderr


def test_the_status_of_a_schedule_is_json_too(tmp_path, monkeypatch, capsys):
    """What the scheduler said, the jobs and the end of the log are one object."""
    monkeypatch.setenv("FLOPWATCH_HOME", str(tmp_path))
    assert main(["schedule", "status", "slurm", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"scheduler", "jobs", "log"}
    assert all(set(one) == {"asked", "answer"} for one in found["scheduler"])
