#!/usr/bin/env python3
"""Writes tests/data/fixtures/chat/efforts.jsonl.zst: the first conversations of fuzz_conversations.jsonl.zst as the official encoders of
both releases render them, with every reasoning effort that each has.

usage: chat_efforts.py PREVIEW.PY 0731.PY     encoders of the first release (MIT) and of 31 July (MIT; or vLLM's copy, Apache-2.0);
                                              needs the program `zstd`
"""
import copy
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

FIXTURES = pathlib.Path(__file__).parents[2] / "tests/data/fixtures/chat"
EFFORTS = {"preview": [None, "high", "max"], "0731": [None, "low", "high", "max"]}
N_CONVERSATIONS = 60


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refused(encoder, effort):
    try:
        encoder.encode_messages([{"role": "user", "content": "q"}], "thinking", reasoning_effort=effort)
        return False
    except AssertionError:
        return True


encoders = {"preview": load("preview", sys.argv[1]), "0731": load("v0731", sys.argv[2])}
assert refused(encoders["preview"], "low") and refused(encoders["0731"], "none")
text = subprocess.run(["zstd", "-qdc", FIXTURES / "fuzz_conversations.jsonl.zst"], check=True, capture_output=True, text=True).stdout
conversations = [json.loads(line) for line in text.splitlines()]


def arguments_parse(messages):
    try:
        return all(isinstance(json.loads(c["function"]["arguments"]), dict) for m in messages for c in m.get("tool_calls", []))
    except ValueError:
        return False


# vLLM's copy calls the reasoning `reasoning`, adds an assistant token after a last system message and refuses arguments that are not JSON.
conversations = [(i, c) for i, c in enumerate(conversations) if c["n_context"] == 0 and c["messages"][-1]["role"] != "system" and arguments_parse(c["messages"])]
conversations = conversations[:N_CONVERSATIONS]
rows = []
for index, row in conversations:
    for release, encoder in encoders.items():
        messages = copy.deepcopy(row["messages"])
        for m in messages:
            if "reasoning_content" in m:
                m["reasoning"] = m["reasoning_content"]
        for mode in ["chat", "thinking"]:
            for effort in EFFORTS[release]:
                expected = encoder.encode_messages(copy.deepcopy(messages), mode, drop_thinking=row["drop_thinking"], reasoning_effort=effort)
                rows.append({"conversation": index, "release": release, "thinking_mode": mode, "effort": effort, "expected": expected})
with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as out:
    out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    out.flush()
    subprocess.run(["zstd", "-qf", "--ultra", "-22", out.name, "-o", FIXTURES / "efforts.jsonl.zst"], check=True)
print(len(rows), "rows")
