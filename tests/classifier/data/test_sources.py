import gzip
import json
import sys

import datasets
import numpy as np
import pandas as pd
import pytest

from classifier.data.datasets import DatasetError, Example
from classifier.data.sources import LONGEST_TEXT, Columns, read_file, read_frame, read_hub
from classifier.labels import TOPICS, UNLABELLED, Labels

NEGATIVE, NEUTRAL, POSITIVE = 0, 1, 2
NONE = UNLABELLED
ROWS = (
    ("Oil falls", "Oil", "negative"),
    ("Gold, mostly, stays", "Gold", "neutral"),
    ('The "bank" rises', "Bank", "positive"),
)
EXPECTED = [
    Example("Oil falls", 2, NEGATIVE),
    Example("Gold, mostly, stays", 1, NEUTRAL),
    Example('The "bank" rises', 0, POSITIVE),
]


def frame(rows=ROWS, columns=("text", "topic", "sentiment")):
    return pd.DataFrame(rows, columns=list(columns))


def csv(path, rows):
    rows.to_csv(path, index=False)


def tsv(path, rows):
    rows.to_csv(path, sep="\t", index=False)


def jsonl(path, rows):
    rows.to_json(path, orient="records", lines=True)


def parquet(path, rows):
    rows.to_parquet(path)


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("rows.csv", csv),
        ("rows.csv.gz", csv),
        ("rows.tsv", tsv),
        ("rows.tsv.gz", tsv),
        ("rows.jsonl", jsonl),
        ("rows.jsonl.gz", jsonl),
        ("rows.parquet", parquet),
    ],
)
def test_every_format_is_read_alike(tmp_path, name, write):
    write(tmp_path / name, frame())

    found = read_file(tmp_path / name)

    assert found.examples == EXPECTED
    assert {example.source for example in found.examples} == {name}
    assert found.labels == Labels(("Bank", "Gold", "Oil"))
    assert not any(found.left_out.values())


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_columns_are_named_by_the_user(tmp_path, name):
    write = {"csv": csv, "jsonl": jsonl, "parquet": parquet}[name.rpartition(".")[2]]
    write(tmp_path / name, frame(columns=("headline", "category", "mood")))

    found = read_file(tmp_path / name, Columns("headline", "category", "mood"))

    assert found.examples == EXPECTED


@pytest.mark.parametrize(
    ("columns", "heads"),
    [
        (Columns(), {"topic", "sentiment"}),
        (Columns(topic="topic"), {"topic", "sentiment"}),
        (Columns(topic=""), {"sentiment"}),
        (Columns(sentiment=""), {"topic"}),
        (Columns(topic="sentiment", sentiment=""), {"topic"}),
    ],
)
def test_a_label_column_is_taken_if_it_is_there_unless_it_is_turned_off(columns, heads):
    found = read_frame(frame(), "rows", columns).examples

    assert {h for h in ("topic", "sentiment") if getattr(found[0], h) != NONE} == heads


@pytest.mark.parametrize("columns", [("text", "topic"), ("text", "sentiment")])
def test_one_kind_of_label_is_enough(columns):
    rows = frame()[list(columns)]

    found = read_frame(rows, "rows")

    expected = {"topic": (2, NONE), "sentiment": (NONE, NEGATIVE)}[columns[1]]
    assert (found.examples[0].topic, found.examples[0].sentiment) == expected
    assert found.labels.topics == (("Bank", "Gold", "Oil") if columns[1] == "topic" else TOPICS)


@pytest.mark.parametrize(
    ("spelling", "sentiment"),
    [
        ("negative", NEGATIVE), ("Negative", NEGATIVE), (" NEG ", NEGATIVE),
        ("bearish", NEGATIVE), ("-1", NEGATIVE), (-1, NEGATIVE), (-1.0, NEGATIVE),
        ("-1.0", NEGATIVE), (np.int64(-1), NEGATIVE), (np.float32(-1), NEGATIVE),
        ("neutral", NEUTRAL), ("None", NEUTRAL), ("0", NEUTRAL), (0, NEUTRAL), (0.0, NEUTRAL),
        ("positive", POSITIVE), ("Bullish", POSITIVE), ("1", POSITIVE), (1, POSITIVE),
        ("1.0", POSITIVE), ("+1", POSITIVE),
        (None, NONE), (float("nan"), NONE), (pd.NA, NONE), (pd.NaT, NONE), ("", NONE),
        ("  ", NONE), ("NaN", NONE),
    ],
)  # fmt: skip
def test_a_sentiment_may_be_written_in_many_ways(spelling, sentiment):
    rows = pd.DataFrame({"text": ["a", "b"], "topic": ["x", "y"], "sentiment": [spelling, "pos"]},
                        dtype=object)  # fmt: skip

    assert read_frame(rows, "rows").examples[0].sentiment == sentiment


