"""Counts the words of the files beside it and hashes the counts."""

import collections
import hashlib
import json
import os
import re

folder = os.path.dirname(os.path.abspath(__file__))
counts = collections.Counter()
for name in sorted(os.listdir(folder)):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        counts.update(re.findall(r"[a-z]+", file.read().lower()))
text = json.dumps(sorted(counts.items()))
print(counts.most_common(1)[0][0], len(counts), hashlib.sha256(text.encode()).hexdigest())
with open("/out/counts.json", "w") as file:
    file.write(text)
