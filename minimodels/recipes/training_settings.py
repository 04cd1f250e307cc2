"""The settings that every recipe has, because all of them go into the one training loop."""

from pathlib import Path
from typing import Literal

from minimodels.recipes.settings import Settings, setting, settings


@settings
class TrainingSettings(Settings):
    """The settings that every recipe has."""

    epochs: int | None = setting(None, "times through the training data", at_least=1)
    batch_size: int = setting(64, "samples in a batch, of all processes together", at_least=1)
    accumulate: int = setting(1, "batches in one step, as if they were one big batch", at_least=1)
    lr: float | None = setting(None, "learning rate at its peak", above=0)
    warmup: float = setting(0.1, "part of all steps in which the rate rises, before it falls", at_least=0, at_most=1)
    clip_norm: float | None = setting(None, "greatest norm of the gradient (default: not clipped)", above=0)
    ema: float | None = setting(
        None,
        "decay of a moving average of the weights, such as 0.999, which is then tested and saved (default: none)",
        above=0,
        below=1,
    )
    patience: int | None = setting(
        None, "tests in a row without a lower loss, after which training stops (default: it does not)", at_least=1
    )
    keep: Literal["best", "last"] = setting("last", "which model stays: that of the lowest test loss, or the last")
    seed: int = setting(0, "fixes weights, order of the data and dropout", at_least=0)
    device: str = setting("auto", "where to compute: auto, cpu, cuda, cuda:1, mps")
    threads: int | None = setting(None, "CPU threads (default: PyTorch's choice)", at_least=1, at_most=1024)
    precision: Literal["float32", "bfloat16", "float16"] = setting(
        "float32", "of matrix products; the weights are float32 in any case"
    )
    tf32: bool = setting(False, "on CUDA, multiply float32 with 10 bits of mantissa (TF32): faster, less exact")
    compile: bool = setting(
        False, "let torch.compile make one graph of model and loss: a slow start, then faster; needs a C++ compiler"
    )
    recompute: bool = setting(
        False,
        "of repeated blocks keep the inputs alone, and compute the rest again: less memory, more time, same result",
    )
    out: Path | None = setting(
        None, "folder of the run (default: runs/RECIPE-DATA); without --resume a number is added if it exists"
    )
    resume: bool = setting(False, "go on with the run in --out where it stopped, with its settings; or begin it")
    save_every: int | None = setting(
        None, "steps between checkpoints, besides one after every test (default: ten minutes)", at_least=1
    )
    keep_checkpoints: int = setting(2, "how many of the newest checkpoints stay", at_least=1)
    tensorboard: bool = setting(False, "write event files for TensorBoard too; needs minimodels[tensorboard]")
    shard: bool = setting(False, "with torchrun: give each process a part of the model (FSDP2), not all of it")
    timeout: float = setting(600, "with torchrun: seconds a process waits for the others", above=0, at_most=1_000_000)


FREE = (
    *("device", "threads", "out", "resume", "shard", "timeout", "tensorboard", "save_every", "keep_checkpoints"),
    *("recompute", "data_dir", "tokenizer_dir", "prompt", "temperature"),
)
"""Settings that may be others when a run goes on: where it runs and what it leaves behind, not what it computes."""
