"""`python -m jaxrain.convert SRC DST`: checkpoints between PyTorch, safetensors and our runs."""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxrain.command import run_command
from jaxrain.errors import InputError

if TYPE_CHECKING:
    from jaxrain.config import Config
    from jaxrain.training.dialects import Dialect
    from jaxrain.training.exchange import Exchange
    from jaxrain.training.portable import Portable

FILES = (".pth", ".pt", ".safetensors")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="jaxrain convert",
        description="Converts a checkpoint. SRC and DST are each a run folder, a *_gen.pth (public "
        "format of SR3's network, with its *_opt.pth beside it), another .pth (ours: weights, "
        "average, optimizer) or a .safetensors.",
    )
    parser.add_argument("source", metavar="SRC", help="a run folder or a file")
    parser.add_argument("target", metavar="DST", help="a file to write, else a run folder")
    parser.add_argument(
        "--config", metavar="C", help="YAML with what tensors cannot tell (SRC is a file)"
    )
    parser.add_argument(
        "--dialect",
        choices=("sr3", "climate"),
        help="names of parameters in DST (default: by upsampling; read off where SRC is a file)",
    )
    parser.add_argument(
        "--ema", action="store_true", help="a *_gen.pth gets the averaged weights, not the last"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace DST if it exists")
    return run_command(_convert, parser, argv)


def _convert(arguments: argparse.Namespace) -> None:
    source, target = Path(arguments.source), Path(arguments.target)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; give a run, .pth or .safetensors")
    if source.is_file() and source.suffix not in FILES:
        raise InputError(f"{source}: expected a run folder or one of {', '.join(FILES)}")
    if source.is_dir() and arguments.config:
        raise InputError("--config is for files; a run has its own config.yaml, leave it out")
    outputs = _outputs(target)
    for path in outputs:
        if path.exists() and not arguments.overwrite:
            raise InputError(f"{path}: exists; choose another name, or replace it with --overwrite")
        if path.is_dir() != (path.suffix not in FILES) and path.exists():
            raise InputError(
                f"{path}: a {'folder' if path.is_dir() else 'file'} of this name is "
                "there; choose another"
            )
    state, config = (_load_run if source.is_dir() else _load_file)(source, arguments)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix in FILES:
        _store_file(target, state, config, arguments)
    else:
        _store_run(target, state, config)
    print(f"wrote {target} (step {state.step})")


def _outputs(target: Path) -> list[Path]:
    """All that writing DST would replace."""
    if target.name.endswith("_gen.pth"):
        return [target, target.with_name(target.name.removesuffix("_gen.pth") + "_opt.pth")]
    return [target]


def _load_run(run: Path, arguments: argparse.Namespace) -> "tuple[Exchange, Config]":
    from jaxrain.config import load_config
    from jaxrain.training.exchange import read_run
    from jaxrain.training.meaning import check_meaning, meaning

    if not (run / "config.yaml").is_file():
        raise InputError(f"{run} is no run: it has no config.yaml; give what training made")
    config, state = load_config(run / "config.yaml"), read_run(run)
    check_meaning(run, state.step, meaning(config.model, config.diffusion, config.data))
    return state, config


def _load_file(path: Path, arguments: argparse.Namespace) -> "tuple[Exchange, Config]":
    import dataclasses

    from jaxrain.training.dialects import from_torch, torch_name
    from jaxrain.training.exchange import Exchange
    from jaxrain.training.meaning import meaning
    from jaxrain.training.portable import read_portable
    from jaxrain.training.recognise import check_buffers, check_network, network_shapes, split_state
    from jaxrain.training.torch_adam import adam_from_torch, adam_settings

    content = read_portable(path)
    for note in content.notes:
        print(note)
    dialect, weights, rest = split_state(content.params, str(path))
    if arguments.dialect not in (None, dialect) and Path(arguments.target).suffix not in FILES:
        raise InputError(f"--dialect {arguments.dialect}: the tensors of {path} are of {dialect}")
    config, in_channels = _settings(content, weights, rest, dialect, path, arguments.config)
    expected = network_shapes(config.model, in_channels, config.data.patch)
    check_network(weights, expected, dialect, str(path))
    if rest:
        check_buffers(rest, config.diffusion, str(path))
    else:
        print("there is no schedule beside the network: section diffusion is taken on trust")
    ema = None
    if content.ema is not None:
        _, average, _ = split_state(content.ema, f"{path}: ema")
        check_network(average, expected, dialect, f"{path}: ema")
        ema = from_torch(average, dialect)
    else:
        print("there is no averaged network: the average starts from the weights")
    inside = _config_inside(content)
    moments = None
    if content.optimizer is not None:
        ordered = {name: weights[name] for name in (torch_name(p, dialect) for p in expected)}
        moments = adam_from_torch(content.optimizer, ordered, dialect, str(path))
        if content.config is None:
            train, said = adam_settings(
                content.optimizer, config.train, "the optimizer", adopt=arguments.config is None
            )
            config = dataclasses.replace(config, train=train)
            for sentence in said:
                print(sentence)
    if moments is None:
        print("there are no moments of Adam: the optimizer starts anew")
    state = Exchange(
        params=from_torch(weights, dialect),
        ema=ema,
        moments=moments,
        step=content.step,
        epoch=content.epoch,
        # Of a public file it is taken on trust, and may be mended in config.yaml; one of ours says
        # what it was trained with, whatever --config says.
        meaning=meaning(inside.model, inside.diffusion, inside.data) if inside else {},
    )
    return state, config


def _config_inside(content: "Portable") -> "Config | None":
    """The settings that a file of ours brings along."""
    import tempfile

    from jaxrain.config import load_config

    if content.config is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(content.config, encoding="utf-8")
        return load_config(file)


def _settings(
    content: "Portable", weights: Any, rest: Any, dialect: "Dialect", path: Path, file: str | None
) -> "tuple[Config, int]":
    """The config of a file's network: from tensors, from YAML, and the rest by defaults.

    Every default and every disagreement is told.
    """
    import dataclasses

    import yaml
    from pydantic import ValidationError

    from jaxrain.config import find_config, first_difference, load_config
    from jaxrain.pairs.surroundings import condition_channels
    from jaxrain.training.recognise import (
        network_shapes,
        recognise_network,
        recognise_schedule,
        state_shapes,
    )
    from jaxrain.weather.variables import channel_names

    given: dict[str, Any] = {}
    own = content.config is not None and file is None
    if file is not None:
        config = load_config(file)
        text = find_config(file).read_text(encoding="utf-8")
        given = (yaml.safe_load(text) or {}).get("model") or {}
    else:
        config = _config_inside(content) or load_config(None)

    shapes = state_shapes(weights, dialect)
    base = config.model
    if not own:
        usual: dict[str, Any] = {
            "upsample": "nearest" if dialect == "sr3" else "bicubic",
            "dropout_kind": "element" if dialect == "sr3" else "channel",
        }
        base = dataclasses.replace(
            base, **{key: value for key, value in usual.items() if key not in given}
        )
    free = file is None and not own
    model, in_channels = recognise_network(shapes, base, config.data.patch, free_groups=free)
    if free:
        print(
            f"no --config, so by default: model.norm_groups={model.norm_groups}, "
            f"model.upsample={base.upsample}, model.embedding={base.embedding}, "
            f"data.patch={config.data.patch} (places attention), "
            f"diffusion.prediction={config.diffusion.prediction}"
        )
    elif network_shapes(base, in_channels, config.data.patch) == shapes:
        model = base
    else:
        differs = first_difference(model, base)
        print(f"tensors (here) are right where the config (there) differs: model.{differs}")
    print(
        f"{path}: {dialect} names, inner_channel={model.inner_channel}, "
        f"channel_mults={list(model.channel_mults)}, res_blocks={model.res_blocks}, "
        f"attn_res={list(model.attn_res)}, {in_channels} input channels"
    )
    names = channel_names(config.data.variables, config.data.levels)
    predictors = condition_channels(config.data, len(names))
    if predictors != in_channels - 1:
        beside = " with data.static and data.encodings"
        message = (
            f"the network takes {in_channels - 1} predictors, data.variables, data.levels and "
            f"data.interpolations{beside if config.data.static or config.data.encodings else ''} "
            f"make {predictors}"
        )
        if file is not None:
            raise InputError(f"{path}: downs.0.weight: {message}; mend section data of {file}")
        print(f"{message}: to train or sample give --config with the data")
    diffusion = config.diffusion
    if free and (found := recognise_schedule(rest, diffusion)):
        diffusion = found
        print(
            f"schedule by the buffers: {found.schedule}, {found.steps} steps, "
            f"{found.start} to {found.end}"
        )
    try:
        return dataclasses.replace(config, model=model, diffusion=diffusion), in_channels
    except ValidationError as error:
        raise InputError(error.errors(include_url=False)[0]["msg"]) from None


def _store_run(run: Path, state: "Exchange", config: "Config") -> None:
    """Writes a run folder, with the manifest of the config's store where that is there."""
    import dataclasses

    from jaxrain.config import save_config
    from jaxrain.pairs.store import open_store, save_grids, save_json
    from jaxrain.training.exchange import write_run

    config = dataclasses.replace(config, train=dataclasses.replace(config.train, run=str(run)))

    def write(folder: Path) -> None:
        folder.mkdir()
        save_config(config, folder / "config.yaml")
        if (Path(config.data.store) / "manifest.json").is_file():
            store = open_store(config.data.store, config.data)
            save_grids(folder / "grids", store.areas)
            save_json(folder / "manifest.json", store.manifest)
        else:
            print(
                f"{config.data.store} holds no store, so the run has no manifest.json yet: "
                "training makes it, and sampling needs it"
            )
        write_run(folder, state, config.train)

    _beside(run, write)


def _store_file(
    path: Path, state: "Exchange", config: "Config", arguments: argparse.Namespace
) -> None:
    """Writes a .pth or .safetensors with the schedule's buffers."""
    from jaxrain.config import config_text
    from jaxrain.training import portable
    from jaxrain.training.dialects import PREFIX, to_torch
    from jaxrain.training.optimizer import learning_rate
    from jaxrain.training.recognise import schedule_buffers
    from jaxrain.training.torch_adam import adam_to_torch

    by_upsampling: Dialect = "climate" if config.model.upsample == "bicubic" else "sr3"
    dialect: Dialect = arguments.dialect or by_upsampling
    print(
        f"names of {dialect}, whose networks upsample by "
        f"{'nearest' if dialect == 'sr3' else 'bicubic'}; this one by {config.model.upsample}"
    )

    def complete(params: Any) -> dict[str, Any]:
        network = to_torch(params, dialect)
        dtype = next(iter(network.values())).dtype
        buffers = {k: v.astype(dtype) for k, v in schedule_buffers(config.diffusion).items()}
        return buffers | {PREFIX[dialect] + name: array for name, array in network.items()}

    public = path.name.endswith("_gen.pth")
    average = state.params if state.ema is None else state.ema
    optimizer = None
    if state.moments is not None:
        rate = learning_rate(config.train, state.step)
        optimizer = adam_to_torch(state.moments, config.train, rate)
    content = portable.Portable(
        params=complete(average if public and arguments.ema else state.params),
        ema=None if public else complete(average),
        optimizer=optimizer,
        step=state.step,
        epoch=state.epoch,
        config=config_text(config),
    )
    if path.suffix == ".safetensors":
        _beside(path, lambda partial: portable.write_safetensors(partial, content))
    elif not public:
        _beside(path, lambda partial: portable.write_own(partial, content))
    else:
        print(
            f"*_gen.pth holds one network: the {'averaged' if arguments.ema else 'last'} weights"
            " (--ema takes the averaged)"
        )
        _, pair = _outputs(path)
        if content.optimizer is not None:
            _beside(pair, lambda partial: portable.write_optimizer(partial, content))
        elif pair.exists():
            pair.unlink()  # of the file that is being replaced
        _beside(path, lambda partial: portable.write_public(partial, content))


def _beside(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file or folder under another name and renames it once it is whole."""
    partial, old = (path.with_name(f".{path.name}.{word}") for word in ("partial", "old"))
    _remove(partial)
    try:
        write(partial)
        if path.is_dir():  # a folder cannot be renamed over another
            _remove(old)
            path.rename(old)
        partial.replace(path)
        _remove(old)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
