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
from jaxrain.diffusion.samplers.stepping import Noise
from jaxrain.diffusion.schedules import make_schedule
from jaxrain.ensembles.fusion import fuse
from jaxrain.ensembles.lasting_noise import hour_weights, lasting_noise
from jaxrain.ensembles.noise import white_noise
from jaxrain.ensembles.settings import SampleConfig
from jaxrain.ensembles.sharing import FIELDS, TILES, on_each
from jaxrain.errors import InputError
from jaxrain.grids.grid import Grid
from jaxrain.grids.tiling import Lattice
from jaxrain.pairs.conditioning import condition_fields, with_surroundings
from jaxrain.pairs.encodings import encode_time
from jaxrain.pairs.interpolation import interpolation_matrices
from jaxrain.pairs.scaling import Scaling, decode_target, target_bounds


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
    schedule = make_schedule(diffusion.schedule, diffusion.steps, diffusion.start, diffusion.end)
    last = hour_weights(config.noise_correlation, config.noise_hours)
    bounds = {"sigma_min": config.sigma_min, "sigma_max": config.sigma_max}

    def sampler(denoise: Denoise, noise: Noise) -> jax.Array:
        return SAMPLERS[config.sampler](
            denoise,
            noise,
            schedule,
            steps=config.steps,
            eta=config.eta,
            clip=target_bounds(scaling),
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
    ) -> jax.Array:
        network = partial(apply, parameters)
        count = len(coarse)

        def each(weights: jax.Array) -> jax.Array:
            return jnp.broadcast_to(weights, (count, *weights.shape))

        condition, mask, rain_mm = condition_fields(
            scaling, coarse, each(weights_y), each(weights_x)
        )
        channels = condition.shape[-1]

        def denoise_tiles(
            x: jax.Array, s: jax.Array, item: jax.Array, corner: jax.Array
        ) -> jax.Array:
            def cut(i: jax.Array, at: jax.Array) -> jax.Array:
                size = (1, lattice.tile, lattice.tile, channels)
                return jax.lax.dynamic_slice(condition, (i, *at, 0), size)[0]

            def cut_map(at: jax.Array) -> jax.Array:
                assert maps is not None
                size = (lattice.tile, lattice.tile, maps.shape[-1])
                return jax.lax.dynamic_slice(maps, (*at, 0), size)

            # Maps join tile by tile: every item on the canvas shares them.
            tiles = with_surroundings(
                jax.vmap(cut)(item, corner),
                None if maps is None else jax.vmap(cut_map)(corner),
                None if clock is None else clock[item],
            )
            return denoiser(network, tiles, diffusion)(x, s)

        def noise(k: ArrayLike) -> jax.Array:
            k = jnp.asarray(k)
            named = (seed, members, minutes, k, origin, lattice.canvas)
            white = white_noise(*named) if shifts is None else lasting_noise(*named, last, shifts)
            return white[..., None] * jnp.where(k == 0, 1.0, config.noise_scale)

        x0 = sampler(fuse(denoise_tiles, lattice, count, config.batch, axis), noise)
        rain = jnp.where(mask > 0, decode_target(scaling, x0, rain_mm), jnp.nan)
        height, width = lattice.shape
        return rain[:, :height, :width, 0]

    abreast = 1 if mesh is None else mesh.shape[FIELDS]

    @partial(jax.jit, static_argnames="lattice")
    def shared_chain(*arguments: Any, lattice: Lattice) -> jax.Array:
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
    ) -> jax.Array:
        count = len(np.asarray(members))
        # Spare places repeat the last field, so that all devices have as many.
        filled = np.minimum(np.arange(-(-count // abreast) * abreast), count - 1)
        minutes = np.asarray(minutes, np.int32)[filled]
        if config.noise_correlation and shifts is None:
            shifts = np.zeros((count, config.noise_hours, 2))
        clock = encode_time(encodings, minutes.astype("datetime64[m]"))
        rain = shared_chain(
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
        return rain[:count] if len(filled) > count else rain

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
