#!/usr/bin/env python3
"""Writes tests/data/fixtures/chat/{fuzz_conversations,fuzz_answers,number_conversations}.jsonl.zst: seeded random inputs with the official encoder's results.

usage: chat_vectors.py ENCODING_DSV4.PY        the encoder of the DeepSeek-V4 release (MIT); needs the program `zstd`
"""
import importlib.util
import json
import pathlib
import random
import subprocess
import sys
import tempfile

FIXTURES = pathlib.Path(__file__).parents[2] / "tests/data/fixtures/chat"
spec = importlib.util.spec_from_file_location("official", sys.argv[1])
official = importlib.util.module_from_spec(spec)
spec.loader.exec_module(official)
rng = random.Random(20260424)

TEXTS = ["", "hi", "two lines\nhere", "世界你好。", "  spaces  ", "1.50 and 1e20", "a \"quoted\" <tag>", "tail\n", "é🌍", "<tool_result>x</tool_result>"]
VALUES = [1, -3, 2.5, 1e20, 1e-7, 100.0, True, False, None, "text", "", "1<2\n", "é", [1, [2.50, "a"]], {"k": {"z": [], "a": None}}, 10 ** 30, "\t\u0001\\"]
SCHEMA_VALUES = VALUES[:-2] + VALUES[-1:]  # our JSON reader holds whole numbers of 64 bits; only call arguments are text
TASKS = ["action", "query", "authority", "domain", "title", "read_url"]
RAW_ARGUMENTS = ["oops", "", "{}", '{"a": 1.50, "a": "last"}', ' {"x" : [1,2 ,3]} ', '{"big": 123456789012345678901234567890}', '{"n": NaN, "i": -Infinity}', '{"u": "\\u00e9\\/"}']


def tool():
    return {"type": "function", "function": {"name": rng.choice(["f", "g", "查询"]), "description": rng.choice(TEXTS), "parameters": {"type": "object", "properties": {"x": {"type": "number", "default": rng.choice(SCHEMA_VALUES)}}}}}


def call(number):
    arguments = rng.choice(RAW_ARGUMENTS) if rng.random() < 0.5 else json.dumps({rng.choice("abcdef"): rng.choice(VALUES) for _ in range(rng.randint(0, 3))}, ensure_ascii=rng.random() < 0.5)
    made = {"id": f"c{number}", "type": "function", "function": {"name": rng.choice(["f", "g"]), "arguments": arguments}}
    if rng.random() < 0.1:
        del made["id"]
    return made


def conversation():
    messages, pending, number = [], [], 0
    if rng.random() < 0.6:
        system = {"role": "system", "content": rng.choice(TEXTS)}
        if rng.random() < 0.3:
            system["tools"] = [tool() for _ in range(rng.randint(1, 2))]
        if rng.random() < 0.2:
            system["response_format"] = {"type": "object", "v": rng.choice(SCHEMA_VALUES)}
        messages.append(system)
    for _ in range(rng.randint(1, 9)):
        kind = rng.random()
        if pending and kind < 0.75:
            rng.shuffle(pending)
            for call_id in pending:
                messages.append({"role": "tool", "tool_call_id": call_id, "content": rng.choice(TEXTS + [[{"type": "text", "text": "p"}, {"type": "image"}]])})
            pending = []
        elif kind < 0.45:
            user = {"role": "user", "content": rng.choice(TEXTS)}
            if rng.random() < 0.15:
                user["task"] = rng.choice(TASKS)
            messages.append(user)
        elif kind < 0.52:
            messages.append({"role": "latest_reminder", "content": rng.choice(TEXTS)})
        elif kind < 0.58:
            messages.append({"role": "developer", "content": rng.choice(TEXTS[1:])})
        else:
            assistant = {"role": "assistant", "content": rng.choice(TEXTS)}
            if rng.random() < 0.7:
                assistant["reasoning_content"] = rng.choice(TEXTS)
            if rng.random() < 0.35:
                assistant["tool_calls"] = [call(number + i) for i in range(rng.randint(1, 3))]
                number += len(assistant["tool_calls"])
                pending = [c["id"] for c in assistant["tool_calls"] if "id" in c]
            if rng.random() < 0.08:
                assistant["wo_eos"] = True
            if rng.random() < 0.08:
                assistant["task"] = "title"
            messages.append(assistant)
    return messages


