import contextlib
import textwrap

import pytest

from jaxrain.speed.turns import WorkerEnded, begin_together, open_worker, steps_a_repetition

WORKER = """
    import json, sys

    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, dict):
            if request["task"] == "impossible":
                raise SystemExit("no such card")
            continue
        print(json.dumps([0.05 * request, 7.0]), flush=True)
"""


def test_one_that_cannot_do_its_job_does_not_keep_the_others_from_theirs(tmp_path):
    (tmp_path / "some_worker.py").write_text(textwrap.dedent(WORKER))
    with contextlib.ExitStack() as stack:
        able, unable = (
            stack.enter_context(open_worker("some_worker", mode, PYTHONPATH=str(tmp_path)))
            for mode in ("able", "unable")
        )
        begin_together([(able, {"task": "copy"}), (unable, {"task": "impossible"})])
        assert steps_a_repetition(able) == 4
        assert able.run(1) == (0.05, 7.0, None)
        with pytest.raises(WorkerEnded, match="no such card"):
            steps_a_repetition(unable)
