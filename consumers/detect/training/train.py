"""Trains a head, and measures it. One command a head, see weights/MODEL_CARD.md.

    python3 train.py HEAD --features clean.csv [--degraded NAME=FILE ...]

HEAD is `ai-generated`, on whole pictures, or `synthetic-face`, on the surest face of each.

The features come from `cargo run -p trustcard-detect --example embed`: the code that serves computes them. The protocol was
fixed before training:

1. Split by original (manifest.py): train, validation, test. Only the training split fits weights.
2. Classes weigh the same, and so do the sources within a class, however many pictures each has.
3. The one hyperparameter, the strength of regularisation, is the value with the best mean area under the ROC curve when
   each generator in turn is left out of training and met in the validation split only. Neither the test split nor the
   picture's own generator takes part in that choice.
4. Platt's calibration is fitted on the validation split, with the same weights.
5. The upper threshold is the higher of one half and the smallest value with at most 5% of the validation photographs of each
   source above it, 1% for faces. The lower threshold is the largest value, at most one half, with at most 5% of the generated pictures of
   each validation source below it. Between them the answer is inconclusive.
6. The test split is looked at once, for the figures that this prints. Leaving out a source: trained without it, measured on its
   test split, against the other class of the test split.

The result is the same, bit for bit, for the same features and library versions: one thread, a fixed BLAS kernel, a deterministic
solver, coefficients rounded to 6 digits.
"""

import os

# Before numpy is imported: sums in another order round differently.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OPENBLAS_CORETYPE="Haswell")

import argparse
import csv
import hashlib
import json
import re
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

HERE = Path(__file__).parent
CRATE = HERE.parent
REGISTRY = CRATE / "models.toml"
MODEL = "clip-vit-b16-int8@1.1.0"
STRENGTHS = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]
# Of each head: the file of its weights, and the share of the photographs of a source that may be above its upper threshold.
HEADS = {
    "ai-generated": ("ai_generated.json", 0.05),
    "synthetic-face": ("synthetic_face.json", 0.01),
}
MISSES = 0.05
# Photographs, as opposed to paintings by people, which are in the class of what was not generated too.
PHOTOGRAPHS = ["ImageNet photographs", "FFHQ faces"]
NAMES = {
    "SD1.5 finetunes (Deliberate v2 / DreamShaper)": "Stable Diffusion 1.5",
    "StyleGAN (140k Real and Fake Faces)": "StyleGAN faces",
    "Gemini 2.5 Flash Image / Nano Banana Pro": "Gemini",
    "camera": "ImageNet photographs",
    "camera (FFHQ 256)": "FFHQ faces",
    "human digital painting": "paintings",
}


class Data:
    """Features scaled to length 1, labels, sources and splits, one row per picture."""

    def __init__(self, features):
        with open(HERE / "manifest.csv", newline="") as file:
            manifest = {row["file"]: row for row in csv.DictReader(file)}
        rows, values = [], []
        with open(features) as file:
            for line in file:
                name, *numbers = line.rstrip().split(",")
                rows.append(manifest[name])
                values.append([float(number) for number in numbers])
        self.x = np.array(values, dtype=np.float64)
        self.x /= np.linalg.norm(self.x, axis=1, keepdims=True)
        self.y = np.array([row["label"] == "ai" for row in rows]).astype(int)
        self.source = np.array([NAMES[row["generator"]] for row in rows])
        self.split = np.array([row["split"] for row in rows])

    def sources(self, label):
        return sorted(set(self.source[self.y == label]))


def weights(data, chosen):
    """Weights that make classes, and sources within a class, equal; mean 1."""
    weight = np.zeros(len(data.y))
    for label in (0, 1):
        present = [s for s in data.sources(label) if (chosen & (data.source == s)).any()]
        for source in present:
            rows = chosen & (data.source == source)
            weight[rows] = 1 / (len(present) * rows.sum())
    return weight[chosen] / weight[chosen].mean()


def fit(data, chosen, strength):
    model = LogisticRegression(C=strength, solver="lbfgs", tol=1e-8, max_iter=20_000)
    return model.fit(data.x[chosen], data.y[chosen], sample_weight=weights(data, chosen))


def against_other_class(data, source, split):
    """Rows of a source and of the whole other class, within a split."""
    label = data.y[data.source == source][0]
    return (data.split == split) & ((data.source == source) | (data.y != label))


def auc(data, rows, score):
    return roc_auc_score(data.y[rows], score[rows], sample_weight=weights(data, rows))


def choose_strength(data):
    train, table = data.split == "train", {}
    for strength in STRENGTHS:
        found = []
        for source in data.sources(1):
            model = fit(data, train & (data.source != source), strength)
            score = model.decision_function(data.x)
            found.append(auc(data, against_other_class(data, source, "validation"), score))
        table[strength] = float(np.mean(found))
    return max(table, key=table.get), table


def calibrate(data, score):
    """Platt (1999) on the validation split: probability = 1 / (1 + exp(-(slope * score + offset)))."""
    rows = data.split == "validation"
    model = LogisticRegression(C=1e6, solver="lbfgs", tol=1e-10, max_iter=20_000)
    model.fit(score[rows, None], data.y[rows], sample_weight=weights(data, rows))
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def thresholds(data, probability, false_positives):
    rows = data.split == "validation"

    def quantile(source, share, method):
        return np.quantile(probability[rows & (data.source == source)], share, method=method)

    high = max(quantile(s, 1 - false_positives, "higher") for s in PHOTOGRAPHS)
    low = min(quantile(s, MISSES, "lower") for s in data.sources(1))
    # Outwards, so that rounding breaks neither promise.
    high = max(0.5, np.ceil(high * 1000) / 1000)
    low = max(0.001, min(0.5, np.floor(low * 1000) / 1000))
    return float(low), float(high)


