# flopwatch: `just` lists the recipes, `just RECIPE` runs one.  All of them work in a fresh clone.

set positional-arguments

# uv and just live in .tools where the README's first line has put them; anywhere else on the path does as well.
export PATH := justfile_directory() / ".tools/bin:" + env("PATH")

# A network may have a certificate authority of its own: believe those that the system believes, where it has any.
export UV_SYSTEM_CERTS := env("UV_SYSTEM_CERTS", path_exists("/etc/ssl/certs/ca-certificates.crt"))

just := quote(just_executable())
python := ".venv/bin/python"
flopwatch := ".venv/bin/flopwatch"

# The environment is made anew when one of these changes, or when the folder was moved.
wanted := sha256_file("requirements.lock") + " " + sha256_file("pyproject.toml") + " " + justfile_directory()

# The port of the dashboard; `just board PORT=8600` and `just PORT=8600 board` both set it.
PORT := "8501"

# List the recipes
[group('use')]
@default:
    {{ just }} --list --unsorted

# Make ./.venv from the lock and install flopwatch into it; does nothing when nothing has changed
[group('use')]
@setup:
    [ "$(cat .venv/.made-from 2>/dev/null)" = {{ quote(wanted) }} ] || {{ just }} _install

_install:
    {{ python }} -c '' 2>/dev/null || uv venv --quiet --clear --python '>=3.11,<3.15' .venv
    uv pip install --quiet --python .venv --require-hashes --requirement requirements.lock
    uv pip install --quiet --python .venv --no-deps --no-build-isolation --reinstall --editable .
    @echo {{ quote(wanted) }} > .venv/.made-from

# Set up, measure the quick profile, then serve the dashboard: just board [PORT=8501]
[group('use')]
board port=PORT: (_port port) setup
    {{ flopwatch }} run --profile quick || [ $? -eq 1 ]
    @{{ flopwatch }} token first
    @{{ just }} app {{ port }}

# Serve the dashboard of what is stored: just app [PORT=8501]
[group('use')]
@app port=PORT: (_port port) setup
    echo "the dashboard is at http://localhost:{{ trim_start_match(port, 'PORT=') }} (Ctrl-C ends it)"
    {{ python }} -m streamlit run app/main.py --server.headless=true --browser.gatherUsageStats=false \
        --server.port={{ trim_start_match(port, 'PORT=') }}

bind := "import socket, sys; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); " + \
    "s.bind(('', int(sys.argv[1].removeprefix('PORT='))))"

# Refuse a port that cannot be had before minutes are spent on measuring
@_port port:
    python3 -c {{ quote(bind) }} '{{ port }}' 2>/dev/null || { echo "port {{ port }} cannot be used; choose another, such as: just board PORT=8600" >&2; exit 2; }

# Measure: just run --profile standard, just run --case 'matmul/*' (all options: just run --help)
[group('use')]
@run *options: setup
    {{ flopwatch }} run "$@"

# Say what on this machine would disturb a measurement, and the remedy
[group('use')]
@doctor: setup
    {{ flopwatch }} doctor

# Test everything that takes seconds: just test [tests/data -k estimate …]
[group('develop')]
@test *options: setup
    {{ python }} -m pytest "$@"

# Prove at length what `just test` proves in small: coverage, false alarms, injected changes
[group('develop')]
@soak *options: setup
    {{ python }} -m pytest -m soak "$@"

# Measure the product itself against its targets and write docs/bench.md: just bench [--part store]
[group('develop')]
@bench *options: setup
    {{ python }} -m tests.benchmarks.product "$@"

# Run single benchmarks of the product and of the kernels: just benchmarks [tests/benchmarks/test_kernels.py]
[group('develop')]
@benchmarks *options: setup
    {{ python }} -m pytest tests/benchmarks --benchmark-only "$@"

# Check format, lint, types, the flow of imports and the lock
[group('develop')]
lint: setup _lock-is-current
    {{ python }} -m ruff format --check .
    {{ python }} -m ruff check .
    {{ python }} -m mypy
    .venv/bin/lint-imports --no-logo

# Put every file into the one format, and mend what can be mended by itself
[group('develop')]
format: setup
    {{ python }} -m ruff check --fix .
    {{ python }} -m ruff format .

# Resolve the dependencies anew where pyproject.toml asks for it: just lock [--upgrade | --upgrade-package numpy]
[group('develop')]
@lock *options:
    uv pip compile pyproject.toml {{ resolution }} --output-file requirements.lock "$@"

resolution := "--quiet --universal --generate-hashes --custom-compile-command 'just lock' " + \
    "--extra app --extra blas --extra dev"

# Fail if the lock does not follow from pyproject.toml, or names a download address
@_lock-is-current:
    mkdir -p .cache && cp requirements.lock .cache/requirements.lock
    uv pip compile pyproject.toml {{ resolution }} --output-file .cache/requirements.lock > /dev/null
    cmp -s requirements.lock .cache/requirements.lock || { echo "requirements.lock is old: run just lock" >&2; exit 1; }
    ! grep -n '://' requirements.lock

# Write docs/licences.md from what the locked distributions state of themselves
[group('release')]
@licences: setup
    mkdir -p .cache && {{ python }} -m tests.release.licences > .cache/licences.md && mv .cache/licences.md docs/licences.md

# Build the sdist and, from it, the wheel into dist/; `just test tests/release` is what tests them
[group('release')]
@dist: setup
    uv build --quiet --no-build-isolation --python {{ python }} --out-dir dist

# Write dist/flopwatch.cdx.json: all that base, app and blas install here, with versions and licences (CycloneDX)
[group('release')]
@sbom:
    uv venv --quiet --clear .cache/bill && mkdir -p dist
    uv pip install --quiet --python .cache/bill --constraint requirements.lock '.[app,blas]'
    uv tool run --quiet --from 'cyclonedx-bom>=7,<8' cyclonedx-py environment --pyproject pyproject.toml \
        --mc-type application --output-reproducible --output-format JSON \
        --output-file dist/flopwatch.cdx.json .cache/bill/bin/python
    .cache/bill/bin/python -c {{ quote(state_version) }} dist/flopwatch.cdx.json

# The version stands in the code, where the tool that writes the bill does not look for it.
state_version := "import json, pathlib, sys, runners; path = pathlib.Path(sys.argv[1]); bill = json.loads(path.read_text()); " + \
    "bill['metadata']['component']['version'] = runners.__version__; path.write_text(json.dumps(bill, indent=1))"

# Remove the environment and all caches; what was measured stays in data/local
[group('develop')]
clean:
    rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks
    find runners data app tests -name __pycache__ -type d -prune -exec rm -rf {} +