def write(name, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        out.flush()
        subprocess.run(["zstd", "-qf", "--ultra", "-22", out.name, "-o", FIXTURES / name], check=True)
    print(name, len(rows))


conversations, answers = [], []
while len(conversations) < 700:
    messages = conversation()
    row = {"thinking_mode": rng.choice(["chat", "thinking"]), "drop_thinking": rng.random() < 0.7, "reasoning_effort": rng.choice([None, None, "high", "max"]), "n_context": 0}
    if rng.random() < 0.15:
        row["n_context"] = rng.randint(0, len(messages) - 1)
    n = row["n_context"]
    row["expected"] = official.encode_messages(json.loads(json.dumps(messages[n:])), row["thinking_mode"], context=json.loads(json.dumps(messages[:n])),
                                               drop_thinking=row["drop_thinking"], reasoning_effort=row["reasoning_effort"])
    row["messages"] = messages
    conversations.append(row)
write("fuzz_conversations.jsonl.zst", conversations)

PIECES = [official.eos_token, official.bos_token, "<think>", "</think>", "\n\n<｜DSML｜tool_calls", ">\n", "<｜DSML｜invoke", "</｜DSML｜invoke", " name=\"f\">\n", "</｜DSML｜tool_calls>", " ", "\n", "x", "<｜DSML｜parameter",
          " name=\"p\" string=\"true\">v<", "/｜DSML｜parameter"]
while len(answers) < 500:
    message = {"role": "assistant", "content": rng.choice(TEXTS), "reasoning_content": rng.choice(TEXTS)}
    if rng.random() < 0.7:
        message["tool_calls"] = [call(i) for i in range(rng.randint(1, 2))]
    mode = rng.choice(["chat", "thinking"])
    text = official.encode_messages([message], mode, drop_thinking=False, add_default_bos_token=False)
    if rng.random() < 0.65:
        at = rng.choice([m for m in range(len(text) + 1)])
        change = rng.random()
        if change < 0.4:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif change < 0.7:
            text = text[:at] + text[at + rng.randint(1, 12):]
        else:
            piece = rng.choice(PIECES)
            text = text.replace(piece, rng.choice(PIECES), 1)
    row = {"thinking_mode": mode, "text": text}
    try:
        parsed = official.parse_message_from_completion_text(text, mode)
        row["message"] = {"content": parsed["content"], "reasoning_content": parsed["reasoning_content"],
                          "tool_calls": [[c["function"]["name"], c["function"]["arguments"]] for c in parsed["tool_calls"]]}
    except (AssertionError, ValueError):
        row["message"] = None
    answers.append(row)
write("fuzz_answers.jsonl.zst", answers)

# Numbers that JSON libraries round, in schemas and in arguments given as text.
SCHEMA_VALUES = VALUES = [10 ** 30, -(10 ** 30), 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1, 2 ** 64, -(2 ** 63) - 1, 1.0, 1, 0.1 + 0.2, 123456789.123456789, 1e22, 1e-7, 5e-324, float("inf"), [10 ** 40, 2.50]]
numbers = []
while len(numbers) < 60:
    messages = conversation()
    if not any("tools" in m or "tool_calls" in m for m in messages):
        continue
    mode = rng.choice(["chat", "thinking"])
    numbers.append({"thinking_mode": mode, "messages": messages, "expected": official.encode_messages(json.loads(json.dumps(messages)), mode)})
write("number_conversations.jsonl.zst", numbers)
