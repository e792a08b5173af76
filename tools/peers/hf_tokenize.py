#!/usr/bin/env python3
"""Speed of Hugging Face tokenizers on one thread, to compare with `temper bench tokenizer`.

usage: hf_tokenize.py TOKENIZER.JSON TEXT...     prints {"bytes", "tokens", "mb_s", "cpu_mb_s"}
Text is encoded in parts of 4,096 characters; the best of three passes counts.  cpu_mb_s is per second of processor time: the fair
figure on a machine that others use.  Needs the Python package `tokenizers`.
"""
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Tokenizer  # noqa: E402  (reads the two variables)

PART = 4096

tokenizer = Tokenizer.from_file(sys.argv[1])
text = "".join(open(path, encoding="utf-8", newline="").read() for path in sys.argv[2:])
parts = [text[i:i + PART] for i in range(0, len(text), PART)]
n_bytes = len(text.encode())
wall = cpu = float("inf")
for _ in range(3):
    wall_start, cpu_start = time.perf_counter(), time.process_time()
    n_tokens = sum(len(tokenizer.encode(part, add_special_tokens=False).ids) for part in parts)
    wall, cpu = min(wall, time.perf_counter() - wall_start), min(cpu, time.process_time() - cpu_start)
print(json.dumps({"bytes": n_bytes, "tokens": n_tokens, "mb_s": n_bytes / wall / 1e6, "cpu_mb_s": n_bytes / cpu / 1e6}))
