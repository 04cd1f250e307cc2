"""The arguments: what is refused, in one sentence that says what to do, and what they say of the model's tokens."""

from types import SimpleNamespace

import numpy as np
import pytest

from minimodels.errors import InputError
from minimodels.generation import GenerationConfig


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"temperature": 0}, "temperature 0: has to be above 0; for the likeliest token always, use do_sample=False."),
        ({"temperature": -1.5}, "temperature -1.5: has to be above 0"),
        ({"temperature": float("nan")}, "temperature nan: has to be above 0"),
        ({"temperature": "hot"}, "temperature hot: has to be above 0"),
        ({"top_p": 0.0}, "top_p 0.0: has to be above 0 and at most 1"),
        ({"top_p": 1.01}, "top_p 1.01: has to be above 0 and at most 1"),
        ({"min_p": -0.1}, "min_p -0.1: has to be from 0 to 1"),
        ({"top_k": 0}, "top_k 0: has to be a whole number of at least 1, or None."),
        ({"top_k": 2.5}, "top_k 2.5: has to be a whole number of at least 1, or None."),
        ({"repetition_penalty": 0.0}, "repetition_penalty 0.0: has to be above 0"),
        ({"num_beams": 0}, "num_beams 0: has to be a whole number of at least 1."),
        ({"num_beams": None}, "num_beams None: has to be a whole number of at least 1."),
        ({"num_return_sequences": 0}, "num_return_sequences 0: has to be a whole number of at least 1."),
        ({"num_return_sequences": 2}, "num_return_sequences 2: without do_sample=True or num_beams they would all be"),
        ({"num_beams": 2, "num_return_sequences": 3}, "num_return_sequences 3: there are only 2 beams"),
        ({"early_stopping": "always"}, 'early_stopping always: has to be True, False or "never".'),
        ({"temperature": 1e-40}, "temperature 1e-40: scores divided by it are no numbers in float32; take 1e-30 to"),
        ({"repetition_penalty": 1e300}, "repetition_penalty 1e+300: scores divided by it are no numbers in float32"),
        ({"length_penalty": float("inf")}, "length_penalty inf: has to be a number from -50 to 50"),
        ({"length_penalty": 1e300}, "length_penalty 1e+300: has to be a number from -50 to 50"),
        ({"max_new_tokens": 0}, "max_new_tokens 0: has to be a whole number of at least 1, or None."),
        ({"max_new_tokens": True}, "max_new_tokens True: has to be a whole number"),
        ({"max_length": -3}, "max_length -3: has to be a whole number of at least 1, or None."),
        ({"min_new_tokens": -1}, "min_new_tokens -1: has to be a whole number of at least 0, or None."),
        ({"min_new_tokens": 4, "max_new_tokens": 3}, "min_new_tokens 4: is more than max_new_tokens 3; lower it."),
        ({"seed": -1}, "seed -1: has to be a whole number of at least 0, or None."),
        ({"stop_strings": ["a", ""]}, "stop_strings: one of them is empty"),
        ({"stop_strings": ""}, "stop_strings: one of them is empty"),
        ({"top_q": 0.5}, "generate has no argument top_q; did you mean top_p?"),
        ({"max_tokens": 5}, "generate has no argument max_tokens; did you mean max_new_tokens?"),
        ({"xyzzy": 5}, "generate has no argument xyzzy."),
    ],
    ids=str,
)
def test_what_cannot_be_meant(arguments, sentence):
    with pytest.raises(InputError) as refusal:
        GenerationConfig.of({"do_sample": "num_return_sequences" not in arguments} | arguments)
    assert str(refusal.value).startswith(sentence)
    assert str(refusal.value).endswith((".", "?"))


@pytest.mark.parametrize("name", ["temperature", "top_k", "top_p", "min_p", "repetition_penalty", "max_length", "seed"])
def test_none_switches_off(name):
    GenerationConfig(**{name: None})


def test_tokens_that_end_and_tokens_that_pad():
    model = SimpleNamespace(vocab_size=10, eos_token_id=[4, 5])
    assert GenerationConfig().ends(model) == [4, 5]
    assert GenerationConfig().padding(model) == 4
    assert GenerationConfig(eos_token_id=3).ends(model) == [3]
    assert GenerationConfig(eos_token_id=3, pad_token_id=0).padding(model) == 0
    assert GenerationConfig(eos_token_id=None).ends(model) == []
    assert GenerationConfig(eos_token_id=None).padding(model) is None
    model.pad_token_id = 7
    assert GenerationConfig().padding(model) == 7
    model.pad_token_id = -1
    assert GenerationConfig().padding(model) == 4
    assert GenerationConfig(eos_token_id=np.int64(3)).ends(model) == [3]
    for wrong, named in (([1, 10], "10"), (-1, "-1"), ("</s>", "<"), (1.5, "1.5")):
        with pytest.raises(InputError, match=f"eos_token_id {named}: is no token of the vocabulary of 10 tokens"):
            GenerationConfig(eos_token_id=wrong).ends(model)
    with pytest.raises(InputError, match="pad_token_id 10: is no token of the vocabulary of 10 tokens"):
        GenerationConfig(pad_token_id=10).padding(model)
