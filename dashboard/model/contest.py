"""Champion and challenger side by side, what the decision would be, and who was promoted when."""

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.common.charts import draw
from dashboard.common.clock import times
from dashboard.common.headings import show_table
from dashboard.common.plain import DASH, plain
from dashboard.common.telling import tell_rows
from dashboard.common.theme import Palette
from dashboard.common.words import say
from dashboard.model.lineup import Compared, Contest, Lineup, Models, ModelsError
from dashboard.model.model_card import Card, CardError, read_card

CHAMPION, CHALLENGER = "champion", "challenger"
_ROW, _AROUND, _DRAWN = 26, 40, 16
_OF_HEADS = ("accuracy", "macro F1")
_FIGURES = ["Test rows", "Head", "Figure", "Champion", "At least", "Challenger", "Judged"]


def show_contest(models: Models, lineup: Lineup, palette: Palette) -> None:
    """What ``tapewatch promote`` would say now; without a challenger, how to get one."""
    if lineup.challenger is None:
        st.info(
            say(
                "There is no challenger. `tapewatch train --from champion --feedback "
                "--challenger` makes one of what analysts corrected, `tapewatch models "
                "--add FOLDER` takes one in."
            ),
            icon=":material/swords:",
        )
        return
    _side_by_side(models, lineup.champion, lineup.challenger)
    contest = lineup.contest
    if isinstance(contest, str):
        st.warning(say("It cannot be said whether it may serve:"), icon=":material/warning:")
        st.text(plain(contest, 600))
    elif contest is not None:
        _decision(contest)
        if contest.compared:
            _compared(contest.compared, palette)


def show_history(lineup: Lineup) -> None:
    """Who was given which role, the latest first."""
    st.caption(say("Promotions and challenges"))
    if not lineup.history:
        st.text(say("None yet: the weights that ship serve since the beginning."))
        return
    show_table(
        tabulate_history(lineup),
        key="promotions",
        hide_index=True,
        height=min(320, 38 + 35 * len(lineup.history)),
        column_config={
            "When": times(say("When"), 140),
            "Version": st.column_config.TextColumn(width=220),
            "Reason": st.column_config.TextColumn(width=320),
        },
        alt=say("Promotions, challenges and rollbacks, the latest first"),
    )


def tabulate_history(lineup: Lineup) -> pd.DataFrame:
    """One row a change of roles, in plain text, the latest first."""
    rows = [
        (change.at, plain(change.version, 80), plain(change.role, 20), plain(change.reason, 300),
         plain(change.by, 60))
        for change in reversed(lineup.history)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["When", "Version", "Became", "Reason", "By"])


def tabulate_compared(compared: Sequence[Compared]) -> pd.DataFrame:
    """One row a figure, in plain text, what is worse first."""
    rows = [
        (plain(c.test, 80), plain(c.head, 20), plain(c.figure, 60), c.champion, c.least,
         c.challenger, say("✗ worse") if c.worse else say("✓ not worse"))
        for c in sorted(compared, key=lambda c: not c.worse)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=_FIGURES)


def drawn(compared: Sequence[Compared]) -> list[Compared]:
    """The figures that are drawn: those of whole heads, and then as many worse as there is room."""
    heads = [c for c in compared if c.figure in _OF_HEADS]
    worse = [c for c in compared if c.worse and c.figure not in _OF_HEADS]
    return [*heads, *worse][:_DRAWN]


def _side_by_side(models: Models, champion: str, challenger: str) -> None:
    for column, role, version in zip(
        st.columns(2, gap="medium"),
        (CHAMPION, CHALLENGER),
        (champion, challenger),
        strict=True,
    ):
        with column, st.container(border=True, key=f"side-{role}"):
            st.markdown(f"**{role.capitalize()}**")
            st.text(plain(version, 80))
            try:
                st.text("\n".join(_facts(read_card(models.card(version)))))
            except (ModelsError, CardError) as error:
                st.text(plain(str(error), 400))


