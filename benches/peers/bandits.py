"""The Python side: decide and learn one event at a time, and print one line of JSON.

bandits.py PEER FOLDER K D EVENTS, with PEER one of mabwiser, river, contextualbandits,
vw-epsilon, vw-squarecb. Reads x.f32 (T, D) and rewards.u8 (T, K).
"""

import json
import os
import sys
import time

import numpy as np


def mabwiser(x, rewards, arms):
    from mabwiser.mab import MAB, LearningPolicy

    mab = MAB(list(range(arms)), LearningPolicy.LinUCB(alpha=0.5, l2_lambda=1.0))
    mab.fit(list(range(arms)), [0] * arms, np.zeros((arms, x.shape[1])))
    start, total = time.process_time(), 0
    for row, reward in zip(x, rewards):
        row = row[None, :]
        arm = mab.predict(row)
        total += int(reward[arm])
        mab.partial_fit([arm], [reward[arm]], row)
    return time.process_time() - start, total


def river(x, rewards, arms):
    from river import bandit

    policy = bandit.LinUCBDisjoint(alpha=0.5, seed=1)
    ids = list(range(arms))
    contexts = [dict(enumerate(map(float, row))) for row in x]
    start, total = time.process_time(), 0
    for context, reward in zip(contexts, rewards):
        arm = policy.pull(ids, context=context)
        total += int(reward[arm])
        policy.update(arm, context, float(reward[arm]))
    return time.process_time() - start, total


def contextualbandits(x, rewards, arms):
    from contextualbandits.online import LinUCB

    policy = LinUCB(arms, alpha=0.5, lambda_=1.0, fit_intercept=False, random_state=1)
    policy.fit(np.zeros((arms, x.shape[1])), np.arange(arms), np.zeros(arms))
    x = x.astype(np.float64)
    start, total = time.process_time(), 0
    for row, reward in zip(x, rewards):
        row = row[None, :]
        arm = int(policy.predict(row)[0])
        total += int(reward[arm])
        policy.partial_fit(row, np.array([arm]), np.array([float(reward[arm])]))
    return time.process_time() - start, total


def vowpal_wabbit(exploration, folder, x, rewards, arms):
    """Predicts and learns from a binary cache of logged events: no text is parsed in the loop.

    The logged arm is drawn evenly: Vowpal Wabbit computes its distribution, then learns from the
    logged event, as its command line does.
    """
    import vowpalwabbit

    path = os.path.join(folder, "vw.dat")
    random = np.random.default_rng(1)
    chosen = random.integers(0, arms, len(x))
    total = 0
    with open(path, "w") as out:
        for row, reward, arm in zip(x, rewards, chosen):
            total += int(reward[arm])
            shared = " ".join(f"{i}:{value:.6g}" for i, value in enumerate(row))
            out.write(f"shared |s {shared}\n")
            for a in range(arms):
                label = f"0:{-int(reward[a])}:{1 / arms:.6g} " if a == arm else ""
                out.write(f"{label}|a {a}\n")
            out.write("\n")
    flags = f"--cb_explore_adf {exploration} -q sa --noconstant --quiet -b 20 --cache_file {path}.cache"
    # The first run writes the cache (and learns), the second one reads it: only that is timed.
    vowpalwabbit.Workspace(f"{flags} -k -d {path}").finish()
    start = time.process_time()
    vowpalwabbit.Workspace(f"{flags} -d {path}").finish()
    cpu = time.process_time() - start
    os.remove(path)
    os.remove(f"{path}.cache")
    return cpu, total


def main():
    peer, folder = sys.argv[1], sys.argv[2]
    arms, dimensions, events = map(int, sys.argv[3:6])
    x = np.memmap(os.path.join(folder, "x.f32"), "<f4", "r").reshape(-1, dimensions)[:events]
    rewards = np.memmap(os.path.join(folder, "rewards.u8"), "u1", "r").reshape(-1, arms)[:events]
    x, rewards = np.array(x), np.array(rewards)
    if peer == "vw-epsilon":
        cpu, total = vowpal_wabbit("--epsilon 0.05", folder, x, rewards, arms)
    elif peer == "vw-squarecb":
        cpu, total = vowpal_wabbit("--squarecb", folder, x, rewards, arms)
    else:
        cpu, total = globals()[peer](x, rewards, arms)
    # Not ru_maxrss: that one remembers the process that started this one.
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    print(json.dumps({"events": len(x), "cpu": cpu, "peak_mb": peak, "reward": float(total) / len(x)}))


main()
