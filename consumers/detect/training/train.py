"""Trains a head, and measures it. One command a head, see weights/MODEL_CARD.md.

    python3 train.py HEAD --features clean.csv [--shared FILE] [--degraded NAME=FILE ...]

HEAD is `ai-generated`, on whole pictures, or `synthetic-face`, on the surest face of each. `--shared` are pictures of the training split as they
look after they were shared; they are trained on too.

The features come from `cargo run -p trustcard-detect --example embed`: the code that serves computes them. The protocol was
fixed before training:

1. Split by original (manifest.py): train, validation, test. Only the training split fits weights.
2. Classes weigh the same, and so do the sources within a class, however many pictures each has.
3. Sources of one class differ in what their pictures show. Features are shrunk along the directions between the means of the sources of a class
   (by 1 / sqrt(1 + evenness)), so that the head does not go by those: it is a stronger penalty there and nothing else, and the head
   stays linear.
4. The two hyperparameters, the strength of regularisation and that evenness, are the values with the best mean area under the ROC
   curve when each source in turn, of either class, is left out of training and met in the validation split only. Neither the test split nor
   the picture's own source takes part in that choice.
5. Platt's calibration is fitted on the validation split, with the same weights.
6. The upper threshold is the highest of one half, the smallest value with at most 5% of the validation photographs of each
   source above it, and the smallest with at most 5% of the ImageNet photographs above it by a head that was trained without them; 1% for faces. The lower threshold is the largest value, at most one half, with at most 5% of the generated pictures of
   each validation source below it. Between them the answer is inconclusive.
7. The test split is looked at once, for the figures that this prints. Leaving out a source: trained without it, measured on its
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
import tomllib
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

HERE = Path(__file__).parent
CRATE = HERE.parent
REGISTRY = CRATE / "models.toml"
MODEL = "clip-vit-b16-int8@1.1.0"
STRENGTHS = [0.3, 1.0, 3.0, 10.0, 30.0]
EVENNESS = [0.0, 30.0, 300.0, 3000.0]
# Of each head: the file of its weights, and the share of the photographs of a source that may be above its upper threshold.
HEADS = {
    "ai-generated": ("ai_generated.json", 0.05),
    "synthetic-face": ("synthetic_face.json", 0.01),
}
MISSES = 0.05
# Photographs, as opposed to paintings by people, which are in the class of what was not generated too.
PHOTOGRAPHS = ["ImageNet photographs", "FFHQ faces"]
# Those of them that show many things: how a head that never met them judges them says what to expect of photographs it never met.
UNSEEN = "ImageNet photographs"
NAMES = {
    "SD1.5 finetunes (Deliberate v2 / DreamShaper)": "Stable Diffusion 1.5",
    "StyleGAN (140k Real and Fake Faces)": "StyleGAN faces",
    "Gemini 2.5 Flash Image / Nano Banana Pro": "Gemini",
    "camera": "ImageNet photographs",
    "camera (FFHQ 256)": "FFHQ faces",
    "human digital painting": "paintings",
}


def parts():
    """How many features the output of the encoder and each of its inner states have."""
    models = tomllib.loads(REGISTRY.read_text())["model"]
    output = next(m["output"] for m in models if f"{m['name']}@{m['version']}" == MODEL)
    inner = output.get("inner", {"names": [], "shape": [1, 0, 0]})
    return [output["shape"][1]] + [inner["shape"][2]] * len(inner["names"])


class Data:
    """Features, each part scaled to length 1, labels, sources and splits, one row per picture."""

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
        for part in np.split(self.x, np.cumsum(parts())[:-1], axis=1):
            part /= np.linalg.norm(part, axis=1, keepdims=True)
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


class Linear:
    """Logistic regression that goes less by what tells sources of one class apart."""

    def __init__(self, training, left_out, strength, evenness):
        sets = [(data, (data.split == "train") & (data.source != left_out)) for data in training]
        x = np.concatenate([data.x[rows] for data, rows in sets])
        y = np.concatenate([data.y[rows] for data, rows in sets])
        source = np.concatenate([data.source[rows] for data, rows in sets])
        weight = np.concatenate([weights(data, rows) for data, rows in sets])
        between = []
        for label in (0, 1):
            means = [x[(y == label) & (source == s)].mean(axis=0) for s in sorted(set(source[y == label]))]
            between += [mean - np.mean(means, axis=0) for mean in means]
        _, lengths, directions = np.linalg.svd(np.array(between), full_matrices=False)
        directions = directions[lengths > 1e-6 * lengths[0]]

        def shrunk(rows):
            return rows + (1 / np.sqrt(1 + evenness) - 1) * (rows @ directions.T) @ directions

        model = LogisticRegression(C=strength, solver="lbfgs", tol=1e-6, max_iter=20_000)
        model.fit(shrunk(x), y, sample_weight=weight)
        # Shrinking is symmetric: done to the coefficients it need not be done to a picture.
        self.coefficients, self.intercept = shrunk(model.coef_)[0], model.intercept_[0]

    def score(self, x):
        return x @ self.coefficients + self.intercept


def against_other_class(data, source, split):
    """Rows of a source and of the whole other class, within a split."""
    label = data.y[data.source == source][0]
    return (data.split == split) & ((data.source == source) | (data.y != label))


def auc(data, rows, score):
    return roc_auc_score(data.y[rows], score[rows], sample_weight=weights(data, rows))


def left_out(training, setting):
    """Mean AUC over sources that were left out, on the validation split."""
    data, found = training[0], []
    for source in data.sources(0) + data.sources(1):
        score = Linear(training, source, *setting).score(data.x)
        found.append(auc(data, against_other_class(data, source, "validation"), score))
    return float(np.mean(found))


def choose(training):
    settings = [(strength, evenness) for evenness in EVENNESS for strength in STRENGTHS]
    with ProcessPoolExecutor() as pool:
        areas = list(pool.map(partial(left_out, training), settings))
    for (strength, evenness), area in zip(settings, areas):
        print(f"  strength {strength:g}, evenness {evenness:g}: {area:.3f}")
    return settings[int(np.argmax(areas))]


def calibrate(data, score):
    """Platt (1999) on the validation split: probability = 1 / (1 + exp(-(slope * score + offset)))."""
    rows = data.split == "validation"
    model = LogisticRegression(C=1e6, solver="lbfgs", tol=1e-10, max_iter=20_000)
    model.fit(score[rows, None], data.y[rows], sample_weight=weights(data, rows))
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def thresholds(data, probability, unseen, false_positives):
    rows = data.split == "validation"

    def quantile(source, share, method):
        return np.quantile(probability[rows & (data.source == source)], share, method=method)

    high = max(quantile(s, 1 - false_positives, "higher") for s in PHOTOGRAPHS)
    high = max(high, np.quantile(unseen, 1 - false_positives, method="higher"))
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
        self.coefficients = np.array([rounded(w) for w in model.coefficients])
        self.intercept = rounded(model.intercept)

    def score(self, x):
        return x @ self.coefficients + self.intercept

    def probability(self, x):
        return 1 / (1 + np.exp(-(self.slope * self.score(x) + self.offset)))

    def write(self, path):
        weights = {
            "model": MODEL,
            "normalisation": "unit_length",
            "parts": parts(),
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


def judged_without(training, source, chosen):
    """The probabilities that a head gives which was trained and calibrated without a source."""
    data = training[0]
    head = Head(Linear(training, source, *chosen))
    part = data.split.copy()
    data.split = np.where(data.source != source, part, "left out")
    head.slope, head.offset = calibrate(data, head.score(data.x))
    data.split = part
    return head.probability(data.x)


def report_left_out(training, chosen, low, high):
    data = training[0]
    print("\n## Trained without one source, measured on it (test split)")
    print("| source left out | n | judged generated | inconclusive | AUC against the other class |\n|---|---|---|---|---|")
    test = data.split == "test"
    for source in data.sources(1) + data.sources(0):
        # The thresholds are the shipped ones.
        probability = judged_without(training, source, chosen)
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
    arguments.add_argument("--shared")
    arguments.add_argument("--degraded", action="append", default=[], metavar="NAME=FILE")
    arguments = arguments.parse_args()

    file, false_positives = HEADS[arguments.head]
    data = Data(arguments.features)
    training = [data] + ([Data(arguments.shared)] if arguments.shared else [])
    print("Mean validation AUC on sources left out, by inverse regularisation strength and evenness:")
    chosen = choose(training)
    print("chosen:", chosen)

    head = Head(Linear(training, None, *chosen))
    slope, offset = calibrate(data, head.score(data.x))
    head.slope, head.offset = rounded(slope), rounded(offset)
    unseen = judged_without(training, UNSEEN, chosen)[(data.split == "validation") & (data.source == UNSEEN)]
    low, high = thresholds(data, head.probability(data.x), unseen, false_positives)
    print(f"Thresholds: {low} to {high}")
    if f'name = "{arguments.head}"' in REGISTRY.read_text():
        weights_file = CRATE / "weights" / file
        head.write(weights_file)
        record(arguments.head, weights_file, low, high)
    else:
        print("The registry has no such head, so only its figures are told.")

    report(data, head, low, high, "Test split")
    report_left_out(training, chosen, low, high)
    report_calibration(data, head)
    for named in arguments.degraded:
        name, path = named.split("=", 1)
        report(Data(path), head, low, high, f"Test split, {name}")


if __name__ == "__main__":
    main()
