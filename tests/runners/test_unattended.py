"""Jobs that nobody watches: due once a slot, alone, fit, completed after a cut, and what they leave behind."""

import os
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from data import places
from data.errors import BadInput, NotStored
from data.ledger import open_ledger
from data.rundocument import read
from data.summary import summarise
from runners.execute import Outcome
from runners.system import System
from runners.unattended import job as job_module
from runners.unattended.due import Rhythm
from runners.unattended.fitness import obstacles, wait_until_fit
from runners.unattended.job import ATTEMPTS, Settings, run_job
from runners.unattended.log import KEPT, LIMIT_BYTES, Log
from runners.unattended.state import State, lock_file, log_file
from runners.wishes import Wishes
from tests.data.run_files import write_run
from tests.runners.test_command_line import environment

__all__ = ["environment"]

DAILY = Rhythm(86_400, 3 * 3600)
QUIET = {"foreign": 0.0, "waiting": 0.0}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# -- when it is due ------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)),
    st.sampled_from([3600, 6 * 3600, 86_400, 7 * 86_400]),
    st.integers(0, 86_399),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
)
def test_slots_follow_each_other_without_a_gap(naive, every_s, at_s, zone):
    """A slot is not after now, the next one is, and both stay what they are until then, whatever the clock does."""
    rhythm, now, where = Rhythm(every_s, at_s), naive.replace(tzinfo=UTC), ZoneInfo(zone)
    slot, following = rhythm.slot(now, where), rhythm.next(now, where)
    assert slot <= now < following
    assert rhythm.slot(slot, where) == slot
    assert rhythm.slot(following - timedelta(seconds=1), where) == slot
    assert following - slot <= timedelta(seconds=every_s + 7200)


@pytest.mark.parametrize(
    ("zone", "day", "at", "begins"),
    [
        ("Europe/Berlin", "2026-03-29", "02:30", 1),  # this hour does not exist
        ("Europe/Berlin", "2026-10-25", "02:30", 1),  # this hour comes twice
        ("America/New_York", "2026-11-01", "01:30", 1),
        ("UTC", "2026-06-01", "02:30", 1),
    ],
)
def test_an_hourly_bell_begins_one_job_a_day_when_the_clocks_change(zone, day, at, begins):
    """Rung each half hour over three days with a change of the clock in the middle, one job begins each day."""
    hours, minutes = map(int, at.split(":"))
    rhythm, where = Rhythm(86_400, hours * 3600 + minutes * 60), ZoneInfo(zone)
    now = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=where).astimezone(UTC) - timedelta(days=2)
    done, begun = now, []
    for _ in range(2 * 24 * 4):
        now += timedelta(minutes=30)
        if rhythm.is_due(done, now, where):
            done = now
            begun.append(now.astimezone(where).date())
    assert len(begun) == 4 * begins
    assert len(set(begun)) == len(begun)


def test_a_missed_job_is_caught_up_once():
    """After five days off it is due once, and then at the usual time again."""
    assert DAILY.is_due(utc("2026-11-01T03:00:01"), utc("2026-11-06T17:00:00"), UTC)
    assert not DAILY.is_due(utc("2026-11-06T17:00:00"), utc("2026-11-06T18:00:00"), UTC)
    assert DAILY.is_due(utc("2026-11-06T17:00:00"), utc("2026-11-07T03:00:00"), UTC)


def test_a_clock_that_was_wrong_stops_nothing():
    """A job that is dated in the future does not keep the next one waiting for years."""
    assert DAILY.is_due(utc("2040-01-01T00:00:00"), utc("2026-11-06T17:00:00"), UTC)
    assert DAILY.is_due(None, utc("2026-11-06T17:00:00"), UTC)


@pytest.mark.parametrize(("every_s", "at_s"), [(7 * 3600, 0), (0, 0), (86_400, 86_400), (36 * 3600, 0)])
def test_what_is_no_rhythm_is_refused(every_s, at_s):
    """Only parts of a day and whole days are rhythms."""
    with pytest.raises(BadInput, match="no rhythm"):
        Rhythm(every_s, at_s)


# -- what it waits for ---------------------------------------------------------------------------------------------


