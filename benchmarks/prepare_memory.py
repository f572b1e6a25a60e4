"""Peak memory of `prepare` on whole-China files, and that it does not grow with their number.

    python benchmarks/prepare_memory.py [--hours 3 9] [--workers 2]

Writes that many hours of CMPA-like GRIB2 on 6000 x 7000 points and the predictors of a region, runs
`prepare` on each set with `data.region` set, and prints the largest sum of the resident memory of
all its processes, pages that they share counted once (PSS). Asked are 2 GiB for a year.

By arithmetic, a worker that reads a file holds, for P = 6000 * 7000 = 42e6 points: the message (2 P
bytes at 16 bits), ecCodes' decoded copy and ours (8 P bytes each), and while missing values are
looked for one more of 8 P: 26 P = 1.0 GiB, and 0.2 GiB of libraries. What it leaves is the region:
600 x 800 points are 1.9 MB an hour. A day is written hour by hour, statistics are summed in bands
of a million points, and the command itself keeps about 1 KB an hour of names and times: 9 MB for a
year. So the peak is that of as many files as there are workers, at most prepare.large_at_once (2
by default), whatever the number of hours.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import eccodes
import numpy as np
import psutil
import xarray as xr

REGION = {"north": 26.0, "south": 20.0, "west": 109.0, "east": 117.0}
START = np.datetime64("2022-06-01T01", "h")


def write_fine(folder: Path, hours: int) -> None:
    """Whole-China rain, an hour a file: 0 to 60 N, 70 to 140 E, 0.01 degree."""
    folder.mkdir(parents=True)
    handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    keys = {
        "Ni": 7000,
        "Nj": 6000,
        "latitudeOfFirstGridPointInDegrees": 59.995,
        "latitudeOfLastGridPointInDegrees": 0.005,
        "longitudeOfFirstGridPointInDegrees": 70.005,
        "longitudeOfLastGridPointInDegrees": 139.995,
        "iDirectionIncrementInDegrees": 0.01,
        "jDirectionIncrementInDegrees": 0.01,
        "centre": 38,
        "localTablesVersion": 1,
        "productDefinitionTemplateNumber": 8,
        "parameterCategory": 1,
        "parameterNumber": 210,
        "typeOfFirstFixedSurface": 1,
        "bitmapPresent": 1,
        "missingValue": 9999,
        "bitsPerValue": 16,
    }
    for key, value in keys.items():
        eccodes.codes_set(handle, key, value)
    rain = np.random.default_rng(0).gamma(0.2, 4.0, (6000, 7000))
    rain[:, :50] = 9999.0
    eccodes.codes_set_values(handle, rain.ravel())
    for hour in range(hours):
        valid = START + np.timedelta64(hour, "h")
        begin = str(valid - np.timedelta64(1, "h"))
        eccodes.codes_set(handle, "dataDate", int(begin[:10].replace("-", "")))
        eccodes.codes_set(handle, "dataTime", 100 * int(begin[11:13]))
        eccodes.codes_set(handle, "stepRange", "0-1")
        digits = str(valid).replace("-", "").replace("T", "")
        name = f"Z_SURF_C_BABJ_{digits}1916_P_CMPA_RT_CHN_0P01_HOR-PRE-{digits}.GRB2"
        (folder / name).write_bytes(eccodes.codes_get_message(handle))
    eccodes.codes_release(handle)


def write_coarse(path: Path, hours: int) -> None:
    """Rain at 0.25 degree around the region, as NetCDF."""
    latitude, longitude = np.arange(27.0, 18.9, -0.25), np.arange(108.0, 118.1, 0.25)
    rain = np.random.default_rng(1).gamma(0.2, 4.0, (hours, len(latitude), len(longitude)))
    axes = {
        "time": (START + np.arange(hours).astype("timedelta64[h]")).astype("datetime64[ns]"),
        "latitude": latitude,
        "longitude": longitude,
    }
    field = (("time", "latitude", "longitude"), rain.astype(np.float32), {"units": "mm"})
    path.parent.mkdir(parents=True)
    xr.Dataset({"tp": field}, axes).to_netcdf(path)


def peak_bytes(command: list[str]) -> int:
    """Largest PSS of a command and all that descends from it, looked at ten times a second."""
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        total = 0
        try:
            for each in [process, *process.children(recursive=True)]:
                total += each.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
        peak = max(peak, total)
        time.sleep(0.1)
    if process.wait():
        raise SystemExit("prepare failed")
    return peak


def main() -> None:
    """Measures each number of hours and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=int, nargs="*", default=[3, 9])
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jaxrain-memory-") as name:
        for hours in arguments.hours:
            root = Path(name) / str(hours)
            write_fine(root / "cmpa", hours)
            write_coarse(root / "era5" / "tp.nc", hours)
            for workers in arguments.workers:
                words = [f"data.root={root}", f"data.store={root}/store{workers}"]
                words += ["data.coarse=['era5/*.nc']", "data.variables=[tp]", "data.levels=[]"]
                words += ["data.demo=false", "data.splits.train=['2022']", "data.splits.test=[]"]
                words += [f"data.region.{key}={value}" for key, value in REGION.items()]
                words += ["data.splits.validation=[]", f"prepare.workers={workers}"]
                command = [sys.executable, "-m", "jaxrain.prepare", "--config", "demo", *words]
                peak = peak_bytes(command) / 2**30
                print(f"{hours} hours, {workers} workers: at most {peak:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
