"""Training batches: random patches of fine rain, each with the few coarse cells that it needs.

Row r of the endless sequence of patches is a function of (seed, r) alone: the hour comes from a
seeded permutation of the epoch's rows, the place from a generator keyed by (seed, epoch, row).
Batch k is rows k*B to (k+1)*B, so a run can go on from any step at no cost, and any number of
hosts or workers sees the same batches.
"""

import functools
from dataclasses import dataclass

import grain
import numpy as np
from absl import flags

from jaxrain.errors import InputError
from jaxrain.grids.regrid import local_weights, reach
from jaxrain.pairs.contrast import bent_patch
from jaxrain.pairs.encodings import encode_time
from jaxrain.pairs.epochs import epoch_hours
from jaxrain.pairs.interpolation import Matrices, interpolation_matrices
from jaxrain.pairs.placement import Places, draw, places
from jaxrain.pairs.recipe import DataConfig
from jaxrain.pairs.store import Area, Store
from jaxrain.pairs.surroundings import place_maps
from jaxrain.pairs.symmetries import COUNT, turned

Batch = dict[str, np.ndarray]

_ENDLESS = 2**31 - 1  # steps; the most that a range of int32 holds


def training_batches(
    store: Store,
    config: DataConfig,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    workers: int = 0,
    host: int = 0,
    hosts: int = 1,
) -> "grain.DatasetIterator[Batch]":
    """An endless iterator of training batches, b = batch_size / hosts examples each.

    Args:
      store: finished.
      config: patch, wet_fraction, balance_days, augmentation, max_missing, interpolations,
        encodings.
      batch_size: examples of all hosts together.
      seed: of the order and the places, 0..2**32-1.
      start_step: batch to begin with.
      workers: processes that read ahead; 0 reads in a thread of this one.
      host: index of this host.
      hosts: number of hosts; each gets its own slice of every batch.

    Returns:
      An iterator of dicts: `fine` [b, P, P] in mm, NaN where missing; `coarse` [b, C, kh, kw] in
      canonical units; `weights_y` [b, I, P, kh]; `weights_x` [b, I, P, kw]; and where configured
      `maps` [b, P, P, M] and `clock` [b, K] in the network's units; all float32. Its
      `get_state()` and `set_state()` are grain's; the state counts from `start_step`.

    Raises:
      InputError: the batch doesn't divide among the hosts, no training hours, or a patch that
        is larger than an area.
    """
    if batch_size % hosts:
        raise InputError(
            f"a batch of {batch_size} does not divide among {hosts} hosts: make it a multiple"
        )
    plan = _plan(store, config, seed)
    first, share = host * (batch_size // hosts), batch_size // hosts

    def batch(step: int) -> Batch:
        rows = step * batch_size + first + np.arange(share)
        examples = [plan.example(int(row)) for row in rows]
        return {key: np.stack([example[key] for example in examples]) for key in examples[0]}

    steps = grain.MapDataset.range(start_step, _ENDLESS).map(batch)
    if workers == 0:
        reading = grain.ReadOptions(num_threads=2, prefetch_buffer_size=8)
        return iter(steps.to_iter_dataset(reading))
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # grain's workers ask absl's flags, which only absl.app parses
    # A worker reads batches one after another: threads in each would only add to their number.
    reading = grain.ReadOptions(num_threads=1, prefetch_buffer_size=2)
    processes = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=4)
    return iter(steps.to_iter_dataset(reading).mp_prefetch(processes))


