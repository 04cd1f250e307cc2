"""The arguments of `generate`: what they mean, their defaults, and what is refused."""

import dataclasses
import math
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

from minimodels.errors import InputError, did_you_mean

SMALLEST = 1e-30
"""What float32 can divide scores by, and multiply them with, that are as large as a network's are."""


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How a text is to be written; names and meanings are Hugging Face's, None switches off.

    Args:
        max_length: tokens of the longest text, its prompt (padding included) among them. Without this and
            `max_new_tokens`, 20 tokens are written, or as many as the model has room for.
        max_new_tokens: the same without the prompt.
        min_new_tokens: so many are written before a text may end (by `eos_token_id`).
        do_sample: draw from the distribution; otherwise the likeliest token is taken.
        temperature: scores are divided by it: below 1 likely tokens are drawn more often.
        top_k: draw from the k likeliest tokens only. (Off by default, where Hugging Face takes 50.)
        top_p: draw from the fewest likeliest tokens that together have this probability (nucleus sampling).
        min_p: draw from the tokens that are at least this many times as likely as the likeliest.
        repetition_penalty: above 1, tokens that have occurred become less likely; 1 changes nothing.
        num_beams: texts that are pursued side by side, of which the likeliest is given; 1 is no beam search.
        length_penalty: beams are compared by log P / length^length_penalty: above 0 it helps longer texts.
        early_stopping: when beam search is over: True as soon as `num_beams` texts are complete; False when a better
            one is unlikely, by the present length; "never" when there cannot be one.
        num_return_sequences: texts for each prompt.
        eos_token_id: the token that ends a text, or several; "config" is the model's own, None never ends.
        pad_token_id: what stands behind a text that ended before the others; None is the model's own or, if it has
            none, the first of `eos_token_id`.
        stop_strings: a text ends where one of these is complete; needs a tokenizer.
        seed: fixes what is drawn; None goes on with PyTorch's generator, as `torch.manual_seed` has set it.
        use_cache: keep the keys and values of what was read; without, all is read anew for each token.

    Raises:
        InputError: a value that cannot be meant.

    See: tests/generation/test_config.py

    Example:
        >>> GenerationConfig(max_new_tokens=30, do_sample=True, top_p=0.95).num_beams
        1
        >>> GenerationConfig(top_p=95)
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: top_p 95: has to be above 0 and at most 1; 0.95 is a usual value.
    """

    max_length: int | None = None
    max_new_tokens: int | None = None
    min_new_tokens: int | None = None
    do_sample: bool = False
    temperature: float | None = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False
    num_return_sequences: int = 1
    eos_token_id: int | Sequence[int] | Literal["config"] | None = "config"
    pad_token_id: int | None = None
    stop_strings: str | Sequence[str] | None = None
    seed: int | None = None
    use_cache: bool = True

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> "GenerationConfig":
        """The same from arguments by name.

        Args:
            arguments: name → value.

        Raises:
            InputError: there is no argument of that name.

        Example:
            >>> GenerationConfig.of({"max_new_token": 5})
            Traceback (most recent call last):
            ...
            minimodels.errors.InputError: generate has no argument max_new_token; did you mean max_new_tokens?
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in arguments:
            if name not in known:
                others = [*known, "input_ids", "attention_mask", "tokenizer", "generator", "streamer", "on_token"]
                raise InputError(f"generate has no argument {name}{did_you_mean(name, others)}")
        chosen = cls(**arguments)
        idle = [name for name in ("top_k", "top_p", "min_p") if getattr(chosen, name) is not None]
        idle += ["temperature"] if chosen.temperature not in (None, 1) else []
        if idle and not chosen.do_sample:
            sentence = f"{', '.join(idle)}: changes nothing without do_sample=True."
            warnings.warn(sentence, UserWarning, stacklevel=3)  # at the line that calls `generate`
        return chosen

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_sampling()
        self._check_beams()
        if self.stop_strings is not None and not all(self.strings):
            raise InputError("stop_strings: one of them is empty, and would be found everywhere; leave it out.")

    @property
    def strings(self) -> list[str]:
        """The strings that end a text, as a list."""
        return [self.stop_strings] if isinstance(self.stop_strings, str) else list(self.stop_strings or ())

    def _check_counts(self) -> None:
        for name in ("max_length", "max_new_tokens", "top_k"):
            self._check_count(name, 1, optional=True)
        for name in ("min_new_tokens", "seed"):
            self._check_count(name, 0, optional=True)
        for name in ("num_beams", "num_return_sequences"):
            self._check_count(name, 1, optional=False)
        least, most = self.min_new_tokens or 0, self.max_new_tokens
        if most is not None and least > most:
            raise InputError(f"min_new_tokens {least}: is more than max_new_tokens {most}; lower it.")

    def _check_count(self, name: str, least: int, optional: bool) -> None:
        value = getattr(self, name)
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not (value is None and optional) and not (whole and value >= least):
            raise InputError(f"{name} {value}: has to be a whole number of at least {least}{', or None' * optional}.")

    def _check_number(self, name: str, least: float, most: float, words: str) -> None:
        value = getattr(self, name)
        if value is not None and not (isinstance(value, Real) and least <= float(value) <= most):
            raise InputError(f"{name} {value}: has to be {words}.")

    def _check_divisor(self, name: str) -> None:
        value = getattr(self, name)
        if value is not None and not SMALLEST <= value <= 1 / SMALLEST:
            raise InputError(f"{name} {value}: scores divided by it are no numbers in float32; take 1e-30 to 1e30.")

    def _check_sampling(self) -> None:
        above_0, finite = math.nextafter(0, 1), sys.float_info.max
        greedy = "above 0; for the likeliest token always, use do_sample=False"
        self._check_number("temperature", above_0, finite, greedy)
        self._check_divisor("temperature")
        self._check_number("top_p", above_0, 1, "above 0 and at most 1; 0.95 is a usual value")
        self._check_number("min_p", 0, 1, "from 0 to 1; 0.05 is a usual value")
        self._check_number("repetition_penalty", above_0, finite, "above 0; 1.2 is a usual value, 1 none at all")
        self._check_divisor("repetition_penalty")
        self._check_number("length_penalty", -50, 50, "a number from -50 to 50; 1 is the mean of a text's tokens")

    def _check_beams(self) -> None:
        if self.early_stopping not in (True, False, "never"):
            raise InputError(f'early_stopping {self.early_stopping}: has to be True, False or "never".')
        if self.num_beams > 1 and self.num_return_sequences > self.num_beams:
            raise InputError(
                f"num_return_sequences {self.num_return_sequences}: there are only {self.num_beams} beams to choose "
                "from; raise num_beams."
            )
        if self.num_beams == 1 and not self.do_sample and self.num_return_sequences > 1:
            raise InputError(
                f"num_return_sequences {self.num_return_sequences}: without do_sample=True or num_beams they would "
                "all be the same."
            )

    def ends(self, model_config: Any) -> list[int]:
        """The tokens that end a text.

        Args:
            model_config: of the model.

        Raises:
            InputError: they are not in its vocabulary.
        """
        found: Any = self.eos_token_id
        if isinstance(found, str) and found == "config":
            found = getattr(model_config, "eos_token_id", None)
        ends = [] if found is None else list(found) if isinstance(found, Iterable) else [found]
        for token in ends:
            if not _known(token, model_config.vocab_size):
                vocabulary = f"the vocabulary of {model_config.vocab_size} tokens"
                raise InputError(f"eos_token_id {token}: is no token of {vocabulary}; give a number, several, or None.")
        return [int(token) for token in ends]

    def padding(self, model_config: Any) -> int | None:
        """The token that stands behind a text that has ended; None where there is none.

        Args:
            model_config: of the model.

        Raises:
            InputError: it is not in its vocabulary.
        """
        if self.pad_token_id is not None:
            if not _known(self.pad_token_id, model_config.vocab_size):
                vocabulary = f"the vocabulary of {model_config.vocab_size} tokens"
                raise InputError(f"pad_token_id {self.pad_token_id}: is no token of {vocabulary}; give one that is.")
            return int(self.pad_token_id)
        own: Any = getattr(model_config, "pad_token_id", None)
        if _known(own, model_config.vocab_size):  # some models say −1 and mean none
            return int(own)
        return next(iter(self.ends(model_config)), None)


def _known(token: Any, vocabulary: int) -> bool:
    """Whether it is a token of a vocabulary of that size."""
    return isinstance(token, Integral) and 0 <= int(token) < vocabulary
