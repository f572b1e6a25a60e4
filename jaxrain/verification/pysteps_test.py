"""Our scores beside those of pysteps, which runs in a process of its own: see `radial_means`."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from jaxrain.verification.fractions import WINDOWS_KM, fraction_sums
from jaxrain.verification.points import THRESHOLDS_MM, rank_counts
from jaxrain.verification.spectra import radial_means

_THEIRS = """
import sys
import numpy as np
from pysteps.utils.spectral import rapsd
from pysteps.verification.ensscores import rankhist
from pysteps.verification.spatialscores import fss

given = np.load(sys.argv[1])
np.savez(
    sys.argv[2],
    fss=[[fss(given["members"][0], given["truth"], t, w) for w in given["windows"]]
         for t in given["thresholds"]],
    ranks=rankhist(given["members"] + 0.2, given["truth"] + 0.2, normalize=False),
    even=rapsd(given["truth"], fft_method=np.fft),
    odd=rapsd(given["truth"][1:, 1:], fft_method=np.fft),
)
"""


def rain(seed, *shape):
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = uniform_filter(noise, (0,) * (len(shape) - 2) + (5, 5))
    return np.maximum(smooth * 40, 0)


@pytest.fixture(scope="module")
def given():
    # Below zero there is no rain: a little noise instead, so that no ranks are tied.
    noise = np.random.default_rng(2).uniform(0, 0.05, (5, 70, 70))
    members, truth = (
        np.maximum(rain(0, 4, 70, 70), noise[1:]),
        np.maximum(rain(1, 70, 70), noise[0]),
    )
    return {"members": members, "truth": truth}


@pytest.fixture(scope="module")
def theirs(given, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pysteps")
    np.savez(folder / "given.npz", windows=WINDOWS_KM, thresholds=THRESHOLDS_MM, **given)
    files = [str(folder / "given.npz"), str(folder / "theirs.npz")]
    subprocess.run([sys.executable, "-c", _THEIRS, *files], check=True, stdout=subprocess.DEVNULL)
    return np.load(files[1])


def test_fractions_skill_score(given, theirs):
    sums = fraction_sums(given["members"][:1], given["truth"], 1.0)
    ours = 1 - sums["fraction_difference"] / sums["fraction_reference"]
    np.testing.assert_allclose(ours, theirs["fss"], atol=1e-5)


def test_rank_histogram(given, theirs):
    ours = rank_counts(given["members"].reshape(4, -1) + 0.2, given["truth"].ravel() + 0.2)
    np.testing.assert_array_equal(ours, theirs["ranks"])


def test_radial_means(given, theirs):
    for name, field in (("even", given["truth"]), ("odd", given["truth"][1:, 1:])):
        power = np.abs(np.fft.fft2(field)) ** 2 / field.size
        np.testing.assert_allclose(radial_means(power), theirs[name], rtol=1e-9)