def rounded(value):
    return float(f"{value:.6g}")


class Head:
    """The weights as they are shipped: what is measured is what serves."""

    def __init__(self, model):
        self.coefficients = np.array([rounded(w) for w in model.coef_[0]])
        self.intercept = rounded(model.intercept_[0])

    def score(self, x):
        return x @ self.coefficients + self.intercept

    def probability(self, x):
        return 1 / (1 + np.exp(-(self.slope * self.score(x) + self.offset)))

    def write(self, path):
        weights = {
            "model": MODEL,
            "normalisation": "unit_length",
            "coefficients": self.coefficients.tolist(),
            "intercept": self.intercept,
            "calibration": {"slope": self.slope, "offset": self.offset},
        }
        path.write_text(json.dumps(weights, indent=None) + "\n")


def record(name, weights_file, low, high):
    """Puts the hash of the weights and the thresholds into the registry's entry of a head."""
    text = REGISTRY.read_text()
    start = text.index(f'name = "{name}"')
    before, entry = text[:start], text[start:]
    digest = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    entry = re.sub(r'sha256 = "[0-9a-f]*"', f'sha256 = "{digest}"', entry, count=1)
    entry = re.sub(r"thresholds = .*", f"thresholds = {{ low = {low}, high = {high} }}", entry, count=1)
    REGISTRY.write_text(before + entry)


def shares(data, probability, rows, low, high):
    """Of each source: how many pictures, how many judged generated, how many inconclusive."""
    for label in (0, 1):
        for source in data.sources(label):
            found = probability[rows & (data.source == source)]
            yield source, label, len(found), (found > high).mean(), ((found >= low) & (found <= high)).mean()


def report(data, head, low, high, title):
    rows = data.split == "test"
    probability = head.probability(data.x)
    print(f"\n## {title}: AUC {auc(data, rows, probability):.3f} (sources weigh the same)")
    print("| source | class | n | judged generated | inconclusive | AUC against the other class |\n|---|---|---|---|---|---|")
    for source, label, n, positive, undecided in shares(data, probability, rows, low, high):
        area = auc(data, against_other_class(data, source, "test"), probability)
        kind = "generated" if label else "human"
        print(f"| {source} | {kind} | {n} | {positive:.1%} | {undecided:.1%} | {area:.3f} |")


def report_left_out(data, strength, low, high):
    print("\n## Trained without one source, measured on it (test split)")
    print("| source left out | n | judged generated | inconclusive | AUC against the other class |\n|---|---|---|---|---|")
    test, train = data.split == "test", data.split == "train"
    for source in data.sources(1) + data.sources(0):
        kept = data.source != source
        head = Head(fit(data, train & kept, strength))
        # Calibrated without it too; the thresholds are the shipped ones.
        part = data.split.copy()
        data.split = np.where(kept, part, "left out")
        head.slope, head.offset = calibrate(data, head.score(data.x))
        data.split = part
        probability = head.probability(data.x)
        found = probability[test & (data.source == source)]
        area = auc(data, against_other_class(data, source, "test"), probability)
        undecided = ((found >= low) & (found <= high)).mean()
        print(f"| {source} | {len(found)} | {(found > high).mean():.1%} | {undecided:.1%} | {area:.3f} |")


def report_calibration(data, head):
    rows = data.split == "test"
    probability, weight = head.probability(data.x)[rows], weights(data, rows)
    print("\n## Calibration (test split, sources weigh the same)")
    print("| probability given | share that was generated | n |\n|---|---|---|")
    for low in np.arange(0, 1, 0.2):
        there = (probability >= low) & (probability < low + 0.2 if low < 0.8 else probability <= 1)
        share = np.average(data.y[rows][there], weights=weight[there]) if there.any() else float("nan")
        print(f"| {low:.1f} to {low + 0.2:.1f} | {share:.1%} | {there.sum()} |")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("head", choices=HEADS)
    arguments.add_argument("--features", required=True)
    arguments.add_argument("--degraded", action="append", default=[], metavar="NAME=FILE")
    arguments = arguments.parse_args()

    file, false_positives = HEADS[arguments.head]
    data = Data(arguments.features)
    strength, table = choose_strength(data)
    print("Mean validation AUC on generators left out, by inverse regularisation strength:")
    print("  ".join(f"{c:g}: {area:.3f}" for c, area in table.items()), f"-> {strength:g}")

    head = Head(fit(data, data.split == "train", strength))
    slope, offset = calibrate(data, head.score(data.x))
    head.slope, head.offset = rounded(slope), rounded(offset)
    low, high = thresholds(data, head.probability(data.x), false_positives)
    print(f"Thresholds: {low} to {high}")
    if f'name = "{arguments.head}"' in REGISTRY.read_text():
        weights_file = CRATE / "weights" / file
        head.write(weights_file)
        record(arguments.head, weights_file, low, high)
    else:
        print("The registry has no such head, so only its figures are told.")

    report(data, head, low, high, "Test split")
    report_left_out(data, strength, low, high)
    report_calibration(data, head)
    for named in arguments.degraded:
        name, path = named.split("=", 1)
        report(Data(path), head, low, high, f"Test split, {name}")


if __name__ == "__main__":
    main()
