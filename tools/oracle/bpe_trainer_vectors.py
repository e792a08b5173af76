#!/usr/bin/env python3
"""Trains the vocabulary of tests/data/bpe_trainer_test.cpp with Hugging Face tokenizers, and checks what our trainer wrote.

usage: bpe_trainer_vectors.py merges TEXT VOCAB_SIZE   prints the tokens that merging finds, one JSON string a line
       bpe_trainer_vectors.py check FOLDER TEXT        loads FOLDER/tokenizer.json as Hugging Face does, prints the ids' sha256
Needs the Python package `tokenizers`.
"""
import hashlib
import json
import pathlib
import sys

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

N_LOWEST, N_HIGHEST = 3, 12
PATTERNS = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
            r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""]

verb = sys.argv[1]
if verb == "merges":
    text = pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(p), "isolated") for p in PATTERNS] +
                                                      [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=int(sys.argv[3]) - N_HIGHEST, min_frequency=0, show_progress=False, special_tokens=["<a>", "<b>", "<c>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([text], trainer)
    vocab = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    for token, _ in vocab[N_LOWEST + 256:]:
        print(json.dumps(token, ensure_ascii=False))
else:
    tokenizer = Tokenizer.from_file(sys.argv[2] + "/tokenizer.json")
    ids = tokenizer.encode(pathlib.Path(sys.argv[3]).read_text(encoding="utf-8"), add_special_tokens=False).ids
    print(tokenizer.get_vocab_size(), len(ids), hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest())
