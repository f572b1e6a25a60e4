"""A trained run, ready to make rain: what `jaxrain.load` returns and `sample` works with."""

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from jax.sharding import Mesh
from numpy.typing import NDArray

from jaxrain import __version__
from jaxrain.beside import Beside
from jaxrain.config import Config, config_text, load_config, replaced
from jaxrain.ensembles.calibration import Calibration, Drawn, load_calibration
from jaxrain.ensembles.chain import make_chain, make_downscale
from jaxrain.ensembles.consistency import nothing_held
from jaxrain.ensembles.drawing import Item, canvas_of, draw, finishing
from jaxrain.ensembles.output import case_dataset
from jaxrain.ensembles.products import parse_products, summarize
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.ensembles.sharing import on_each, sampling_mesh
from jaxrain.errors import InputError
from jaxrain.first_guess import load_first_guess
from jaxrain.grids.boxes import Box
from jaxrain.pairs.cases import Case
from jaxrain.pairs.inputs import beyond_training, input_cases, missing_predictors
from jaxrain.pairs.pieces import beyond_area, box_attribute, parse_box
from jaxrain.pairs.recipe import BESIDE_KEYS, STATISTICS_KEYS, DataConfig
from jaxrain.pairs.scaling import Scaling
from jaxrain.pairs.store import Area, open_areas, open_store, read_manifest, recipe_of
from jaxrain.stages import load_regression
from jaxrain.training.checkpoint import load_parameters, parameters_hash
from jaxrain.training.meaning import check_meaning, meaning
from jaxrain.training.network import define_network
from jaxrain.weather.cf import with_conventions

Draw = Callable[[Sequence[Item]], Iterator[tuple[Item, NDArray[np.float32]]]]


