"""docs/errors.md: every error the sources can throw, by kind, with its next action.

usage: python3 tools/error_table.py src
"""
import pathlib
import re
import sys

KINDS = [
    ("kConfig", 2, "the user: a recipe, a config or an option is wrong"),
    ("kData", 3, "the user: data, prompts or a tokenizer are wrong"),
    ("kCheckpoint", 4, "the storage: model files or checkpoints are damaged or do not fit"),
    ("kComm", 5, "the cluster: a peer is gone"),
    ("kResource", 6, "the machine: disk, memory or a folder"),
    ("kNumerics", 7, "the training policy: numbers are not finite"),
    ("kInternal", 8, "us: please report it"),
]
STRING = r'"(?:[^"\\]|\\.)*"'


def bodies(text):
    """The text between the braces of each `Error({ ... })`."""
    for match in re.finditer(r"\bError\(\{", text):
        depth, at, quoted = 1, match.end(), False
        while depth and at < len(text):
            c = text[at]
            if quoted:
                at += c == "\\"
                quoted = c != '"'
            elif c == '"':
                quoted = True
            else:
                depth += (c == "{") - (c == "}")
            at += 1
        yield match.start(), text[match.end():at - 1]


def literal(body, field):
    """All string literals of one designated field, joined, alternatives by " / "; placeholders become dots."""
    found = re.search(r"\." + field + r"\s*=\s*(.*?)(?=,\s*\.(?:kind|what|where|fix)\s*=|$)", body, re.S)
    if not found:
        return ""
    text, end = "", 0
    for match in re.finditer(STRING, found[1]):
        if match[0] == '", "':
            continue
        between = found[1][end:match.start()]
        text += (" / " if text and between.strip() == ":" else "") + match[0][1:-1].replace('\\"', '"')
        end = match.end()
    return re.sub(r"\{[^}]*\}", "…", text).replace("|", "\\|").replace("\n", " ").strip()


def main():
    rows = {kind: set() for kind, _, _ in KINDS}
    for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.cpp")):
        text = path.read_text()
        for _, body in bodies(text):
            kind = re.search(r"ErrorKind::(k\w+)", body)
            what, fix = literal(body, "what"), literal(body, "fix")
            if kind and what and kind[1] in rows:
                rows[kind[1]].add((what, fix, path.relative_to(sys.argv[1]).as_posix()))
    print("# Errors\n")
    print("An error has four lines: its kind and what was found, where, the next action, and the line of code. The kind says who must act and is")
    print("the exit code. Other exit codes: 0 done, 1 a gate or comparison said no, 64 wrong usage, 130 stopped by Ctrl-C after a clean stop,")
    print("141 the reader of standard output has gone (`temper ... | head`: nothing is printed, as with other tools). Results that cannot be")
    print("printed (a full disk) are a resource error. Control characters of names and values are shown as `\\x1b`, and of very long values")
    print("the middle is left out, with its length; records such as events.jsonl hold the exact texts.")
    print("This page is written by `./dev docs` from the sources; … stands for a value.\n")
    for kind, code, who in KINDS:
        print(f"## {kind[1:].lower()} ({code}): {who}\n")
        print("| what | next action | thrown in |\n|---|---|---|")
        for what, fix, path in sorted(rows[kind]):
            print(f"| {what} | {fix or 'as printed'} | `{path}` |")
        print()


main()
