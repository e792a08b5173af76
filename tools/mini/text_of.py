#!/usr/bin/env python3
"""Prints the texts of a JSONL file, a blank line between them.  usage: text_of.py FILE.jsonl.gz"""
import sys

from corpus import read_jsonl_gz

for row in read_jsonl_gz(sys.argv[1]):
    print(row["text"], end="\n\n")
