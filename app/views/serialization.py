"""Serialization: what does each format cost, in time, size and memory?"""

import streamlit as st

from app import charts, filters, formats, parts, reading, rows, tables, texts

__all__ = ["render"]

PAGE = "views/serialization.py"

_BOARD = """
    SELECT measurement_id, run_id, started, kernel, case_id, variant, condition, backend, device, threads,
           status, reason, time_ns, low_ns, high_ns, rate, rate_low, rate_high, unit, attributes
    FROM latest WHERE machine_id = ? AND kernel IN ('save', 'load', 'lazy-load')
        AND status NOT IN ('unsupported', 'unavailable', 'skipped')
"""


def render() -> None:
    """Draw the page."""
    parts.title("Serialization", "What does each format cost, in time, size and memory?")
    machines = reading.machines()
    if not machines:
        parts.empty()
        return
    newest = next(iter(machines))
    held = formats.models(reading.ask(_BOARD, newest)) or ["small"]
    filters.enter(PAGE, {"machine": machines[newest], "model": held[0]})
    with st.sidebar:
        machine = filters.one("Machine", "machine", list(machines), machines.__getitem__)
        found = [] if machine is None else reading.ask(_BOARD, machine)
        held = formats.models(found)
        model = filters.one("Model", "model", held) if held else None
        metric = filters.view(list(formats.METRICS))
        logarithmic = filters.scale()
        board = filters.recent(filters.narrow(found, ("backend", "variant")), filters.since())
    if machine is not None and not found:
        st.info("This machine has saved or loaded nothing yet. This measures it:")
        st.code("flopwatch run --case 'save/*' --case 'load/*' --case 'lazy-load/*'", language="bash")
        return
    if model is None:
        st.info("The link names a machine or a model that is not here. Choose one in the side bar.")
        return
    table = formats.table(board, model)
    st.subheader(f"{formats.METRICS[metric].name}, {texts.escape(model)} model", anchor=False)
    figure = charts.formats(table, formats.METRICS[metric], parts.theme(), logarithmic=logarithmic)
    if figure is None:
        st.info(
            "No format has this figure yet. Choose another view in the side bar, or measure the standard profile."
        )
    else:
        parts.chart(figure, key="formats", alt=charts.describe_formats(table, formats.METRICS[metric]))
    if table:
        parts.table(table, tables.FORMATS, key="costs", alt=f"What each format costs for the {model} model")
    st.markdown(
        ":gray[Values drawn from a normal distribution compress badly, equal values well; only a format that "
        "writes text or compresses tells them apart. Memory is what the first call takes at its peak, beyond what "
        "the process already holds.]"
    )
    parts.problem_list([row for row in board if not rows.is_speed(row)])


if __name__ == "__main__":
    render()
