"""Writes manifest.csv: which pictures the head is trained and measured on, where each came from, and in which split it is.

    python3 manifest.py DATA        DATA holds images/ and images.csv

The split is by original and fixed by a hash, so that it never depends on an order or a seed: all crops of one original, and
all translations of one picture of a game, are in the same split.
"""

import csv
import hashlib
import sys
from pathlib import Path

HERE = Path(__file__).parent
COLUMNS = ["file", "split", "label", "source", "generator", "original", "sha256"]


def group_of(row):
    """What must not be torn apart: the original file; for the game's pictures, which exist once per language, its name."""
    original = row["original"].split("#")[0]
    if "wesnoth" in row["source"]:
        original = original.rsplit("/", 1)[-1]
    return f"{row['source']}:{original}"


def split_of(row):
    """60% train, 20% validation, 20% test."""
    place = int(hashlib.sha256(group_of(row).encode()).hexdigest(), 16) % 100
    return "train" if place < 60 else "validation" if place < 80 else "test"


def main(data):
    with open(data / "images.csv", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])
    with open(HERE / "manifest.csv", "w", newline="") as file:
        out = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        out.writeheader()
        for row in rows:
            row["split"] = split_of(row)
            row["sha256"] = hashlib.sha256((data / row["file"]).read_bytes()).hexdigest()
            out.writerow(row)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
