import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from classifier.evaluation.calibration import reliability, softmax
from classifier.evaluation.plots import plot_confusion, plot_reliability
from classifier.labels import SENTIMENTS, TOPICS


def matrix_of(classes, rows=4000):
    chance = np.random.default_rng(1)
    target, said = chance.integers(0, classes, (2, rows))
    said = np.where(chance.random(rows) < 0.8, target, said)
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (target, said), 1)
    return counts.tolist()


def found(factor=1.0):
    chance = np.random.default_rng(2)
    target = chance.integers(0, 3, 2000)
    logits = chance.normal(size=(2000, 3)) + 1.5 * np.eye(3)[target]
    return reliability(softmax(logits * factor), target)


def dark_cells(path):
    """How many of the picture's points are of the scale's dark end."""
    red, _, blue = np.moveaxis(np.asarray(Image.open(path).convert("RGB")).astype(int), 2, 0)
    return int(((blue - red) > 80).sum())


@pytest.mark.parametrize("names", [TOPICS, SENTIMENTS], ids=["topics", "sentiments"])
def test_a_confusion_matrix_is_a_small_picture(tmp_path, names):
    path = tmp_path / "confusion.png"

    plot_confusion(path, names, matrix_of(len(names)), "topic, without repeated rows: 4,000 rows")

    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300
    assert path.stat().st_size < 60_000


def test_what_is_right_is_dark_and_what_is_empty_is_not(tmp_path):
    right, empty = tmp_path / "right.png", tmp_path / "empty.png"

    plot_confusion(right, SENTIMENTS, np.diag([5, 5, 5]).tolist(), "right")
    plot_confusion(empty, SENTIMENTS, np.zeros((3, 3), dtype=int).tolist(), "empty")

    assert dark_cells(right) > 3000
    assert dark_cells(empty) == 0


@pytest.mark.parametrize("classes", [1, 2, 60])
def test_any_number_of_classes_can_be_drawn(tmp_path, classes):
    path = tmp_path / "confusion.png"

    plot_confusion(path, [f"class {n}" for n in range(classes)], matrix_of(classes), "many")

    with Image.open(path) as picture:
        assert max(picture.size) < 2000


def test_a_dollar_in_a_name_is_no_formula(tmp_path):
    path = tmp_path / "confusion.png"

    plot_confusion(path, ["$TSLA_", "a_$b$^", "x"], matrix_of(3), r"$\frac$ of it")

    assert path.stat().st_size > 1000


def test_a_reliability_diagram_is_a_small_picture(tmp_path):
    path = tmp_path / "reliability.png"
    heads = {head: {"before": found(3.0), "after": found()} for head in ("topic", "sentiment")}

    plot_reliability(path, heads)

    with Image.open(path) as picture:
        assert picture.width > picture.height > 300
    assert path.stat().st_size < 60_000


def test_a_head_without_rows_has_an_empty_diagram(tmp_path):
    path = tmp_path / "reliability.png"

    plot_reliability(path, {"topic": {"measured": reliability(np.empty((0, 3)), [])}})

    assert path.stat().st_size > 1000


def test_the_same_numbers_make_the_same_picture(tmp_path):
    one, other = tmp_path / "one.png", tmp_path / "other.png"

    for path in (one, other):
        plot_confusion(path, SENTIMENTS, matrix_of(3), "twice")

    assert one.read_bytes() == other.read_bytes()


def test_drawing_leaves_matplotlib_as_it_was(tmp_path):
    before = dict(mpl.rcParams)

    plot_confusion(tmp_path / "confusion.png", SENTIMENTS, matrix_of(3), "alone")

    assert dict(mpl.rcParams) == before
