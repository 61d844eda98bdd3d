import random
import re

from classifier.training import writing
from classifier.training.writing import write_sentences

SLOT = re.compile(r"\{(\w+)\}")


def test_sentences_have_no_empty_slot_and_begin_with_a_capital():
    sentences = write_sentences(2_000, random.Random(1))

    assert len(sentences) == 2_000
    assert not [s for s in sentences if "{" in s or "}" in s or s[0].islower()]


def test_most_sentences_differ_and_the_generator_decides_them():
    sentences = write_sentences(2_000, random.Random(1))

    assert len(set(sentences)) > 1_800
    assert write_sentences(2_000, random.Random(1)) == sentences
    assert write_sentences(2_000, random.Random(2)) != sentences


def test_every_slot_has_words_and_every_list_of_words_a_slot():
    lines = [*writing._SENTENCES, *(word for words in writing._WORDS.values() for word in words)]

    assert {name for line in lines for name in SLOT.findall(line)} == set(writing._WORDS)
