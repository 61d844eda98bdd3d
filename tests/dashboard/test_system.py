"""The page of the system as Streamlit draws it, and the figures behind it."""

from datetime import UTC, datetime, timedelta

import pytest
import streamlit as st
from support.pages import fine, open_at

from dashboard.access.roles import Role, Standing, User
from dashboard.system import rates, tables
from dashboard.system.requeueing import Retried, RetryError, describe
from ingest.batch import Advance, Checkpoint, DeadLetter, Partition, Record, ScoredBatch
from ingest.document import Reason
from store.buckets import Sums
from store.commits import commit_batch
from store.database import Database
from store.health import PartitionState
from store.preparing import prepare_batch
from store.runs import open_run
from store.views import Bin

DAY = datetime(2026, 3, 9, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HOSTILE = "evil <img src=x onerror=alert(1)> **bold** $x^2$ :red[boo] \u202etxt\x1b[31m"


def script(database, retry):
    from dashboard.access.roles import Access, Role  # noqa: PLC0415
    from dashboard.access.signing import admit  # noqa: PLC0415
    from dashboard.app import prepare_page  # noqa: PLC0415 - Streamlit runs this function's source
    from dashboard.system.page import show_system  # noqa: PLC0415

    prepare_page()
    assert admit(Access(everybody=Role.OPERATOR))
    show_system(database, retry)


@pytest.fixture
def open_page(scene):
    def opened(retry=None, **query):
        return open_at(script, scene.database, retry, **query)

    yield opened
    st.cache_data.clear()


def figures(page):
    return {metric.label: (metric.value, metric.delta) for metric in page.metric}


def table(page, column):
    """The one table that has a column of that name; None where there is none."""
    found = [frame.value for frame in page.dataframe if column in frame.value]
    return found[0] if found else None


def add(scene, run_name, *, letters=(), advances=()):
    with scene.database.transaction() as connection:
        run = open_run(connection, run_name)
        commit_batch(connection, run.id, prepare_batch(ScoredBatch([], [], letters, advances)))


def letter(offset, payload=b"{", reason=Reason.NOT_JSON, detail="broken", source="news"):
    return DeadLetter(Record(Partition(source, 0), offset, payload), reason, detail)


def test_without_runs_it_says_how_to_begin(open_page):
    assert "tapewatch demo" in open_page().info[0].value


def test_a_database_that_is_away_is_told_and_not_traced():
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    page = open_at(script, database, None)
    assert "database cannot be reached" in page.error[0].value
    database.close()


def test_an_empty_run_says_what_it_lacks(scene, open_page):
    with scene.database.transaction() as connection:
        open_run(connection, "live")
    page = open_page()
    said = [info.value for info in page.info]

    assert any("no documents yet" in text for text in said)
    assert any("No partition has been read" in text for text in said)
    assert any("No document was scored" in text for text in said)
    assert any("Nobody was told anything" in text for text in said)
    assert any("Nothing was turned away" in text.value for text in page.markdown)
    assert figures(page)["Publish lag"] == ("\u2013", "of the live run only")


def test_a_finished_replay_is_told_in_its_own_time(story, open_page):
    advance = Advance(Partition("feed", 0), None, Checkpoint(300, DAY + 23 * HOUR), late=4)
    add(story, "replay", advances=[advance])
    page = open_page()

    # Four every quarter of an hour, of 10 an hour, up to 23:50.
    assert figures(page)["Documents a minute"] == ("0.2", "nothing to compare with")
    assert figures(page)["Watermark"] == ("9 Mar 23:00", "2026, UTC")
    partitions = table(page, "Next offset")
    assert partitions.iloc[0][["Partition", "Next offset", "Late"]].tolist() == ["feed[0]", 300, 4]
    assert list(table(page, "Version")["Version"]) == ["model-1"]
    assert table(page, "Version")["Documents"].sum() == 271
    assert {"documents", "time_buckets"} <= set(table(page, "Indexes")["Table"])


def test_a_live_run_is_measured_by_the_clock(scene, open_page):
    now = datetime.now(UTC)
    hour = (now - 5 * MINUTE - DAY) / HOUR
    scene.add_documents("live", 30, hour=hour - 1)
    scene.add_documents("live", 6, hour=hour)
    advances = [
        Advance(Partition("news", n), None, Checkpoint(9, now - age))
        for n, age in ((0, 5 * MINUTE), (1, 190 * MINUTE))
    ]
    add(scene, "live", advances=advances)
    page = open_page(run="live")

    assert figures(page)["Watermark"] == ("3 h 10 min", "behind the clock")
    assert figures(page)["Publish lag"][0] != "\u2013"
    assert list(table(page, "Quiet for")["Behind"]) == ["under a minute", "3 h 5 min"]
    assert list(table(page, "Quiet for")["Quiet for"]) == ["under a minute"] * 2


def test_a_partition_that_sent_nothing_leaves_no_watermark(scene, open_page):
    now = datetime.now(UTC)
    steps = [(0, Checkpoint(9, now)), (1, Checkpoint(0, None))]
    advances = [Advance(Partition("news", n), None, checkpoint) for n, checkpoint in steps]
    add(scene, "live", advances=advances)

    assert figures(open_page())["Watermark"] == ("\u2013", "a partition has sent nothing")


def test_dead_letters_are_told_by_reason_with_examples(scene, open_page):
    letters = [letter(n, b"x" * 5000) for n in range(5)]
    letters += [letter(9, None, Reason.TOMBSTONE, "the record has no value")]
    add(scene, "replay", letters=letters)
    page = open_page()

    reasons = table(page, "Records")
    assert dict(zip(reasons["Reason"], reasons["Records"], strict=True)) == {
        "not json": 5,
        "tombstone": 1,
    }
    examples = table(page, "Begins with")
    assert list(examples["Reason"]) == ["not json"] * 3 + ["tombstone"]
    assert list(examples["Bytes"]) == [5000] * 3 + [0]
    assert max(map(len, examples["Begins with"])) == 160
    assert page.code[0].value == "tapewatch dead-letters requeue --run replay --apply"


def test_hostile_records_and_names_are_only_text(scene, open_page):
    hostile = letter(1, b"\xff\x00" + HOSTILE.encode(), detail=HOSTILE, source=HOSTILE)
    partition = Partition(HOSTILE, 0)
    add(
        scene,
        HOSTILE,
        letters=[hostile],
        advances=[Advance(partition, None, Checkpoint(2, DAY))],
    )
    page = open_page()

    example = table(page, "Begins with").iloc[0]
    assert example["Begins with"].startswith("\\xff")
    for shown in (*example.astype(str), table(page, "Next offset").iloc[0]["Partition"]):
        assert not {"\u202e", "\x1b", "\x00"} & set(shown)
    assert page.code[0].value.startswith("tapewatch dead-letters requeue --run 'evil <img")
    for elements in (page.markdown, page.caption, page.info, page.get("html")):
        assert not [element for element in elements if "evil" in str(element)]


def test_what_would_come_of_it_is_told_and_then_done(scene, open_page):
    asked = []

    def retry(name, apply):
        asked.append((name, apply))
        if not apply:
            return Retried({"mended": 2, "still_rejected": 1}, {"not_json": 1})
        return Retried({"mended": 2, "still_rejected": 1}, {"not_json": 1}, 1, 1)

    add(scene, "replay", letters=[letter(n) for n in range(3)])
    page = open_page(retry)
    assert asked == []
    assert "requeue" not in {button.key for button in page.button}
    fine(page.button(key="dry-run").click().run())
    assert asked == [("replay", False)]
    assert "2 would become documents; 1 would be turned away again (not json 1)." in [
        text.value for text in page.text
    ]

    again = page.button(key="requeue")
    assert again.label == "Try them again (2)"
    fine(again.click().run())
    assert asked == [("replay", False), ("replay", True)]
    assert "2 were read, of which 1 were known; 1 were turned away again (not json 1)." in [
        text.value for text in page.text
    ]
    assert "requeue" not in {button.key for button in page.button}


def test_nothing_to_be_mended_is_not_tried(scene, open_page):
    add(scene, "replay", letters=[letter(1)])
    page = open_page(lambda _name, _apply: Retried({"still_rejected": 1}, {"not_json": 1}))
    fine(page.button(key="dry-run").click().run())
    assert "requeue" not in {button.key for button in page.button}


def test_a_model_that_is_away_is_told_and_nothing_is_lost(scene, open_page):
    def retry(_name, apply):
        if apply:
            raise RetryError("no weights in <b>here</b>")
        return Retried({"mended": 1}, {})

    add(scene, "replay", letters=[letter(1)])
    page = open_page(retry)
    fine(page.button(key="dry-run").click().run())
    fine(page.button(key="requeue").click().run())
    assert [error.value for error in page.error] == ["They cannot be tried again:"]
    assert "no weights in <b>here</b>" in [text.value for text in page.text]


@pytest.mark.parametrize("drawn", [True, False])
def test_a_dry_run_is_not_made_for_an_analyst(scene, open_page, monkeypatch, drawn):
    asked = []
    add(scene, "replay", letters=[letter(1)])
    page = open_page(lambda *given: asked.append(given))
    analyst = User(None, Role.ANALYST, Standing.NO_LOGIN)
    monkeypatch.setattr("dashboard.system.requeueing.current_user", lambda: analyst)
    monkeypatch.setattr("dashboard.system.requeueing.may_act", lambda deed: drawn)
    fine(page.button(key="dry-run").click().run())

    assert asked == []
    assert [error.value for error in page.error] == (
        ["To try dead letters again takes the role operator; you are an analyst."] if drawn else []
    )


def test_the_page_says_who_may_do_what(scene, open_page):
    add(scene, "replay", letters=[letter(1)])
    (said,) = [text.value for text in open_page().text if "signs in" in text.value]
    assert said.startswith("Nobody signs in here: everybody who reaches this page has the role op")
    assert "silence alerts" in said


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (Retried({}, {}), "there are none."),
        (Retried({"payload_cut": 1}, {}), "1 were too large to be kept whole."),
        (Retried({"too_many_replays": 1234, "mended": 0}, {}), "1,234 were tried too often."),
    ],
)
def test_what_would_come_of_requeueing_is_said_in_a_line(told, said):
    assert describe(told) == said


