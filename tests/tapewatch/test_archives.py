"""Archives in Parquet: what is read, what is written, and what is refused; real tiny weights."""

import json
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.scorers import tiny_weights
from typer.testing import CliRunner

from classifier.engine import Engine
from ingest.document import decode
from tapewatch import archives
from tapewatch.archives import (
    ArchiveError,
    content,
    open_archive,
    schema_of,
    score_table,
    write_scored,
)
from tapewatch.cli import app

TEXTS = ["loan falls", "barrel rises 🛢️", None, " \t\x00", "loan " * 500, "people"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def engine(weights):
    return Engine(weights, "cpu", threads=1)


def save(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table(columns), path)
    return path


def score(engine, source, output, size=4):
    schema = schema_of(engine.labels)
    tables = (score_table(t, engine, schema) for t in open_archive(source).batches(size))
    return write_scored(output, schema, tables)


def test_each_row_comes_out_in_its_place_with_what_the_engine_says(engine, tmp_path):
    source = save(
        tmp_path / "in.parquet",
        id=["a", "b", "c", "d", "e", "a"],
        text=TEXTS,
        title=[None, "week", "report", "", "", "loan"],
        published_at=[datetime(2026, 3, 10, tzinfo=UTC)] * 6,
    )
    written = score(engine, source, tmp_path / "out")
    assert (written.rows, written.unscored, written.truncated) == (6, 2, 1)
    assert written.model == engine.version

    rows = parquet.read_table(tmp_path / "out").to_pylist()
    assert [row["id"] for row in rows] == ["a", "b", "c", "d", "e", "a"]
    said = engine.score(["loan falls", "week\nbarrel rises 🛢️", TEXTS[4], "loan\npeople"])
    assert rows[0] == {
        "id": "a",
        "topic": said[0].topic,
        "sentiment": said[0].sentiment,
        "score": said[0].score,
        "topic_probabilities": said[0].topic_probabilities,
        "sentiment_probabilities": said[0].sentiment_probabilities,
        "truncated": False,
        "model": engine.version,
    }
    assert [rows[at]["score"] for at in (0, 1, 4, 5)] == [p.score for p in said]
    assert [rows[at]["truncated"] for at in (0, 1, 4, 5)] == [False, False, True, False]
    for at in (2, 3):
        assert {name for name, value in rows[at].items() if value is not None} == {"id"}


@pytest.mark.parametrize("title", [None, "", " \x00", " The\x00 title "])
@pytest.mark.parametrize("text", ["words", "\x00 words\n", "a\x00b"])
def test_a_row_is_read_as_the_same_document_of_a_feed_is(text, title):
    record = {"id": "1", "text": text, "title": title, "published_at": "2026-03-10T12:00:00Z"}
    document = decode(json.dumps(record).encode(), datetime(2026, 3, 11, tzinfo=UTC))
    assert content(text, title) == document.content


def test_a_folder_is_read_file_by_file_whatever_its_kinds_of_text(engine, tmp_path):
    folder = tmp_path / "in"
    save(folder / "2.parquet", id=[3, 4], text=pa.array(["loan", "oil"], pa.large_string()))
    save(folder / "year=2025" / "1.parquet", text=["x"], id=["five"], title=["t"])
    save(folder / "1.parquet", id=["1"], text=pa.array(["loan"]).dictionary_encode())
    score(engine, folder, tmp_path / "out")
    assert parquet.read_table(tmp_path / "out")["id"].to_pylist() == ["1", "3", "4", "five"]


def test_many_rows_become_even_groups_and_files(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "GROUP_ROWS", 10)
    monkeypatch.setattr(archives, "PART_GROUPS", 2)
    source = save(tmp_path / "in.parquet", id=range(57), text=["loan"] * 57)
    score(engine, source, tmp_path / "out", size=5)
    parts = sorted((tmp_path / "out").iterdir())
    assert [part.name for part in parts] == [f"part-0000{n}.parquet" for n in range(3)]
    groups = [parquet.ParquetFile(part).metadata for part in parts]
    assert [[m.row_group(g).num_rows for g in range(m.num_row_groups)] for m in groups] == [
        [10, 10], [10, 10], [10, 7],
    ]  # fmt: skip
    ids = parquet.read_table(tmp_path / "out")["id"].to_pylist()
    assert ids == [str(number) for number in range(57)]


def test_an_archive_without_rows_gives_one_file_without_rows(engine, tmp_path):
    source = save(
        tmp_path / "in.parquet", id=pa.array([], pa.string()), text=pa.array([], pa.string())
    )
    written = score(engine, source, tmp_path / "out")
    assert (written.rows, written.model) == (0, None)
    assert parquet.read_table(tmp_path / "out").schema.equals(schema_of(engine.labels))


def test_a_failure_leaves_nothing_behind(engine, tmp_path):
    source = save(tmp_path / "in.parquet", id=["a", "b"], text=["loan", "oil"])
    schema = schema_of(engine.labels)

    def failing():
        yield score_table(next(open_archive(source).batches(1)), engine, schema)
        raise RuntimeError("the machine is on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        write_scored(tmp_path / "out", schema, failing())
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


def test_weights_that_change_in_the_middle_are_an_error(engine, tmp_path):
    source = save(tmp_path / "in.parquet", id=["a", "b"], text=["loan", "oil"])
    schema = schema_of(engine.labels)
    first, second = (score_table(t, engine, schema) for t in open_archive(source).batches(1))
    other = second.set_column(7, "model", pa.array(["other"]))
    with pytest.raises(ArchiveError, match="changed from"):
        write_scored(tmp_path / "out", schema, [first, other])
    assert not (tmp_path / "out").exists()


def rescore(*arguments, **settings):
    environment = {f"TAPEWATCH_{name.upper()}": str(value) for name, value in settings.items()}
    return CliRunner().invoke(app, ["rescore", *map(str, arguments)], env=environment)


def saving(**columns):
    return lambda folder: save(folder / "x.parquet", **columns)


def no_parquet(folder):
    (folder / "x.parquet").write_text("hello")
    return folder / "x.parquet"


def empty(folder):
    (folder / "in").mkdir()
    return folder / "in"


REFUSED = {
    "no such file": (lambda folder: folder / "missing.parquet", "there is no archive at"),
    "no text": (saving(id=["a"], body=["b"]), "column text; it has id, body"),
    "no columns of ours": (saving(a=["a"]), "column id and text"),
    "numbers for texts": (saving(id=["a"], text=[1]), "column text holds int64"),
    "fractions for ids": (saving(id=[0.5], text=["a"]), "column id holds double"),
    "an empty folder": (empty, "no file in"),
    "no Parquet": (no_parquet, "cannot be read as Parquet"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_archive_is_refused_before_the_weights_are_loaded(tmp_path, make, message):
    done = rescore("--input", make(tmp_path), "--output", tmp_path / "out", weights=tmp_path)
    assert isinstance(done.exception, ArchiveError)
    assert message in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_there_is_not_written_over(tmp_path):
    source = save(tmp_path / "in.parquet", id=["a"], text=["loan"])
    for there in (source, tmp_path):
        done = rescore("--input", source, "--output", there, weights=tmp_path)
        assert "is there already" in str(done.exception)
    assert parquet.read_table(source).num_rows == 1


def test_the_command_scores_an_archive_into_an_empty_folder(engine, weights, tmp_path):
    source = save(tmp_path / "in.parquet", id=["a", "b", "c"], text=["loan", "oil", None])
    (tmp_path / "out").mkdir()
    arguments = ["--input", source, "--output", tmp_path / "out", "--batch", 2, "--device", "cpu"]
    done = rescore(*arguments, "--json", weights=weights)
    assert done.exception is None, done.output
    report = json.loads(done.stdout)
    assert report.pop("seconds") > 0
    assert report == {
        "input": str(source), "output": str(tmp_path / "out"), "engine": "local",
        "model": engine.version, "documents": 3, "unscored": 1, "truncated": 0,
    }  # fmt: skip
    assert parquet.read_table(tmp_path / "out")["model"].null_count == 1


@pytest.mark.parametrize(
    "arguments",
    [["--input", "x"], ["--output", "x"], ["--engine", "ray"], ["--workers", "2"],
     ["--input", "x", "--output", "y", "--run", "live"],
     ["--input", "x", "--output", "y", "--workers", "2"],
     ["--input", "x", "--output", "y", "--batch", "0"]],
)  # fmt: skip
def test_options_that_do_not_go_together_are_refused(arguments):
    assert rescore(*arguments).exit_code == 2


def test_ray_does_not_score_through_a_server(tmp_path):
    source = save(tmp_path / "in.parquet", id=["a"], text=["loan"])
    arguments = ["--input", source, "--output", tmp_path / "out", "--engine", "ray"]
    done = rescore(*arguments, scorer_url="http://127.0.0.1:9")
    assert "unset TAPEWATCH_SCORER_URL" in str(done.exception)


def test_without_ray_the_message_names_the_extra(weights, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    source = save(tmp_path / "in.parquet", id=["a"], text=["loan"])
    arguments = ["--input", source, "--output", tmp_path / "out", "--engine", "ray"]
    done = rescore(*arguments, weights=weights)
    assert isinstance(done.exception, ArchiveError)
    assert "pip install 'tapewatch[ray]'" in str(done.exception)
    done = rescore(*arguments, "--device", "cuda:1", weights=weights)
    assert "a GPU of its own" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]
