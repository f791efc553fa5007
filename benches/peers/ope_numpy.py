"""The NumPy side of ope_throughput: seven estimators by chunks, and the Poisson bootstrap.

python3 ope_numpy.py FOLDER ROWS ARMS CHUNK REPEATS, or: python3 ope_numpy.py poisson ROWS RESAMPLES
Prints CPU seconds (user and system, all threads).
"""

import math
import sys
import time

import numpy as np


def estimators(folder, rows, arms, chunk, repeats):
    read = lambda name, kind: np.fromfile(f"{folder}/{name}.bin", dtype=kind)
    action = read("action", np.uint8)
    outcome, propensity = read("outcome", np.float32), read("propensity", np.float32)
    target = read("target", np.float32).reshape(rows, arms)
    predictions = read("predictions", np.float32).reshape(rows, arms)
    offsets = np.arange(chunk, dtype=np.int64) * arms
    products, ones = np.empty((chunk, arms), np.float32), np.ones(arms, np.float32)
    start = time.process_time()
    for _ in range(repeats):
        sums = np.zeros((7, 2))
        weights, cross = np.zeros(2), 0.0
        for first in range(0, rows, chunk):
            part = slice(first, first + chunk)
            t, q = target[part], predictions[part]
            place = offsets[: len(t)] + action[part]
            w = np.take(t.ravel(), place) / propensity[part]
            r = outcome[part]
            left = r - np.take(q.ravel(), place)
            np.multiply(t, q, out=products[: len(t)])
            direct = products[: len(t)] @ ones
            ips = w * r
            terms = [
                ips,
                np.minimum(w, 10) * r,
                direct,
                direct + w * left,
                direct + np.where(w <= 10, w, 0) * left,
                direct + 10 * w / (w * w + 10) * left,
            ]
            for k, x in enumerate(terms):
                x = x.astype(np.float64)
                sums[k] += x.sum(), x @ x
            w = w.astype(np.float64)
            weights += w.sum(), w @ w
            cross += w @ ips
    print(f"cpu_seconds {(time.process_time() - start) / repeats:.6f}")
    print(f"IPS {sums[0, 0] / rows:.9g}")
    print(f"SNIPS {sums[0, 0] / weights[0]:.9g}")
    for k, name in enumerate(["clipped-IPS", "DM", "DR", "Switch-DR", "DRos"], start=1):
        print(f"{name} {sums[k, 0] / rows:.9g}")


def poisson(rows, resamples):
    random = np.random.default_rng(1)
    columns = random.random((rows, 4), dtype=np.float32)
    # Weights by a table over 16 random bits, which is faster than random.poisson.
    ends = np.cumsum([np.exp(-1) / math.factorial(k) for k in range(12)]) * 65536
    table = np.searchsorted(ends, np.arange(65536), side="right").astype(np.float32)
    start = time.process_time()
    # Blocks of rows keep weights in the cache; one product gives all four sums.
    sums = np.zeros((resamples, 4))
    for first in range(0, rows, 512):
        part = columns[first : first + 512]
        bits = np.frombuffer(random.bytes(2 * resamples * len(part)), np.uint16)
        sums += np.take(table, bits).reshape(resamples, len(part)) @ part
    print(f"cpu_seconds {time.process_time() - start:.4f}")


if sys.argv[1] == "poisson":
    poisson(int(sys.argv[2]), int(sys.argv[3]))
else:
    estimators(sys.argv[1], *map(int, sys.argv[2:6]))
