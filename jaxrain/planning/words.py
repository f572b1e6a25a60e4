"""A plan as people read it: a few lines of each subject and one table."""

from collections.abc import Iterator

from jaxrain.config import Config
from jaxrain.planning.epoch import Epoch
from jaxrain.planning.outlook import Outlook
from jaxrain.training.metrics import duration

_DAY = 86400.0


def explain(config: Config, outlook: Outlook, epoch: Epoch | None, share: float) -> str:
    """The whole plan as text.

    Args:
      config: resolved.
      outlook: its numbers.
      epoch: of its store; None where there is none yet.
      share: of the peak that was assumed.
    """
    parts = (
        _network(config, outlook),
        _memory(config, outlook),
        _work(config, outlook, share),
        _table(config, outlook, epoch),
        _words(config, outlook, epoch),
    )
    return "\n\n".join("\n".join(part) for part in parts)


def _network(config: Config, outlook: Outlook) -> Iterator[str]:
    asked, patch = outlook.asked, config.data.patch
    title = outlook.machine.title
    yield f"{outlook.program.parameters / 1e6:.2f} million parameters on {asked.devices} x {title}"
    yield (
        f"a step: {asked.batch} patches of {patch} x {patch} points with {outlook.channels} "
        f"channels, {outlook.per_device:g} a device, in {config.train.precision}"
    )
    if asked.batch != config.train.batch_size:
        yield (
            f"train.batch_size={config.train.batch_size} cannot be shared by {asked.devices} "
            f"devices: planned, and to be set, is {asked.batch}"
        )


def _memory(config: Config, outlook: Outlook) -> Iterator[str]:
    program, cpu = outlook.program, outlook.machine.title == "this CPU"
    beside = program.convolution_bytes if cpu else 0
    together = program.total_bytes + beside
    rows = {
        "parameters": program.parameter_bytes,
        "optimizer and averaged weights": program.optimizer_bytes,
        "weights of the first stage": program.frozen_bytes,
        "gradients": program.gradient_bytes,
        "activations and working space": program.working_bytes - program.gradient_bytes,
        "batch": program.batch_bytes + program.output_bytes,
        "Eigen's for its convolutions": beside,
        "together": together,
    }
    yield f"memory of a device (XLA's plan of the step, for {outlook.compiled_for} CPU device(s))"
    for name, size in rows.items():
        if size:
            yield f"  {name:<31} {_size(size):>10}"
    there = outlook.machine.memory_bytes
    if cpu:
        there /= outlook.asked.devices
    if together > 0.9 * there:
        yield (
            f"  more than 90 % of its {_size(there)}: lower train.batch_size, or raise "
            "train.accumulate, train.rematerialise, or train.mesh.fsdp for weights and "
            "train.mesh.space for activations"
        )
    else:
        yield f"  fits: {together / there:.0%} of its {_size(there)}"


def _work(config: Config, outlook: Outlook, share: float) -> Iterator[str]:
    program, machine = outlook.program, outlook.machine
    peak = machine.peak(config.train.precision)
    yield "a device's part of a step"
    yield (
        f"  {_count(outlook.operations)} operations (nominal; XLA counts "
        f"{_count(program.flops)}), at {share:.0%} of {_count(peak)}/s"
    )
    moved, bandwidth = _size(program.bytes_accessed), _size(machine.memory_bandwidth)
    yield f"  {moved} read and written, at {bandwidth}/s"
    told = [
        f"{program.collective_count[kind]} {kind} of {_size(size)} together"
        for kind, size in program.collectives.items()
    ]
    if outlook.asked.devices == 1:
        yield "  no collectives: one device"
    else:
        yield f"  collectives in the compiled program: {', '.join(told) or 'none'}"


def _table(config: Config, outlook: Outlook, epoch: Epoch | None) -> Iterator[str]:
    patches = config.train.steps * config.train.batch_size
    yield (
        f"each device keeps its {outlook.per_device:g} patch(es); all devices see the same "
        f"{_count(patches)} patches"
    )
    columns = ["devices", "batch", "step [ms]", "network", "efficiency", "patches/s", "steps"]
    columns += ["in all", "epochs/day"]
    yield f"| {' | '.join(columns)} |"
    yield "| --: " * len(columns) + "|"
    for row in outlook.rows:
        epochs = "-"
        if epoch is not None and epoch.patches:
            epochs = f"{row.patches_per_second * _DAY / epoch.patches:.3g}"
        yield (
            f"| {row.devices} | {row.batch} | {1e3 * row.step.seconds:.3g} "
            f"| {row.step.communication / row.step.seconds:.0%} | {row.efficiency:.0%} "
            f"| {row.patches_per_second:.3g} | {-(-patches // row.batch)} "
            f"| {duration(patches / row.patches_per_second)} | {epochs} |"
        )


def _words(config: Config, outlook: Outlook, epoch: Epoch | None) -> Iterator[str]:
    asked, train = outlook.asked, config.train
    patches = train.steps * train.batch_size
    yield (
        f"on {asked.devices}: a step takes {1e3 * asked.step.seconds:.3g} ms, most of it for "
        f"{asked.step.bound}; the patches of {train.steps} steps of {train.batch_size} take "
        f"{duration(patches / asked.patches_per_second)}"
    )
    if epoch is None:
        yield f"no store at {config.data.store} yet: after `prepare`, plan tells epochs and patch"
        return
    if epoch.patches:
        yield (
            f"the store has {epoch.hours} hours of training, {epoch.patches} patches an epoch: the "
            f"run takes about {patches / epoch.patches:.3g} of them"
        )
    if epoch.length is not None and epoch.patch is not None:
        enough = "is enough" if config.data.patch >= epoch.patch else "is small"
        yield (
            f"the residual's autocorrelation falls to 1/e over {epoch.length:.1f} points: patches "
            f"of {epoch.patch} or more are suggested; data.patch={config.data.patch} {enough}"
        )


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _count(number: float) -> str:
    for unit in ("", " thousand", " million", " billion"):
        if number < 1000:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g} trillion"
