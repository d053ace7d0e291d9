"""Compares the genomes job's counts with numpy's.

Usage: check.py RESULTS [FOLDER]. The words of each genome are made by whole-array arithmetic and
numpy's `unique`, shared ones by `intersect1d`; every count must be the same, there is no tolerance.
Then the parts are added up. Prints one line of JSON; exits 1 if any count differs.
"""

import itertools
import json
import pathlib
import sys

import numpy as np

LENGTH, PARTS = 21, 4
COUNTS = ["words_a", "words_b", "shared", "all"]


def results(folder):
    lines = {}
    for file in sorted(pathlib.Path(folder).rglob("stdout")):
        for line in file.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SystemExit(f"error: {file}: `{line[:80]}` is not JSON: {error}") from error
            key = (row["a"], row["b"], row["part"])
            if key in lines:
                raise SystemExit(f"error: part {key} is in the results twice")
            lines[key] = row
    return lines


def words(path):
    """The genome's distinct words, a list for each part."""
    code = np.full(256, 4, dtype=np.uint64)
    for value, base in enumerate("ACGT"):
        code[ord(base)] = code[ord(base.lower())] = value
    # Between sequences stands something that is no base.
    records = path.read_text().split(">")[1:]
    text = ">".join("".join(record.splitlines()[1:]) for record in records)
    bases = code[np.frombuffer(text.encode(), dtype=np.uint8)]
    count = len(bases) - LENGTH + 1
    forward, backward = np.zeros(count, np.uint64), np.zeros(count, np.uint64)
    is_word = np.ones(count, bool)
    for i in range(LENGTH):
        piece = bases[i : i + count]
        is_word &= piece < 4
        forward |= (piece & np.uint64(3)) << np.uint64(2 * (LENGTH - 1 - i))
        backward |= (np.uint64(3) - (piece & np.uint64(3))) << np.uint64(2 * i)
    found = np.unique(np.minimum(forward, backward)[is_word])
    mixed = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    part = (mixed ^ (mixed >> np.uint64(31))) % np.uint64(PARTS)
    return [found[part == p] for p in range(PARTS)]


def main(folder, genomes):
    paths = sorted(pathlib.Path(genomes).glob("*.fna"))
    reference = {path.stem: words(path) for path in paths}
    found = results(folder)
    problems, compared, worst = [], 0, 0
    totals = {}
    for a, b in itertools.combinations(reference, 2):
        total = totals[f"{a} {b}"] = dict.fromkeys(COUNTS, 0)
        for part in range(PARTS):
            row = found.get((a, b, part))
            if row is None:
                problems.append(f"part {part} of {a} and {b} is missing")
                continue
            in_a, in_b = reference[a][part], reference[b][part]
            shared = len(np.intersect1d(in_a, in_b, assume_unique=True))
            counts = [len(in_a), len(in_b), shared, len(in_a) + len(in_b) - shared]
            for name, theirs in zip(COUNTS, counts, strict=True):
                compared += 1
                worst = max(worst, abs(row[name] - theirs))
                total[name] += row[name]
                if row[name] != theirs:
                    problems.append(f"{a}, {b}, part {part}: {name} is {row[name]}, not {theirs}")
    for problem in problems[:10]:
        print(f"error: {problem}", file=sys.stderr)
    for total in totals.values():
        jaccard = total["shared"] / (total["all"] or 1)
        total["jaccard"] = round(jaccard, 6)
        # The share of bases that differ, if they differ here and there (Mash's formula).
        if jaccard:
            total["distance"] = round(-np.log(2 * jaccard / (1 + jaccard)) / LENGTH, 6)
    report = {
        "example": "genomes",
        "compared": compared,
        "max_abs_diff": worst,
        "tolerance": 0,
        "ok": not problems,
        "unit": "counts",
        "pairs": totals,
    }
    print(json.dumps(report))
    return 1 if problems else 0


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: check.py RESULTS [FOLDER]")
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else here))
