"""Members over a whole domain: one chain on a canvas, its tiles fused at every denoising step.

The network only knows tiles. At each step the canvas is cut into overlapping tiles, each is
denoised, and the estimates of x0 are blended with tapered weights that sum to 1; the sampler then
moves the whole canvas. Neighbouring tiles thus agree at every step, and the end has no seams.
The chain is one compiled program, from coarse fields in physical units to rain in mm.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jax.typing import ArrayLike

from jaxrain.diffusion.process import Denoise, DiffusionConfig, denoiser, epsilon_scaled
from jaxrain.diffusion.samplers import SAMPLERS
from jaxrain.diffusion.samplers.stepping import Noise, clipped, first_level
from jaxrain.diffusion.schedules import make_schedule
from jaxrain.ensembles.calibration import Calibration, Drawn, rain_of
from jaxrain.ensembles.canvas import Canvas
from jaxrain.ensembles.fusion import cut_tiles, fuse
from jaxrain.ensembles.lasting_noise import hour_weights, lasting_noise
from jaxrain.ensembles.member_contrast import sharpened
from jaxrain.ensembles.noise import white_noise
from jaxrain.ensembles.predictors import Predictors
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.ensembles.sharing import FIELDS, TILES, on_each
from jaxrain.ensembles.turning import side_of, turned, turned_back
from jaxrain.errors import InputError
from jaxrain.grids.tiling import Lattice
from jaxrain.pairs.conditioning import coarse_rain
from jaxrain.pairs.encodings import encode_time
from jaxrain.pairs.scaling import Scaling, decode_target, encode_target, target_bounds

# (condition [B, t, t, C], x [B, t, t, 1]) -> x0_hat [B, t, t, 1]
OfTiles = Callable[[jax.Array, jax.Array], jax.Array]

CENTRE_DRAWS = 8
"""Of a network that draws in one step: the centre is the mean of so many, which no member is."""

_OF_GUESS = -1  # which draw of white noise a first guess takes; a chain's own count from 0


def make_downscale(
    apply: Callable[[Any, jax.Array, jax.Array], jax.Array],
    scaling: Scaling,
    diffusion: DiffusionConfig,
    config: SampleConfig,
    encodings: Sequence[str] = (),
    mesh: Mesh | None = None,
    *,
    regress: Callable[[Any, jax.Array], jax.Array] | None = None,
    guess: Callable[[Any, jax.Array, jax.Array], jax.Array] | None = None,
    calibration: Calibration | None = None,
    most_mm: float = math.inf,
) -> Callable[..., jax.Array]:
    """Builds the compiled chain of a network: coarse fields in, rain out.

    Args:
      apply: the network, apply(parameters, x [B, H, W, C + 1], s [B, 1]) -> [B, H, W, 1], pure;
        C counts what is known beside the weather too.
      scaling: of the store that it was trained on.
      diffusion: the process that it was trained in.
      config: sampler, steps, batch; `seed` is the default one.
      encodings: that it was trained with; those of the time are made from the minutes.
      mesh: of `sampling_mesh`, whose devices share the work; None takes one device.
      regress: where the network learned what a regression leaves, that regression,
        regress(parameters, condition [B, H, W, C - 1]) -> x0 [B, H, W, 1].
      guess: with `first_guess`, guess(parameters, condition, noise [B, H, W, 1]) -> x0; its
        condition is what a regression's is.
      calibration: of the members; None leaves them as they come.
      most_mm: beyond which contrast gives no point more rain than it had.

    Returns:
      `downscale(parameters, canvas, coarse, members, minutes, seed=None, shifts=None, powers=None)
      -> rain`:
        parameters: the network's, as `apply` takes them.
        canvas: a `Canvas`.
        coarse: predictors of each item in physical units, NaN where missing, [n, C, k, l].
        members: number of each item's member, from 0, [n].
        minutes: valid hour of each, as `minutes_since_epoch` gives it, [n].
        shifts: how far earlier hours' noise has come since, as `pairs.steering.shifts` gives it,
          [n, K, 2], where `noise_correlation` is set; None where it stays.
        powers: of each item's contrast, as `member_contrast.powers` gives them, [n]; None: none.
        rain: mm, [n, H, W]; NaN where a coarse cell that contributes is missing.
      It compiles once for each shape of canvas and number of items.

    Raises:
      InputError: the sampler cannot take so many steps of this schedule.
    """
    finish = partial(rain_of, scaling=scaling, dry_below_mm=config.dry_below_mm)
    if calibration is not None:
        quantiles = (calibration.source_mm, calibration.target_mm)
        finish = partial(finish, inflation=calibration.inflation, quantiles_mm=quantiles)
    centred = calibration is not None and calibration.inflation != 1.0
    built = (apply, scaling, diffusion, config, encodings, mesh)
    return make_chain(
        *built, regress=regress, guess=guess, finish=finish, centred=centred, most_mm=most_mm
    )


def make_chain(
    apply: Callable[[Any, jax.Array, jax.Array], jax.Array],
    scaling: Scaling,
    diffusion: DiffusionConfig,
    config: SampleConfig,
    encodings: Sequence[str] = (),
    mesh: Mesh | None = None,
    *,
    regress: Callable[[Any, jax.Array], jax.Array] | None = None,
    guess: Callable[[Any, jax.Array, jax.Array], jax.Array] | None = None,
    finish: Callable[[Drawn], Any],
    centred: bool,
    most_mm: float = math.inf,
) -> Callable[..., Any]:
    """`make_downscale` up to the end of the chain, what it returns being `finish` of it.

    Args:
      finish: makes arrays [n, ...] of a `Drawn`, inside the compiled program.
      centred: whether finish needs the centre: one evaluation of the network more, or
        CENTRE_DRAWS of one that draws in one step, which a first guess is.

    Other arguments, Raises: as `make_downscale`.
    """
    if (guess is None) != (config.first_guess is None):
        raise ValueError("guess and config.first_guess: expected both or neither")
    schedule = make_schedule(diffusion.schedule, diffusion.steps, diffusion.start, diffusion.end)
    last = hour_weights(config.noise_correlation, config.noise_hours)
    begin = first_level(schedule, config.sigma_max)
    rest = math.sqrt(1 - begin * begin)
    bounds = {"sigma_min": config.sigma_min, "sigma_max": config.sigma_max}

    clip = target_bounds(scaling)
    if regress is not None:  # a difference of two that lie within the bounds
        clip = (2 * clip[0], 2 * clip[1])

    def sampler(denoise: Denoise, noise: Noise) -> jax.Array:
        if diffusion.objective != "denoising":  # one evaluation, which a regression takes blind
            return clipped(denoise(noise(0), 0.0), clip)
        if config.epsilon_scale != 1.0:
            denoise = epsilon_scaled(denoise, config.epsilon_scale)
        return SAMPLERS[config.sampler](
            denoise,
            noise,
            schedule,
            steps=config.steps,
            eta=config.eta,
            clip=clip,
            **{name: bound for name, bound in bounds.items() if bound is not None},
        )

    try:  # shapes alone, so that what a sampler refuses is known before hours of reading
        jax.eval_shape(lambda: sampler(lambda x, s: x, lambda k: jnp.zeros((1, 1, 1, 1))))
    except ValueError as error:
        raise InputError(
            f"sample.sampler={config.sampler}: {error}; set sample.steps, or "
            "sample.sigma_min and sample.sigma_max"
        ) from None

    def chain(
        parameters: Any,
        weights_y: jax.Array,
        weights_x: jax.Array,
        coarse: jax.Array,
        origin: jax.Array,
        maps: jax.Array | None,
        clock: jax.Array | None,
        members: jax.Array,
        minutes: jax.Array,
        seed: jax.Array,
        shifts: jax.Array | None,
        powers: jax.Array | None,
        *,
        lattice: Lattice,
        cell: tuple[int, int],
        axis: str | None = None,
    ) -> Any:
        network = partial(apply, parameters)
        count = len(coarse)

        def each(weights: jax.Array) -> jax.Array:
            return jnp.broadcast_to(weights, (count, *weights.shape))

        mask, rain_mm = coarse_rain(scaling, coarse, each(weights_y), each(weights_x))

        def inside(field: jax.Array) -> jax.Array:
            return field[:, *lattice.field, 0]

        known = inside(mask) > 0
        tile = lattice.tile
        predictors = Predictors(scaling, coarse, weights_y, weights_x, maps, clock)

        blank = jnp.zeros((count, *lattice.canvas, 1), coarse.dtype)
        expected = blank
        if regress is not None:

            def regress_tiles(
                x: jax.Array, s: jax.Array, item: jax.Array, corner: jax.Array
            ) -> jax.Array:
                return regress(parameters, predictors.tiles(item, corner, tile))

            expected = fuse(regress_tiles, lattice, count, config.batch, axis)(blank, 0.0)

        # What `of` says of tiles that it is shown from a side.
        def seen(of: OfTiles, tiles: jax.Array, x: jax.Array, side: jax.Array) -> jax.Array:
            if not config.turn:
                return of(tiles, x)
            return turned_back(of(turned(tiles, side), turned(x, side)), side)

        sides = side_of(members)

        def denoise_tiles(
            side: jax.Array, x: jax.Array, s: jax.Array, item: jax.Array, corner: jax.Array
        ) -> jax.Array:
            tiles = predictors.tiles(item, corner, tile)
            if regress is not None:
                tiles = jnp.concatenate([tiles, cut_tiles(expected, item, corner, tile)], -1)
            return seen(lambda c, x: denoiser(network, c, diffusion)(x, s), tiles, x, side[item])

        def white(k: ArrayLike, who: jax.Array) -> jax.Array:
            named = (seed, who, minutes, jnp.asarray(k), origin, lattice.canvas)
            field = white_noise(*named) if shifts is None else lasting_noise(*named, last, shifts)
            return field[..., None]

        def guess_tiles(
            side: jax.Array, x: jax.Array, s: jax.Array, item: jax.Array, corner: jax.Array
        ) -> jax.Array:
            assert guess is not None
            tiles = predictors.tiles(item, corner, tile)
            return seen(lambda c, x: guess(parameters, c, x), tiles, x, side[item])

        def guess_from(side: jax.Array, noise: jax.Array) -> jax.Array:
            guessed = fuse(partial(guess_tiles, side), lattice, count, config.batch, axis)
            return clipped(guessed(noise, 0.0), target_bounds(scaling))

        def contrasted(x0: jax.Array) -> jax.Array:
            if powers is None:
                return x0
            coarse_mm = inside(rain_mm)
            rain = decode_target(scaling, inside(x0), coarse_mm)
            rain = sharpened(rain, known, powers, cell, most_mm)
            own = encode_target(scaling, rain, coarse_mm)
            # What is dry was so before, or nearly, and of rounding would come a trace of rain.
            return x0.at[:, *lattice.field, 0].set(jnp.where(rain > 0, own, inside(x0)))

        begun = None
        if guess is not None:
            begun = contrasted(guess_from(sides, white(_OF_GUESS, members))) - expected

        def noise(k: ArrayLike) -> jax.Array:
            fresh = white(k, members) * jnp.where(jnp.asarray(k) == 0, 1.0, config.noise_scale)
            first = isinstance(k, int) and k == 0  # not traced, so that no loop keeps the guess
            return fresh if begun is None or not first else begin * begun + rest * fresh

        def denoise_from(side: jax.Array) -> Denoise:
            return fuse(partial(denoise_tiles, side), lattice, count, config.batch, axis)

        denoise = denoise_from(sides)
        x0 = expected + sampler(denoise, noise)
        if guess is None:
            x0 = contrasted(x0)
        centre = None
        if centred:
            nobody, unturned = jnp.full_like(members, -1), jnp.zeros_like(sides)
            # One draw of what draws in one step is no mean of what can be.
            draws = 1 if guess is None and diffusion.objective == "denoising" else CENTRE_DRAWS

            def add(k: jax.Array, total: jax.Array) -> jax.Array:
                if guess is not None:
                    return total + guess_from(unturned, white(k, nobody))
                found = denoise_from(unturned)(white(k, nobody), begin)
                return total + expected + clipped(found, clip)

            centre = jax.lax.fori_loop(0, draws, add, blank) / draws

        shared = None if centre is None else inside(centre)
        return finish(Drawn(inside(x0), shared, inside(rain_mm), known))

    abreast = 1 if mesh is None else mesh.shape[FIELDS]

    @partial(jax.jit, static_argnames=("lattice", "cell"))
    def shared_chain(*arguments: Any, lattice: Lattice, cell: tuple[int, int]) -> Any:
        if mesh is None:
            return chain(*arguments, lattice=lattice, cell=cell)
        # Each device by itself, so that nothing is sent but what `fuse` sends.
        return jax.shard_map(
            partial(
                chain,
                lattice=lattice,
                cell=cell,
                axis=TILES if mesh.shape[TILES] > 1 else None,
            ),
            mesh=mesh,
            in_specs=_SPECS,
            out_specs=PartitionSpec(FIELDS),
            check_vma=False,
        )(*arguments)

    def downscale(
        parameters: Any,
        canvas: Canvas,
        coarse: ArrayLike,
        members: ArrayLike,
        minutes: ArrayLike,
        seed: int | None = None,
        shifts: ArrayLike | None = None,
        powers: ArrayLike | None = None,
    ) -> Any:
        count = len(np.asarray(members))
        # Spare places repeat the last field, so that all devices have as many.
        filled = np.minimum(np.arange(-(-count // abreast) * abreast), count - 1)
        minutes = np.asarray(minutes, np.int32)[filled]
        if config.noise_correlation and shifts is None:
            shifts = np.zeros((count, config.noise_hours, 2))
        clock = encode_time(encodings, minutes.astype("datetime64[m]"))
        found = shared_chain(
            on_each(parameters, mesh),
            canvas.weights_y,
            canvas.weights_x,
            np.asarray(coarse, np.float32)[filled],
            np.asarray(canvas.origin, np.int32),
            canvas.maps,
            clock if clock.size else None,
            np.asarray(members, np.int32)[filled],
            minutes,
            np.uint32(config.seed if seed is None else seed),
            np.asarray(shifts, np.int32)[filled] if config.noise_correlation else None,
            None if powers is None else np.asarray(powers, np.float32)[filled],
            lattice=canvas.lattice,
            cell=canvas.cell,
        )
        return jax.tree.map(lambda x: x[:count], found) if len(filled) > count else found

    return downscale


# Of the chain's arguments: what each field has of its own, and what all share.
_ALL, _EACH = PartitionSpec(), PartitionSpec(FIELDS)
_SPECS = (_ALL, _ALL, _ALL, _EACH, _ALL, _ALL, _EACH, _EACH, _EACH, _ALL, _EACH, _EACH)
