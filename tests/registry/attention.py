"""Attention and Transformers: their rows."""

import torch

from minimodels import nn, testing
from minimodels.testing import Case, Part
from tests.registry.row import Row, labels, x

SMALL = {"dim_feedforward": 6, "dropout": 0.0, "layer_norm_eps": 0.01}
ENCODER, DECODER = (Part(f"Transformer{name}Layer", (4, 2), SMALL) for name in ("Encoder", "Decoder"))
CHAIN = 64
"""Roundings that sums and norms, one behind the other, may add up to by chance, in PyTorch's layers as in ours."""
NOWHERE = torch.zeros(3, 3, dtype=torch.bool)

LAYER = (  # what every layer refuses to be built with
    Case((), ()),
    Case((), (4,)),
    Case((), (0, 1)),
    Case((), (4, 0)),
    Case((), (4, 3)),
    Case((), (4.0, 2)),
    Case((), (4, 2), {"activation": "swish"}),
    Case((), (4, 2), {"dropout": 1.5}),
    Case((), (4, 2), {"dim_feedforward": -1}),
)


def readings(*others: torch.Tensor) -> tuple[Case, ...]:
    """What every encoder refuses to read, and every decoder beside a fine memory."""
    fine = x(3, 2, 4)
    return tuple(
        Case(inputs, (4, 2), SMALL)
        for inputs in (
            (x(3, 2, 5), *others),
            (x(4), *others),
            (x(1, 3, 2, 4), *others),
            (fine.float(), *others),
            (labels(1, 2, 3, 4).expand(3, 2, 4), *others),
            (fine, *others, torch.zeros(2, 2)),
            (fine, *others, torch.zeros(3, 3, 3)),
            (fine, *others, torch.zeros(3)),
            (fine, *others, NOWHERE.long()),
        )
    )


ROWS: list[Row] = [
    Row(
        nn.MultiheadAttention,
        torch.nn.MultiheadAttention,
        testing.multihead_attention_cases,
        Case((x(3, 2, 4), x(5, 2, 4), x(5, 2, 4)), (4, 2)),
        bad=(
            Case((), ()),
            Case((), (4,)),
            Case((), (0, 1)),
            Case((), (4, 0)),
            Case((), (4, -2)),
            Case((), (4, 3)),
            Case((), (4.0, 2)),
            Case((), (4, 2), {"kdim": -1}),
            Case((x(4), x(4), x(4)), (4, 2)),
            Case((x(1, 3, 2, 4),) * 3, (4, 2)),
            Case((x(3, 2, 4), x(3, 4), x(3, 4)), (4, 2)),
            Case((x(3, 4), x(3, 4), x(3, 2, 4)), (4, 2)),
            Case((x(3, 2, 5),) * 3, (4, 2)),
            Case((x(3, 2, 4), x(3, 2, 4), x(2, 2, 4)), (4, 2)),
            Case((x(3, 2, 4), x(3, 2, 5), x(3, 2, 5)), (4, 2)),
            Case((x(3, 2, 4), x(3, 1, 4), x(3, 1, 4)), (4, 2)),
            Case((x(3, 2, 4), x(3, 2, 4), x(3, 2, 4)), (4, 2), {"kdim": 5}),
            Case((x(3, 2, 4), x(3, 2, 5), x(2, 2, 4)), (4, 2), {"kdim": 5}),
            Case((x(3, 2, 4).float(),) * 3, (4, 2)),
            Case((labels(1, 2, 3, 4).expand(3, 2, 4),) * 3, (4, 2)),
            *(
                Case((*[x(3, 2, 4)] * 3, padding, True, mask, True, causal), (4, 2))
                for padding, mask, causal in (
                    (None, NOWHERE[:2], False),
                    (None, NOWHERE[0], False),
                    (None, NOWHERE.long(), False),
                    (None, NOWHERE.expand(2, 3, 3), False),
                    (None, NOWHERE.expand(2, 2, 3, 3), False),
                    (None, None, True),
                    (NOWHERE[:2, :2], None, False),
                    (NOWHERE, None, False),
                    (NOWHERE[0], None, False),
                    (NOWHERE[:2].long(), None, False),
                )
            ),
            Case((*[x(3, 4)] * 3, NOWHERE), (4, 2)),
            Case((*[x(3, 4)] * 3, None, True, NOWHERE[None]), (4, 2)),
        ),
    ),
    Row(
        nn.TransformerEncoderLayer,
        torch.nn.TransformerEncoderLayer,
        testing.encoder_layer_cases,
        Case((x(3, 2, 4),), (4, 2), SMALL),
        roundings=CHAIN,
        bad=(*LAYER, *readings(), Case((x(3, 2, 4), None, None, True), (4, 2), SMALL)),
    ),
    Row(
        nn.TransformerDecoderLayer,
        torch.nn.TransformerDecoderLayer,
        testing.decoder_layer_cases,
        Case((x(3, 2, 4), x(5, 2, 4)), (4, 2), SMALL),
        roundings=CHAIN,
        bad=(
            *LAYER,
            *readings(x(5, 2, 4)),
            Case((x(3, 2, 4), x(5, 2, 5)), (4, 2), SMALL),
            Case((x(3, 2, 4), x(5, 3, 4)), (4, 2), SMALL),
            Case((x(3, 2, 4), x(5, 4)), (4, 2), SMALL),
            Case((x(3, 2, 4), x(5, 2, 4), None, NOWHERE), (4, 2), SMALL),
        ),
    ),
    Row(
        nn.TransformerEncoder,
        torch.nn.TransformerEncoder,
        testing.encoder_cases,
        Case((x(3, 2, 4),), (ENCODER, 2, Part("LayerNorm", (4,))), {"enable_nested_tensor": False}),
        roundings=CHAIN,
        bad=(
            Case((), ()),
            Case((), (ENCODER,)),
            Case((), (ENCODER, 2.5)),
            Case((x(3, 2, 5),), (ENCODER, 2)),
            Case((x(3, 2, 4), NOWHERE[:2]), (ENCODER, 2)),
        ),
    ),
    Row(
        nn.TransformerDecoder,
        torch.nn.TransformerDecoder,
        testing.decoder_cases,
        Case((x(3, 2, 4), x(5, 2, 4)), (DECODER, 2, Part("LayerNorm", (4,)))),
        roundings=CHAIN,
        bad=(
            Case((), ()),
            Case((), (DECODER, 2.5)),
            Case((x(3, 2, 4),), (DECODER, 2)),
            Case((x(3, 2, 5), x(5, 2, 4)), (DECODER, 2)),
            Case((x(3, 2, 4), x(5, 2, 4), NOWHERE[:2]), (DECODER, 2)),
        ),
    ),
    Row(
        nn.Transformer,
        torch.nn.Transformer,
        testing.transformer_cases,
        Case((x(5, 2, 4), x(3, 2, 4)), (4, 2), {**SMALL, "num_encoder_layers": 1, "num_decoder_layers": 1}),
        roundings=CHAIN,
        bad=(
            Case((), (4, 3)),
            Case((), (4, 2), {"activation": "swish"}),
            Case((x(5, 2, 5), x(3, 2, 5)), (4, 2), SMALL),
            Case((x(5, 2, 4), x(3, 1, 4)), (4, 2), SMALL),
            Case((x(2, 5, 4), x(1, 3, 4)), (4, 2), {**SMALL, "batch_first": True}),
            Case((x(5, 2, 4), x(3, 2, 4), NOWHERE), (4, 2), SMALL),
            Case((x(5, 4),), (4, 2), SMALL),
        ),
    ),
]
