"""Decompresses the package's genomes.

Usage: prepare.py FROM TO, both folders. Nothing but Python's standard library.
"""

import lzma
import pathlib
import shutil
import sys


def main(source, target):
    for path in sorted(source.glob("*.fna.xz")):
        with lzma.open(path) as packed, open(target / path.stem, "wb") as file:
            shutil.copyfileobj(packed, file)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: prepare.py FROM TO")
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
