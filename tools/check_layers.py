#!/usr/bin/env python3
"""Checks that src/ follows src/layers.toml.  usage: check_layers.py SRC; exit 1 and one line for each wrong include."""
import pathlib
import re
import sys
import tomllib

root = pathlib.Path(sys.argv[1])
rules = tomllib.loads((root / "layers.toml").read_text())
allowed, only_in = rules["may_include"], rules["only_in"]
bad = 0
for path in sorted(root.rglob("*")):
    if path.suffix not in {".h", ".cpp", ".cu", ".inc"}:
        continue
    layer = path.relative_to(root).parts[0]
    if layer not in allowed:
        print(f"{path}:1: {layer}/ is not a layer of layers.toml")
        bad += 1
        continue
    for n, line in enumerate(path.read_text().splitlines(), 1):
        m = re.match(r'\s*#\s*include "([a-z_0-9]+)/', line)
        if m and m[1] != layer and m[1] in allowed and m[1] not in allowed[layer]:
            print(f"{path}:{n}: {layer}/ may not include {m[1]}/ (allowed: {', '.join(allowed[layer]) or 'nothing'})")
            bad += 1
        m = re.match(r"\s*#\s*include [<\"]([^>\"]+)[>\"]", line)
        for prefix, layers in only_in.items():
            if m and m[1].startswith(prefix) and layer not in layers:
                print(f"{path}:{n}: {m[1]} may only be included in {', '.join(layers) or 'no layer'}")
                bad += 1
sys.exit(bool(bad))
