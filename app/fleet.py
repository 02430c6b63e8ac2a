"""The machines that measure: when each was heard of last, with which flopwatch, and what failed."""

from datetime import datetime
from typing import Any

import streamlit as st

from app import parts, reading, texts
from app.rows import Row
from data.intake import CLOCK_TOLERANCE
from data.tokens import Refused, Tokens

__all__ = ["machines", "refused", "render"]

_MACHINES = f"""
    SELECT m.*, r.received AS last_upload, r.run_id AS last_run, r.status AS last_status, r.flopwatch_version,
           r.flopwatch_commit, r.started > r.received + INTERVAL '{CLOCK_TOLERANCE.total_seconds():.0f} seconds'
           AS clock_ahead, coalesce(p.problems, 0) AS problems
    FROM machines AS m
    JOIN (FROM runs QUALIFY row_number() OVER (PARTITION BY machine_id ORDER BY received DESC, run_id DESC) = 1) AS r
    USING (machine_id)
    LEFT JOIN (SELECT machine_id, count(*) AS problems FROM problems GROUP BY machine_id) AS p USING (machine_id)
    ORDER BY m.last_seen DESC, m.machine_id LIMIT 1000
"""  # noqa: S608 - a constant of this house


def machines() -> list[Row]:
    """Return the machines, the one that measured last first, each with its newest upload."""
    return list(reading.ask(_MACHINES))


def refused() -> list[dict[str, Any]]:
    """Return for each valid token the last upload that was refused, the newest first."""
    found = [
        {"token": token.name, "machine_id": token.machine, **_plain(token.last_refused)}
        for token in Tokens().all()
        if token.last_refused and token.state == "valid"
    ]
    return sorted(found, key=lambda one: str(one["at"]), reverse=True)


def _plain(refusal: Refused) -> dict[str, str]:
    return {"at": refusal.at, "code": refusal.code, "message": refusal.message}


def render(rows: list[Row]) -> None:
    """Name the machines whose clock is ahead, and the uploads that were refused."""
    for row in rows:
        if row.get("clock_ahead"):
            st.markdown(
                f":orange-badge[clock ahead] **{texts.escape(row.get('machine'))}**: its newest run starts after it "
                "arrived; set the machine's clock"
            )
    for one in refused()[:10]:
        st.markdown(
            f":red-badge[refused] upload with the token **{texts.escape(one['token'])}**, "
            f"{parts.ago(datetime.fromisoformat(one['at']))}: {texts.escape(one['message'])}"
        )