@dataclasses.dataclass(frozen=True, eq=False)
class Downscaler:
    """A run with its weights in memory. Make one with `jaxrain.load`.

    Attributes:
      run: its folder.
      config: its settings; section `sample` holds the defaults.
      manifest: of the store that it was trained on.
      areas: whose fine grids it knows; their arrays may be gone.
      weights: of the network, averaged over training.
      step: of the checkpoint.
      checkpoint: sha256 of the weights.
      apply: the network, apply(weights, x, s).
      beside: the networks that it works beside, of a first stage or a first guess; the weights are
        those of all of them.
      calibration: of its members, where `tune --calibrate` made one and the settings want it.
    """

    run: Path
    config: Config
    manifest: dict[str, Any]
    areas: list[Area]
    weights: Any
    step: int
    checkpoint: str
    apply: Callable[..., jax.Array]
    beside: Beside = dataclasses.field(default_factory=Beside)
    calibration: Calibration | None = None
    _programs: dict[tuple[Any, ...], Callable[..., jax.Array]] = dataclasses.field(
        default_factory=dict, repr=False
    )

    def sample(
        self,
        dataset: xr.Dataset,
        *,
        members: int = 16,
        first_member: int = 0,
        seed: int = 0,
        steps: int | None = None,
        sampler: str | None = None,
        area: str | None = None,
        box: tuple[float, float, float, float] | None = None,
    ) -> xr.Dataset:
        """Draws an ensemble of rain from coarse predictors.

        Args:
          dataset: canonical predictors, as `jaxrain.weather.era5.read_coarse` returns them: dims
            (time, level, latitude, longitude), those variables and levels that the run was
            trained with, and at least the area of its fine grid. `units` are heeded where a
            variable has them.
          members: M; of a regression there is one, whatever is asked.
          first_member: number of the first; members 8 to 15 are the same whether 0 to 7 are drawn
            with them or not.
          seed: the same seed, hour and member give the same field, whatever else is drawn.
          steps: denoising steps; None takes the run's.
          sampler: ddpm, ddim, dpmpp_2m or heun; None takes the run's.
          area: of the run's areas, where the predictors cover several.
          box: north, west, south, east in degrees: only the points in it, of the area's grid as it
            would go on beyond its edges, where the predictors cover it.

        Returns:
          `precipitation` (member, time, latitude|y, longitude|x) in mm, the sum of the hour that
          ends at its time, `coarse_precipitation` where the predictors hold rain,
          `regression_precipitation` where the run has a regression inside, and its products.

        Raises:
          InputError: predictors or settings that the run can't work with.
        """
        if self.deterministic:
            members, first_member = 1, 0
        which = {"members": members, "first_member": first_member, "seed": seed}
        changes = {**which, "steps": steps, "sampler": sampler}
        config = replaced(self.config.sample, **{k: v for k, v in changes.items() if v is not None})
        within = None if box is None else parse_box(box)
        case = self._one_case(dataset, area, within)
        said = [*missing_predictors(case), *beyond_training(case, self.manifest)]
        said += beyond_area(case.area, self.areas, within)
        said += nothing_held(case, config.consistency)
        for line in (*said, self.caveat(config)):
            if line is not None:
                warnings.warn(line, stacklevel=2)
        rain = np.empty((len(case.hours), config.members, *case.fine_grid.shape), np.float32)
        items = [Item(hour, member) for hour in range(len(rain)) for member in config.numbers]
        for item, field in self.prepare(case, config)(items):
            rain[item.hour, item.member - config.first_member] = field
        expect = self.prepare_regression(case, config)
        hours = [Item(hour, 0) for hour in range(len(rain))]
        expected = [field for _, field in expect(hours)] if expect else None
        products = parse_products(config.products, config.thresholds_mm)
        summed = rain if products.layers else rain[:0]
        told = [summarize(products, [field.view for field in of_hour]) for of_hour in summed]
        result = case_dataset(
            case,
            config.numbers,
            lambda hour, member: rain[hour, member - config.first_member],
            products,
            lambda layer, hour: told[hour][layer],
            expected.__getitem__ if expected else None,
        )
        attributes = self.attributes(config) | box_attribute(within)
        return with_conventions(result.assign_attrs(attributes)).load()

    @property
    def deterministic(self) -> bool:
        """Whether it is a regression, of which all members would be one."""
        return self.config.diffusion.objective == "regression"

    @property
    def most_mm(self) -> float:
        """To which contrast and consistency multiply points at most: the most rain of the training
        hours, times data.augment_amounts, of the run or of its first guess."""
        guess = self.beside.first_guess
        runs = [self.config.data, *([guess.run.config.data] if guess else [])]
        most = float(self.manifest["statistics"]["fine_rain"]["max"])
        return most * max(data.augment_amounts for data in runs)

    def caveat(self, config: SampleConfig) -> str | None:
        """What speaks against calibrating members drawn so; None where nothing does."""
        if self.calibration is None or not config.calibrate:
            return None
        if config.contrast != 1.0:
            return (
                f"sample.contrast={config.contrast:g} spreads members that a calibration has "
                "spread already: set sample.calibrate=false, or sample.contrast=1"
            )
        differs = self.calibration.differs(config, self.beside.hashes().get("first guess"))
        return differs and (
            f"the calibration was fitted to members of sample.{differs}; make that the run's "
            f"default and run `python -m jaxrain.tune {self.run} --calibrate` again, or set "
            "sample.calibrate=false"
        )

    def program(self, config: SampleConfig, mesh: Mesh | None = None) -> Callable[..., jax.Array]:
        """The compiled chain from coarse fields to rain, as `make_downscale` builds it.

        Raises:
          InputError: the sampler does not fit the schedule, or the calibration moves members from
            the centre of a chain with another first guess.
        """
        calibration = self.calibration if config.calibrate else None
        guess = self.beside.hashes().get("first guess")
        fitted = calibration.settings.get("first_guess") if calibration else guess
        if calibration and calibration.inflation != 1.0 and fitted != guess:
            raise InputError(
                f"the calibration of {self.run} moves members from the centre of a chain with "
                "another first guess, or of one without: give that which it was fitted with, set "
                "sample.calibrate=false, or run `python -m jaxrain.tune --calibrate` with the "
                "options of this chain"
            )
        return make_downscale(
            *self._parts(config, mesh),
            calibration=calibration,
            most_mm=self.most_mm,
            **self.beside.functions(),
        )

    def chain(self, config: SampleConfig, *, centred: bool) -> Callable[..., Drawn]:
        """The same up to the end of the chain, not calibrated, with its centre or without."""
        parts = self._parts(config, None)
        return make_chain(
            *parts, finish=lambda drawn: drawn, centred=centred, **self.beside.functions()
        )

    def _parts(self, config: SampleConfig, mesh: Mesh | None) -> tuple[Any, ...]:
        scaling = Scaling.from_manifest(self.manifest, self.config.data)
        encodings = self.config.data.encodings
        return self.apply, scaling, self.config.diffusion, config, encodings, mesh

    def prepare(self, case: Case, config: SampleConfig) -> Draw:
        """Lays a case's canvas; the result draws items, each with its rain in mm [H, W].

        Raises:
          InputError: the sampler, the tiles or the predictors' grid do not fit, or there is no
            coarse rain to be consistent with.
        """
        mesh = sampling_mesh(len(case.hours) * config.members)
        # Powers of contrasts come with the fields, and what follows the chain is not compiled in.
        plain = dataclasses.replace(config, contrast=1.0, consistency="off")
        key = dataclasses.replace(plain, members=1, first_member=0, seed=0), mesh
        if key not in self._programs:
            self._programs[key] = self.program(config, mesh)
        canvas = canvas_of(case, self.config.data, config)
        draws = (self._programs[key], on_each(self.weights, mesh), case, canvas, config)
        return partial(draw, *draws, mesh=mesh, finish=finishing(case, config, self.most_mm))

    def prepare_regression(self, case: Case, config: SampleConfig) -> Draw | None:
        """As `prepare`, for what the run's regression expects: member 0 of each hour.

        None where the network learned no regression's remainder.
        """
        regression = self.beside.regression
        if regression is None:
            return None
        one = dataclasses.replace(
            config,
            members=1,
            first_member=0,
            noise_correlation=0.0,
            first_guess=None,
            contrast=1.0,
        )
        mesh = sampling_mesh(len(case.hours))
        key = dataclasses.replace(one, seed=0), mesh, "regression"
        if key not in self._programs:
            _, scaling, diffusion, *others = self._parts(one, mesh)
            diffusion = dataclasses.replace(diffusion, objective="regression")
            self._programs[key] = make_downscale(regression.run.apply, scaling, diffusion, *others)
        canvas = canvas_of(case, self.config.data, one)
        weights = on_each(regression.run.weights, mesh)
        return partial(draw, self._programs[key], weights, case, canvas, one, mesh=mesh)

    def attributes(self, config: SampleConfig) -> dict[str, Any]:
        """Global attributes that say what made an ensemble."""
        tile, overlap = config.tiling(self.config.data.patch)
        title = "ensemble of hourly precipitation, downscaled by a diffusion model"
        sampler = {
            "jaxrain_sampler": config.sampler,
            "jaxrain_steps": np.int32(config.steps),
            "jaxrain_eta": config.eta,
            "jaxrain_noise_scale": config.noise_scale,
            **_unless_one("jaxrain_epsilon_scale", config.epsilon_scale),
        }
        if self.config.diffusion.objective == "crps":
            title = "ensemble of hourly precipitation, downscaled by a generator of one step"
            sampler = {"jaxrain_objective": "crps"}
        chain = {
            **sampler,
            **_lasting(config),
            **({"jaxrain_turn": "true"} if config.turn else {}),
            **_unless_one("jaxrain_contrast", config.contrast),
            **({} if config.consistency == "off" else {"jaxrain_consistency": config.consistency}),
            **({"jaxrain_most_mm": self.most_mm} if config.multiplies else {}),
            "jaxrain_seed": str(config.seed),  # beyond int32, which is all that CF knows
            "jaxrain_members": f"{config.numbers[0]} to {config.numbers[-1]}",
        }
        if self.deterministic:
            title = "hourly precipitation, downscaled by a regression network"
            chain = {"jaxrain_objective": "regression"}
        for name, sha256 in self.beside.hashes().items():
            chain[f"jaxrain_{name.replace(' ', '_')}"] = sha256
        if self.calibration and config.calibrate:
            chain |= self.calibration.attributes()
        return {
            "title": title,
            "source": f"jaxrain {__version__}",
            "jaxrain_version": __version__,
            "jaxrain_run": str(self.run),
            "jaxrain_checkpoint": self.checkpoint,
            "jaxrain_checkpoint_step": np.int32(self.step),
            **chain,
            "jaxrain_tile": np.int32(tile),
            "jaxrain_overlap": np.int32(overlap),
            "jaxrain_tile_anchor": "first pixel of the area's grid; a case that is no longer than "
            "a tile is one tile along that axis",
            "jaxrain_config": config_text(dataclasses.replace(self.config, sample=config)),
        }

    def _one_case(self, dataset: xr.Dataset, area: str | None, box: Box | None) -> Case:
        names = ", ".join(known.name for known in self.areas)
        areas = [known for known in self.areas if area in (None, known.name)]
        if not areas:
            raise InputError(f"area='{area}': {self.run} knows {names or 'none'}")
        cases = input_cases(dataset, areas, self.config.data, box)
        if len(cases) > 1:
            covered = ", ".join(case.name for case in cases)
            raise InputError(f"the predictors cover several areas, {covered}: name one with area=")
        return cases[0]


