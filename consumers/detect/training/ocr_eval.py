"""Character error rate of reading text in pictures, beside Tesseract's on the same set.

    python3 ocr_eval.py TRUSTCARD FOLDER

Renders a set into FOLDER (the fonts of Debian's fonts-dejavu-core; the same pictures on every run), reads it with
`TRUSTCARD inspect --json` and, where it is installed, with `tesseract`, and prints a table. The error rate is the edit distance
over the characters of the truth, case and letters as they are, white space of any kind as one space.
"""

import io
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FONTS = Path("/usr/share/fonts/truetype/dejavu")
FACES = ["DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "DejaVuSansCondensed-Bold"]
LINES = [
    "Doctors hate this simple trick", "Share before it is deleted!", "100% natural, no side effects",
    "Studies show that 9 out of 10", "BREAKING NEWS", "Visit example.com/cure today", "They do not want you to know",
    "Drink this every morning", "Limited offer: only $19.99", "The vaccine was approved in 2021", "Vote on 5 November",
    "Climate report, page 27", "Ask your pharmacist first", "Follow @someone for more", "Is this the end of winter?",
]
KINDS = ["plain", "small", "gradient", "noise", "jpeg40", "turned 8", "turned 90", "turned 180"]
EACH = 12


def render(kind, random):
    size = 18 if kind == "small" else random.choice([28, 36, 48, 64])
    font = ImageFont.truetype(str(FONTS / f"{random.choice(FACES)}.ttf"), size)
    lines = random.sample(LINES, random.randint(2, 4))
    dark = random.random() < 0.5
    ground, ink = ((245, 242, 235), (25, 25, 40)) if dark else ((30, 45, 80), (250, 250, 240))
    width = int(max(font.getlength(line) for line in lines)) + 120
    height = int(len(lines) * size * 1.8) + 100
    picture = Image.new("RGB", (width, height), ground)
    if kind == "gradient":
        ramp = Image.linear_gradient("L").resize((width, height)).point(lambda v: v // 3)
        picture.paste(tuple(min(c + 60, 255) if dark else c // 2 for c in ground), mask=ramp)
    if kind == "noise":
        picture = Image.blend(picture, Image.effect_noise((width, height), 60).convert("RGB"), 0.2)
    draw = ImageDraw.Draw(picture)
    for i, line in enumerate(lines):
        draw.text((60, 50 + i * size * 1.8), line, font=font, fill=ink)
    if kind.startswith("turned"):
        picture = picture.rotate(int(kind.split()[1]), expand=True, fillcolor=ground, resample=Image.BICUBIC)
    quality = 40 if kind == "jpeg40" else 85
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue(), "\n".join(lines)


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def plain(text):
    return " ".join(text.split())


def main():
    trustcard, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for kind in KINDS:
        for number in range(EACH):
            picture, text = render(kind, random.Random(f"{kind} {number}"))
            path = folder / f"{kind.replace(' ', '_')}_{number:02}.jpg"
            path.write_bytes(picture)
            truth[path] = (kind, text)
    lines = subprocess.run([trustcard, "inspect", "--json", *map(str, truth)], check=True, capture_output=True, text=True)
    ours = {Path(found["file"]): found for found in map(json.loads, lines.stdout.splitlines())}
    theirs = shutil.which("tesseract")
    print("| pictures | characters | error rate | Tesseract's |\n|---|---|---|---|")
    total = [0, 0, 0]
    for kind in KINDS + ["all"]:
        count = [0, 0, 0]
        for path, (of, text) in truth.items():
            if of == kind:
                count[0] += len(plain(text))
                count[1] += distance(plain(ours[path]["text"]["text"] or ""), plain(text))
                if theirs:
                    command = ["tesseract", str(path), "-"]
                    read = subprocess.run(command, capture_output=True, text=True, env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/bin"})
                    count[2] += distance(plain(read.stdout), plain(text))
        if kind == "all":
            count = total
        else:
            total = [a + b for a, b in zip(total, count)]
        other = f"{count[2] / count[0]:.1%}" if theirs else "-"
        print(f"| {kind} | {count[0]} | {count[1] / count[0]:.1%} | {other} |")


if __name__ == "__main__":
    main()
