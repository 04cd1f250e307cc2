"""Byte-level byte pair encoding.

tokenizer    the tokenizer: tokens that are made of bytes by merging two at a time
definition   the algorithm as the page has it
training     learning from texts which pairs to merge: counting pieces, and a queue of pairs
corpus       the texts while it learns: where each pair stands
merges       the order of merges behind a vocabulary's numbers
formats      the files in which vocabularies are published
letters      how these write bytes: as visible characters
"""

from minimodels.text.bpe.tokenizer import GPT2_PATTERN, BPETokenizer
from minimodels.text.bpe.training import train_bpe

__all__ = [
    "GPT2_PATTERN",
    "BPETokenizer",
    "train_bpe",
]
