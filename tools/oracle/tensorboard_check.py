"""Reads TensorBoard event files with TensorBoard's own reader and compares them with metrics.jsonl.

usage: python tools/oracle/tensorboard_check.py RUN_FOLDER      (needs the package tensorboard; exits 1 at the first difference)
"""
import json
import math
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = pathlib.Path(sys.argv[1])
board = EventAccumulator(str(run), size_guidance={"scalars": 0})
board.Reload()
found = {(e.step, tag): e.value for tag in board.Tags()["scalars"] for e in board.Scalars(tag)}
n = 0
for line in (run / "metrics.jsonl").read_text().splitlines():
    row = json.loads(line)
    for tag, value in row.items():
        if tag == "step" or value is None:
            continue
        other = found.get((row["step"], tag))
        if other is None or not math.isclose(other, value, rel_tol=1e-6, abs_tol=1e-12):
            sys.exit(f"step {row['step']} {tag}: metrics.jsonl {value}, TensorBoard {other}")
        n += 1
print(f"{n} values agree, {len(found) - n} further ones in the event files")
