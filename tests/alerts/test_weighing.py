"""Which words made the documents of a card negative: summed up, kept once, and taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.alerting import RULE, SCARE, at, commit_drawn

from alerts.alerter import Alerter
from alerts.cards.weighing import LEAST_WEIGHT, MOST_WORDS, heaviest, weigh_cards
from alerts.cards.wording import facts
from alerts.rules.ruleset import RuleSet
from classifier.attribution import Explanation, Word
from store.cards import forget_documents, read_cards_of_alert


def explained(*words):
    return Explanation(tuple(Word(*word) for word in words), "negative", 0.1, 0.9, 0.0)


def test_a_word_of_several_texts_is_summed_up_whatever_stands_around_it():
    found = heaviest(
        [
            explained(("Withdrawals ", 0.3), ("rise, ", 0.01), ("(queues) ", 0.1)),
            explained(('"withdrawals" ', 0.2), ("calm ", -0.3), ("queues… ", 0.05), ("— ", 0.4)),
        ]
    )

    assert [(word.text, word.weight, word.documents) for word in found] == [
        ("withdrawals", 0.5, 2), ("queues", 0.15, 2),
    ]  # fmt: skip


def test_a_word_that_stands_twice_in_a_text_is_of_one_document():
    (found,) = heaviest([explained(("run ", 0.2), ("on ", 0.0), ("Run", 0.2))])
    assert (found.text, found.weight, found.documents) == ("run", 0.4, 1)


def test_a_word_of_a_feed_is_cut():
    (found,) = heaviest([explained(("x" * 5_000, 0.9))])
    assert len(found.text) == 40


@given(st.lists(st.lists(st.tuples(st.text(max_size=12), st.floats(-1, 1)), max_size=12)))
def test_only_what_adds_enough_is_among_them_the_heaviest_first(texts):
    found = heaviest([explained(*words) for words in texts])

    assert len(found) <= MOST_WORDS
    weights = [word.weight for word in found]
    assert weights == sorted(weights, reverse=True)
    assert all(weight >= LEAST_WEIGHT - 1e-4 for weight in weights)
    assert len({word.text for word in found}) == len(found)
    assert all(word.text and not word.text[0].isspace() for word in found)


class Known:
    """Explains by rote, and counts how often it was asked."""

    def __init__(self, version="m"):
        self.version, self.asked = version, []

    def explain(self, text):
        self.asked.append(text)
        return explained((text, 0.5))


@pytest.fixture
def fired(database, run):
    """A run in which two firings of one alert have cards."""
    commit_drawn(database, run, SCARE)
    Alerter(database, run, RuleSet(rules=(RULE,))).advance(at(0), finish=True)
    return run


def cards(database, run):
    with database.transaction() as connection:
        return [row.card for row in read_cards_of_alert(connection, run.id, "mood", "")]


def test_every_card_is_weighed_once_and_says_so(database, fired):
    (version,) = cards(database, fired)[0]["models"]
    weigher = Known(version)

    assert weigh_cards(database, fired.id, weigher, 60) == 2
    assert weigh_cards(database, fired.id, weigher, 60) == 0

    assert set(weigher.asked) == {"x"}
    for card in cards(database, fired):
        assert card["words"] == {
            "model": version,
            "documents": len(card["drivers"]),
            "heaviest": [{"text": "x", "weight": 0.5, "documents": 1}],
        }
        assert "Words that made them negative: x +0.50" in map(str, facts(card))


def test_what_others_scored_gets_no_words_and_is_not_looked_at_again(database, fired):
    weigher = Known("another")

    assert weigh_cards(database, fired.id, weigher, 60) == 2
    assert weigh_cards(database, fired.id, weigher, 60) == 0

    assert weigher.asked == []
    assert [card["words"]["heaviest"] for card in cards(database, fired)] == [[], []]
    assert not any("Words" in str(line) for line in facts(cards(database, fired)[0]))


def test_when_time_is_up_the_rest_waits_for_the_next_time(database, fired):
    (version,) = cards(database, fired)[0]["models"]
    weigher = Known(version)

    assert weigh_cards(database, fired.id, weigher, 0) == 1
    assert sorted("words" in card for card in cards(database, fired)) == [False, True]
    assert weigh_cards(database, fired.id, weigher, 0) == 1
    assert weigh_cards(database, fired.id, weigher, 0) == 0


def test_words_go_with_the_documents_that_held_them(database, fired):
    (version,) = cards(database, fired)[0]["models"]
    weigh_cards(database, fired.id, Known(version), 60)

    with database.transaction() as connection:
        assert forget_documents(connection, fired.id, at(1_000), 10) == 2
    assert ["words" in card for card in cards(database, fired)] == [False, False]

    weigh_cards(database, fired.id, weigher := Known(version), 60)
    assert weigher.asked == []
    assert [card["words"]["heaviest"] for card in cards(database, fired)] == [[], []]


def test_another_run_is_left_alone(database, fired):
    assert weigh_cards(database, fired.id + 1, Known(), 60) == 0
