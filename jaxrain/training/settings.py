"""The settings of a training run. Imports nothing heavy."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Axis = Annotated[int, Field(ge=-1)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class MeshConfig:
    """Section `train.mesh`: how the devices are laid out; their product is the number of devices.

    Attributes:
      data: groups of devices that share a batch. One of the three may be -1: what is left over.
      fsdp: devices that share the weights and the optimizer's state too, each holding a piece.
      space: devices that share each patch, in bands of rows.
    """

    data: Axis = -1
    fsdp: Axis = 1
    space: Axis = 1

    @model_validator(mode="after")
    def _at_most_one_is_open(self) -> "MeshConfig":
        sizes = (self.data, self.fsdp, self.space)
        if 0 in sizes or sizes.count(-1) > 1:
            raise ValueError("expected positive numbers of devices, at most one of them -1")
        return self


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TrainConfig:
    """Section `train`. A step is one update of the weights with one global batch of patches.

    Attributes:
      run: folder of the run: config, checkpoints, metrics, pictures.
      steps: updates in all.
      start_from: a run of the same network whose averaged weights it begins with; None draws them
        at random by `model.init`.
      regression: with data.target=regression, a trained run of diffusion.objective=regression to
        take a copy of; None trains one first, in RUN/regression, with the settings of this run.
      regression_steps: its updates; None takes `steps`.
      batch_size: patches a step, over all devices and hosts.
      accumulate: parts that a batch is cut into, one after another through the network, for one
        update: as one large batch, in less memory (but each part draws its own dropout).
      rematerialise: so many of the outermost levels of the network, where activations are
        largest, compute them again in the backward pass: less memory, about a third more work. On
        CPU it changes nothing, for XLA's compiler there merges both computations.
      learning_rate: its highest value, reached after the warm-up.
      warmup_steps: steps of linear rise from 0, at most a tenth of `steps`.
      final_learning_rate: share of `learning_rate` left at the end of the cosine.
      weight_decay: AdamW's, on kernels only (not on biases and norms).
      beta2: AdamW's second-moment decay per step.
      clip_norm: gradients are scaled down to at most this global L2 norm; None: never.
      ema_decay: per step, of the averaged weights that samples are made with; early on
        min(ema_decay, (1 + step) / (10 + step)), so a short run averages over its last tenth.
      seed: of initial weights, order of patches, noise and dropout.
      precision: of the network's arithmetic; parameters, optimizer and loss are float32 always.
      devices: how many of JAX's devices to use; None: all, of every host.
      mesh: how they share the work.
      workers: processes that read batches (0: threads of this one).
      bad_batches: what an update with a NaN or infinite loss or gradient does (it never touches
        the weights): `stop` ends the run, `skip` counts it and goes on.
      max_bad_batches: with `skip`, one more than so many in the whole run stops it.
      explosion: training goes back to the last checkpoint, once, where the mean loss between two
        lines of the log exceeds so many times the median of the lines before. None: never.
      checkpoint_every: steps between checkpoints; there is one at each validation and at the
        end too.
      keep_checkpoints: the newest so many stay.
      keep_every: so do those of steps that are multiples of it. None: no others. (And so does the
        one with the best CRPS of a validation.)
      log_every: steps between lines of metrics.jsonl, each a mean over those steps.
      validate_every: steps between validations; 0: only at the end.
      validation_cases: hours sampled in a validation; 0: no validation.
      validation_members: members of each.
      validation_steps: denoising steps of the sampler.
      validation_size: pixels along the side of the window that is sampled, at most; the wettest
        window of the hour is taken. None: the patch's size.
    """

    run: str = "runs/run"
    steps: Count = 100_000
    start_from: str | None = None
    regression: str | None = None
    regression_steps: Count | None = None
    batch_size: Count = 16
    accumulate: Count = 1
    rematerialise: CountOrNone = 0
    learning_rate: Positive = 1e-4
    warmup_steps: CountOrNone = 1000
    final_learning_rate: Share = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    beta2: Annotated[float, Field(gt=0, lt=1)] = 0.999
    clip_norm: Positive | None = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.9999
    seed: CountOrNone = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    devices: Count | None = None
    mesh: MeshConfig = field(default_factory=MeshConfig)
    workers: CountOrNone = 0
    bad_batches: Literal["stop", "skip"] = "stop"
    max_bad_batches: CountOrNone = 10
    explosion: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = 30.0
    checkpoint_every: Count = 1000
    keep_checkpoints: Count = 3
    keep_every: Count | None = None
    log_every: Count = 50
    validate_every: CountOrNone = 0
    validation_cases: CountOrNone = 2
    validation_members: Annotated[int, Field(ge=2)] = 4
    validation_steps: Count = 20
    validation_size: Count | None = None
