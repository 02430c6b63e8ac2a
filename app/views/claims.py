"""Claims: does what was published hold on this machine?"""

import streamlit as st

from app import charts, filters, parts, published, reading, tables, texts

__all__ = ["render"]

PAGE = "views/claims.py"


def render() -> None:
    """Draw the page."""
    parts.title("Claims", "Does what others published hold on this machine?")
    machines = reading.machines()
    if not machines:
        parts.empty()
        return
    filters.enter(PAGE, {"machine": next(iter(machines.values()))})
    with st.sidebar:
        machine = filters.one("Machine", "machine", list(machines), machines.__getitem__)
        found = [] if machine is None else published.findings(machine)
        verdicts = [
            verdict for verdict in published.VERDICTS if any(row["verdict"] == verdict for row in found)
        ]
        chosen = filters.many("Verdict", "verdict", verdicts)
        backends = sorted({str(row["backend"]) for row in found if row["backend"]})
        wanted = filters.many("Backend", "backend", backends)
        left = [
            row
            for row in found
            if row["verdict"] in chosen and (row["backend"] in wanted or len(wanted) == len(backends))
        ]
    if machine is None:
        st.info("The link names a machine that is not here. Choose one in the side bar.")
        return
    line = published.in_one_line(found)
    if line:
        st.markdown(f"**{texts.escape(line)}**")
    figure = charts.claims(left, parts.theme())
    if figure is not None:
        parts.chart(figure, key="claims", alt=charts.describe_claims(left))
    elif not line:
        st.info("Nothing that the claims are about was measured on this machine. This measures it:")
        st.code("flopwatch run --profile standard", language="bash")
    if left:
        parts.table(
            left, tables.CLAIMS, key="claims-table", alt="Published claims and what was measured here"
        )
    elif found:
        st.info("No claim fits these filters. Take one of them away in the side bar.")
    for source in published.sources().values():
        what = ", ".join(texts.escape(word) for word in (source.title, source.date, source.machine) if word)
        st.markdown(f":gray[Published in {what}. {texts.escape(source.note)}]")


if __name__ == "__main__":
    render()
