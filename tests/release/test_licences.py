"""The list of licences says what the lock holds and what each distribution states."""

import re

from tests.release.licences import ROOT, locked, stated


def _listed() -> dict[str, str]:
    text = (ROOT / "docs" / "licences.md").read_text("utf-8")
    rows = re.findall(r"^\| ([a-z0-9._-]+) \| ([a-z ]+) \| (.+) \|$", text, re.MULTILINE)
    return {name: licence for name, _, licence in rows if name != "distribution"}


def test_every_locked_distribution_has_its_licence() -> None:
    """What the lock holds is listed, nothing else is, and where it is installed the licence is the one it states."""
    listed = _listed()
    assert sorted(listed) == locked(), "the lock has changed: run just licences"
    wrong = {name: licence for name, licence in listed.items() if stated(name) not in (None, licence)}
    assert not wrong, "run just licences"


def test_the_base_needs_no_licence_that_is_not_free() -> None:
    """A newcomer who installs the base accepts no proprietary licence."""
    text = (ROOT / "docs" / "licences.md").read_text("utf-8")
    base = re.findall(r"^\| [a-z0-9._-]+ \| base \| (.+) \|$", text, re.MULTILINE)
    assert len(base) >= 13
    assert not [licence for licence in base if "proprietary" in licence.lower()]
