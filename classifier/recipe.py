"""Training recipes: every choice of a fine-tune or a distillation, from a TOML file or flags.

Each key may also be given on the command line, which wins. Unknown keys and values out of range
are told by name before anything is loaded. Knows no torch.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from classifier.errors import ClassifierError

SHIPPED = "shipped"
CHAMPION = "champion"


Kind = TypeVar("Kind", bound="Recipe")


class RecipeError(ClassifierError, ValueError):
    """A recipe cannot be read or followed; the message names the key and what it may be."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSource(_Table):
    """One source of labelled rows: a file, a folder of the public sets, or a Hub name."""

    path: str = Field(description="a file, a folder of the public sets, or a data set of the Hub")
    text: str = Field("text", description="column of the text")
    topic: str | None = Field(
        None, description="column of the topic; unset: `topic` if there, empty: none"
    )
    sentiment: str | None = Field(
        None, description="column of the sentiment; unset: `sentiment` if there, empty: none"
    )


class Recipe(_Table):
    """A fine-tune, whole. ``base`` may also be `shipped` or `champion`."""

    base: str = Field(
        SHIPPED, description="language model to start from: folder, Hub name, shipped, champion"
    )
    data: tuple[DataSource, ...] = Field((), description="where labelled rows come from")
    vocabulary: int = Field(
        0, ge=0, description="tokens that the base's vocabulary grows to; 0: as the base has it"
    )
    words_from: str | None = Field(
        None, description="encoder that new words start from; unset: from their pieces"
    )
    test_share: float = Field(
        0.1, gt=0, lt=0.5, description="share of the rows of files kept for the test"
    )
    development_share: float = Field(
        0.05, gt=0, lt=0.5, description="share of the rows kept for choosing the epoch"
    )
    rows: int | None = Field(None, ge=1, description="use so many rows only: for a try")
    strategy: Literal["heads", "last", "full", "lora"] = Field(
        "full", description="what is trained: the heads, also the last blocks, all, or by LoRA"
    )
    blocks: int = Field(2, ge=1, description="blocks that the strategy `last` trains")
    lora_rank: int = Field(16, ge=1, description="rank of LoRA's matrices")
    lora_alpha: int = Field(32, ge=1, description="scale of LoRA's matrices")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="optimizer")
    learning_rate: float = Field(5e-4, gt=0, description="highest learning rate")
    head_factor: float = Field(1.0, gt=0, description="times the learning rate: that of the heads")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    weight_decay: float = Field(0.05, ge=0, description="weight decay")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="course of the learning rate"
    )
    warmup_share: float = Field(0.05, ge=0, lt=1, description="share of the steps to warm up")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout before the heads")
    trunk_dropout: float | None = Field(
        None, ge=0, lt=1, description="dropout inside the base; unset: as the base has it"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="label smoothing")
    class_weights: bool = Field(
        default=False, description="weigh classes by the root of their rarity"
    )
    epochs: float = Field(5.0, gt=0, description="passes over the rows")
    max_tokens: int = Field(
        256, ge=2, description="tokens of a training text at most: memory grows with their square"
    )
    batch_texts: int = Field(32, ge=1, description="texts of a step")
    accumulate: int = Field(1, ge=1, description="steps whose gradients are added up")
    patience: int = Field(0, ge=0, description="epochs without gain before stopping; 0: never")
    metric: Literal[
        "macro_f1", "accuracy", "topic_macro_f1", "topic_accuracy", "sentiment_macro_f1",
        "sentiment_accuracy", "loss",
    ] = Field("macro_f1", description="what the best epoch is best in")  # fmt: skip
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="bf16 where the device is fast at it, or as told"
    )
    seed: int = Field(7, description="seed of every random draw")

    @model_validator(mode="after")
    def _words_need_room(self) -> Self:
        if self.words_from is not None and not self.vocabulary:
            raise ValueError("words_from is for a vocabulary that grows: give vocabulary too")
        return self


def _as_names(given: object) -> object:
    return tuple(filter(None, given.split("+"))) if isinstance(given, str) else given


Names = Annotated[tuple[str, ...], BeforeValidator(_as_names)]
"""Names of sets or files; on the command line with a plus between them."""


class Teacher(_Table):
    """Weights that teach: everything, or what they know better than the others."""

    weights: Path = Field(description="folder of weights, or shipped")
    of: Names = Field(
        (), description="sets that it alone is asked about, by name; none: all that is left"
    )


def _as_table(given: object) -> object:
    return {"weights": given} if isinstance(given, str | Path) else given


class DistilRecipe(Recipe):
    """A distillation: a fine-tune whose rows are also labelled by teachers."""

    teachers: tuple[Annotated[Teacher, BeforeValidator(_as_table)], ...] = Field(
        min_length=1, description="who teaches: folders of weights, or tables of them"
    )

    @field_validator("teachers")
    @classmethod
    def _some_teach_everything(cls, teachers: tuple[Teacher, ...]) -> tuple[Teacher, ...]:
        if all(teacher.of for teacher in teachers):
            raise ValueError("each teaches some sets only: name one without `of` for all the rest")
        return teachers

    @model_validator(mode="after")
    def _somebody_writes_like_something(self) -> Self:
        if self.generated and not (self.generator and self.generated_from):
            raise ValueError(
                "generated needs a generator, which writes, and generated_from, the set it reads"
            )
        return self

    trunk_dropout: float | None = Field(
        0.0, ge=0, lt=1, description="dropout inside the student; unset: as the base has it"
    )
    labelled_repeats: int = Field(
        1, ge=1, description="how often a labelled row is seen in an epoch, beside once the others"
    )
    unlabelled: int | None = Field(
        None, ge=0, description="unlabelled texts drawn from those there are; unset: all"
    )
    augmented: int = Field(80_000, ge=0, description="made texts beside those there are")
    made_from: Names = Field(
        (), description="sets whose rows texts are made from, by name; none: all"
    )
    written: int = Field(
        20_000, ge=0, description="invented sentences of company news beside those there are"
    )
    plain: int = Field(
        0, ge=0, description="posts without a sentiment, written as the headlines that they pass on"
    )
    generated: int = Field(
        0, ge=0, description="texts that a language model writes like those of one set"
    )
    generated_from: str | None = Field(
        None, description="that set, by name; what is written counts as texts of it"
    )
    generator: str | None = Field(
        None, description="the language model that reads the set and writes: folder or Hub name"
    )
    hard_share: float = Field(
        0.3, ge=0, le=1, description="weight of the rows' own labels beside the teachers'"
    )
    temperature: float = Field(2.0, gt=0, description="how far teachers' labels are softened")
    direction: float = Field(
        1.0, ge=0, description="weight of the first teacher's vectors in the loss"
    )


def read_recipe(kind: type[Kind], path: Path | None, given: dict[str, Any]) -> Kind:
    """The recipe of that file, with the keys that are ``given`` (not None) in their place.

    Raises RecipeError.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise RecipeError(f"the recipe {path} cannot be read: {error}") from error
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        return kind(**values)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        where = f" {path}" if path else ""
        raise RecipeError(
            f"the recipe{where} is wrong: {wrong}; docs/training.md lists the keys"
        ) from error