def test_a_csv_is_read_as_it_is_written(tmp_path):
    path = written(
        tmp_path / "rows.csv",
        b"text,topic,sentiment\nNA,None,1\n0012,NA,-1.0\nnull,None,\n1.50,7,bearish\n,7,1\n",
    )

    found = read_file(path)

    assert found.labels.topics == ("7", "NA", "None")
    assert [(e.text, found.labels.topics[e.topic], e.sentiment) for e in found.examples] == [
        ("NA", "None", POSITIVE),
        ("0012", "NA", NEGATIVE),
        ("null", "None", NONE),
        ("1.50", "7", NEGATIVE),
    ]
    assert found.left_out == {"without text": 1, "without label": 0}


def test_numbers_are_topics_too_with_gaps_or_without():
    whole = pd.DataFrame({"text": list("abc"), "topic": [3, 1, 3]})
    gaps = pd.DataFrame({"text": list("abc"), "topic": [3, None, 1], "sentiment": [1, 1, 1]})

    assert read_frame(whole, "rows").labels.topics == ("1", "3")
    assert read_frame(gaps, "rows").labels.topics == ("1", "3")


def test_rows_without_text_or_label_are_left_out_and_counted():
    rows = frame(
        [
            ("a", "Oil", "pos"), ("", "Oil", "pos"), (" \n", "Oil", "pos"), (None, "Oil", "pos"),
            (float("nan"), "Gold", None), ("b", None, ""), ("c", "  ", None),
        ]
    )  # fmt: skip

    found = read_frame(rows, "rows")

    assert [example.text for example in found.examples] == ["a"]
    assert found.left_out == {"without text": 4, "without label": 2}


@pytest.mark.parametrize(
    "value", [7, 1.5, True, {"a": 1}, [1, 2], np.array([1, 2]), pd.Timestamp(0)]
)
def test_a_text_that_is_no_string_is_read_as_one(value):
    rows = pd.DataFrame({"text": [value, "b"], "sentiment": ["pos", "neg"]}, dtype=object)

    assert read_frame(rows, "rows").examples[0].text == str(value)


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_a_text_of_a_hundred_thousand_characters_is_cut(tmp_path, name):
    write = {"csv": csv, "jsonl": jsonl, "parquet": parquet}[name.rpartition(".")[2]]
    write(tmp_path / name, frame([("loss " * 20_000, "Oil", "neg")]))

    (example,) = read_file(tmp_path / name).examples

    assert example.text == ("loss " * 20_000)[:LONGEST_TEXT].strip()


@pytest.mark.parametrize(
    ("origin", "source"),
    [("rows", "rows"), ("a/folder/rows.csv", "rows.csv"), ("org/set", "set")],
)
def test_rows_say_where_they_are_from_by_its_last_name(origin, source):
    assert {example.source for example in read_frame(frame(), origin).examples} == {source}


def test_with_known_labels_a_topic_has_their_index():
    known = Labels(("Zinc", "Oil", "Gold", "Bank"))

    found = read_frame(frame(), "rows", labels=known)

    assert found.labels == known
    assert [example.topic for example in found.examples] == [1, 2, 3]


@pytest.mark.parametrize(
    ("rows", "labels", "says"),
    [
        (
            [("a", "Oil", "pos"), ("b", "Tin", "pos")],
            Labels(("Oil", "Gold")),
            "rows, row 2: unknown topic 'Tin'; the label set is Oil, Gold",
        ),
        (
            [("a", "Oil", "pos"), ("b", "Oil", "pos"), ("c", "Oil", "so-so")],
            None,
            "rows, row 3: unknown sentiment 'so-so'; known are negative, neg, bearish, -1,",
        ),
        ([("a", "Oil", 0.5)], None, "row 1: unknown sentiment '0.5'"),
        ([("a", "Oil", 2)], None, "row 1: unknown sentiment '2'"),
        ([("a", "Oil", True)], None, "row 1: unknown sentiment 'True'"),
    ],
)
def test_an_unknown_label_is_told_with_its_row(rows, labels, says):
    with pytest.raises(DatasetError) as error:
        read_frame(frame(rows), "rows", labels=labels)

    assert says in str(error.value)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (Columns(text="body"), "has no column 'body'; it has text, topic, sentiment"),
        (Columns(topic="class"), "has no column 'class'; it has text, topic, sentiment"),
        (Columns("body", "class", "mood"), "has no column 'body', 'class', 'mood'; it has"),
        (Columns(topic="", sentiment=""), "say which of text, topic, sentiment holds the labels"),
    ],
)
def test_a_column_that_is_missing_is_told_with_those_there(columns, says):
    with pytest.raises(DatasetError, match=f"rows {says}|rows has no column .*{says}"):
        read_frame(frame(), "rows", columns)


