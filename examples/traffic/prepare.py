"""Takes the roads for cars out of the package's model of a city (a database in a zip archive).

Usage: prepare.py FROM TO, both folders. Each line of the CSV is one road in one direction, with the
whole milliseconds that a car at the speed limit takes: whole numbers, so that two ways are equally
quick on every machine or on none. Where no limit is recorded, the kind of road decides. Nothing but
Python's standard library.
"""

import csv
import pathlib
import sqlite3
import sys
import tempfile
import zipfile

# Kilometres an hour; 50 is the limit in Chile's towns.
LIMITS = {"motorway": 100, "trunk": 80, "residential": 30, "living_street": 20}
LIMIT_ELSEWHERE = 50
# Drawn by the model's authors from the middle of a zone to a road; no road itself.
NOT_A_ROAD = "centroid_connector"


def roads(database):
    query = (
        "select a_node, b_node, direction, distance, speed_ab, speed_ba, link_type, name from links"
        " where modes like '%c%' and link_type <> ? order by link_id"
    )
    quickest = {}
    for a, b, direction, metres, limit_ab, limit_ba, kind, name in database.execute(query, (NOT_A_ROAD,)):
        for start, end, limit, open_to in ((a, b, limit_ab, 1), (b, a, limit_ba, -1)):
            if direction not in (0, open_to) or start == end:
                continue
            speed = limit or LIMITS.get(kind, LIMIT_ELSEWHERE)
            ms = max(1, round(metres * 3600 / speed))
            # Of several roads between the same crossings the quickest counts.
            if (start, end) not in quickest or ms < quickest[start, end][0]:
                quickest[start, end] = (ms, name or kind)
    return [(*ends, *road) for ends, road in sorted(quickest.items())]


def main(source, target):
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(source / "coquimbo.zip") as archive:
            path = archive.extract("project_database.sqlite", folder)
        database = sqlite3.connect(path)
        found = roads(database)
        database.close()
    with open(target / "roads.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["start", "end", "milliseconds", "street"])
        writer.writerows(found)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: prepare.py FROM TO")
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
