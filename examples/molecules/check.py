"""Compares the molecules job's lists with rdkit's.

Usage: check.py RESULTS [MOLECULES.csv]. Every molecule is read again from its SMILES and its fingerprint
made again; rdkit's BulkTanimotoSimilarity compares it with all. The lists must name the same
molecules in the same order; of coefficients nine decimals are printed. Prints one line of JSON; exits
1 if anything differs by more than the tolerance.
"""

import csv
import json
import pathlib
import sys

import numpy as np
from rdkit import Chem, RDLogger
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import BulkTanimotoSimilarity

TOLERANCE = 1e-9
LISTED, NEAR = 5, 0.7


def results(folder):
    lines = {}
    for file in sorted(pathlib.Path(folder).rglob("stdout")):
        for line in file.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SystemExit(f"error: {file}: `{line[:80]}` is not JSON: {error}") from error
            if row["molecule"] in lines:
                raise SystemExit(f"error: molecule {row['molecule']} is in the results twice")
            lines[row["molecule"]] = row
    return lines


def main(folder, molecules):
    RDLogger.DisableLog("rdApp.*")
    with open(molecules, newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = [int(row["number"]) for row in rows]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    fingerprints = [generator.GetFingerprint(Chem.MolFromSmiles(row["smiles"])) for row in rows]
    found = results(folder)
    problems = [f"molecule {n} was not asked for" for n in found.keys() - set(numbers)]
    compared, worst = 0, 0.0
    nearest, near = [], []
    for place, (number, fingerprint) in enumerate(zip(numbers, fingerprints, strict=True)):
        row = found.get(number)
        if row is None:
            problems.append(f"molecule {number} is missing")
            continue
        tanimoto = np.array(BulkTanimotoSimilarity(fingerprint, fingerprints))
        tanimoto[place] = -1
        order = np.argsort(-tanimoto, kind="stable")[:LISTED]
        names = [numbers[other] for other in order]
        ours = [listed for listed, _ in row["most_alike"]]
        count = int((tanimoto >= NEAR).sum())
        compared += 1 + 2 * LISTED
        if ours != names:
            problems.append(f"molecule {number}: most alike are {ours}, the reference says {names}")
            continue
        if row["near"] != count:
            problems.append(f"molecule {number}: {row['near']} are near, the reference says {count}")
        values = [value for _, value in row["most_alike"]]
        difference = float(np.abs(values - tanimoto[order]).max())
        worst = max(worst, difference)
        if not difference <= TOLERANCE:
            problems.append(f"molecule {number}: {values}, the reference says {tanimoto[order]}")
        nearest.append(values[0])
        near.append(row["near"])
    for problem in problems[:10]:
        print(f"error: {problem}", file=sys.stderr)
    nearest = np.array(nearest)
    report = {
        "example": "molecules",
        "compared": compared,
        "max_abs_diff": worst,
        "tolerance": TOLERANCE,
        "ok": not problems,
        "unit": "names, counts, coefficients",
        "molecules": len(found),
        "with_a_twin": int((nearest == 1).sum()),
        "with_a_near_one": int((nearest >= NEAR).sum()),
        "median_of_nearest": round(float(np.median(nearest)), 4) if len(nearest) else None,
        "most_near_ones": max(near, default=0),
    }
    print(json.dumps(report))
    return 1 if problems else 0


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: check.py RESULTS [MOLECULES.csv]")
    sys.exit(main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else here / "molecules.csv"))