def test_a_file_without_a_label_column_is_told_with_its_columns():
    rows = frame(columns=("text", "label", "date"))

    with pytest.raises(DatasetError, match=r"no column 'topic' or 'sentiment'.*text, label, date"):
        read_frame(rows, "rows")


@pytest.mark.parametrize("rows", [[], [("", "Oil", "pos"), ("a", None, None)]])
def test_a_file_without_a_labelled_row_is_told(rows):
    with pytest.raises(DatasetError, match="rows holds no labelled row"):
        read_frame(frame(rows), "rows")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", b""),
        ("rows.csv", b"\xff\xfe\x00\x01"),
        ("rows.csv", b'text,topic\n"a,b\n'),
        ("rows.csv", b"text,topic\na,b\na,b,c,d\n"),
        ("rows.csv.gz", b"no gzip"),
        ("rows.csv.gz", gzip.compress(b"text,topic\na,b\n" * 99)[:-12]),
        ("rows.jsonl", b"not json\n"),
        ("rows.parquet", b"not parquet"),
        ("rows.parquet", b""),
        ("rows.xlsx", b"anything"),
        ("rows", b"anything"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path, name, content):
    with pytest.raises(DatasetError, match=f"{name} cannot be read: "):
        read_file(written(tmp_path / name, content))


def test_an_unknown_format_is_told_with_those_known(tmp_path):
    with pytest.raises(DatasetError, match="give CSV, TSV, JSONL or Parquet"):
        read_file(written(tmp_path / "rows.txt", b"a"))


def test_a_file_that_is_not_there_is_told(tmp_path):
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(DatasetError, match="no labelled file"):
            read_file(path)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Folders laid out as data sets of the Hub are."""
    root = tmp_path_factory.mktemp("hub")
    (root / "tables").mkdir()
    csv(root / "tables" / "train.csv", frame())
    csv(root / "tables" / "test.csv", frame([("not trained on", "Oil", "pos")]))
    features = datasets.Features(
        text=datasets.Value("string"),
        label=datasets.ClassLabel(names=["negative", "neutral", "positive"]),
        kind=datasets.ClassLabel(names=["Oil", "Gold"]),
    )
    rows = {
        "text": ["a", "b", "c", "d"],
        "label": [2, 0, None, -1],
        "kind": [1, None, 0, 0],
    }
    (root / "classes").mkdir()
    made = datasets.Dataset.from_dict(rows, features=features)
    made.to_parquet(root / "classes" / "train-00000.parquet")
    (root / "empty").mkdir()
    return root


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.usefixtures("offline")
def test_the_training_split_of_a_folder_is_read_like_a_set_of_the_hub(hub):
    found = read_hub(str(hub / "tables")).examples

    assert found == EXPECTED
    assert {example.source for example in found} == {"tables"}


@pytest.mark.usefixtures("offline")
def test_class_numbers_of_a_set_become_the_names_that_it_gives_them(hub):
    found = read_hub(str(hub / "classes"), Columns(topic="kind", sentiment="label"))

    assert found.labels.topics == ("Gold", "Oil")
    assert found.examples == [
        Example("a", 0, POSITIVE), Example("b", NONE, NEGATIVE), Example("c", 1, NONE),
        Example("d", 1, NONE),
    ]  # fmt: skip


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ["empty", "absent"])
def test_a_set_that_cannot_be_read_is_told_by_its_name(hub, name):
    with pytest.raises(DatasetError, match=rf"the data set '.*{name}' cannot be read: "):
        read_hub(str(hub / name))


def test_a_set_of_the_hub_needs_a_package_and_says_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)

    with pytest.raises(DatasetError, match=r"org/set is no file.*pip install 'tapewatch\[train\]'"):
        read_hub("org/set")


def test_json_lines_with_gaps_and_numbers_are_read(tmp_path):
    rows = [{"text": "a", "sentiment": -1}, {"text": 12, "sentiment": 1.0}, {"sentiment": 0},
            {"text": "b", "sentiment": None, "topic": "Oil"}]  # fmt: skip
    path = written(tmp_path / "rows.jsonl", "\n".join(map(json.dumps, rows)).encode())

    found = read_file(path)

    assert [(e.text, e.topic, e.sentiment) for e in found.examples] == [
        ("a", NONE, NEGATIVE), ("12", NONE, POSITIVE), ("b", 0, NONE)
    ]  # fmt: skip
    assert found.left_out == {"without text": 1, "without label": 0}
