"""What a panel of the dashboard is, and the forms of its queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timeseries", "stat", "table", "bargauge"]
ONCE = "max without (instance, pod)"
"""Several gateways report the same numbers of the whole system; this takes each once."""


@dataclass(frozen=True)
class Query:
    """A query in PromQL. ``legend``: how its series are named, with labels as ``{{label}}``."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel. ``unit``: Grafana's name of it. ``width`` and ``height``: in the grid of 24 columns."""

    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    stacked: bool = False
    thresholds: tuple[float, ...] = ()


def rate(metric: str, by: str = "", *, over: str = "$__rate_interval", once: bool = True) -> str:
    """Of a counter, in a second. ``once``: of the whole system, which several gateways report."""
    inner = f"rate({metric}[{over}])"
    return f"sum{f' by ({by})' if by else ''} ({f'{ONCE} ({inner})' if once else inner})"


def quantile(share: float, metric: str, by: str = "", *, once: bool = True) -> str:
    """Of a histogram, ``by`` its labels."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', f'{by}, le' if by else 'le', once=once)})"


def mean(metric: str, by: str, *, once: bool = True) -> str:
    """Of a histogram, ``by`` its labels."""
    return f"{rate(f'{metric}_sum', by, once=once)} / {rate(f'{metric}_count', by, once=once)}"


def stat(title: str, about: str, unit: str, expr: str, *thresholds: float) -> Panel:
    """A number. ``thresholds``: from which it is orange and red; one alone is red."""
    return Panel(title, about, unit, (Query(expr),), "stat", width=4, height=4, thresholds=thresholds)
