"""Turns the package's pickled frame of demand into a CSV that every language reads.

Usage: prepare.py FROM TO, both folders. Numbers are written with every digit they have.
"""

import lzma
import pathlib
import pickle
import sys
import warnings

# The frame was pickled under an older numpy, whose module names it carries.
warnings.filterwarnings("ignore", category=DeprecationWarning)


def main(source, target):
    with lzma.open(source / "elecdemand.pkl.compress") as file:
        frame = pickle.load(file)
    with open(target / "elecdemand.csv", "w", newline="") as file:
        file.write("half_hour,demand_gw,working_day,temperature_c\n")
        columns = (frame[name].tolist() for name in ("rownames", "Demand", "WorkDay", "Temperature"))
        for half_hour, demand, working_day, temperature in zip(*columns, strict=True):
            file.write(f"{half_hour},{demand!r},{working_day},{temperature!r}\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: prepare.py FROM TO")
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
