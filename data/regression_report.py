"""Events in words: Markdown fit for a pull request, and one line a member for a terminal."""

from collections.abc import Sequence

from data.regressions import Event, Member, Thresholds, is_alarm
from data.units import format_time

__all__ = ["change_text", "markdown", "name_of"]

#: A pull request shows so many members of an event; the others are counted.
_SHOWN = 10


def name_of(member: Member) -> str:
    """Return what the series measures: ``matmul/512 · blas · numpy · 2 threads``."""
    cell = member.history.cell
    threads = "1 thread" if cell["threads"] == 1 else f"{cell['threads']} threads"
    parts = [cell["case"], cell["variant"], cell["backend"], threads]
    parts += [
        str(cell[name]) for name, usual in (("condition", "given"), ("device", "cpu")) if cell[name] != usual
    ]
    return " · ".join(map(str, parts))


def change_text(member: Member) -> str:
    """Return how it changed: ``5.1 % slower (4.2 to 6.0 %)``."""
    if member.slower:
        figures = (member.ratio - 1, member.low - 1, member.high - 1)
    else:
        figures = (1 / member.ratio - 1, 1 / member.high - 1, 1 / member.low - 1)
    share, low, high = (100 * figure for figure in figures)
    return f"{share:.1f} % {'slower' if member.slower else 'faster'} ({low:.1f} to {high:.1f} %)"


def markdown(events: Sequence[Event], thresholds: Thresholds | None = None) -> str:
    """Return a summary of events for a pull request; what fires the gate comes first and is named so."""
    if not events:
        return "### Performance\n\nNo change of level was found.\n"
    fired = [event for event in events if any(is_alarm(event, one, thresholds) for one in event.members)]
    others = [event for event in events if event not in fired]
    parts = [f"### Performance: {_count(len(fired), 'regression')}, {_count(len(others), 'other change')}\n"]
    parts += [_section(event, alarm=True) for event in fired] + [
        _section(event, alarm=False) for event in others
    ]
    return "\n".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _section(event: Event, *, alarm: bool) -> str:
    begin = "**Regression**" if alarm else "Change"
    when = f"{event.at:%Y-%m-%d %H:%M} UTC"
    what = f"{len(event.members)} series: {event.attribution.value} ({_cell(event.sentence)})"
    lines = [
        f"{begin} `{event.id}` on {_cell(event.machine)}, {when}, {what}",
        "",
        "| series | change | before | after | confidence | state |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for one in event.members[:_SHOWN]:
        figures = (
            format_time(one.before_ns),
            format_time(one.after_ns),
            f"{one.confidence:.0%}",
            one.state.value,
        )
        lines.append(f"| {_cell(name_of(one))} | {change_text(one)} | {' | '.join(figures)} |")
    if len(event.members) > _SHOWN:
        lines.append(f"| … and {len(event.members) - _SHOWN} more | | | | | |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Keep a text from ending the cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")