def load(run: str | Path, overrides: Sequence[str] = ()) -> Downscaler:
    """Loads a run: its settings, grids and averaged weights of its newest checkpoint.

    Args:
      run: folder that training made.
      overrides: words `section.key=value` over the run's settings.

    Raises:
      InputError: no run there, no checkpoint, one of another network or trained with other
        settings, or impossible settings.
    """
    run = Path(run)
    for name in ("config.yaml", "manifest.json"):
        if not (run / name).is_file():
            raise InputError(
                f"{run} is no run: it has no {name}; give the folder that training made (train.run)"
            )
    config = load_config(run / "config.yaml", overrides)
    manifest = read_manifest(run)
    _check_trained_with(run, manifest, config.data)
    init, apply = define_network(
        config.model, config.data, len(manifest["channels"]), config.train.precision
    )
    if config.diffusion.objective == "regression":
        one = dataclasses.replace(config.sample, members=1, first_member=0, contrast=1.0)
        config = dataclasses.replace(config, sample=one)
    weights, step = load_parameters(run, jax.eval_shape(init, 0))
    check_meaning(run, step, meaning(config.model, config.diffusion, config.data))
    beside = Beside(load_regression(config, run, manifest), load_first_guess(config, manifest))
    checkpoint = parameters_hash(weights)
    return Downscaler(
        run,
        config,
        manifest,
        _areas(run, config, manifest),
        beside.weights(weights),
        step,
        checkpoint,
        beside.network(apply),
        beside,
        load_calibration(run, checkpoint) if config.sample.calibrate else None,
    )


