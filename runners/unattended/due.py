"""When a job is due: once for each slot of its rhythm, however often it is rung for.

A scheduler may ring every hour; the job knows by itself whether there is something to do.  So a job that was missed,
because the machine was off, asleep, busy or on battery, is caught up once, and one that is rung for twice runs once.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from data.errors import BadInput

__all__ = ["Rhythm"]

_DAY_S = 86_400
#: A Monday: weekly jobs begin on one.
_ANCHOR = datetime(2024, 1, 1)
#: A clock may be set back by so much before a moment in the future says that it was wrong.
_SET_BACK = timedelta(hours=1)


@dataclass(frozen=True)
class Rhythm:
    """Every ``every_s`` seconds, at ``at_s`` seconds after midnight by the wall clock of the machine.

    Rhythms under a day begin anew at ``at_s`` each day; those of several days count from a Monday.
    """

    every_s: int = _DAY_S
    at_s: int = 0

    def __post_init__(self) -> None:
        """Refuse a rhythm that fits neither into a day nor into whole days."""
        fits = self.every_s > 0 and (_DAY_S % self.every_s == 0 or self.every_s % _DAY_S == 0)
        if not fits or not 0 <= self.at_s < _DAY_S:
            raise BadInput(
                f"--every {self.every_s} s at {self.at_s} s is no rhythm; "
                "give a part of a day such as 6h or 12h, or whole days such as 24h or 168h"
            )

    def slot(self, now: datetime, zone: tzinfo | None = None) -> datetime:
        """Return the newest moment (UTC) not after ``now`` at which the job was to begin.

        ``zone`` is the machine's own by default.  An hour that the clock skips is made up for after it, and one that
        comes twice counts once.
        """
        wall = now.astimezone(zone).replace(tzinfo=None)
        begin, every = _ANCHOR + timedelta(seconds=self.at_s), timedelta(seconds=self.every_s)
        count = (wall - begin) // every
        for back in range(3):
            naive = begin + (count - back) * every
            slot = (naive.replace(tzinfo=zone) if zone else naive).astimezone(UTC)
            if slot <= now:
                return slot
        return now - every  # no zone shifts by more than a slot or two

    def next(self, now: datetime, zone: tzinfo | None = None) -> datetime:
        """Return the moment (UTC) of the slot after the present one."""
        slot = self.slot(now, zone)
        following = self.slot(slot + timedelta(seconds=self.every_s), zone)
        # A day with a shift of the clock is an hour longer or shorter.
        return following if following > slot else self.slot(slot + timedelta(seconds=2 * self.every_s), zone)

    def is_due(self, done: datetime | None, now: datetime, zone: tzinfo | None = None) -> bool:
        """Whether no job has begun since the newest slot; ``done`` is when the last one began."""
        return done is None or done > now + _SET_BACK or done < self.slot(now, zone)
