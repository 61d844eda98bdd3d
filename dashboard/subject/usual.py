"""What is usual for a subject: the share it had before, and how far windows stray from it. Pure.

Never looks ahead: what is said of a window rests on what had ended when the window began. Knows no
season, unlike ``alerts.spikes``, and so needs thirty documents where that needs days.
"""

import pandas as pd

FEWEST = 30
"""Documents before the window; with fewer, nobody knows what is usual."""

_Z = 1.96
_FURTHEST = 9.0
"""A window that strays further than three standard deviations counts as one that does so."""

_CAP = 3.0
"""A step counts at most so many times the mean step before it, or one storm would be usual."""


def add_usual(table: pd.DataFrame, window: int, history: int) -> pd.DataFrame:
    """``table`` with the columns ``usual``, ``usual_low`` and ``usual_high``.

    One row a step: ``negative`` and ``documents`` of the step, ``held`` and ``share`` of the
    ``window`` rows up to it. Usual is the share of the ``history`` rows before the window. 19 of
    20 windows with so many documents would lie in the band, if nothing but chance moved them, and
    what makes documents come in clusters: how far earlier windows strayed (a beta-binomial's
    correlation, by moments).
    """
    documents = table["documents"]
    most = (_CAP * documents.rolling(history, min_periods=1).mean().shift(1)).clip(lower=1)
    weight = (most / documents).clip(upper=1)
    counts = pd.DataFrame(
        {
            "negative": (table["negative"] * weight).fillna(0),
            "documents": (documents * weight).fillna(0),
            "all": documents,
        }
    )
    past = counts.rolling(history, min_periods=1).sum().shift(window)
    known = past["documents"].where(past["all"] >= FEWEST)
    usual = (past["negative"] + 0.5) / (known + 1)
    held = table["held"]
    chance = usual * (1 - usual) / held
    strayed = ((table["share"] - usual) ** 2 / chance).clip(upper=_FURTHEST)
    means = pd.DataFrame({"strayed": strayed, "held": held.where(strayed.notna())})
    before = means.rolling(history, min_periods=1).mean().shift(window)
    clustering = ((before["strayed"] - 1) / (before["held"] - 1)).clip(0, 0.9).fillna(0)
    reach = _Z * (chance * (1 + (held - 1) * clustering)) ** 0.5
    return table.assign(
        usual=usual,
        usual_low=(usual - reach).clip(0, 1),
        usual_high=(usual + reach).clip(0, 1),
    )
