#!/usr/bin/env python3
"""Ours beside transformers: the same models and batches, one process after the other in turn, several rounds.

usage: ./dev bench peers [--rounds 3] [--jobs train generate] [--sizes v4_12m:512x4 ...] [--modes bfloat16/grouped_mm ...] [--threads 2]
Writes a table with medians and the spread of every row to --out (runs/bench/peers.md).  Only ratios of one table mean anything: other
work on the machine slows both, but not equally from minute to minute.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SIZES = ["v4_12m:512x4", "v4_100m:1024x2", "v4_100m:4096x1"]
GENERATE = ["v4_12m:128x8", "v4_100m:128x8"]
# Transformers builds no MTP block and trains no indexer: what they cost stands beside.
OURS = {"train": ["temper/bf16", "temper/float32", "temper/bf16/mtp", "temper/bf16/indexer"], "generate": ["temper/bf16", "temper/float32"]}
MODES = [f"{dtype}/{experts}" for dtype in ("float32", "bfloat16", "autocast") for experts in ("eager", "grouped_mm", "batched_mm")]


def run(command, threads, timeout):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), TRANSFORMERS_OFFLINE="1", HF_HUB_OFFLINE="1")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, cwd=ROOT)
    except subprocess.TimeoutExpired:
        return None, f"longer than {timeout} s"
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return None, "killed (memory)" if done.returncode == -9 else (lines[-1] if lines else f"exit {done.returncode}")[:100]
    return json.loads(done.stdout.strip().splitlines()[-1]), ""


class Size:
    """ "v4_12m:512x4": config, tokens of a document or prompt, batch."""

    def __init__(self, text):
        self.text = text
        name, shape = text.split(":")
        self.config = f"configs/model/{name}.json"
        self.length, self.batch = shape.split("x")


def command_of(job, size, row, options):
    steps, new = str(options.steps), str(options.new)
    if row.startswith("temper"):
        length = ["--seq", size.length, "--steps", steps] if job == "train" else ["--prompt", size.length, "--new", new, "--repeats", "1"]
        dtype, *more = row.split("/")[1:]
        return [options.temper, "bench", job, "--model-config", size.config, "--batch", size.batch, "--dtype", dtype, "--json", *length, *(f"--{part}" for part in more)]
    dtype, experts = row.split("/")
    length = ["--seq", size.length, "--steps", steps] if job == "train" else ["--prompt", size.length, "--new", new]
    return [options.python, str(HERE / f"hf_{job}.py"), size.config, "--batch", size.batch, "--dtype", dtype, "--experts", experts,
            "--threads", str(options.threads), *length]


def spread(values, form):
    low, high = form.format(min(values)), form.format(max(values))
    return form.format(statistics.median(values)) + (f" ({low} to {high})" if low != high else "")


def table(job, size, measured, failed):
    """Markdown lines.  `best` is the quickest row of transformers, which ours are compared with."""
    speed = "tok_s" if job == "train" else "decode_tok_s"
    extra = "MFU" if job == "train" else "prefill tokens/s"
    medians = {row: statistics.median(r[speed] for r in results) for row, results in measured.items() if results}
    peers = {row: value for row, value in medians.items() if not row.startswith("temper")}
    best = max(peers, key=peers.get, default=None)
    yield f"\n### {job} {size.text}\n"
    yield f"| | tokens/s, median (lowest to highest) | against the best of transformers | peak GiB | {extra} |"
    yield "|---|---|---|---|---|"
    for row, results in measured.items():
        if not results:
            yield f"| {row} | {failed[row]} | | | |"
            continue
        name = row if row.startswith("temper") else f"transformers {row}" + (" (best)" if row == best else "")
        ratio = f"{medians[row] / peers[best]:.2f}" if best else ""
        more = spread([r["mfu"] for r in results], "{:.2f}") if "mfu" in results[0] else \
            spread([r["prefill_tok_s"] for r in results], "{:.0f}") if "prefill_tok_s" in results[0] else ""
        yield f"| {name} | {spread([r[speed] for r in results], '{:.0f}')} | {ratio} | {spread([r['rss_gib'] for r in results], '{:.2f}')} | {more} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", nargs="+", choices=["train", "generate"], default=["train", "generate"])
    parser.add_argument("--sizes", nargs="+", help="CONFIG:LENGTHxBATCH of configs/model, for every job")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES, metavar="DTYPE/EXPERTS")
    parser.add_argument("--steps", type=int, default=4, help="timed steps of training")
    parser.add_argument("--new", type=int, default=128, help="new tokens of each answer")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=int, default=1800, help="seconds for one run")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--temper", default="build/temper")
    parser.add_argument("--out", default="runs/bench/peers.md")
    options = parser.parse_args()

    lines = [f"# Beside transformers, {time.strftime('%Y-%m-%d %H:%M')}", "",
             f"{options.rounds} rounds in turn, {options.threads} threads, {platform.machine()}, load {os.getloadavg()[0]:.1f} at the start."]
    out = ROOT / options.out
    out.parent.mkdir(parents=True, exist_ok=True)
    for job in options.jobs:
        for size in map(Size, options.sizes or (SIZES if job == "train" else GENERATE)):
            rows = [*options.modes, *OURS[job]]
            measured, failed = {row: [] for row in rows}, {}
            for round_number in range(options.rounds):
                for row in rows:
                    if row in failed:
                        continue
                    result, problem = run(command_of(job, size, row, options), options.threads, options.timeout)
                    if result is None:
                        failed[row] = problem
                    else:
                        measured[row].append(result)
                    what = problem or f"{result['tok_s' if job == 'train' else 'decode_tok_s']:.0f} tokens/s, {result['rss_gib']:.2f} GiB"
                    print(f"{job} {size.text} round {round_number + 1} {row}: {what}", file=sys.stderr, flush=True)
            lines += table(job, size, measured, failed)
            out.write_text("\n".join(lines) + f"\n\nLoad at the end {os.getloadavg()[0]:.1f}.\n", encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


main()
