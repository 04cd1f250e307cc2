"""Writing with a language model, one token after the other.

mixin      GenerationMixin: `generate` and `stream`, which models inherit
config     GenerationConfig: the arguments
lengths    how long a text becomes
prompts    prompts as one block of tokens, padded on the left
reading    the model and what it has read: its cache
scores     temperature, top-k, top-p, min-p, repetition penalty
sampling   the loop: the likeliest token, or one that is drawn
beams      beam search
stopping   when a text is over
streaming  text as it is written, in whole characters

Nothing here knows of a certain model: whatever reads tokens, gives logits and takes a cache can write.
"""

from minimodels.generation.config import GenerationConfig
from minimodels.generation.mixin import GenerationMixin
from minimodels.generation.reading import LanguageModel
from minimodels.generation.streaming import text_pieces

__all__ = [
    "GenerationConfig",
    "GenerationMixin",
    "LanguageModel",
    "text_pieces",
]
