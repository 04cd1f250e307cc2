"""Learning byte pairs from texts: the commonest pair of neighbours becomes one token, again and again."""

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import regex

from minimodels.errors import InputError
from minimodels.text.bpe.corpus import Corpus
from minimodels.text.bpe.letters import BYTES
from minimodels.text.bpe.tokenizer import END_OF_TEXT, GPT2_PATTERN, BPETokenizer
from minimodels.text.reading import checked


def train_bpe(
    texts: str | Iterable[str],
    vocab_size: int,
    *,
    pattern: str = GPT2_PATTERN,
    special_tokens: Sequence[str] = (END_OF_TEXT,),
    min_frequency: int = 2,
    **settings: Any,
) -> BPETokenizer:
    """Learn a tokenizer of byte pairs.

    The numbers are given as in GPT-2: first the 256 bytes, then a token for each merge, at last the special ones. Of
    pairs that are equally frequent, the one of the lower left number goes first, then of the lower right one, so that
    the same texts, in whatever order, always give the same tokens. Those of Hugging Face's `tokenizers` are the same.

    Args:
        texts: one, or several, each of which is read once and cut by itself.
        vocab_size: how many tokens there are to be, the special ones included.
        pattern: a regular expression that finds the pieces of a text, all of it; no token reaches over a cut.
        special_tokens: names of tokens that no text contains. Where a text spells one, it is cut there.
        min_frequency: a pair that is seen less often does not become a token.
        **settings: those of `Tokenizer`.

    Raises:
        InputError: too small a vocabulary, or too large a one for these texts; a pattern that leaves something out; a
            text with half a surrogate pair.

    Cost: time and memory grow with the bytes of all different pieces, not with those of the texts: each merge visits
        the places of its own pair only. A million characters of English take about a second to 4,096 tokens.

    References: Sennrich, Haddow & Birch 2016, arXiv:1508.07909, algorithm 1; Radford et al. 2019, "Language models are
        unsupervised multitask learners", section 2.2 (bytes, and the pattern); Gage 1994, "A new algorithm for data
        compression".

    See: minimodels/text/bpe/tokenizer.py; tests/text/bpe/test_training.py

    Example:
        >>> tokenizer = train_bpe("low lower lowest slow slower slowest", vocab_size=261)
        >>> tokenizer.convert_ids_to_tokens(tokenizer.encode("slowest low"))
        ['s', 'lowe', 's', 't', 'Ġ', 'low']
    """
    wanted = vocab_size - len(BYTES) - len(special_tokens)
    if wanted < 0:
        least = len(BYTES) + len(special_tokens)
        raise InputError(f"vocab_size {vocab_size}: the bytes and special tokens alone are {least}; give that or more.")
    if len(set(special_tokens)) != len(special_tokens):
        raise InputError(f"special_tokens {list(special_tokens)}: two tokens have the same name; give each its own.")
    if min_frequency < 1:
        raise InputError(f"min_frequency {min_frequency}: a pair that is never seen cannot be learned; give 1 or more.")
    pieces = count_pieces([texts] if isinstance(texts, str) else texts, pattern, special_tokens)
    tokens = learn(pieces, wanted, min_frequency)
    if len(tokens) < len(BYTES) + wanted:
        found = len(tokens) + len(special_tokens)
        raise InputError(
            f"vocab_size {vocab_size}: the texts have pairs for {found} tokens only (min_frequency {min_frequency}); "
            "give that, or more text."
        )
    ranks = {token: number for number, token in enumerate(tokens)}
    return BPETokenizer(
        ranks, {name: number for number, name in enumerate(special_tokens, start=len(ranks))}, pattern, **settings
    )


def count_pieces(texts: Iterable[str], pattern: str, special_tokens: Sequence[str] = ()) -> Counter[bytes]:
    """How often each piece of the texts is there.

    Args:
        texts: each is cut by itself.
        pattern: finds the pieces.
        special_tokens: a text is cut where it spells one, which then belongs to no piece.

    Raises:
        InputError: no regular expression, or one that leaves something out; half a surrogate pair.

    Example:
        >>> count_pieces(["to be, or not to be"], GPT2_PATTERN)[b" be"]
        2
    """
    try:
        cutter = regex.compile(pattern)
    except regex.error as error:
        raise InputError(f"the pattern {pattern!r} is not a regular expression ({error}).") from None
    special = re.compile("|".join(map(re.escape, special_tokens)) or r"(?!)")
    pieces: Counter[str] = Counter()
    length = 0
    for text in texts:
        for part in special.split(checked(text)):
            pieces.update(match[0] for match in cutter.finditer(part))
            length += len(part)
    if sum(len(piece) * count for piece, count in pieces.items()) != length:
        raise InputError(f"the pattern {pattern!r} leaves out a part of the text, which could not be decoded.")
    return Counter({piece.encode(): count for piece, count in pieces.items()})


def learn(pieces: Mapping[bytes, int], merges: int, min_frequency: int = 1) -> list[bytes]:
    """The tokens that a number of merges make, behind the 256 bytes; fewer where no pair is left.

    Args:
        pieces: how often each piece of the texts is there.
        merges: how many.
        min_frequency: a pair that is seen less often is not merged.

    Example:
        >>> learn({b"banana": 1, b"bandana": 1}, merges=3)[256:]
        [b'an', b'ban', b'ana']
    """
    corpus = Corpus(pieces, min_frequency)
    counts = corpus.counts
    queue = [(-count, pair) for pair, count in counts.items() if count >= min_frequency]
    heapq.heapify(queue)
    while queue and len(corpus.tokens) < len(BYTES) + merges:
        count, pair = heapq.heappop(queue)
        # Where others have taken places of the pair since it was queued, it has to queue again.
        changed = corpus.merge(pair) if counts[pair] == -count else [pair]
        for other in changed:
            if counts[other] >= min_frequency:
                heapq.heappush(queue, (-counts[other], other))
    return corpus.tokens
