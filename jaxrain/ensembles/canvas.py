"""Members over a whole domain: one chain on a canvas, its tiles fused at every denoising step.

The network only knows tiles. At each step the canvas is cut into overlapping tiles, each is
denoised, and the estimates of x0 are blended with tapered weights that sum to 1; the sampler then
moves the whole canvas. Neighbouring tiles thus agree at every step, and the end has no seams.
The chain is one compiled program, from coarse fields in physical units to rain in mm.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jax.typing import ArrayLike
from numpy.typing import NDArray

from jaxrain.diffusion.process import Denoise, DiffusionConfig, denoiser
from jaxrain.diffusion.samplers import SAMPLERS
from jaxrain.diffusion.samplers.stepping import Noise, clipped, first_level
from jaxrain.diffusion.schedules import make_schedule
from jaxrain.ensembles.calibration import Calibration, Drawn, rain_of
from jaxrain.ensembles.fusion import fuse
from jaxrain.ensembles.lasting_noise import hour_weights, lasting_noise
from jaxrain.ensembles.noise import white_noise
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.ensembles.sharing import FIELDS, TILES, on_each
from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.grids.tiling import Lattice
from jaxrain.pairs.conditioning import coarse_rain, condition_fields, with_surroundings
from jaxrain.pairs.encodings import encode_time
from jaxrain.pairs.interpolation import interpolation_matrices
from jaxrain.pairs.scaling import Scaling, target_bounds


@dataclass(frozen=True, eq=False)
class Canvas:
    """Where a field is sampled: its tiles, its place in the area's grid, its interpolation.

    Attributes:
      lattice: of tiles, over the field.
      weights_y: rows of the interpolation matrices at the canvas's rows, [I, Hp, k].
      weights_x: likewise for columns, [I, Wp, l].
      origin: row and column of the first pixel in the area's grid, which noise is indexed by.
      maps: static fields and position in the network's units, [Hp, Wp, M]; None for none.
    """

    lattice: Lattice
    weights_y: NDArray[np.float32]
    weights_x: NDArray[np.float32]
    origin: tuple[int, int]
    maps: NDArray[np.float32] | None = None


def make_canvas(
    fine: Grid,
    coarse: Grid,
    *,
    interpolations: list[str] | tuple[str, ...],
    origin: tuple[int, int] = (0, 0),
    tile: int,
    overlap: int,
    maps: NDArray[np.float32] | None = None,
) -> Canvas:
    """Lays tiles over a fine grid and finds its interpolation from the coarse one.

    Args:
      fine: grid of the field to be made, H x W.
      coarse: grid of the predictors, k x l.
      interpolations: 'bilinear' and 'nearest', in the order of the network's channels.
      origin: row and column of `fine`'s first point in its area's grid.
      tile: edge of a tile [pixels].
      overlap: pixels shared by neighbouring tiles.
      maps: static fields and position at `fine`'s points in the network's units, [H, W, M].

    Raises:
      InputError: `fine` reaches more than half a cell beyond `coarse`.
      ValueError: there is no such lattice.
    """
    lattice = Lattice(fine.shape, tile, overlap)

    matrices = interpolation_matrices(coarse, fine, list(interpolations))

    def padded(weights: NDArray, length: int) -> NDArray[np.float32]:
        beyond = length - weights.shape[1]  # the padding takes the edge's predictors
        return np.pad(weights, ((0, 0), (0, beyond), (0, 0)), mode="edge").astype(np.float32)

    height, width = lattice.canvas
    if maps is not None:
        beyond = (height - maps.shape[0], width - maps.shape[1])
        maps = np.pad(maps, ((0, beyond[0]), (0, beyond[1]), (0, 0)), mode="edge")
    return Canvas(lattice, padded(matrices.y, height), padded(matrices.x, width), origin, maps)


def make_downscale(
    apply: Callable[[Any, jax.Array, jax.Array], jax.Array],
    scaling: Scaling,
    diffusion: DiffusionConfig,
    config: SampleConfig,
    encodings: Sequence[str] = (),
    mesh: Mesh | None = None,
    *,
    regress: Callable[[Any, jax.Array], jax.Array] | None = None,
    calibration: Calibration | None = None,
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
      calibration: of the members; None leaves them as they come.

    Returns:
      `downscale(parameters, canvas, coarse, members, minutes, seed=None, shifts=None) -> rain`:
        parameters: the network's, as `apply` takes them.
        canvas: a `Canvas`.
        coarse: predictors of each item in physical units, NaN where missing, [n, C, k, l].
        members: number of each item's member, from 0, [n].
        minutes: valid hour of each, as `minutes_since_epoch` gives it, [n].
        shifts: how far earlier hours' noise has come since, as `pairs.steering.shifts` gives it,
          [n, K, 2], where `noise_correlation` is set; None where it stays.
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
    return make_chain(*built, regress=regress, finish=finish, centred=centred)


def make_chain(
    apply: Callable[[Any, jax.Array, jax.Array], jax.Array],
    scaling: Scaling,
    diffusion: DiffusionConfig,
    config: SampleConfig,
    encodings: Sequence[str] = (),
    mesh: Mesh | None = None,
    *,
    regress: Callable[[Any, jax.Array], jax.Array] | None = None,
    finish: Callable[[Drawn], Any],
    centred: bool,
) -> Callable[..., Any]:
    """`make_downscale` up to the end of the chain, what it returns being `finish` of it.

    Args:
      finish: makes arrays [n, ...] of a `Drawn`, inside the compiled program.
      centred: whether finish needs the centre: one evaluation of the network more.

    Other arguments, Raises: as `make_downscale`.
    """
    schedule = make_schedule(diffusion.schedule, diffusion.steps, diffusion.start, diffusion.end)
    last = hour_weights(config.noise_correlation, config.noise_hours)
    bounds = {"sigma_min": config.sigma_min, "sigma_max": config.sigma_max}

    clip = target_bounds(scaling)
    if regress is not None:  # a difference of two that lie within the bounds
        clip = (2 * clip[0], 2 * clip[1])

    def sampler(denoise: Denoise, noise: Noise) -> jax.Array:
        if diffusion.objective != "denoising":  # one evaluation, which a regression takes blind
            return clipped(denoise(noise(0), 0.0), clip)
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
        raise InputError(f"sample.sampler={config.sampler}: {error}; set sample.steps") from None

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
        *,
        lattice: Lattice,
        axis: str | None = None,
    ) -> Any:
        network = partial(apply, parameters)
        count = len(coarse)

        def each(weights: jax.Array) -> jax.Array:
            return jnp.broadcast_to(weights, (count, *weights.shape))

        mask, rain_mm = coarse_rain(scaling, coarse, each(weights_y), each(weights_x))

        def cut_tiles(field: jax.Array, item: jax.Array, corner: jax.Array) -> jax.Array:
            def cut(i: jax.Array, at: jax.Array) -> jax.Array:
                size = (1, lattice.tile, lattice.tile, field.shape[-1])
                return jax.lax.dynamic_slice(field, (i, *at, 0), size)[0]

            return jax.vmap(cut)(item, corner)

        def condition_tiles(item: jax.Array, corner: jax.Array) -> jax.Array:
            def cut_map(at: jax.Array) -> jax.Array:
                assert maps is not None
                size = (lattice.tile, lattice.tile, maps.shape[-1])
                return jax.lax.dynamic_slice(maps, (*at, 0), size)

            def cut_weights(weights: jax.Array, start: jax.Array) -> jax.Array:
                rows = partial(jax.lax.dynamic_slice_in_dim, slice_size=lattice.tile, axis=1)
                return jax.vmap(rows, in_axes=(None, 0))(weights, start)

            # Tile by tile and anew at each step: all predictors on a large domain's fine grid
            # would be most of the memory, and a tile's interpolation is little beside its network.
            places = cut_weights(weights_y, corner[:, 0]), cut_weights(weights_x, corner[:, 1])
            return with_surroundings(
                condition_fields(scaling, coarse[item], *places)[0],
                None if maps is None else jax.vmap(cut_map)(corner),
                None if clock is None else clock[item],
            )

        blank = jnp.zeros((count, *lattice.canvas, 1), coarse.dtype)
        expected = blank
        if regress is not None:

            def regress_tiles(
                x: jax.Array, s: jax.Array, item: jax.Array, corner: jax.Array
            ) -> jax.Array:
                return regress(parameters, condition_tiles(item, corner))

            expected = fuse(regress_tiles, lattice, count, config.batch, axis)(blank, 0.0)

        def denoise_tiles(
            x: jax.Array, s: jax.Array, item: jax.Array, corner: jax.Array
        ) -> jax.Array:
            tiles = condition_tiles(item, corner)
            if regress is not None:
                tiles = jnp.concatenate([tiles, cut_tiles(expected, item, corner)], -1)
            return denoiser(network, tiles, diffusion)(x, s)

        def white(k: jax.Array, who: jax.Array) -> jax.Array:
            named = (seed, who, minutes, k, origin, lattice.canvas)
            field = white_noise(*named) if shifts is None else lasting_noise(*named, last, shifts)
            return field[..., None]

        def noise(k: ArrayLike) -> jax.Array:
            k = jnp.asarray(k)
            return white(k, members) * jnp.where(k == 0, 1.0, config.noise_scale)

        denoise = fuse(denoise_tiles, lattice, count, config.batch, axis)
        x0 = expected + sampler(denoise, noise)
        centre = None
        if centred:
            nobody = jnp.full_like(members, -1)
            begin = first_level(schedule, config.sigma_max)
            centre = expected + clipped(denoise(white(jnp.asarray(0), nobody), begin), clip)

        def inside(field: jax.Array) -> jax.Array:
            height, width = lattice.shape
            return field[:, :height, :width, 0]

        known = inside(mask) > 0
        shared = None if centre is None else inside(centre)
        return finish(Drawn(inside(x0), shared, inside(rain_mm), known))

    abreast = 1 if mesh is None else mesh.shape[FIELDS]

    @partial(jax.jit, static_argnames="lattice")
    def shared_chain(*arguments: Any, lattice: Lattice) -> Any:
        if mesh is None:
            return chain(*arguments, lattice=lattice)
        # Each device by itself, so that nothing is sent but what `fuse` sends.
        return jax.shard_map(
            partial(chain, lattice=lattice, axis=TILES if mesh.shape[TILES] > 1 else None),
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
            lattice=canvas.lattice,
        )
        return jax.tree.map(lambda x: x[:count], found) if len(filled) > count else found

    return downscale


# Of the chain's arguments: what each field has of its own, and what all share.
_ALL, _EACH = PartitionSpec(), PartitionSpec(FIELDS)
_SPECS = (_ALL, _ALL, _ALL, _EACH, _ALL, _ALL, _EACH, _EACH, _EACH, _ALL, _EACH)


def items_at_once(canvas: Canvas, config: SampleConfig, mesh: Mesh | None = None) -> int:
    """How many members and hours to sample together: enough to fill the network's batch.

    A canvas of many tiles fills it alone; so memory grows with neither members nor hours.
    """
    rows, columns = canvas.lattice.counts
    return max(1, config.batch // (rows * columns)) * (1 if mesh is None else mesh.shape[FIELDS])
