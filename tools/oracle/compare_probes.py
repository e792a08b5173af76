#!/usr/bin/env python3
"""Says where two probe files begin to differ.  usage: compare_probes.py EXPECTED FOUND [--bound 1e-4] [--all]

Tensors are taken in the order of EXPECTED's `order` metadata if it has one (the order of the forward pass), else in the order
of the file: logits, loss, probes by layer, gradients.  Prints the first tensor over the bound and a summary; exits 1 if there is one.
"""
import argparse
import json
import re
import sys

from safetensors import safe_open

p = argparse.ArgumentParser(description=__doc__)
p.add_argument("expected")
p.add_argument("found")
p.add_argument("--bound", type=float, default=1e-4)
p.add_argument("--all", action="store_true")
a = p.parse_args()


def natural(name):
    kind = 0 if name.startswith("probe.") else 2 if name.startswith("grad.") else 1
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


with safe_open(a.expected, "pt") as x, safe_open(a.found, "pt") as y:
    names, others = list(x.keys()), set(y.keys())
    order = json.loads((x.metadata() or {}).get("order", "[]"))
    rank = {n: i for i, n in enumerate(order)}
    names.sort(key=lambda n: (0, rank[n], ()) if n in rank else (1, *natural(n)))
    first, worst = None, (0.0, "none differs")
    for name in names:
        if name not in others:
            print(f"{name}: only in {a.expected}")
            continue
        want, got = x.get_tensor(name).double(), y.get_tensor(name).double()
        if want.shape != got.shape:
            print(f"{name}: shape {list(want.shape)} against {list(got.shape)}")
            first = first or (name, float("inf"))
            continue
        size = want.norm().item()
        error = (want - got).norm().item() / (size or 1.0)
        worst = max(worst, (error, name))
        if a.all:
            print(f"{error:.2e}  {name} {list(want.shape)}")
        if not error <= a.bound and first is None:
            first = (name, error)
    for name in sorted(others - set(names), key=natural):
        print(f"{name}: only in {a.found}")
if first:
    print(f"first tensor over {a.bound:.0e}: {first[0]} ({first[1]:.2e})")
print(f"worst: {worst[1]} ({worst[0]:.2e}) of {len(names)} tensors")
sys.exit(first is not None)
