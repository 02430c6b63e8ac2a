"""The split search of :mod:`data.segments` as one would write it down: plain loops, nothing kept, nothing skipped.

Only the thresholds are shared; every formula is written anew.
"""

import math
from itertools import pairwise
from statistics import fmean, median

import numpy as np

from data import segments
from data.candidates import CANDIDATE
from data.noise import scales_of

__all__ = ["despiked", "noise", "splits"]


def upper_median(values):
    return sorted(values)[len(values) // 2]


def spread(values):
    middle = upper_median(values)
    deviations = sorted(abs(value - middle) for value in values)
    found = 1.4826 * deviations[len(values) // 2]
    return found or deviations[3 * len(values) // 4] / 1.1503


def despiked(values):
    sigma = spread([b - a for a, b in pairwise(values)]) / math.sqrt(2)
    last = len(values) - 1
    found = []
    for place, value in enumerate(values):
        around = sorted(values[last - abs(last - abs(place + by))] for by in (-2, -1, 0, 1, 2))
        found.append(min(max(value, around[2] - 3.5 * sigma), around[2] + 3.5 * sigma))
    return found


def noise(values):
    points, held, found = len(values), 1e-12, []
    for window in scales_of(points):
        if window == 1 or 8 * window <= points:
            differences = [
                fmean(values[at : at + window]) - fmean(values[at - window : at])
                for at in range(window, points - window + 1)
            ]
            doubt = 0.0 if window == 1 else 0.5 * math.sqrt(2 * window / points)
            held = max(held, spread(differences) * math.sqrt(window / 2) * (1 - doubt))
        found.append(held)
    return found


def noise_without_certain_steps(smooth):
    found = noise(smooth)
    if found[-1] <= 1.3 * found[1]:
        return found
    steps = Slow(smooth, smooth, [min(one, found[1]) for one in found], 5.0, 32, 0.0).find()
    rest = list(smooth)
    for at, step, _ in steps:
        at_once = fmean(smooth[at : at + 4]) - fmean(smooth[max(0, at - 4) : at])
        if at_once * step > 0 and abs(at_once) >= 0.6 * abs(step):
            rest[at:] = [value - step for value in rest[at:]]
    return [min(pair) for pair in zip(found, noise(rest), strict=True)] if steps else found


class Slow:
    """What is known of one series."""

    def __init__(self, values, smooth, noises, accepted, reach, least):
        self.values, self.smooth, self.noise = values, smooth, noises
        self.accepted, self.reach, self.least = accepted, reach, least
        self.points, self.scales = len(values), scales_of(len(values))

    def scale(self, window):
        return min(sum(scale < window for scale in self.scales), len(self.scales) - 1)

    def memory(self, scale):
        return min(self.noise[scale] / self.noise[0], 10.0)

    def deviate(self, begin, at, end, scale):
        before, after = self.smooth[begin:at], self.smooth[at:end]
        rest = sum((value - fmean(side)) ** 2 for side in (before, after) for value in side)
        freedom = max(end - begin - 2, 1e-9)
        sigma = max(self.noise[scale], math.sqrt(rest / freedom) * self.memory(scale))
        t = abs(fmean(after) - fmean(before)) / (sigma * math.sqrt(1 / len(before) + 1 / len(after)))
        freedom = max(freedom, 0.4 * self.points, 1)
        return (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))

    def best(self, low, high):
        found = (CANDIDATE, None)
        first, last = (5 if low else 3), (5 if high < self.points else 3)
        for window in (*(one for one in self.scales if 4 <= one < high - low), high - low):
            for at in range(low + first, high - last + 1):
                begin, end = max(low, at - window), min(high, at + window)
                deviate = self.deviate(begin, at, end, self.scale(window))
                if deviate > found[0]:
                    found = (deviate, at)
        return found[1]

    def candidates(self, low, high):
        at = self.best(low, high)
        return [] if at is None else [*self.candidates(low, at), at, *self.candidates(at, high)]

    def judge(self, found, place):
        at = found[place]
        begin = max([0, *found][place], at - self.reach)
        end = min([*found, self.points][place + 1], at + self.reach)
        scale = self.scale(max(at - begin, end - at))
        deviate = self.deviate(begin, at, end, scale)
        before, after = self.values[begin:at], self.values[at:end]
        step = median(after) - median(before)
        sides = self.smooth[begin:at], self.smooth[at:end]
        if (
            deviate < self.accepted
            or abs(step) < self.least
            or not ranks_agree(before, after, step, self.memory(scale))
            or not is_sharp(*sides, self.noise[scale], self.accepted)
        ):
            return False, deviate, step
        deviate /= max(1.0, inflation(*sides) / self.memory(scale))
        return deviate >= self.accepted, deviate, step

    def find(self):
        found = self.candidates(0, self.points)
        while True:
            votes = [self.judge(found, place) for place in range(len(found))]
            if all(holds for holds, _, _ in votes):
                return [(at, step, deviate) for at, (_, deviate, step) in zip(found, votes, strict=True)]
            _, place = min((deviate, place) for place, (holds, deviate, _) in enumerate(votes) if not holds)
            del found[place]


def ranks_agree(before, after, step, memory):
    wins = sum((new > old) + 0.5 * (new == old) for new in after for old in before)
    pairs = len(before) * len(after)
    share = wins / pairs - 0.5
    unit = math.sqrt(12 * pairs / (len(before) + len(after) + 1)) / memory
    return share * step > 0 and abs(share) * unit >= min(3.0, 0.9 * 0.5 * unit)


def rest_of(columns, values):
    """Return the squared residuals of a least-squares fit."""
    fitted = columns @ np.linalg.lstsq(columns, values, rcond=None)[0]
    return float(((values - fitted) ** 2).sum())


def is_sharp(before, after, sigma, accepted):
    values = np.array([*before, *after])
    points = len(values)
    at = np.linspace(-1, 1, points)
    one = np.ones(points)
    step = np.array([0.0] * len(before) + [1.0] * len(after))
    rest_step = rest_of(np.stack([one, step], 1), values)
    rest_line = rest_of(np.stack([one, at], 1), values)
    rest_both = rest_of(np.stack([one, at, step], 1), values)
    rest_cubic = rest_of(np.stack([one, at, at**2, at**3], 1), values) if points >= 16 else math.inf
    unit = sigma**2
    if rest_step + 4 * unit <= rest_line and rest_step <= rest_cubic + 2 * unit:
        return True
    needed = accepted**2 * max(unit, rest_both / max(1, points - 3))
    return rest_line - rest_both >= needed and rest_both <= rest_cubic


def inflation(before, after):
    sides = [[value - fmean(side) for value in side] for side in (before, after)]
    squares = sum(value * value for side in sides for value in side)
    if squares == 0:
        return 1.0
    r = sum(a * b for side in sides for a, b in pairwise(side)) / squares
    r = min(0.9, max(0.0, r + 4 * (1 + 2 * r) / (len(before) + len(after))))
    return math.sqrt((1 + r) / (1 - r))


def splits(values, least=0.0):
    """Return (index, step, deviate) of the changes of level."""
    smooth = despiked(values)
    middle = fmean(smooth)
    centred = [value - middle for value in smooth]
    return Slow(
        values, centred, noise_without_certain_steps(smooth), segments.ACCEPTED, segments.REACH, least
    ).find()
