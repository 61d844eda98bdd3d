"""Sentences are read back by the grammar that they were written with, turned into patterns."""

import random
import re
import tomllib
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

from classifier.labels import SENTIMENTS, UNLABELLED
from classifier.training import writing
from classifier.training.writing import WRITTEN, write_sentences

GRAMMAR = tomllib.loads(Path(writing.__file__).with_name("company_news.toml").read_text("utf-8"))
WORDS = GRAMMAR["words"]
TEMPLATES = {text: feeling for feeling, texts in GRAMMAR["sentences"].items() for text in texts}
PAIRS = {
    "less": "amount_unit",
    "more": "amount_unit",
    "low": "percent_unit",
    "high": "percent_unit",
}
NUMBER = r"\d[\d,]*(?:\.\d+)?"
SLOT = re.compile(r"\{(\w+)\}")
COUNT = 5_000


def class_of(feeling):
    return SENTIMENTS.index(feeling) if feeling in SENTIMENTS else UNLABELLED


def plain(text):
    """Without what is done to a whole sentence: its capital, and `an` before a vowel."""
    text = re.sub(r"\ban (?=[aeio])", "a ", text)
    return text[0].upper() + text[1:]


@cache
def words_of(slot):
    """A pattern of all that a slot may come to."""
    if slot in PAIRS:
        units = (re.escape(unit).replace(r"\#", NUMBER) for unit in WORDS[PAIRS[slot]])
        return f"(?:{'|'.join(units)})"
    return f"(?:{'|'.join(pattern(phrase) for phrase in WORDS[slot])})"


def pattern(text, *, named=False):
    """A pattern of all that a text with slots may come to; pairs are named by their slots."""
    parts = SLOT.split(re.sub(r"\ban (?=[aeio])", "a ", text))
    found = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            found.append(re.escape(part))
        elif named and part in PAIRS:
            found.append(f"(?P<{part}>{words_of(part)})")
        else:
            found.append(words_of(part))
    return "".join(found)


@pytest.fixture(scope="module")
def sentences():
    return write_sentences(COUNT, random.Random(1))


@pytest.fixture(scope="module")
def read_back(sentences):
    """The matches of each sentence, by the template that it may have been written with."""
    patterns = {text: re.compile(pattern(text, named=True), re.IGNORECASE) for text in TEMPLATES}
    return [
        {
            text: match
            for text, known in patterns.items()
            if (match := known.fullmatch(plain(e.text)))
        }
        for e in sentences
    ]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_as_many_sentences_are_written_as_are_asked_for(count):
    assert len(write_sentences(count, random.Random(1))) == count


def test_sentences_have_no_empty_slot_and_begin_with_a_capital(sentences):
    assert len(sentences) == COUNT
    for example in sentences:
        assert not set("{}#") & set(example.text), example.text
        assert not example.text[0].islower(), example.text


def test_most_sentences_differ_and_the_generator_decides_them(sentences):
    assert len(set(sentences)) > 0.9 * COUNT
    assert write_sentences(COUNT, random.Random(1)) == sentences
    assert write_sentences(COUNT, random.Random(2)) != sentences


def test_sentences_say_that_they_are_written_and_nothing_of_topics(sentences):
    assert {example.source for example in sentences} == {WRITTEN} == {"written"}
    assert {example.topic for example in sentences} == {UNLABELLED}


def test_no_two_sentences_that_read_alike_feel_different(sentences):
    feelings = defaultdict(set)
    for example in sentences:
        feelings[example.text.lower()].add(example.sentiment)

    assert [text for text, found in feelings.items() if len(found) > 1] == []


def test_a_template_stands_in_one_table_and_once():
    every = [text for texts in GRAMMAR["sentences"].values() for text in texts]

    assert set(GRAMMAR["sentences"]) == {*SENTIMENTS, "open"}
    assert len(set(every)) == len(every)


def test_every_slot_has_words_and_every_list_of_words_a_slot():
    lines = [*TEMPLATES, *(word for words in WORDS.values() for word in words)]
    slots = {name for line in lines for name in SLOT.findall(line)}

    assert slots - set(PAIRS) == set(WORDS) - set(PAIRS.values())
    assert set(PAIRS) <= slots


def test_every_unit_of_a_pair_has_one_place_for_its_number():
    for unit in {*WORDS["amount_unit"], *WORDS["percent_unit"]}:
        assert unit.count("#") == 1, unit


def test_a_sentence_carries_the_label_of_its_table(sentences, read_back):
    for example, matches in zip(sentences, read_back, strict=True):
        assert matches, f"no template comes to {example.text!r}"
        labels = {class_of(TEMPLATES[text]) for text, match in matches.items() if in_order(match)}
        assert labels == {example.sentiment}, example.text


def test_every_template_is_written_with(read_back):
    found = {text for matches in read_back for text, match in matches.items() if in_order(match)}

    assert found == set(TEMPLATES)


def test_what_leaves_a_doubt_is_unlabelled_and_the_rest_is_of_all_three(sentences):
    counts = Counter(example.sentiment for example in sentences)

    assert set(counts) == {0, 1, 2, UNLABELLED}
    for feeling, texts in GRAMMAR["sentences"].items():
        share = counts[class_of(feeling)] / COUNT
        assert share == pytest.approx(len(texts) / len(TEMPLATES), abs=0.03), feeling


def number(printed):
    return float(re.search(NUMBER, printed)[0].replace(",", ""))


def pairs_in(match):
    """The pairs that a sentence compares, each the one that is to be smaller first."""
    named = match.groupdict()
    return [
        (named[smaller], named[larger])
        for smaller, larger in (("less", "more"), ("low", "high"))
        if smaller in named and larger in named
    ]


def in_order(match):
    return all(number(smaller) < number(larger) for smaller, larger in pairs_in(match))


@pytest.mark.parametrize("unit", ["amount_unit", "percent_unit"])
def test_what_is_compared_is_in_one_unit_and_fits_what_is_said(sentences, read_back, unit):
    """A profit that fell to 3 from 5 is not read back as one that rose, since it is labelled."""
    pairs = [
        pair
        for example, matches in zip(sentences, read_back, strict=True)
        for text, match in matches.items()
        if class_of(TEMPLATES[text]) == example.sentiment
        for pair in pairs_in(match)
        if re.sub(NUMBER, "#", pair[0]) in WORDS[unit]
    ]

    assert len(pairs) > 50
    for smaller, larger in pairs:
        assert 0 < number(smaller) < number(larger), (smaller, larger)
        assert re.sub(NUMBER, "#", smaller) == re.sub(NUMBER, "#", larger)


def test_amounts_that_are_compared_are_printed_in_many_ways(read_back):
    printed = {
        match["more"]
        for found in read_back
        for match in found.values()
        if "more" in match.groupdict()
    }

    assert {re.sub(NUMBER, "#", amount) for amount in printed} == set(WORDS["amount_unit"])
    decimals = {len(re.search(NUMBER, amount)[0].partition(".")[2]) for amount in printed}
    assert decimals == {0, 1, 2}
    assert any("," in amount for amount in printed)


def test_the_article_fits_the_word_after_it(sentences):
    for example in sentences:
        assert not re.search(r"\ba [aeio]", example.text), example.text
        assert not re.search(r"\ban [^aeiou]", example.text), example.text


def test_sentences_are_spaced_and_end_as_sentences_are(sentences):
    for example in sentences:
        assert " ".join(example.text.split()) == example.text
        assert example.text.endswith("."), example.text
        assert not re.search(r" [,.;]|\.\.", example.text), example.text
