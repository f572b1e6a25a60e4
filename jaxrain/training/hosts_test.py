import pytest

from jaxrain.errors import InputError
from jaxrain.training.hosts import COORDINATOR, COUNT, INDEX, Hosts, agree, find_hosts

EXPLICIT = {COORDINATOR: "node7:1234", COUNT: "4", INDEX: "2"}
SLURM = {
    "SLURM_JOB_ID": "4099",
    "SLURM_STEP_NODELIST": "gpu[007-009,012],other",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_PROCID": "3",
}


def test_without_a_word_a_process_is_alone():
    assert find_hosts({}) is None
    assert find_hosts(EXPLICIT | {COUNT: "1", INDEX: "0"}) is None
    assert find_hosts(SLURM | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}) is None
    # A shell of a job in which no step was started.
    assert find_hosts({"SLURM_JOB_ID": "4099", "SLURM_NTASKS": "4"}) is None


def test_three_variables_say_who_is_who_and_go_before_slurm():
    assert find_hosts(SLURM | EXPLICIT) == Hosts("node7:1234", 4, 2)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[007-009,012],other", "gpu007"),
        ("gpu[12,14]", "gpu12"),
        ("alone", "alone"),
        ("a-1,b[2-3]", "a-1"),
    ],
)
def test_the_tasks_of_a_slurm_step_meet_on_its_first_node(nodes, first):
    assert find_hosts(SLURM | {"SLURM_STEP_NODELIST": nodes}) == Hosts(f"{first}:61443", 4, 3)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({INDEX: ""}, f"without {INDEX}"),
        ({INDEX: "4"}, f"{INDEX}=4: expected 0 to 3"),
        ({COUNT: "many"}, f"{COUNT}=many"),
        ({COORDINATOR: "node7"}, "expected HOST:PORT"),
    ],
)
def test_what_makes_no_sense_is_named(changes, says):
    with pytest.raises(InputError, match=says):
        find_hosts(EXPLICIT | changes)


def test_alone_nobody_is_asked():
    assert agree(lambda: {"found": (1, None)}) == {"found": (1, None)}
