#!/usr/bin/env python3
"""Writes tests/data/fixtures/tokenizers/<name>/fuzz_vectors.jsonl.zst: seeded random texts with the ids of Hugging Face tokenizers.

usage: tokenizer_vectors.py        (needs the Python package `tokenizers` and the program `zstd`)
"""
import json
import pathlib
import random
import subprocess
import tempfile

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

FIXTURES = pathlib.Path(__file__).parents[2] / "tests/data/fixtures/tokenizers"
N_TEXTS = 250

# Ranges to draw characters from: scripts, marks, digits of many kinds, spaces, signs, emoji, unassigned, private, controls.
RANGES = [(0x20, 0x7E)] * 6 + [(0x61, 0x7A)] * 5 + [(0x30, 0x39)] * 2 + [(0x09, 0x0D)] * 2 + [
    (0x00, 0x1F), (0x7F, 0xA0), (0xA1, 0xFF), (0x100, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x6FF),
    (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1680, 0x1680), (0x180E, 0x180E), (0x2000, 0x206F), (0x2070, 0x218F),
    (0x2190, 0x23FF), (0x2460, 0x24FF), (0x2600, 0x27BF), (0x3000, 0x303F), (0x3040, 0x30FF), (0x3100, 0x312F), (0x3400, 0x4DBF),
    (0x4E00, 0x9FA5), (0x4E00, 0x9FA5), (0x9FA6, 0x9FFF), (0xA000, 0xA4CF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF900, 0xFAFF),
    (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x10000, 0x100FF), (0x10D40, 0x10D65), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF),
    (0x323B0, 0x323FF), (0xE0100, 0xE01EF), (0x10FF00, 0x10FFFF), (0x1C89, 0x1C8A), (0xA7CB, 0xA7DC)]
FRAGMENTS = ["'s", "'LL", "don't", "'re ", "  ", " \n", "\r\n", "\n\n\n", "\t\t", "12345", " 1", "中文。", "の", " 世界", "foo_bar(", "://", "...", "!?\n",
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", " " * 70, "=" * 40, "\u200d", "e\u0301", "👩‍👩‍👧‍👦", "🇩🇪"]


def random_text(rng, added):
    parts = []
    for _ in range(rng.randint(1, 24)):
        kind = rng.random()
        if kind < 0.70:
            low, high = rng.choice(RANGES)
            parts += [chr(rng.randint(low, high)) for _ in range(rng.randint(1, 6))]
        elif kind < 0.92:
            parts.append(rng.choice(FRAGMENTS))
        elif kind < 0.95:
            parts.append("".join(rng.choice("etaoinshr") for _ in range(rng.randint(60, 300))))  # one long piece
        elif kind < 0.98:
            parts.append(rng.choice(added))
        else:
            token = rng.choice(added)
            parts.append(token[:rng.randint(1, len(token))])
    return "".join(parts)


def unzstd(path):
    return subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout.decode()


def load(name):
    folder = FIXTURES / name
    if name != "gpt2":
        return Tokenizer.from_str(unzstd(folder / "tokenizer.json.zst"))
    vocab = json.loads(unzstd(folder / "vocab.json.zst"))
    merges = [tuple(line.split(" ")) for line in unzstd(folder / "merges.txt.zst").splitlines()[1:] if line]
    tokenizer = Tokenizer(models.BPE(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


for number, name in enumerate(["deepseek_v4", "gpt2", "deepseek_coder", "minimind"]):
    tokenizer, rng = load(name), random.Random(1000 + number)
    added = [t.content for t in tokenizer.get_added_tokens_decoder().values()]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as out:
        for _ in range(N_TEXTS):
            text = random_text(rng, added)
            out.write(json.dumps({"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids}, ensure_ascii=False) + "\n")
        out.flush()
        subprocess.run(["zstd", "-qf", "--ultra", "-22", out.name, "-o", FIXTURES / name / "fuzz_vectors.jsonl.zst"], check=True)