@dataclass(frozen=True)
class _Plan:
    """All that an example is made from."""

    store: Store
    config: DataConfig
    seed: int
    hours: list[tuple[int, int]]  # (area, hour) of each row of an epoch
    order: "grain.MapDataset[int]"
    matrices: list[Matrices]
    width: tuple[int, int]  # coarse cells that a patch takes, (kh, kw)

    def example(self, row: int) -> Batch:
        area_index, hour = self.hours[self.order[row]]
        area = self.store.areas[area_index]
        epoch, patch = row // len(self.hours), self.config.patch
        rng = np.random.default_rng((self.seed, epoch, row))
        free, counted = draw(
            _places(area, hour, patch, self.config.max_missing),
            area.fine_grid.shape,
            patch,
            self.config.wet_fraction,
            rng,
        )
        y, x = free
        fine = area.fine(hour)[y : y + patch, x : x + patch]
        if np.isnan(fine).mean() > self.config.max_missing:
            y, x = counted
            fine = area.fine(hour)[y : y + patch, x : x + patch]
        cells, weights_y, weights_x = _local_cells(
            self.matrices[area_index], (y, x), (patch, patch), self.width
        )
        coarse = area.coarse(hour)
        if (most := self.config.augment_contrast) > 1 and (side := self.config.coarsen):
            fine, coarse = bent_patch(
                area.fine(hour), cells, side, (y, x), patch, most ** rng.uniform(-1, 1)
            )
        else:
            fine = np.array(fine)  # away from the map: a batch is plain memory
            coarse = coarse[:, cells[0], cells[1]]
        coarse = _padded(coarse, self.width)
        known = {"fine": fine, "coarse": coarse, "weights_y": weights_y, "weights_x": weights_x}
        known |= self._beside(area, hour, (y, x))
        if self.config.augment:
            known = turned(known, int(rng.integers(COUNT)))
        if (most := self.config.augment_amounts) > 1:
            factor = np.float32(most ** rng.uniform(-1, 1))
            known |= {key: known[key] * factor for key in ("fine", "coarse")}
        return known

    def _beside(self, area: Area, hour: int, place: tuple[int, int]) -> Batch:
        """What is known beside the weather, under the keys of a batch; nothing by default."""
        encodings, patch = self.config.encodings, self.config.patch
        window = area.fine_grid.window(*place, patch, patch)
        maps = place_maps(area.statics, encodings, window, place, area.name)
        clock = encode_time(encodings, area.hours[[hour]])[0]
        beside = {} if maps is None else {"maps": maps}
        return beside | ({"clock": clock} if clock.size else {})


def _plan(store: Store, config: DataConfig, seed: int) -> _Plan:
    patch = config.patch
    for area in store.areas:
        height, width = area.fine_grid.shape
        if area.indices("train") and min(height, width) < patch:
            raise InputError(
                f"data.patch={patch} exceeds the area {area.name} of {height} x {width} points: "
                f"set data.patch to at most {min(height, width)}"
            )
    drawn = epoch_hours(store.areas, patch, config.balance_days)
    hours = [hour for hour, patches in drawn for _ in range(patches)]
    if not hours:
        raise InputError(
            f"the store {store.path} has no hours of training: name some in data.splits.train"
        )
    matrices = [
        interpolation_matrices(
            area.coarse_grid, area.fine_grid, list(config.interpolations), area.name
        )
        for area in store.areas
    ]
    used = {area for area, _ in hours}
    height, width = (
        max(reach(getattr(matrices[area], axis).sum(axis=0), patch) for area in used)
        for axis in ("y", "x")
    )
    if config.augment:  # a transposed patch takes as many cells
        height = width = max(height, width)
    return _Plan(
        store=store,
        config=config,
        seed=seed,
        hours=hours,
        order=grain.MapDataset.range(len(hours)).shuffle(seed=seed).repeat(),
        matrices=matrices,
        width=(height, width),
    )


# At module level, so that a plan can be sent to worker processes; each keeps its own.
@functools.lru_cache(maxsize=4096)
def _places(area: Area, hour: int, patch: int, max_missing: float) -> Places:
    return places(area.cover(hour), area.fine_grid.shape, patch, max_missing)


def _local_cells(
    matrices: Matrices, place: tuple[int, int], size: tuple[int, int], width: tuple[int, int]
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """The coarse cells that a stretch of fine points needs, and the weights on them.

    Args:
      matrices: of the area, I interpolations.
      place: first fine row and column.
      size: fine rows P and columns Q.
      width: cells to take, (kh, kw); those beyond the grid have weight 0.

    Returns:
      (their rows and columns, weights_y [I, P, kh], weights_x [I, Q, kw]), float32.
    """
    first_y, weights_y = _shared(matrices.y, place[0], size[0], width[0])
    first_x, weights_x = _shared(matrices.x, place[1], size[1], width[1])
    cells = slice(first_y, first_y + width[0]), slice(first_x, first_x + width[1])
    return cells, weights_y, weights_x


def _padded(cells: np.ndarray, width: tuple[int, int]) -> np.ndarray:
    """Cells [C, <= kh, <= kw] with zeros after them, [C, kh, kw]."""
    padding = [(0, 0)] + [(0, k - n) for k, n in zip(width, cells.shape[1:], strict=True)]
    return np.pad(cells, padding)


def _shared(matrices: np.ndarray, start: int, count: int, width: int) -> tuple[int, np.ndarray]:
    """Weights of all interpolations on the same cells: [I, m, n] -> (first, [I, count, k])."""
    # Weights are never negative, so their sum is 0 just where all are.
    first, _ = local_weights(matrices.sum(axis=0), start, count, width)
    weights = np.zeros((len(matrices), count, width), np.float32)
    stop = min(first + width, matrices.shape[2])
    weights[:, :, : stop - first] = matrices[:, start : start + count, first:stop]
    return first, weights