def some(at, documents):
    return Bin("", at, Sums(documents))


def test_what_is_usual_is_the_median_of_the_same_hour_before():
    start = DAY + 3 * 24 * HOUR
    bins = [some(DAY + n * 24 * HOUR + 5 * HOUR, count) for n, count in enumerate((60, 600, 120))]
    usual = rates.usual_rates(bins, DAY, start)

    assert usual[5] == 2.0
    assert usual[6] == 0.0
    assert len(usual) == 24


@pytest.mark.parametrize(
    ("first", "hours"),
    [(DAY, {0, 1, 2}), (DAY + MINUTE, {1, 2}), (DAY + HOUR, {1, 2}), (DAY + 3 * HOUR, set())],
)
def test_an_hour_that_was_not_seen_whole_says_nothing(first, hours):
    assert set(rates.usual_rates([], first, DAY + 3 * HOUR)) == hours


def test_only_the_week_before_counts_as_usual():
    old, new = some(DAY, 6000), some(DAY + 8 * 24 * HOUR, 60)

    assert rates.usual_rates([old, new], DAY, DAY + 9 * 24 * HOUR)[0] == 0.0
    assert rates.usual_rates([new], DAY + 8 * 24 * HOUR, DAY + 9 * 24 * HOUR)[0] == 1.0


