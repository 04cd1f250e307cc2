"""Text and tokens: from text to the numbers that a language model reads, and back.

Tokenizers, all with the interface of `Tokenizer`:
    GPT2Tokenizer      GPT-2's 50,257 tokens, from its files or the hub     gpt2.py
    CharTokenizer      one token a character                                characters.py
    BPETokenizer       tokens trained on one's own texts                    bpe/tokenizer.py, training.py
    Tokenizer          what all have in common                              tokenizer.py, batching.py
    load_tokenizer     whichever of them a folder holds                     loading.py
    StreamingDecoder   text token by token, never half a character          streaming.py

What these stand on:
    reading.py      files and texts that may be damaged
    bpe/            formats.py, the files of vocabularies; merges.py, letters.py
"""

from minimodels.text.batching import BatchEncoding
from minimodels.text.bpe import GPT2_PATTERN, BPETokenizer, train_bpe
from minimodels.text.characters import CharTokenizer
from minimodels.text.gpt2 import GPT2Tokenizer
from minimodels.text.loading import load_tokenizer
from minimodels.text.streaming import StreamingDecoder
from minimodels.text.tokenizer import Tokenizer

__all__ = [
    "GPT2_PATTERN",
    "BPETokenizer",
    "BatchEncoding",
    "CharTokenizer",
    "GPT2Tokenizer",
    "StreamingDecoder",
    "Tokenizer",
    "load_tokenizer",
    "train_bpe",
]
