#!/usr/bin/env python3
"""Writes src/data/unicode_table.inc: the Unicode classes that tokenizer patterns ask for, as the reference engine sees them.

usage: unicode_table.py > src/data/unicode_table.inc      (needs the Python package `tokenizers`)
Every code point is put through the regex engine inside Hugging Face tokenizers (Oniguruma), so the table has exactly the
Unicode version of the reference (16.0 in tokenizers 0.23) and not that of the local Python.
"""
import sys

import tokenizers
from tokenizers import Regex, pre_tokenizers

CLASSES = [("kLetter", r"\p{L}"), ("kMark", r"\p{M}"), ("kNumber", r"\p{N}"), ("kPunctuation", r"\p{P}"),
           ("kSymbol", r"\p{S}"), ("kSpace", r"\s")]

code_points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
text = "".join(map(chr, code_points))
of = {}
for name, pattern in CLASSES:
    kept = pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(text)
    inside = bytearray(b"\1") * len(code_points)
    for _, (begin, end) in kept:
        inside[begin:end] = bytes(end - begin)
    for c, flag in zip(code_points, inside):
        if flag:
            assert c not in of, f"U+{c:04X} is in two classes"
            of[c] = name

ranges = []
for c in sorted(of):
    if ranges and ranges[-1][1] == c - 1 and ranges[-1][2] == of[c]:
        ranges[-1][1] = c
    else:
        ranges.append([c, c, of[c]])
print("// Unicode classes as {first, last, class}; written by tools/oracle/unicode_table.py, do not edit.")
print(f"// Source: Unicode Character Database (Unicode License V3) through Oniguruma in tokenizers {tokenizers.__version__}.")
line = ""
for first, last, name in ranges:
    item = f"{{0x{first:X},0x{last:X},{name}}},"
    if len(line) + len(item) > 118:
        print(line)
        line = ""
    line += item
print(line)
print(f"{len(ranges)} ranges", file=sys.stderr)
