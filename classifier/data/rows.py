"""The rows of a recipe: every source of labels gathered into one split without leaks.

Public sets keep their published test rows; files and Hub sets get test rows of their own, a share
fixed by a hash of the text. Corrections by analysts win over any other label of the same text.
Knows no models.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from classifier.data.datasets import (
    DatasetError,
    Example,
    Splits,
    distinct,
    draw,
    make_splits,
    normal_form,
    share_of,
)
from classifier.data.public import (
    has_topics,
    is_folder,
    is_public,
    load_corpus,
    named_splits,
)
from classifier.data.sources import Columns, Labelled, read_file, read_hub
from classifier.labels import SENTIMENTS, UNLABELLED, Labels
from classifier.recipe import DataSource, Recipe

CORRECTION_WEIGHT = 3
"""How many times a corrected row is seen in an epoch: it is rare, recent and about an error."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What an analyst says of a text, by name; None where nothing is said."""

    text: str
    topic: str | None = None
    sentiment: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Split rows, the label set, unlabelled texts beside them, and what was left out."""

    splits: Splits
    labels: Labels
    unlabelled: list[Example] = field(default_factory=list)
    corrections: int = 0
    notes: tuple[str, ...] = ()


def gather(
    recipe: Recipe,
    known: Labels | None = None,
    corrections: Sequence[Correction] = (),
    *,
    otherwise: Labels | None = None,
    published: bool = False,
) -> Rows:
    """Read and split what the recipe names. Raises DatasetError.

    ``known`` are the labels of weights to go on from: other topics are then an error.
    ``otherwise`` are the labels where no row has a topic; by default the public topics.
    """
    public = [source for source in recipe.data if is_public(Path(source.path))]
    files = [source for source in recipe.data if source not in public]
    if not recipe.data:
        raise DatasetError("no rows to train on: name some with --data")
    if any(has_topics(Path(source.path)) for source in public):
        known = known or Labels()
        if known.topics != Labels().topics:
            raise DatasetError(
                "the base has topics of its own, which the public sets do not know: name files "
                "with its topics, or those of the public sets that have sentiments only"
            )
    read = [_read(source, known) for source in files]
    labels = _one_label_set(read, known, files, otherwise)
    rows = [example for labelled in read for example in labelled.examples]
    splits = _split(recipe, public, rows, published=published)
    if recipe.rows is not None:
        splits = replace(splits, train=draw(splits.train, recipe.rows))
    corrected = [_example(correction, labels) for correction in corrections]
    splits, used = _with_corrections(splits, corrected)
    whole = [Path(source.path) for source in public if is_folder(Path(source.path))]
    unlabelled = [
        replace(e, topic=UNLABELLED, sentiment=UNLABELLED)
        for path in whole
        for e in load_corpus(path)
    ]
    return Rows(splits, labels, unlabelled, used, tuple(_notes(files, read)))


def _read(source: DataSource, labels: Labels | None) -> Labelled:
    columns = Columns(source.text, source.topic, source.sentiment)
    path = Path(source.path)
    if path.is_file() or path.suffix in {".csv", ".tsv", ".jsonl", ".parquet", ".gz"}:
        return read_file(path, columns, labels)
    return read_hub(source.path, columns, labels)


def _one_label_set(
    read: Sequence[Labelled],
    known: Labels | None,
    files: Sequence[DataSource],
    otherwise: Labels | None,
) -> Labels:
    """The label set of all sources: the known one, or what the files hold."""
    if known is not None:
        return known
    named = {
        labelled.labels.topics
        for labelled in read
        if any(example.topic != UNLABELLED for example in labelled.examples)
    }
    if len(named) > 1:
        raise DatasetError(
            f"{' and '.join(source.path for source in files)} hold different topics: put them "
            "into one file, so that one label set is learned"
        )
    return Labels(topics=named.pop()) if named else otherwise or Labels()


def _split(
    recipe: Recipe, sources: Sequence[DataSource], rows: list[Example], *, published: bool
) -> Splits:
    own_test = [e for e in distinct(rows, set()) if share_of(e.text) < recipe.test_share]
    tests = {"a fixed share of the labelled rows": own_test} if own_test else {}
    if not sources:
        if not tests:
            raise DatasetError(f"{len(rows)} rows are too few to keep test rows of them")
        return make_splits(rows, tests, recipe.development_share)
    public = named_splits([Path(source.path) for source in sources], published=published)
    if not (tests or public.tests):
        raise DatasetError(
            f"{' and '.join(source.path for source in sources)} hold no test rows: name another "
            "set beside"
        )
    if not rows:
        return public
    tests = {**public.tests, **tests}
    held_out = [Example(form) for form in public.held_out]
    added = make_splits(rows, tests, recipe.development_share, also_excluded=held_out)
    tested = {normal_form(example.text) for example in own_test}
    chosen_by = {normal_form(example.text) for example in added.development}
    return Splits(
        [*_apart(public.train, tested | chosen_by), *added.train],
        [*_apart(public.development, tested), *added.development],
        tests,
        public.held_out | added.held_out,
    )


def _with_corrections(splits: Splits, corrected: Iterable[Example]) -> tuple[Splits, int]:
    """Corrected rows join the training rows in place of what they correct; no test row does.

    The latest of a text counts; where it says nothing of a head, what was known of it stays.
    """
    replaced: dict[str, Example] = {}
    for row in corrected:
        form = normal_form(row.text)
        if form and form not in splits.held_out:
            replaced[form] = _filled(row, replaced.get(form, row))
    for row in splits.train:
        form = normal_form(row.text)
        if form in replaced:
            replaced[form] = _filled(replaced[form], row)
    fresh = list(replaced.values())
    train = [*_apart(splits.train, replaced), *fresh * CORRECTION_WEIGHT]
    return replace(splits, train=train), len(fresh)


def _example(correction: Correction, labels: Labels) -> Example:
    topic = sentiment = UNLABELLED
    if correction.topic is not None:
        if correction.topic not in labels.topics:
            raise DatasetError(
                f"a correction names the topic {correction.topic!r}, which is not in the label set"
            )
        topic = labels.topics.index(correction.topic)
    if correction.sentiment is not None:
        sentiment = SENTIMENTS.index(correction.sentiment)
    return Example(correction.text, topic, sentiment)


def _filled(correction: Example, known: Example) -> Example:
    return Example(
        correction.text,
        known.topic if correction.topic == UNLABELLED else correction.topic,
        known.sentiment if correction.sentiment == UNLABELLED else correction.sentiment,
    )


def _apart(rows: Iterable[Example], forms: Iterable[str]) -> list[Example]:
    dropped = set(forms)
    return [row for row in rows if normal_form(row.text) not in dropped]


def _notes(files: Sequence[DataSource], read: Sequence[Labelled]) -> Iterable[str]:
    for source, labelled in zip(files, read, strict=True):
        left_out = {why: count for why, count in labelled.left_out.items() if count}
        if left_out:
            told = ", ".join(f"{count:,} {why}" for why, count in left_out.items())
            yield f"{source.path}: rows left out: {told}"
