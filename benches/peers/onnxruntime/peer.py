"""The bare loop: decode, resize and run, and nothing else, as a service in Python would do it.

    peer.py FOLDER MODEL THREADS

THREADS threads, each with a session of its own on one thread, go through the pictures of FOLDER; decoding, resizing and inference run
outside Python's lock. Each line `go` on standard input is one round over all pictures, answered by a line of JSON: pictures, seconds, CPU-
seconds, and the features of the first picture, by which the bench sees that both sides do the same work.
"""

import json
import sys
import threading
import time
from pathlib import Path

import numpy
import onnxruntime
from PIL import Image

SIDE = 224
MEAN = numpy.array([0.48145466, 0.4578275, 0.40821073], numpy.float32)
STD = numpy.array([0.26862954, 0.26130258, 0.27577711], numpy.float32)


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Without 8-bit dot products the fast product overflows, and the features are others.
    flags = Path("/proc/cpuinfo").read_text()
    if "avx512_vnni" not in flags and "avx_vnni" not in flags:
        options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def features(session, path):
    with Image.open(path) as picture:
        picture = picture.convert("RGB")
    square = min(picture.size)
    left, top = ((side - square) / 2 for side in picture.size)
    small = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(left, top, left + square, top + square))
    tensor = (numpy.asarray(small, numpy.float32) / 255 - MEAN) / STD
    tensor = numpy.ascontiguousarray(tensor.transpose(2, 0, 1)[None])
    return session.run(["image_embeds"], {"pixel_values": tensor})[0][0]


def work(session, files, taken, lock, first):
    while True:
        with lock:
            place = next(taken, None)
        if place is None:
            return
        found = features(session, files[place])
        if place == 0:
            first.append(found.tolist())


def main():
    folder, model, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    files = sorted(Path(folder).iterdir())
    sessions = [session(model) for _ in range(threads)]
    for one in sessions:
        features(one, files[0])
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() != "go":
            break
        taken, lock, first = iter(range(len(files))), threading.Lock(), []
        began, cpu = time.monotonic(), time.process_time()
        workers = [threading.Thread(target=work, args=(one, files, taken, lock, first)) for one in sessions]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        round = {
            "pictures": len(files),
            "seconds": time.monotonic() - began,
            "cpu_seconds": time.process_time() - cpu,
            "features": first[0],
        }
        print(json.dumps(round), flush=True)


main()
