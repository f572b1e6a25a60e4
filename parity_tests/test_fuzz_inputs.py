import pytest

from parity_tests.fuzz_inputs import fuzz
from parity_tests.fuzz_subjects import SUBJECTS


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_two_hundred_damaged_files_are_read_or_refused_in_one_line(subject):
    findings = [
        each for each in fuzz(subject, range(200), 1) if each.outcome not in ("read", "refused")
    ]
    assert findings == []
