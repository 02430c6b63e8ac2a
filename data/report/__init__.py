"""Reports: everything that a choice of results says, as Markdown or HTML, the same bytes for the same store."""

from data.report.build import build
from data.report.render import FORMATS, render, write
from data.report.selection import Selection

__all__ = ["FORMATS", "Selection", "build", "render", "write"]
