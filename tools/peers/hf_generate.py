#!/usr/bin/env python3
"""Speed of batched greedy generation with transformers, to compare with `temper bench generate`.

usage: hf_generate.py CONFIG.JSON --batch 8 --prompt 128 --new 128 [--dtype ...] [--experts ...]
A call for one new token and a call for all of them, after one for all of them as warm-up; decoding is the difference.
Prints {"prefill_tok_s", "decode_tok_s", "cpu_decode_tok_s", "rss_gib"}.
"""
import argparse
import json

import torch

import hf_model

parser = argparse.ArgumentParser()
hf_model.add_arguments(parser)
parser.add_argument("--prompt", type=int, default=128)
parser.add_argument("--new", type=int, default=128)
arguments = parser.parse_args()

model = hf_model.make_model(arguments).eval()
prompts = hf_model.random_ids(model, arguments.batch, arguments.prompt)


def generate(n_new):
    clock = hf_model.Clock()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=arguments.dtype == "autocast"):
        answers = model.generate(prompts, attention_mask=torch.ones_like(prompts), do_sample=False, min_new_tokens=n_new, max_new_tokens=n_new,
                                 eos_token_id=None, pad_token_id=0)
    assert answers.shape == (arguments.batch, arguments.prompt + n_new)
    return clock.read()


generate(arguments.new)
(one, one_cpu), (many, many_cpu) = generate(1), generate(arguments.new)
n_decoded = arguments.batch * (arguments.new - 1)
print(json.dumps({"prefill_tok_s": prompts.numel() / one, "decode_tok_s": n_decoded / (many - one),
                  "cpu_decode_tok_s": n_decoded / (many_cpu - one_cpu), "rss_gib": hf_model.largest_resident_gib()}))
