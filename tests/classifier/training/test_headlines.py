"""What becomes of a post that passes a headline on, and which posts pass none on."""

import random
import time

import pytest

from classifier.data.datasets import Example, normal_form
from classifier.labels import UNLABELLED
from classifier.training.headlines import PLAIN, as_headline, plain_headlines

NEWS = "Acme Motors cuts its outlook for the year"


@pytest.mark.parametrize(
    "post",
    [
        NEWS,
        f"{NEWS}  https://t.co/9oaId3Xee8  www.acme.example/news",
        f"RT @some_desk: {NEWS} https://t.co/x",
        f'"RT @some_desk: {NEWS}',
        f".@acme @desk {NEWS}",
        f"{NEWS} via @some_desk",
        f"{NEWS} (via @some_desk) https://t.co/x",
        f"$ACM {NEWS}",
        f"$ACM: {NEWS}",
        f"$ACM - {NEWS} https://t.co/x",
        f"$ACM, $B.TO | {NEWS}",
        f"$ACM (-3.6% pre) {NEWS}",
        f"$ACM (-3.6% pre): {NEWS} - BBG TV",
        f"{NEWS} $ACM $SPY https://t.co/x #stocks #5things",
        f"{NEWS} ($ACM)",
        f"{NEWS} -> https://t.co/x",
        f"{NEWS} | Daily Market News",
        f"{NEWS} \u2013 IBD",
        "#Acme #Motors cuts its #outlook for the year",
        "Acme $ACM Motors cuts its outlook for the year",
        "Acme Motors ($ACM) cuts its outlook for the year #cars",
        "  Acme Motors\tcuts its  outlook for the year ",
    ],
)
def test_what_makes_a_post_of_a_headline_is_taken_out(post):
    assert as_headline(post) == NEWS


@pytest.mark.parametrize(
    ("post", "headline"),
    [
        ("AT&amp;T sells its stake for $3.5bn", "AT&T sells its stake for $3.5bn"),
        ("The bank buys $GLD after a weak day", "The bank buys GLD after a weak day"),
        ("Buyers of $gld return after a weak day", "Buyers of gld return after a weak day"),
        ("U.S. Steel and St. Ives up 3.5% in London", "U.S. Steel and St. Ives up 3.5% in London"),
        ("5 banks that a #rate cut would hurt", "5 banks that a rate cut would hurt"),
        ("Will Acme cut its outlook in May?", "Will Acme cut its outlook in May?"),
        ("ACME CUTS ITS OUTLOOK FOR THE YEAR", "ACME CUTS ITS OUTLOOK FOR THE YEAR"),
        ("Acme\u2019s \u201cbest\u201d year \u2014 so far", 'Acme\'s "best" year - so far'),
        ("Profit of ₹12 crore at Acme this year", "Profit of ₹12 crore at Acme this year"),
    ],
)
def test_what_a_headline_says_stays(post, headline):
    assert as_headline(post) == headline


@pytest.mark.parametrize(
    "post",
    [
        "",
        "https://t.co/x",
        "$ACM $SPY #stocks",
        "Acme cuts its outlook",
        " ".join(["Acme cuts its outlook again and"] * 5),
        f"Acme cuts its outlook for the {'long' * 99} year",
        "Acme cuts its outlook.\nRead more here today",
        "Acme cuts its outlook. Shares fall in London",
        "Acme cuts its outlook for the year and…  https://t.co/x",
        "Acme cuts its outlook for the year and... https://t.co/x",
        "acme is not what it was last year",
        "I think Acme cuts its outlook for the year",
        "Acme cuts the outlook that you had for it",
        "Here's why we sold all of Acme today",
        "Acme cuts its outlook, says @desk in London",
        "Is it over for Acme? Really over?",
        "Acme cuts its outlook for the #year",
        "Acme cuts its outlook for the year 🚀",
        "The L$D music video is out this week",
        "Up today: ACM SPY QQQ IBM in London",
        "12 13 14 15 16 17 Acme 18 19",
    ],
)
def test_what_is_not_one_sentence_of_news_is_left_out(post):
    assert as_headline(post) is None


@pytest.mark.parametrize(
    "piece", ["$" + "A" * 30 + " ", "#a1b2_c3d4.e5 ", "@x:", "- ", "((", "$A."]
)
def test_a_hostile_post_takes_no_longer_than_another(piece):
    started = time.perf_counter()

    for length in (20, 390, 40_000):
        as_headline((piece * length)[:length] + "!")
        as_headline("Acme " + (piece * length)[: length - 5] + "!")

    assert time.perf_counter() - started < 1


def posts(count, source="stocknet"):
    return [Example(f"{NEWS} {year} $ACM", topic=3, source=source) for year in range(count)]


def test_so_many_are_drawn_each_but_once_and_without_labels():
    twice = [*posts(30), *(Example(f"RT @desk: {post.text}") for post in posts(30))]

    found = plain_headlines(twice, 7, random.Random(1), ())

    assert len({normal_form(e.text) for e in found}) == 7
    assert {(e.topic, e.sentiment, e.source) for e in found} == {(UNLABELLED, UNLABELLED, PLAIN)}
    assert found == plain_headlines(twice, 7, random.Random(1), ())
    assert found != plain_headlines(twice, 7, random.Random(2), ())
    assert len(plain_headlines(twice, 99, random.Random(1), ())) == 30
    assert plain_headlines(twice, 0, random.Random(1), ()) == []


def test_none_is_excluded_before_or_after():
    before, after = normal_form(posts(3)[1].text), normal_form(f"{NEWS} 2")

    found = plain_headlines(posts(3), 9, random.Random(1), {before, after})

    assert [e.text for e in found] == [f"{NEWS} 0"]


def test_none_is_a_post_as_it_stands_but_one_may_differ_by_its_link_alone():
    given = [Example(NEWS), Example(f"{NEWS} $ACM"), Example(f"{NEWS} again https://t.co/x")]

    found = plain_headlines(given, 9, random.Random(1), ())

    assert [e.text for e in found] == [f"{NEWS} again"]
