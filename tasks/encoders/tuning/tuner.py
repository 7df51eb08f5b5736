"""Measures candidates on real photographs and captions, and takes the fastest that is exact enough.

The reference of each side is its encoder in torch and float32 (the bundled encoder: with its usual sizes). Knows
nothing of encoders but their interface, and takes the clock as an argument.

Each candidate takes turns with the usual plan, and the median of the ratios decides: what else the machine does then
slows both. At most two encoders are loaded at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Any

import numpy as np

from tasks.encoders.protocols import Floats
from tasks.encoders.requirements import MissingPackage, ModelNotLoaded
from tasks.encoders.runtimes import Plan, Side
from tasks.encoders.tuning.remembered import Measured

LEAST_COSINE = 0.999
TOO_LONG = "not measured: it would take too long at a start"
BETTER = 1.1  # another plan must be faster than the usual one by this factor
_EXPORTED = 3.0  # a candidate may take so many times as long as the reference

Encode = Callable[[Sequence[Any]], Floats]


@dataclass(frozen=True)
class Limits:
    """What is exact enough, and how long to measure.

    ``cosine``: the least, ``difference``: the largest of a component. ``seconds``: of each plan in each of the
    ``rounds``, at least. ``most``: seconds of a plan after which no other round begins.
    ``deadline``: by the clock; candidates that would end later are not measured.
    """

    cosine: float = LEAST_COSINE
    difference: float = float("inf")
    seconds: float = 0.3
    rounds: int = 5
    most: float = 15.0
    deadline: float = float("inf")


@dataclass(frozen=True)
class Subject:
    """One side of an encoder.

    ``load``: loads it with a plan. ``samples``: images or texts. ``reference``: the plan to compare with, ``usual``:
    that without a measurement, and ``candidates``: plans to measure; those of one runtime follow each other.
    ``refused``: reasons by runtime why it is not taken, however fast it is.
    """

    side: Side
    load: Callable[[Plan], Encode]
    samples: Sequence[Any]
    reference: Plan
    usual: Plan
    candidates: Sequence[Plan]
    refused: Mapping[str, str]


def measure(subject: Subject, limits: Limits, clock: Callable[[], float]) -> Iterator[Measured]:
    """Measure each candidate of a side."""
    begun = clock()
    if begun >= limits.deadline:
        yield from (Measured(side=subject.side, plan=plan, refused=TOO_LONG) for plan in subject.candidates)
        return
    expected = subject.load(subject.reference)(subject.samples)
    cost = clock() - begun
    base = _base(subject)
    for _, plans in groupby(subject.candidates, key=lambda plan: plan.runtime):
        for plan in plans:
            needed = cost if plan == subject.usual else _EXPORTED * cost
            if clock() + needed > limits.deadline:
                yield Measured(side=subject.side, plan=plan, refused=TOO_LONG)
                continue
            found = _measured(subject, plan, base, expected, limits, clock)
            yield found
            if found.refused and not found.rate:
                break  # other sizes would fail, too


def chosen(subject: Subject, measured: Sequence[Measured]) -> Plan:
    """The fastest plan that was not refused. The usual one keeps its place unless another is clearly faster."""
    fit = [one for one in measured if one.side == subject.side and not one.refused]
    if not fit:
        own = [one for one in measured if (one.side, one.plan) == (subject.side, subject.usual)]
        return subject.usual if any(one.refused == TOO_LONG for one in own) else subject.reference
    best = max(fit, key=Measured.speed)
    fits = any(one.plan == subject.usual for one in fit)
    return subject.usual if fits and best.times <= BETTER else best.plan


def _base(subject: Subject) -> Encode | None:
    """The usual encoder, which the others take turns with; ``None`` if it cannot be loaded."""
    try:
        return subject.load(subject.usual)
    except Exception:  # reported when it is measured itself
        return None


def _measured(
    subject: Subject, plan: Plan, base: Encode | None, expected: Floats, limits: Limits, clock: Callable[[], float]
) -> Measured:  # fmt: skip
    try:
        encode = base if base is not None and plan == subject.usual else subject.load(plan)
        vectors = encode(subject.samples)
    except (ModelNotLoaded, MissingPackage) as exc:
        return Measured(side=subject.side, plan=plan, refused=str(exc))
    # one candidate must not end the measurement of the others: compilers and runtimes raise errors of any class
    except Exception as exc:
        said = str(exc).strip().partition("\n")[0]
        return Measured(side=subject.side, plan=plan, refused=f"failed: {type(exc).__name__}: {said}"[:200])
    cosine = float((vectors * expected).sum(axis=1).min())
    difference = float(np.abs(vectors - expected).max())
    rate, times = _compared(subject, plan, encode, base, limits, clock)
    return Measured(
        side=subject.side, plan=plan, rate=rate, times=times, cosine=cosine, difference=difference,
        refused=subject.refused.get(plan.runtime) or _fault(cosine, difference, limits),
    )  # fmt: skip


def _fault(cosine: float, difference: float, limits: Limits) -> str:
    # written so that a cosine that is no number is a fault
    if not cosine >= limits.cosine:
        return f"cosine to float32 of {cosine:.4f}, less than {limits.cosine}"
    if not difference <= limits.difference:
        return f"difference to the reference of {difference:.1e}, more than {limits.difference:.0e}"
    return ""


def _compared(
    subject: Subject, plan: Plan, encode: Encode, base: Encode | None, limits: Limits, clock: Callable[[], float]
) -> tuple[float, float]:  # fmt: skip
    """The best rate of a plan, and the median of its ratio to the usual one; 0 without a usual one."""
    begun = clock()
    rates: list[float] = []
    ratios: list[float] = []
    while len(rates) < limits.rounds and (not rates or clock() - begun < limits.most):
        rates.append(_rate(encode, subject.samples, plan.batch, limits, clock))
        if base is not None and base is not encode:
            try:
                usual = _rate(base, subject.samples, subject.usual.batch, limits, clock)
            except Exception:  # reported when it is measured itself
                return max(rates), 0.0
            ratios.append(rates[-1] / usual if usual else 0.0)
    if ratios:
        return max(rates), median(ratios)
    return max(rates), 1.0 if encode is base else 0.0


def _rate(encode: Encode, samples: Sequence[Any], batch: int, limits: Limits, clock: Callable[[], float]) -> float:
    """Rows per second in batches of this size."""
    rows = [samples[at % len(samples)] for at in range(batch)]
    done, begun = 0, clock()
    while (took := clock() - begun) < limits.seconds or not done:
        done += len(encode(rows))
    return done / took if took else 0.0
