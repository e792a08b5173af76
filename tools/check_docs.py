#!/usr/bin/env python3
"""Checks the pages: every relative link leads to a file, every `path` that looks like one of ours exists.  usage: check_docs.py ROOT"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
bad = 0
for page in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("examples/**/*.md")]):
    for n, line in enumerate(page.read_text().splitlines(), 1):
        links = [m[1].split("#")[0] for m in re.finditer(r"\]\(([^)]+)\)", line) if "://" not in m[1]]
        paths = [m[1] for m in re.finditer(r"`((?:src|docs|tools|tests|bench|configs|examples)/[A-Za-z0-9_./-]+)`", line)]
        for target, base in [(t, page.parent) for t in links if t] + [(p, root) for p in paths]:
            if not (base / target).exists():
                print(f"{page}:{n}: {target} does not exist")
                bad += 1
sys.exit(bool(bad))
