"""Positions: attention sees a set, and these tell it which token stands where.

sinusoidal   a vector of waves, added to a token's own
rotary       queries and keys turned by an angle that grows with the position
frequencies  how fast those waves and angles go
alibi        a penalty on every score that grows with the distance
"""

from minimodels.functional.positions.alibi import alibi_bias, alibi_slopes
from minimodels.functional.positions.frequencies import rotary_frequencies
from minimodels.functional.positions.rotary import rotary_angles, rotary_embedding
from minimodels.functional.positions.sinusoidal import sinusoidal_encoding

__all__ = [
    "alibi_bias",
    "alibi_slopes",
    "rotary_angles",
    "rotary_embedding",
    "rotary_frequencies",
    "sinusoidal_encoding",
]
