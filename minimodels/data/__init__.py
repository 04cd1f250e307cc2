"""Data: where samples come from, and how they are handed to the training loop.

Sets, each a pair (train, test) of `ImageSet(images, labels)`:
    load_digits   1,797 handwritten digits that are part of the package    digits.py
    load_mnist    MNIST and Fashion-MNIST in their original files          mnist.py
    read_digit    one picture of one's own, made like those                pictures.py

Texts and sequences, each a pair (train, test):
    load_prose_or_code  windows of Python's documentation and of its library    prose_or_code.py, topics.py
    load_reviews        SST-2, rt-polarity, IMDb                                reviews.py
    load_adding         the adding problem, load_digit_rows the digits by rows  sequences.py
    read_tsv            one's own labelled texts, read_folders likewise         texts.py
    Vocabulary          from text to numbers                                    vocabulary.py

Texts to learn writing from:
    load_topics         Python's documentation       topics.py
    load_shakespeare    Tiny Shakespeare             shakespeare.py
    read_corpus         one's own .txt and .json     corpus.py
    token_file          their tokens, on disk        tokens.py

From there to the loop:
    Batches       mini-batches in an order that depends on (seed, epoch)   batches.py
    RaggedBatches the same for sequences of different lengths              ragged.py
    Streams       one long text, piece by piece                            streams.py
    RandomWindows pieces of it that begin anywhere                         windows.py
    AllWindows    all its pieces, one behind the other                     windows.py
    RandomShift   small moves of the pictures, for Batches(augment=...)    augment.py

What these stand on:
    order.py        the one shuffle          resampling.py   sizes and frames of pictures, as matrix products
    idx.py          the file format          download.py     mirrors, checksums, the cache folder
"""

from minimodels.data.augment import RandomShift
from minimodels.data.batches import Batches
from minimodels.data.corpus import read_corpus
from minimodels.data.digits import load_digits
from minimodels.data.download import cache_folder, fetch
from minimodels.data.idx import read_idx
from minimodels.data.images import ImageSet
from minimodels.data.mnist import load_mnist
from minimodels.data.pictures import read_digit
from minimodels.data.prose_or_code import load_prose_or_code
from minimodels.data.ragged import RaggedBatches, padded
from minimodels.data.reviews import load_reviews
from minimodels.data.sequences import SequenceSet, load_adding, load_digit_rows
from minimodels.data.shakespeare import load_shakespeare
from minimodels.data.streams import Streams
from minimodels.data.texts import TextSet, read_folders, read_tsv
from minimodels.data.tokens import token_file
from minimodels.data.topics import load_topics
from minimodels.data.vocabulary import Vocabulary
from minimodels.data.windows import AllWindows, RandomWindows

__all__ = [
    "AllWindows",
    "Batches",
    "ImageSet",
    "RaggedBatches",
    "RandomShift",
    "RandomWindows",
    "SequenceSet",
    "Streams",
    "TextSet",
    "Vocabulary",
    "cache_folder",
    "fetch",
    "load_adding",
    "load_digit_rows",
    "load_digits",
    "load_mnist",
    "load_prose_or_code",
    "load_reviews",
    "load_shakespeare",
    "load_topics",
    "padded",
    "read_corpus",
    "read_digit",
    "read_folders",
    "read_idx",
    "read_tsv",
    "token_file",
]
