"""Learning pairs: the tokens of the definition, of Hugging Face's `tokenizers`, and the laws of what is learned."""

import itertools
from collections import Counter

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.text import GPT2_PATTERN, BPETokenizer, train_bpe
from minimodels.text.bpe import definition
from minimodels.text.bpe.corpus import SHIFT, Corpus
from minimodels.text.bpe.letters import BYTES
from minimodels.text.bpe.merges import merges_of
from minimodels.text.bpe.training import count_pieces, learn
from tests.text.strategies import assigned_texts, texts

few = st.text("ab", max_size=12) | st.text("abc é", max_size=12)
"""Texts with many equal pairs, overlaps and ties."""

corpora = st.lists(few | texts, min_size=1, max_size=5)


few_pieces = st.dictionaries(st.text("abc", min_size=2, max_size=7).map(str.encode), st.integers(1, 9), max_size=6)
counted = few_pieces | corpora.map(lambda corpus: count_pieces(corpus, GPT2_PATTERN))
"""How often each piece is in some texts; mostly such that merges take places from each other."""


@given(counted, st.integers(0, 40), st.integers(1, 3))
def test_the_tokens_are_those_of_the_definition(pieces: dict[bytes, int], merges: int, min_frequency: int) -> None:
    expected = definition.learn(pieces, merges, min_frequency)
    tokens = learn(pieces, merges, min_frequency)
    assert tokens[:256] == [bytes([byte]) for byte in BYTES]
    assert tokens[256:] == [b"".join(pair) for pair in expected]
    assert merges_of({token: number for number, token in enumerate(tokens)}) == expected


@given(counted, st.data())
def test_the_counts_stay_true_in_whatever_order_pairs_are_merged(pieces: dict[bytes, int], data) -> None:
    corpus = Corpus(pieces)
    words = {piece: [bytes([byte]) for byte in piece] for piece in pieces}
    while True:
        counts: Counter[tuple[bytes, bytes]] = Counter()
        for piece, word in words.items():
            for pair in itertools.pairwise(word):
                counts[pair] += pieces[piece]
        present = {pair: count for pair, count in corpus.counts.items() if count}
        assert {both(corpus, pair): count for pair, count in present.items()} == counts
        if not counts:
            return
        pair = data.draw(st.sampled_from(sorted(present)))
        corpus.merge(pair)
        for word in words.values():
            definition.merge(word, both(corpus, pair))


def both(corpus: Corpus, pair: int) -> tuple[bytes, bytes]:
    return corpus.tokens[pair >> SHIFT], corpus.tokens[pair % (1 << SHIFT)]


def trained(corpus: list[str], merges: int, **settings) -> BPETokenizer:
    """A tokenizer with as many merges as the texts give, up to a number."""
    tokens = learn(count_pieces(corpus, GPT2_PATTERN), merges)
    return train_bpe(corpus, len(tokens) + 1, min_frequency=1, **settings)


@given(corpora, st.integers(0, 60), few | texts)
def test_any_text_comes_back(corpus: list[str], merges: int, text: str) -> None:
    tokenizer = trained(corpus, merges)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(corpora, st.integers(0, 60), few | assigned_texts)
def test_replaying_the_merges_gives_the_numbers_of_tiktoken(corpus: list[str], merges: int, text: str) -> None:
    tokenizer = trained(corpus, merges)
    ids = []
    for piece in regex.findall(GPT2_PATTERN, text):
        ids += [tokenizer.ranks[token] for token in definition.encode(piece.encode(), merges_of(tokenizer.ranks))]
    assert tokenizer.encode(text) == ids


@given(corpora, st.integers(0, 40), st.integers(0, 40), few | texts)
def test_more_merges_never_give_more_tokens(corpus: list[str], fewer: int, more: int, text: str) -> None:
    fewer, more = sorted((fewer, more))
    small, large = trained(corpus, fewer), trained(corpus, more)
    assert list(small.ranks) == list(large.ranks)[: len(small.ranks)]
    assert len(large.encode(text)) <= len(small.encode(text))


@given(corpora, st.randoms())
def test_the_order_of_texts_does_not_matter(corpus: list[str], random) -> None:
    shuffled = random.sample(corpus, len(corpus))
    assert trained(corpus, 30).ranks == trained(shuffled, 30).ranks


@given(few | texts)
def test_a_text_may_be_cut_between_its_pieces(text: str) -> None:
    assert count_pieces(regex.findall(GPT2_PATTERN, text), GPT2_PATTERN) == count_pieces([text], GPT2_PATTERN)


def test_a_text_may_not_be_cut_inside_a_piece() -> None:
    assert learn(count_pieces(["banana"] * 2, GPT2_PATTERN), 1)[256:] == [b"an"]
    assert learn(count_pieces(["ba", "na", "na"] * 2, GPT2_PATTERN), 1)[256:] == [b"na"]


def test_what_spells_a_special_token_is_no_text() -> None:
    text = "<|endoftext|>".join(["so", "so", "so"])
    assert count_pieces([text], GPT2_PATTERN, ["<|endoftext|>"]) == {b"so": 3}
    tokenizer = train_bpe([text, text], 258)
    assert tokenizer.encode(text, allowed_special="all") == [256, 257, 256, 257, 256]
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_texts_are_read_once() -> None:
    assert train_bpe(iter(["low lower", "lowest"]), 259).ranks == train_bpe(["low lower", "lowest"], 259).ranks


def test_another_pattern_cuts_otherwise(tmp_path) -> None:
    tokenizer = train_bpe(["to be or not to be"] * 2, 268, pattern=r".+", special_tokens=(), min_frequency=1)
    assert any(b" " in token[1:] for token in tokenizer.ranks)
    tokenizer.save_pretrained(tmp_path)
    assert BPETokenizer.from_pretrained(tmp_path).encode("to be or") == tokenizer.encode("to be or")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"vocab_size": 256}, "vocab_size 256: the bytes and special tokens alone are 257; give that or more."),
        ({"vocab_size": 999}, "vocab_size 999: the texts have pairs for 258 tokens only (min_frequency 2); "),
        ({"vocab_size": 258, "pattern": "("}, "the pattern '(' is not a regular expression ("),
        ({"vocab_size": 258, "pattern": r"\w+"}, "the pattern '\\\\w+' leaves out a part of the text"),
        ({"vocab_size": 258, "texts": "\ud800"}, "the text holds half a surrogate pair, U+D800, at position 0"),
        ({"vocab_size": 258, "texts": ""}, "vocab_size 258: the texts have pairs for 257 tokens only"),
        ({"vocab_size": 258, "min_frequency": 0}, "min_frequency 0: a pair that is never seen cannot be learned"),
        ({"vocab_size": 258, "texts": [b"so"]}, "a text has to be a str, but bytes was given."),
        ({"vocab_size": 258, "special_tokens": ["a", "a"]}, "two tokens have the same name"),
    ],
)
def test_bad_input_gets_one_sentence(arguments, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        train_bpe(**{"texts": "so so"} | arguments)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["shakespeare", "chinese"])
def test_real_texts_give_the_tokens_of_hugging_face(text: str, request: pytest.FixtureRequest) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    corpus = request.getfixturevalue(text)
    level = tokenizers.pre_tokenizers.ByteLevel
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = level(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=1023, min_frequency=2, initial_alphabet=level.alphabet(), special_tokens=[], show_progress=False
    )
    theirs.train_from_iterator([corpus], trainer)
    ours = train_bpe(corpus, 1023, special_tokens=())
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.encode(corpus) == theirs.encode(corpus).ids