@pytest.mark.parametrize(
    ("minutes_ago", "counted"), [(0, False), (1, True), (15, True), (16, False)]
)
def test_the_rate_is_that_of_the_last_quarter_of_an_hour(minutes_ago, counted):
    rate = rates.recent_rate([some(DAY - minutes_ago * MINUTE, 30)], DAY)

    assert rate == (2.0 if counted else 0.0)


def test_each_step_has_its_rate_and_what_is_usual_then():
    start, end = rates.span_of(DAY + MINUTE)
    assert (start, end) == (DAY + 5 * MINUTE - 6 * HOUR, DAY + 5 * MINUTE)

    bins = [some(DAY + MINUTE, 4), some(DAY + 2 * MINUTE, 6), some(DAY - MINUTE, 5)]
    table = rates.tabulate(bins, {23: 3.0}, start, end)
    assert len(table) == 72
    assert list(table["rate"])[-2:] == [1.0, 2.0]
    assert table["usual"].tolist()[-2] == 3.0
    assert table["usual"].isna().tolist()[-1] is True


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"), (1, "1 B"), (1023, "1,023 B"), (1024, "1.0 KB"), (10 * 1024, "10 KB"),
        (1536 * 1024, "1.5 MB"), (1 << 30, "1.0 GB"), (5 << 50, "5,120 TB"),
    ],
)  # fmt: skip
def test_bytes_are_told_in_the_unit_that_fits(count, said):
    assert tables.size(count) == said


@pytest.mark.parametrize(
    ("length", "said"),
    [(1.44, "1.4 s"), (119.96, "120.0 s"), (120, "2 min"), (7300, "2 h 2 min"), (-3, "-3.0 s")],
)
def test_a_lag_is_told_as_long_as_it_is(length, said):
    assert tables.seconds(timedelta(seconds=length)) == said


def test_a_partition_without_documents_is_behind_nothing():
    states = [
        PartitionState("news", 0, 0, None, 0, DAY),
        PartitionState("news", 1, 5, DAY, 0, DAY),
    ]
    told = tables.tabulate_partitions(states, DAY + HOUR)

    assert list(told["Behind"]) == ["\u2013", "under a minute"]
    assert list(told["Quiet for"]) == ["1 h", "1 h"]
