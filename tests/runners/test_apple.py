"""What a Mac says of heat and power, from what its programs print."""

from runners.apple import apple_state, wait_until_cool

ANSWERS = {
    ("pmset", "-g", "batt"): "Now drawing from 'AC Power'\n -InternalBattery-0 (id=1)\t100%; charged\n",
    ("pmset", "-g"): "System-wide power settings:\nCurrently in use:\n lowpowermode         1\n",
}
LEVEL = ("notifyutil", "-g", "com.apple.system.thermalpressurelevel")


def test_a_state_is_read() -> None:
    answers = ANSWERS | {LEVEL: "com.apple.system.thermalpressurelevel 2\n"}
    state = apple_state(lambda *words: answers.get(words))
    assert state == {"power_source": "AC Power", "low_power_mode": True, "thermal_pressure": "heavy"}


def test_what_is_not_told_is_absent() -> None:
    assert apple_state(lambda *words: None) == {}


def test_heat_is_waited_for_a_minute_at_most() -> None:
    """The wait ends when the pressure is nominal; a Mac that stays hot says so after a minute."""
    levels = iter(["1", "1", "0", "0"])
    waited: list[float] = []
    state = wait_until_cool(lambda *words: f"level {next(levels)}" if words == LEVEL else None, waited.append)
    assert (state["thermal_pressure"], state["waited_s"], waited) == ("nominal", 4.0, [2.0, 2.0])
    state = wait_until_cool(lambda *words: "level 1" if words == LEVEL else None, lambda seconds: None)
    assert (state["thermal_pressure"], state["waited_s"]) == ("moderate", 60.0)
