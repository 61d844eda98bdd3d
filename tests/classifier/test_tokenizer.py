import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from classifier.tokenizer import END, PAD, URL, USER, train_tokenizer, without_links

TEXTS = [
    f"Profit of the bank {verb} after the report number {number}"
    for number in range(40)
    for verb in ("falls", "rises")
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 400, 64)


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def pieces(tokenizer, text):
    return tokenizer.convert_ids_to_tokens(ids(tokenizer, text))


def plain(tokenizer, text):
    return tokenizer.decode(ids(tokenizer, text)).strip()


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Profit FALLS", "profit falls"),
        ("  profit \t\n falls ", "profit falls"),
        ("profit\u00a0falls", "profit falls"),
        ("profit\u200bfalls", "profit falls"),
        ("profit\x00\x1ffalls", "profit falls"),
        ("ｐｒｏｆｉｔ", "profit"),  # noqa: RUF001 - full width, for NFKC to fold
        ("ﬁrst", "first"),
        ("$AAPL and $ALPH.B", "$ aapl and $ alph.b"),
        ("#Oil #1", "# oil #1"),
        ("AT&amp;T &lt;b&gt;", "at&t b"),
        ("5 % of 12", "5 % of 00"),
        ("in 2022", "in 0000"),
        ("13.1 and 1,250,000.50", "0 and 0"),
        ("$13.1", "$0"),
        ("q3 covid19", "q3 covid00"),
        ("mail a@b.test", "mail a@b.test"),
        ("buy @ 5", "buy @ 5"),
        ("up 📈 5 % 日本", "up 📈 5 % 日本"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_a_text_is_cleaned_before_it_is_cut_up(tokenizer, text, cleaned):
    assert plain(tokenizer, text) == cleaned


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Profit falls", "profit   FALLS\n"),
        ("see https://a.test", "see http://b.test/long?x"),
        ("ask @one_user", "ask @another"),
        ("up 13.1 %", "up 2,040 %"),
        ("in 1999", "in 2022"),
    ],
)
def test_what_is_cleaned_to_the_same_is_the_same(tokenizer, one, other):
    assert ids(tokenizer, one) == ids(tokenizer, other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://t.co/AbC", [URL]),
        ("www.example.test/x?y=1", [URL]),
        ("@SomeBody", [USER]),
        ("@a1 @b2 https://t.co/x", [USER, USER, URL]),
        ("profit https://t.co/AbC falls", ["Ġprofit", URL, "Ġfalls"]),
        ("profit @SomeBody falls", ["Ġprofit", USER, "Ġfalls"]),
    ],
)
def test_a_link_and_a_handle_are_one_token_each(tokenizer, text, expected):
    assert pieces(tokenizer, text) == expected


def test_the_vocabulary_is_at_most_what_was_asked_for(tokenizer):
    assert 258 < len(tokenizer) <= 400
    assert max(tokenizer.get_vocab().values()) == len(tokenizer) - 1


def test_frequent_words_become_one_token_and_rare_ones_several(tokenizer):
    assert pieces(tokenizer, "profit falls") == ["Ġprofit", "Ġfalls"]
    assert len(pieces(tokenizer, "zyzzyva")) > 3


@pytest.mark.parametrize("text", ["📉💥", "日本銀行", "\u0416", "a\u0301", "\ufffd", "🏳️‍🌈"])
def test_no_text_is_unknown(tokenizer, text):
    assert ids(tokenizer, text)
    assert tokenizer.unk_token_id not in ids(tokenizer, text)


def test_the_end_and_the_padding_are_tokens_of_their_own(tokenizer):
    assert (tokenizer.eos_token, tokenizer.bos_token, tokenizer.pad_token) == (END, END, PAD)
    assert tokenizer.eos_token_id != tokenizer.pad_token_id
    assert (tokenizer.padding_side, tokenizer.truncation_side) == ("right", "right")
    assert tokenizer.model_max_length == 64


def test_it_is_the_same_when_it_is_trained_again(tokenizer):
    again = train_tokenizer(iter(TEXTS), 400, 64)

    assert again.get_vocab() == tokenizer.get_vocab()


def test_it_survives_being_saved_and_loaded(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "  Profit FALLS https://t.co/x @somebody 📉\x00 zyzzyva"

    assert ids(loaded, text) == ids(tokenizer, text)
    assert (loaded.eos_token_id, loaded.pad_token_id) == (
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
    )


def foreign(normalizer=None):
    """A tokenizer of another model: whole words, framed as BERT's are."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "profit", "falls", "@", "user", "see"]
    words = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    if normalizer is not None:
        words.normalizer = normalizer
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=9,
    )  # fmt: skip


@pytest.mark.parametrize("normalizer", [None, normalizers.Lowercase()])
def test_links_and_handles_are_taken_out_for_another_models_tokenizer(normalizer):
    tokenizer = without_links(foreign(normalizer))

    framed = tokenizer("see https://t.co/Ab profit @SomeBody falls www.x.test")["input_ids"]

    assert tokenizer.convert_ids_to_tokens(framed) == [
        "[CLS]", "see", "profit", "@", "user", "falls", "[SEP]"
    ]  # fmt: skip
    shouted = "profit" if normalizer else "[UNK]"
    assert pieces(tokenizer, "PROFIT") == [shouted]
    assert (tokenizer.cls_token, tokenizer.pad_token_id) == ("[CLS]", 0)
    assert tokenizer.model_max_length == 9


def test_links_are_taken_out_once_also_after_saving(tmp_path):
    once = without_links(foreign())
    once.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)

    assert without_links(once) is once
    assert without_links(loaded) is loaded
    text = "see https://t.co/Ab profit @SomeBody"
    assert loaded(text)["input_ids"] == once(text)["input_ids"]


def test_our_own_tokenizer_takes_out_links_already(tokenizer):
    assert without_links(tokenizer) is tokenizer
