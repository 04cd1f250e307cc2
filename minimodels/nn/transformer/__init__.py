"""The Transformer, to be read in this order.

block     what all layers are made of: attention and a feed-forward network, each with a residual and a norm
encoder   TransformerEncoderLayer, and TransformerEncoder: a stack of them
decoder   TransformerDecoderLayer, and TransformerDecoder: a stack of them
stack     layers one above the other
whole     Transformer: an encoder that reads and a decoder that writes
"""

from minimodels.nn.transformer.decoder import TransformerDecoder, TransformerDecoderLayer
from minimodels.nn.transformer.encoder import TransformerEncoder, TransformerEncoderLayer
from minimodels.nn.transformer.whole import Transformer

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
