"""Tiny weights, trained in a second on texts in which single words decide."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2Model

from classifier.labels import SENTIMENTS, Labels
from classifier.model import TwoHeadedModel, encode, save_weights
from classifier.tokenizer import train_tokenizer

FILLERS = ("the", "report", "of", "today", "says", "that", "people", "at", "market", "week")
CONTEXT = 64
_STEPS = 60
_ROWS = 32


def write_weights(
    folder: Path,
    topic_words: Mapping[str, str],
    sentiment_words: Mapping[str, str],
    seed: int = 1,
) -> Path:
    """Train and save a model whose topics are those of `topic_words`, which gives each its word.

    The sentiment is neutral but for the words of `sentiment_words`, also by class.
    """
    labels = Labels(tuple(topic_words), SENTIMENTS)
    words = (*FILLERS, *topic_words.values(), *sentiment_words.values())
    tokenizer = train_tokenizer([" ".join(words)] * 5, 600, CONTEXT)
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    model = TwoHeadedModel(GPT2Model(config), labels, dropout=0.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    chance = random.Random(seed)
    for _ in range(_STEPS):
        rows = [_row(chance, labels, topic_words, sentiment_words) for _ in range(_ROWS)]
        tokens = encode(tokenizer, [text for text, _, _ in rows], CONTEXT)
        lengths = torch.tensor([len(ids) for ids in tokens])
        input_ids = torch.full((len(rows), int(lengths.max())), int(tokenizer.pad_token_id))
        for row, ids in enumerate(tokens):
            input_ids[row, : len(ids)] = torch.tensor(ids)
        outputs = model.logits(input_ids, lengths)
        wanted = torch.tensor([classes for _, *classes in rows]).T
        loss = sum(
            torch.nn.functional.cross_entropy(logits, target)
            for logits, target in zip(outputs, wanted, strict=True)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save_weights(model, tokenizer, folder)
    return folder


def _row(
    chance: random.Random,
    labels: Labels,
    topic_words: Mapping[str, str],
    sentiment_words: Mapping[str, str],
) -> tuple[str, int, int]:
    """A text of fillers, one topic's word and perhaps one of a sentiment, and its classes."""
    topic = chance.randrange(len(labels.topics))
    sentiment = chance.randrange(len(SENTIMENTS))
    deciding = [
        topic_words[labels.topics[topic]],
        *filter(None, [sentiment_words.get(SENTIMENTS[sentiment])]),
    ]
    text = [*chance.choices(FILLERS, k=chance.randint(0, 8)), *deciding]
    chance.shuffle(text)
    return " ".join(text), topic, sentiment
