"""`model.generate(...)` and `model.stream(...)`, which language models inherit."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from minimodels.errors import InputError
from minimodels.generation import beams
from minimodels.generation.config import GenerationConfig
from minimodels.generation.lengths import total_length
from minimodels.generation.prompts import Ids, prepared
from minimodels.generation.reading import LanguageModel, Reader
from minimodels.generation.sampling import Draw, write
from minimodels.generation.scores import processors
from minimodels.generation.stopping import Decoder, Stopping


class GenerationMixin:
    """Let a language model write.

    A model that inherits from it has to be a `LanguageModel`. After `model.compile(dynamic=True)` it writes the same
    faster, by two programs, one that reads prompts and one that reads a token, however many there are.

    See: `LanguageModel`; `GenerationConfig`; tests/generation/test_mixin.py
    """

    def generate(
        self: LanguageModel,
        input_ids: Ids | None = None,
        *,
        attention_mask: Tensor | None = None,
        tokenizer: Decoder | None = None,
        generator: torch.Generator | None = None,
        streamer: Any = None,
        on_token: Callable[[Tensor], object] | None = None,
        **arguments: Any,
    ) -> Tensor:
        """Write on from prompts: greedily, by drawing, or by beam search.

        Args:
            input_ids: one prompt or several, as a tensor or as lists, which may differ in length; None begins with
                the model's `bos_token_id`.
            attention_mask: 1 for tokens, 0 for padding, which belongs on the left. Without it, tokens equal to
                `pad_token_id` are padding, unless they also end a text.
            tokenizer: gives tokens as text, for `stop_strings`.
            generator: where chance comes from, instead of a `seed`.
            streamer: an object of Hugging Face's kind: `put` gets the prompts and then every token, `end` is called
                at the end.
            on_token: called with the new tokens [N] after every step.
            **arguments: all others: see `GenerationConfig`. `max_new_tokens`, `do_sample`, `temperature`, `top_k`,
                `top_p`, `num_beams`, `seed` ...

        Shape:
            input_ids [T] or [N, T]; Output [N·num_return_sequences, t]: prompts and what was written, padded on the
            right with `pad_token_id` where a text ended before the longest.

        Raises:
            InputError: an argument does not suit, or the model's scores are no numbers.

        Cost: one pass over the prompts, and one over a single token for each that is written; the cache.

        See: tests/generation/test_parity.py
        """
        chosen = GenerationConfig.of(arguments)
        if streamer is not None or on_token is not None:
            _check_streamable(chosen)
        text = torch.empty(0)
        for step, text in enumerate(_texts(self, chosen, input_ids, attention_mask, tokenizer, generator)):
            if streamer is not None:
                if step == 0:
                    streamer.put(text[:, :-1].cpu())
                streamer.put(text[:, -1].cpu())
            if on_token is not None:
                on_token(text[:, -1].clone())
        if streamer is not None:
            streamer.end()
        return text.to(input_ids.device) if isinstance(input_ids, Tensor) else text

    def stream(
        self: LanguageModel,
        input_ids: Ids | None = None,
        *,
        attention_mask: Tensor | None = None,
        tokenizer: Decoder | None = None,
        generator: torch.Generator | None = None,
        **arguments: Any,
    ) -> Iterator[Tensor]:
        """Write as `generate` does, and give every token as soon as there is one.

        While the iterator is in use the model is in evaluation mode.

        Args:
            input_ids: as for `generate`.
            attention_mask: likewise.
            tokenizer: likewise.
            generator: likewise.
            **arguments: likewise, but not `num_beams`.

        Shape:
            Each step gives [N·num_return_sequences]; a text that has ended goes on with `pad_token_id`.

        Raises:
            InputError: as for `generate`.

        See: `minimodels generate --stream`; tests/generation/test_mixin.py
        """
        chosen = GenerationConfig.of(arguments)
        _check_streamable(chosen)
        texts = _texts(self, chosen, input_ids, attention_mask, tokenizer, generator)
        return (text[:, -1].clone() for text in texts)


def _check_streamable(chosen: GenerationConfig) -> None:
    """Refuse what has no text before the end."""
    if chosen.num_beams > 1:
        raise InputError("num_beams: beam search cannot be streamed, it knows its text at the end; use num_beams=1.")


def _texts(
    model: LanguageModel,
    chosen: GenerationConfig,
    input_ids: Ids | None,
    attention_mask: Tensor | None,
    tokenizer: Decoder | None,
    generator: torch.Generator | None,
) -> Iterator[Tensor]:
    """All tokens so far, after each one that is written; of beam search only its result. Wrong arguments raise here."""
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    ids, mask = prepared(input_ids, attention_mask, chosen, model.config)
    ids, mask = ids.to(device), None if mask is None else mask.to(device)
    prompt, rows = ids.shape[1], ids.shape[0] * chosen.num_return_sequences
    length = total_length(chosen, prompt, getattr(model.config, "max_position_embeddings", None))
    eos, pad = chosen.ends(model.config), chosen.padding(model.config)
    stopping = Stopping(eos, chosen.strings, tokenizer)
    if stopping.ever and pad is None and rows > 1:
        raise InputError("pad_token_id: texts may end at different lengths, and there is nothing to pad them with.")
    if generator is not None and chosen.seed is not None:
        raise InputError("seed and generator: both say where chance comes from; give one of them.")
    if chosen.seed is not None:
        generator = torch.Generator().manual_seed(chosen.seed)
    draw = Draw(generator) if chosen.do_sample else None
    times = max(chosen.num_beams, chosen.num_return_sequences)
    change = processors(chosen, prompt, None if mask is None else mask.repeat_interleave(times, 0), eos)
    reader = Reader(model, mask, length - 1, chosen.use_cache)  # the last token is not read
    if chosen.num_beams > 1:
        return _written(model, lambda: [beams.search(reader, ids, length, change, stopping, pad, chosen, draw)])
    return _written(model, lambda: write(reader, ids, length, change, stopping, pad, draw, times))


# Not inference_mode: its tensors could not be trained on, and a model that keeps one (a mask) would be spoilt by it.
@torch.no_grad()
def _written(model: LanguageModel, texts: Callable[[], Iterable[Tensor]]) -> Iterator[Tensor]:
    """The texts, written without gradients and in evaluation mode."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield from texts()
    finally:
        for module in training:
            module.training = True