def _facts(card: Card) -> list[str]:
    rows = sum(count for name, count in card.rows.items() if name == "train")
    measured = [
        say(
            "{head} macro F1 {macro_f1:.3f}, accuracy {accuracy:.3f}",
            head=head,
            macro_f1=found[1].macro_f1,
            accuracy=found[1].accuracy,
        )
        for head in ("topic", "sentiment")
        if (found := card.best_known(head))
    ]
    return [
        say(
            "Made on {made_on}, of {rows:,} rows, {parameters:.1f} million parameters",
            made_on=plain(card.made_on, 20) or DASH,
            rows=rows,
            parameters=card.parameters / 1000000.0,
        ),
        *measured,
    ]


def _decision(contest: Contest) -> None:
    if contest.promotes:
        st.success(
            say(
                "The challenger may serve: it is not worse. `tapewatch promote` makes it "
                "the champion."
            ),
            icon=":material/check_circle:",
        )
        return
    st.warning(say("`tapewatch promote` would refuse the challenger:"), icon=":material/block:")
    st.text("\n".join(plain(line, 300) for line in (contest.reason, *list(contest.objections)[:8])))


def _compared(compared: Sequence[Compared], palette: Palette) -> None:
    table, shown = tabulate_compared(compared), drawn(compared)
    draw(
        _chart(len(shown), palette),
        {"figures": _rows(shown)},
        key="contest",
        description=say("Figures of champion and challenger, and what the challenger must reach"),
        told=tell_rows(
            say(
                "{figure}: champion {champion:.3f}, challenger {challenger:.3f}",
                figure=row.figure,
                champion=row.champion,
                challenger=row.challenger,
            )
            for row in _rows(shown).itertuples()
        ),
    )
    st.caption(
        say(
            "Diamonds are the challenger, ticks the champion; bars reach down to the "
            "least that the challenger may have. Figures marked ✗ are worse. All of "
            "them:"
        )
    )
    number = st.column_config.NumberColumn(format="%.3f", width=90)
    show_table(
        table,
        key="compared",
        hide_index=True,
        height=min(360, 38 + 35 * len(table)),
        column_config={
            "Test rows": st.column_config.TextColumn(width=260),
            **dict.fromkeys((say("Champion"), say("At least"), say("Challenger")), number),
        },
        alt=say("Figures of champion and challenger"),
    )


def _rows(compared: Sequence[Compared]) -> pd.DataFrame:
    rows = [
        (
            number,
            plain(f"{'✗ ' if c.worse else ''}{c.figure} · {c.test}", 70),
            c.champion,
            c.least,
            c.challenger,
            c.worse,
        )
        for number, c in enumerate(compared)
    ]
    columns = ["rank", "figure", "champion", "least", "challenger", "worse"]
    return pd.DataFrame(rows, columns=columns)


def _chart(count: int, palette: Palette) -> alt.LayerChart:
    rows = alt.Y(
        "figure:N",
        sort=alt.EncodingSortField(field="rank", op="min"),
        title=None,
        axis=alt.Axis(labelLimit=220, labelOverlap=False, ticks=False, domain=False),
    )
    figures = alt.Chart(alt.NamedData(name="figures")).encode(
        y=rows,
        tooltip=[
            alt.Tooltip("figure:N", title=say("Figure")),
            alt.Tooltip("champion:Q", title=say("Champion"), format=".3f"),
            alt.Tooltip("least:Q", title=say("At least"), format=".3f"),
            alt.Tooltip("challenger:Q", title=say("Challenger"), format=".3f"),
        ],
    )
    scale = alt.Scale(zero=False, nice=True)
    axis = alt.Axis(title=None, format=".2~f", tickCount=5, grid=True, domain=False)
    at = alt.X("champion:Q", scale=scale, axis=axis)
    return alt.LayerChart(
        height=count * _ROW + _AROUND,
        layer=[
            figures.mark_bar(height=8, opacity=0.25, color=palette.accent).encode(
                x=alt.X("least:Q", scale=scale, axis=axis), x2="champion:Q"
            ),
            figures.mark_tick(thickness=2, size=16, color=palette.accent).encode(x=at),
            figures.mark_point(filled=True, size=80, shape="diamond", opacity=1).encode(
                x="challenger:Q",
                color=alt.condition(
                    "datum.worse", alt.value(palette.negative), alt.value(palette.text)
                ),
            ),
        ],
    )
