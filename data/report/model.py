"""What a report is made of: sections of text, tables and charts, which templates turn into Markdown or HTML."""

from dataclasses import dataclass, field

__all__ = ["Chart", "Report", "Section", "Table"]


@dataclass
class Table:
    """Cells as people read them.  ``right`` names the columns that hold numbers; ``remarks`` stand under the table."""

    id: str
    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    right: frozenset[str] = frozenset()
    remarks: list[str] = field(default_factory=list)


@dataclass
class Chart:
    """A picture as SVG text; ``file`` is the name it gets beside a Markdown report, ``title`` what it shows."""

    file: str
    title: str
    svg: str


@dataclass
class Section:
    """One question: its answer in ``text`` and tables, and the command that measures it again.

    ``level`` 1 begins a machine, 2 a topic of it.
    """

    id: str
    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    command: str = ""
    level: int = 2

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return bool(self.text or self.tables or self.charts or self.level == 1)


@dataclass
class Report:
    """A summary that fits one screen, then the evidence.  Nothing in it depends on when or where it is made."""

    title: str
    subtitle: str
    summary: list[Table]
    highlights: list[str]
    sections: list[Section]
    source: str

    @property
    def charts(self) -> list[Chart]:
        """All pictures, in order."""
        return [chart for section in self.sections for chart in section.charts]

    @property
    def tables(self) -> list[Table]:
        """All tables of the evidence, in order."""
        return [table for section in self.sections for table in section.tables]
