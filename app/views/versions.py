"""Versions: does a newer version make it faster or slower?"""

import streamlit as st

from app import charts, filters, parts, questions, reading, rows, tables, texts, versions
from app.rows import Row

__all__ = ["render"]

PAGE = "views/versions.py"

LINES, MATRIX = "over versions", "matrix"
#: So many charts stand under each other; the others are named.
_CHARTS = 6

_KERNELS = "SELECT DISTINCT kernel FROM latest WHERE machine_id = ? AND status = 'ok'"
#: The newest result of each series in each environment.
_BOARD = f"""
    SELECT {questions.RESULT} FROM board WHERE machine_id = ? AND kernel = ? AND status = 'ok'
    QUALIFY row_number() OVER (PARTITION BY series_id, environment_id ORDER BY started DESC, run_id DESC) = 1
"""  # noqa: S608 - a constant


def render() -> None:
    """Draw the page."""
    parts.title("Versions", "Does a newer version make it faster or slower?")
    machines = reading.machines()
    if not machines:
        parts.empty()
        return
    newest = next(iter(machines))
    filters.enter(
        PAGE,
        {
            "machine": machines[newest],
            "kernel": _kernels(newest)[0],
            "program": versions.offered(reading.ask(questions.ENVIRONMENTS, newest))[0],
        },
    )
    with st.sidebar:
        machine = filters.one("Machine", "machine", list(machines), machines.__getitem__)
        kernel = filters.one("Kernel", "kernel", _kernels(machine)) if machine else None
        environments = reading.ask(questions.ENVIRONMENTS, machine) if machine else []
        program = filters.one("Versions of", "program", versions.offered(environments)) if machine else None
        view = filters.view([LINES, MATRIX])
        logarithmic = view == LINES and filters.scale()
        found = reading.ask_of_machine(_BOARD, machine, kernel) if machine and kernel else []
        board = filters.recent(
            filters.narrow(found, [name for name in filters.COLUMNS if name != "kernel"]), filters.since()
        )
    if machine is None or kernel is None or program is None:
        st.info(
            "The link names a machine, a kernel or a program that is not here. Choose one in the side bar."
        )
        return
    measured = versions.by_version(board, environments, program)
    held = list(dict.fromkeys(row["version"] for row in measured))
    st.subheader(f"{texts.escape(kernel)} over versions of {texts.escape(program)}", anchor=False)
    if not measured:
        st.info("No result fits these filters. Take one of them away in the side bar.")
        return
    if len(held) < 2:
        _one_version(program, held[0])
        _results(program, measured)
    elif view == MATRIX:
        _matrix(program, measured, held)
    else:
        _lines(program, measured, logarithmic)


def _kernels(machine: str) -> list[str]:
    held = {str(row["kernel"]) for row in reading.ask(_KERNELS, machine)}
    return sorted(held, key=rows.kernel_order) or ["matmul"]


def _one_version(program: str, version: str) -> None:
    """Say how a second version is had."""
    st.info(
        f"Only {texts.escape(program)} {texts.escape(version)} was measured here. This measures two side by side:"
    )
    name = program if program.islower() else "numpy"
    st.code(f"flopwatch matrix --with {name}=={version} --with {name}==OTHER", language="bash")


def _lines(program: str, measured: list[Row], logarithmic: bool) -> None:
    """Draw each case over the versions."""
    cases = sorted({str(row["case_id"]) for row in measured}, key=rows.case_order)
    for case in cases[:_CHARTS]:
        drawn = [row for row in measured if row["case_id"] == case]
        st.markdown(f"**{texts.escape(case)}**")
        figure = charts.over_versions(drawn, parts.theme(), logarithmic=logarithmic)
        if figure is not None:
            parts.chart(figure, key=f"versions-{case}", alt=charts.describe_versions(case, program, drawn))
    if len(cases) > _CHARTS:
        st.caption(
            f"{len(cases) - _CHARTS} more cases are in the table; choose them in the side bar to see them drawn."
        )
    _results(program, measured)


def _results(program: str, measured: list[Row]) -> None:
    ordered = sorted(measured, key=lambda row: rows.case_order(str(row["case_id"])))
    parts.table(ordered, tables.VERSIONS, key="versions", alt=f"Results over versions of {program}")


def _matrix(program: str, measured: list[Row], held: list[str]) -> None:
    """Draw every series against the oldest version."""
    baseline = filters.listed("Against", "baseline-version", {version: version for version in held})
    found = versions.against(measured, baseline)
    figure = charts.speedups(found, parts.theme(), names=held, full=1.5)
    if figure is None:
        st.info("No other version has a result in common with this one. Choose another.")
        return
    parts.chart(figure, key="matrix", alt=charts.describe_speedups(found, f"{program} {baseline}"))
    st.markdown(
        ":gray[Above 1 is faster than that version. ≈ is the same within 2%, ? is not sure. The runs were made at "
        "different times; flopwatch matrix measures versions side by side, which tells smaller differences.]"
    )
    parts.table(found, tables.SPEEDUPS, key="factors", alt=f"Speedups over {program} {baseline}")


if __name__ == "__main__":
    render()
