"""Several processes, on one host or many, as one training: who they are and what they agree on.

All run the same program on the same devices' mesh, so whatever decides what is done next must be
the same in all: what lies on the disk is looked at by the first host alone, which tells the others,
and a signal that one has heard is put to the vote. In a training of one process there is nobody to
ask, and nothing is sent.
"""

import itertools
import json
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxrain.errors import InputError
from jaxrain.training.mesh import replicated
from jaxrain.training.stopping import Stop

COORDINATOR = "JAXRAIN_COORDINATOR"  # HOST:PORT of the first process
COUNT = "JAXRAIN_PROCESS_COUNT"
INDEX = "JAXRAIN_PROCESS_INDEX"
_NAMES = (COORDINATOR, COUNT, INDEX)

# A slow disk, or a program that one host compiles and another has, must not end a training.
_PATIENCE_SECONDS = 3600
_SILENCE_SECONDS = 60  # after which a host that is not heard of is taken for dead, and all end
_meetings = itertools.count()
_AHEAD = 2  # steps that a vote may take: the host never waits for the newest step


@dataclass(frozen=True)
class Hosts:
    """One process among those of a training.

    Attributes:
      coordinator: HOST:PORT where the first process listens.
      count: of processes.
      index: of this one, from 0.
    """

    coordinator: str
    count: int
    index: int


def find_hosts(environment: Mapping[str, str]) -> Hosts | None:
    """What the environment says of the processes of this training; None where it is alone.

    Three variables name them, on any cluster: JAXRAIN_COORDINATOR=HOST:PORT,
    JAXRAIN_PROCESS_COUNT and JAXRAIN_PROCESS_INDEX. Without them, the tasks of a step of Slurm
    (srun) are the processes.

    Raises:
      InputError: some of the variables are missing, or make no sense.
    """
    given = {name: environment[name] for name in _NAMES if environment.get(name)}
    if not given:
        return _of_slurm(environment)
    missing = [name for name in _NAMES if name not in given]
    if missing:
        raise InputError(
            f"{', '.join(given)} without {', '.join(missing)}: set all three, or none of them"
        )
    if not re.fullmatch(r"\S+:\d+", given[COORDINATOR]):
        raise InputError(f"{COORDINATOR}={given[COORDINATOR]}: expected HOST:PORT of process 0")
    for name in (COUNT, INDEX):
        if not given[name].isdecimal():
            raise InputError(f"{name}={given[name]}: expected a number")
    count, index = int(given[COUNT]), int(given[INDEX])
    if index >= count:
        raise InputError(f"{INDEX}={index}: expected 0 to {count - 1}, as {COUNT}={count}")
    return Hosts(given[COORDINATOR], count, index) if count > 1 else None


def _of_slurm(environment: Mapping[str, str]) -> Hosts | None:
    names = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID")
    if any(name not in environment for name in names):
        return None  # no Slurm, or a shell of a job in which no step was started
    job, nodes, count, index = (environment[name] for name in names)
    # The first of node[007-9,12],other is node007.
    first = re.match(r"([^,\[]+)(?:\[(\w+))?", nodes)
    if int(count) < 2 or first is None:
        return None
    # A port of each job's own, as JAX chooses it too.
    return Hosts(f"{first[1]}{first[2] or ''}:{61440 + int(job) % 4096}", int(count), int(index))


def join_hosts() -> None:
    """Finds the other processes and waits for them; before anything else is asked of JAX.

    Raises:
      InputError: the environment makes no sense, or the others could not be reached.
    """
    hosts = find_hosts(os.environ)
    if hosts is None:
        return
    # Its handler would take SIGTERM away from ours, which knows SIGUSR1 too.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            hosts.coordinator,
            num_processes=hosts.count,
            process_id=hosts.index,
            cluster_detection_method="deactivate",  # it would take one device a process
            heartbeat_timeout_seconds=_SILENCE_SECONDS,
            shutdown_timeout_seconds=_SILENCE_SECONDS,
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"process {hosts.index} of {hosts.count} could not join the others through "
            f"{hosts.coordinator} ({reason}); is process 0 running there, its port open?"
        ) from None


def is_first() -> bool:
    """Whether this process writes logs, pictures and settings."""
    return jax.process_index() == 0


def meet(why: str) -> None:
    """Waits for all processes, however long one of them has to work."""
    if jax.process_count() == 1:
        return
    everyone = set(range(jax.process_count()))
    name = f"jaxrain {next(_meetings)} {why}"  # a name that was met under is used up
    ocp.multihost.sync_global_processes(name, processes=everyone, timeout=_PATIENCE_SECONDS)


def agree(find: Callable[[], Any]) -> Any:
    """What the first process finds, in all of them; the others don't look.

    Args:
      find: returns what JSON can say.

    Raises:
      InputError: of `find`, in all of them.
    """
    if jax.process_count() == 1:
        return find()
    text = b""
    if is_first():
        try:
            text = json.dumps({"found": find()}).encode()
        except (InputError, OSError) as error:
            text = json.dumps({"refused": str(error)}).encode()
    meet("agree")
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    letters = np.frombuffer(text.ljust(length)[:length], np.uint8)
    said = json.loads(np.asarray(multihost_utils.broadcast_one_to_all(letters)).tobytes())
    if "refused" in said:
        raise InputError(said["refused"])
    return said["found"]


def make_vote(stop: Stop, mesh: Mesh) -> Callable[[], signal.Signals | None]:
    """Whether to stop, the same answer in all processes at the same step.

    Returns:
      vote() -> the signal that any process had heard when it was called two times before, else
      None; it must be called by all, once a step. Alone, a process decides at once.
    """
    if jax.process_count() == 1:
        return lambda: stop.asked
    one_each = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    highest = jax.jit(jnp.max, out_shardings=replicated(mesh))
    votes: deque[jax.Array] = deque()

    def vote() -> signal.Signals | None:
        own = np.full(1, stop.asked or 0, np.int32)
        heard = jax.make_array_from_callback((mesh.size,), one_each, lambda index: own)
        votes.append(highest(heard))
        if len(votes) > _AHEAD and (number := int(votes.popleft())):
            stop.asked = signal.Signals(number)
            return stop.asked
        return None

    return vote