def _check_trained_with(run: Path, manifest: dict[str, Any], data: DataConfig) -> None:
    """Refuses what shapes alone would not tell: another scaling, another order of the predictors,
    or as many other static fields."""
    # A store from before a key was there was made as the key's default says.
    made, asked = recipe_of(DataConfig()) | manifest["config"], recipe_of(data)
    for key in ("variables", "levels", *STATISTICS_KEYS, *BESIDE_KEYS):
        trained, now = (recipe.get(key, []) for recipe in (made, asked))
        if trained != now:
            raise InputError(
                f"{run} was trained with data.{key}={trained}, the settings say {now}: leave "
                f"data.{key} as it was, in {run / 'config.yaml'} too"
            )


def _areas(run: Path, config: Config, manifest: dict[str, Any]) -> list[Area]:
    """Grids are kept with the run; one that came from elsewhere may have its store's."""
    if (run / "grids").is_dir():
        return open_areas(run / "grids", manifest)
    if (Path(config.data.store) / "manifest.json").is_file():
        return open_store(config.data.store, config.data).areas
    return []


def _unless_one(name: str, value: float) -> dict[str, float]:
    """What a file says of a setting that changes nothing at 1: nothing then."""
    return {} if value == 1.0 else {name: value}


def _lasting(config: SampleConfig) -> dict[str, Any]:
    """What a file says of noise that lasts; nothing where every hour's is its own."""
    if not config.noise_correlation:
        return {}
    return {
        "jaxrain_noise_correlation": config.noise_correlation,
        "jaxrain_noise_hours": np.int32(config.noise_hours),
    }
