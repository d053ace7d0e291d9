"""Sums the squares of the whole numbers from --from up to, but not including, --to.

A task sees only its arguments, its environment, standard input and the files mounted for it. What
it prints, and what it writes under /out, is its result: the same bits on every machine.
"""

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--from", dest="first", type=int, required=True)
parser.add_argument("--to", dest="end", type=int, required=True)
args = parser.parse_args()

print(f"{args.first},{args.end},{sum(n * n for n in range(args.first, args.end))}")
