"""How long a text becomes: by every way of saying it, and never longer than the model reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.generation import GenerationConfig
from minimodels.generation.lengths import total_length


@given(prompt=st.integers(1, 50), new=st.integers(1, 50), context=st.one_of(st.none(), st.integers(1, 100)))
def test_lengths(prompt, new, context):
    room = 10**6 if context is None else context - prompt
    by_new, by_length = GenerationConfig(max_new_tokens=new), GenerationConfig(max_length=prompt + new)
    both = GenerationConfig(max_new_tokens=new, max_length=prompt + new)
    if room < 1:
        with pytest.raises(InputError, match="so none can be written"):
            total_length(by_new, prompt, context)
    elif new <= room:
        assert all(total_length(chosen, prompt, context) == prompt + new for chosen in (by_new, by_length, both))
        assert total_length(GenerationConfig(), prompt, context) == prompt + min(20, room)
    else:
        with pytest.raises(InputError, match=f"more than the {context} that the model reads; lower it to {room} at"):
            total_length(by_new, prompt, context)
        with pytest.raises(InputError, match=f"max_length {prompt + new}: .* lower it to {context} at most"):
            total_length(by_length, prompt, context)


def test_lengths_that_contradict_each_other():
    with pytest.raises(InputError, match="max_length 10 and max_new_tokens 5: with a prompt of 3 tokens"):
        total_length(GenerationConfig(max_length=10, max_new_tokens=5), 3, None)
    with pytest.raises(InputError, match="max_length 3: counts the prompt, which has 3 tokens already"):
        total_length(GenerationConfig(max_length=3), 3, None)
    with pytest.raises(InputError, match="min_new_tokens 8: only 7 are written at most"):
        total_length(GenerationConfig(max_length=10, min_new_tokens=8), 3, None)
