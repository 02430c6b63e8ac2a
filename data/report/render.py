"""A report as text: templates of this folder, or one that a person gives."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import BadInput, StorageError
from data.report.model import Report, Table

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["FORMATS", "environment", "render", "write", "write_text"]

#: format → its template
FORMATS = {"markdown": "report.md.j2", "html": "report.html.j2", "short": "short.md.j2"}

_TEMPLATES = Path(__file__).with_name("templates")
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#~$"})


def _escape(text: object) -> str:
    """Return a text that Markdown shows as it is."""
    return " ".join(str(text).split()).translate(_SPECIAL)


def _aligned(table: Table) -> str:
    """Return the line under the header of a table in Markdown."""
    return "| " + " | ".join("---:" if name in table.right else "---" for name in table.columns) + " |"


def environment(format_: str, folder: Path = _TEMPLATES) -> "Environment":
    """Return what renders the templates of a folder; what goes into HTML is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=format_ == "html",  # noqa: S701 - Markdown has its own filter
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"md": _escape, "aligned": _aligned}
    return made


def render(
    report: Report, format_: str = "markdown", *, template: Path | None = None, folder: str = "report_files"
) -> str:
    """Return the report as text.

    ``template`` takes the place of the format's own; it is given ``report`` (see :mod:`data.report.model`) and, for
    Markdown, ``folder`` where the charts lie, the filters ``md`` and ``aligned``.  Raises BadInput naming the line that
    is wrong in it.
    """
    from jinja2 import TemplateError, TemplateSyntaxError

    if format_ not in FORMATS:
        raise BadInput(f"there is no format {format_!r}: {', '.join(FORMATS)}")
    name = template.name if template else FORMATS[format_]
    made = environment(format_, template.parent if template else _TEMPLATES)
    try:
        return made.get_template(name).render(report=report, folder=folder)
    except TemplateSyntaxError as error:
        raise BadInput(f"{template or name}, line {error.lineno}: {error.message}") from error
    except TemplateError as error:
        raise BadInput(f"{template or name}: {type(error).__name__}: {error.message}") from error


def write(report: Report, path: Path, format_: str = "markdown", template: Path | None = None) -> list[Path]:
    """Write the report, and for Markdown its charts in a folder beside it; return all files written.

    Raises StorageError where that fails.
    """
    folder = path.with_name(f"{path.stem}_files")
    files: dict[Path, str] = {path: render(report, format_, template=template, folder=folder.name)}
    if format_ == "markdown":
        files |= {folder / chart.file: chart.svg for chart in report.charts}
    for target, text in files.items():
        write_text(target, text)
    return list(files)


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and move it there, so that what is there is whole; raises StorageError."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8", newline="\n")
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise StorageError.from_os(path, error) from error
