"""Where a token stands: vectors that are added, queries and keys that are turned, scores that fade with distance.

added     SinusoidalPositionalEmbedding, LearnedPositionalEmbedding
rotary    RotaryEmbedding
alibi     ALiBi
constant  what the last two share: numbers that follow from the settings alone
"""

from minimodels.nn.position.added import LearnedPositionalEmbedding, SinusoidalPositionalEmbedding
from minimodels.nn.position.alibi import ALiBi
from minimodels.nn.position.constant import Constant
from minimodels.nn.position.rotary import RotaryEmbedding

__all__ = ["ALiBi", "Constant", "LearnedPositionalEmbedding", "RotaryEmbedding", "SinusoidalPositionalEmbedding"]
