"""Makes the fingerprint of every molecule that the package lists.

Usage: prepare.py FROM TO, both folders. A fingerprint is rdkit's Morgan fingerprint of radius 2, 2,048
bits, in hexadecimal. Lines that rdkit does not accept as a molecule are left out.
"""

import pathlib
import sys

from rdkit import Chem, RDLogger
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import BitVectToFPSText


def main(source, target):
    RDLogger.DisableLog("rdApp.*")
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    with open(target / "molecules.csv", "w", newline="") as file:
        file.write("number,smiles,fingerprint\n")
        for line in (source / "first_5K.smi").read_text().splitlines():
            cells = line.split()
            molecule = Chem.MolFromSmiles(cells[0]) if len(cells) == 2 else None
            if molecule is not None:
                fingerprint = BitVectToFPSText(generator.GetFingerprint(molecule))
                file.write(f"{cells[1]},{cells[0]},{fingerprint}\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: prepare.py FROM TO")
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