def system(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return System(tmp_path / "root", "linux", {})


BATTERY = "sys/class/power_supply/BAT0"
ZONE = "sys/class/thermal/thermal_zone0"


@pytest.mark.parametrize(
    ("files", "load", "word"),
    [
        ({}, QUIET, None),
        (
            {f"{BATTERY}/capacity": "60", f"{BATTERY}/type": "Battery", f"{BATTERY}/status": "Discharging"},
            QUIET,
            "battery",
        ),
        (
            {f"{BATTERY}/capacity": "60", f"{BATTERY}/type": "Battery", f"{BATTERY}/status": "Charging"},
            QUIET,
            None,
        ),
        ({f"{ZONE}/type": "x86_pkg_temp", f"{ZONE}/temp": "93000"}, QUIET, "93 °C"),
        ({f"{ZONE}/type": "x86_pkg_temp", f"{ZONE}/temp": "45000"}, QUIET, None),
        ({}, {"foreign": 0.7, "waiting": 0.5}, "70%"),
    ],
)
def test_battery_heat_and_load_stand_in_the_way(tmp_path, files, load, word):
    """Each is named with its figure, and nothing is named on a machine that is fit."""
    found = obstacles(load, system(tmp_path, files))
    assert (found == []) if word is None else (len(found) == 1 and word in found[0])


def test_waiting_ends_when_it_is_quiet_or_at_the_limit(tmp_path):
    """It waits while somebody else works, says so once, and gives up at the limit."""
    clock = [0.0]

    def sleep(seconds):
        clock[0] += seconds

    def meter_of(until_s):
        class Meter:
            def __init__(self, pids):
                assert os.getpid() in pids

            def read(self):
                return QUIET if clock[0] > until_s else {"foreign": 0.9, "waiting": 0.9}

        return Meter

    told: list[str] = []
    options = {"system": system(tmp_path, {}), "sleep": sleep, "clock": lambda: clock[0]}
    assert wait_until_fit(600, told.append, meter=meter_of(100), **options) == []
    assert 100 < clock[0] < 130
    assert [text.split()[0] for text in told] == ["waiting", "fit"]
    assert "90%" in wait_until_fit(60, told.append, meter=meter_of(1e9), **options)[0]


# -- its story, with a measurement that costs nothing ----------------------------------------------------------------


class Story:
    """Rings for a job whose measuring is scripted; time is what the test says."""

    def __init__(self, monkeypatch, tmp_path):
        self.now, self.measured, self.wishes, self.settings = utc("2026-11-01T03:00:00"), [], [], []
        self.trouble: BaseException | None = None
        self.hindrances: list[str] = []
        self._folder = tmp_path / "files"
        self._folder.mkdir()
        monkeypatch.setattr(job_module, "execute", self._execute)
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()

    def _execute(self, wishes, observer, setting):
        self.wishes.append(wishes)
        self.settings.append(setting)
        self.measured.append(self.now)
        if self.trouble is not None:
            raise self.trouble
        path = write_run(self._folder / f"{len(self.measured)}.run.jsonl", cells=1, processes=1)
        document = read(path)
        return Outcome(document.run.id, path, summarise(document), 1.0, "complete", "stored and indexed", 0)

    def ring(self, at=None, **settings):
        self.now = at or self.now
        chosen = {"rhythm": DAILY, "quiet_limit_s": 1.0} | settings
        return run_job(
            Settings("nightly", Wishes(), **chosen),
            now=lambda: self.now,
            sleep=lambda _: None,
            fit=lambda limit_s, remark: list(self.hindrances),
        )

    @property
    def log(self):
        return log_file().read_text() if log_file().exists() else ""


@pytest.fixture
def story(home, tmp_path, monkeypatch):
    yield Story(monkeypatch, tmp_path)
    monkeypatch.undo()
    time.tzset()


def test_an_hourly_bell_measures_once_a_day(story):
    """Rung for every hour of three days, three jobs begin, at their time; what is not due leaves no line."""
    begin = utc("2026-11-01T00:00:00")
    State("nightly", done="2026-10-31T03:00:00Z").write()
    for hour in range(72):
        assert story.ring(begin + timedelta(hours=hour)) == 0
    assert [moment.hour for moment in story.measured] == [3, 3, 3]
    assert story.log.count("measured:") == 3
    assert State.read("nightly").count == 3


def test_every_nth_job_is_a_baseline(story):
    """Each third job measures each call against itself; all carry the job and its rhythm as labels."""
    for day in range(6):
        story.ring(utc("2026-11-01T03:00:00") + timedelta(days=day), baseline_every=3)
    assert [wishes.aa for wishes in story.wishes] == [False, False, True] * 2
    assert story.wishes[2].labels == {"job": "nightly", "every": "86400", "baseline": "aa"}
    assert "is a baseline" in story.log


def test_an_unfit_machine_is_tried_again_the_next_hour(story):
    """Skipped with 3 and the reason while on battery; the next bell measures, still once."""
    story.hindrances = ["on battery (60%)"]
    assert story.ring(utc("2026-11-01T03:00:00")) == 3
    assert story.ring(utc("2026-11-01T04:00:00")) == 3
    assert "skipped: not measured: on battery (60%)" in story.log
    story.hindrances = []
    assert story.ring(utc("2026-11-01T05:00:00")) == 0
    assert story.ring(utc("2026-11-01T06:00:00")) == 0
    assert len(story.measured) == 1
    story.hindrances = ["busy"]
    assert story.ring(utc("2026-11-02T03:00:00"), even_if_unfit=True) == 0
    assert len(story.measured) == 2


def test_a_second_job_does_nothing_while_one_is_at_work(story):
    """Overlap ends with 0 and a line, and changes nothing."""
    lock_file().parent.mkdir(parents=True)
    with FileLock(lock_file()):
        assert story.ring() == 0
    assert story.measured == []
    assert "another job is at work" in story.log
    assert story.ring() == 0
    assert len(story.measured) == 1


def test_what_cannot_be_stored_is_tried_so_often_and_then_left(story):
    """A full disk ends with 5 each time; after three attempts the job rests until it is due again."""
    story.trouble = NotStored("the disk is full")
    statuses = [story.ring(utc("2026-11-01T03:00:00") + timedelta(hours=hour)) for hour in range(6)]
    assert statuses == [5] * ATTEMPTS + [0] * 3
    assert "it is given up" in story.log
    story.trouble = None
    assert story.ring(utc("2026-11-02T03:00:00")) == 0
    assert len(story.measured) == ATTEMPTS + 1


def test_wrong_wishes_end_with_two_and_are_not_repeated_each_hour(story):
    """What no run can do is said once a slot."""
    story.trouble = BadInput("no case matches 'matmull/*'")
    assert story.ring(utc("2026-11-01T03:00:00")) == 2
    assert story.ring(utc("2026-11-01T04:00:00")) == 0
    assert len(story.measured) == 1


def test_a_whole_run_that_was_not_stored_is_stored_and_not_measured_again(story, home):
    """Killed between the last line and the ledger, a job has nothing left to do but to store."""
    State("nightly", begun="2026-11-01T03:00:00.000000Z", attempts=1).write()
    whole = {"started": "2026-11-01T03:00:05.000000Z", "labels": {"job": "nightly"}}
    path = write_run(home / "runs" / "a.run.jsonl", cells=1, processes=1, **whole)
    assert story.ring(utc("2026-11-01T04:00:00")) == 1  # one answer in it is wrong
    assert story.measured == []
    assert f"{path} is whole, storing it" in story.log
    assert len(open_ledger(places.ledger()).follow()[0]) == 1
    assert (State.read("nightly").count, State.read("nightly").begun) == (1, "")


def test_a_copy_goes_where_all_nodes_see_it(story, tmp_path):
    """--into gets the whole run file and no trace of a half one."""
    assert story.ring(into=tmp_path / "shared") == 0
    (copy,) = (tmp_path / "shared").iterdir()
    assert not read(copy).interrupted


def test_a_folder_that_cannot_be_written_ends_with_five(story, tmp_path):
    """The result is stored, only the copy failed: 5, and the log says which."""
    (tmp_path / "file").write_text("no folder")
    assert story.ring(into=tmp_path / "file") == 5
    assert "not delivered" in story.log
    assert State.read("nightly").count == 1


def test_a_state_that_is_damaged_is_a_job_that_never_ran(story):
    """A torn or foreign file stops nothing."""
    path = lock_file().with_name("nightly.json")
    path.parent.mkdir(parents=True)
    for content in ("{", "[]", '{"done": 7}', '{"done": "yesterday"}'):
        path.write_text(content)
        assert State.read("nightly").count == 0
    with pytest.raises(BadInput, match="no name"):
        State.read("../nightly")


def test_the_log_rotates(home):
    """However long jobs go on, the log stays small."""
    log = Log(log_file(), "nightly")
    for _ in range(4 * LIMIT_BYTES // 400 * (KEPT + 2) // 4):
        log("x" * 350)
    log.close()
    files = list(log_file().parent.iterdir())
    assert len(files) == KEPT + 1
    assert all(path.stat().st_size <= LIMIT_BYTES for path in files)
