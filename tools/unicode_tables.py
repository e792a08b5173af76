#!/usr/bin/env python3
"""Writes src/eval/text/unicode_tables.inc: the letter-case properties that Python's str methods use.

usage: python3.11 tools/unicode_tables.py > src/eval/text/unicode_tables.inc    (3.11 carries Unicode 14.0, as PCRE2 10.42 does)
The properties are found by asking str itself, so that upper(), lower() and final sigma agree with it by construction.
"""
import sys
import unicodedata

CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ignorable(ch):   # skipped when the context of a final sigma is looked at
    return ("A" + ch + "Σ").lower()[-1] == "ς" and not (ch + "Σ").lower()[-1] == "ς"


def ranges(predicate):
    """[first, last, stride] rows, stride 1 or 2."""
    rows = []
    for c in CODES:
        if not predicate(chr(c)):
            continue
        if rows and rows[-1][1] + rows[-1][2] == c:
            rows[-1][1] = c
        elif rows and rows[-1][0] == rows[-1][1] and rows[-1][0] + 2 == c:
            rows[-1][1:] = [c, 2]
        else:
            rows.append([c, c, 1])
    return rows


def lower_rows():
    rows = []
    for c in CODES:
        low = chr(c).lower()
        if low == chr(c) or len(low) != 1:
            continue
        delta = ord(low) - c
        if rows and rows[-1][3] == delta and rows[-1][1] + rows[-1][2] == c:
            rows[-1][1] = c
        elif rows and rows[-1][3] == delta and rows[-1][0] == rows[-1][1] and rows[-1][0] + 2 == c:
            rows[-1][1:3] = [c, 2]
        else:
            rows.append([c, c, 1, delta])
    return rows


def emit(name, kind, rows):
    print(f"constexpr {kind} {name}[] = {{")
    line = "   "
    for row in rows:
        text = " {" + ", ".join(f"0x{v:x}" if i < 2 else str(v) for i, v in enumerate(row)) + "},"
        if len(line) + len(text) > 118:
            print(line)
            line = "   "
        line += text
    print(line + "\n};")


longer = [c for c in CODES if len(chr(c).lower()) > 1]
assert longer == [0x130], longer   # only İ lowers to two characters: lower() treats it by name
print(f"// Made by tools/unicode_tables.py from Unicode {unicodedata.unidata_version} as Python {sys.version.split()[0]} has it.")
print("// Rows: first, last, stride (and, for lower case, the distance).")
emit("kUpper", "CodeRange", ranges(str.isupper))
emit("kLower", "CodeRange", ranges(str.islower))
emit("kTitle", "CodeRange", ranges(lambda ch: unicodedata.category(ch) == "Lt"))
emit("kCased", "CodeRange", ranges(lambda ch: (ch + "Σ").lower()[-1] == "ς"))
emit("kCaseIgnorable", "CodeRange", ranges(ignorable))
emit("kToLower", "CaseRange", lower_rows())
