"""Results of other tools, one file a format here and one line in ``IMPORTERS``.

An importer says what it is called, whether a file looks like its own, and reads it into :class:`Imported` runs.  What
the source lacks is never made up: flags say so, and views, reports and verdicts follow from the flags.
"""

from collections.abc import Sequence

from data.errors import BadInput
from data.importers import (
    asv,
    bencher,
    cargo_criterion,
    criterion,
    go_bench,
    google_benchmark,
    hyperfine,
    jmh,
    nvbench,
    pyperf,
    pytest_benchmark,
)
from data.importers.convert import CaseOf, to_run_file
from data.importers.results import Imported, Importer, Result, Timing
from data.importers.source import ImportedFileError, Source

__all__ = [
    "IMPORTERS",
    "CaseOf",
    "Imported",
    "ImportedFileError",
    "Importer",
    "Result",
    "Source",
    "Timing",
    "detect",
    "find",
    "to_run_file",
]

#: in the order in which a file is offered to them
IMPORTERS: Sequence[Importer] = (
    criterion.IMPORTER,
    cargo_criterion.IMPORTER,
    pytest_benchmark.IMPORTER,
    pyperf.IMPORTER,
    google_benchmark.IMPORTER,
    asv.IMPORTER,
    nvbench.IMPORTER,
    hyperfine.IMPORTER,
    jmh.IMPORTER,
    go_bench.IMPORTER,
    bencher.IMPORTER,
)


def find(name: str) -> Importer:
    """Return an importer by its name; raises BadInput naming those that there are."""
    for importer in IMPORTERS:
        if importer.name == name:
            return importer
    raise BadInput(f"there is no format {name!r}: {', '.join(one.name for one in IMPORTERS)}")


def detect(source: Source) -> Importer:
    """Return the importer that knows the file; raises ImportedFileError where none does, or where JSON is broken."""
    for importer in IMPORTERS:
        if importer.recognises(source):
            return importer
    if source.looks_like_json:
        source.json()  # says where it is broken, if it is
    names = ", ".join(importer.name for importer in IMPORTERS)
    raise source.error(f"of no known format; say which with --format ({names})")
