#!/usr/bin/env python3
"""Loads two model folders with transformers and compares their logits in float32.

usage: check_export.py REFERENCE EXPORTED [--bound 1e-5]

FP8/FP4 folders are dequantised on loading (that needs accelerate).  Exit 1 if the relative difference exceeds the bound.
"""
import argparse
import json
import pathlib
import sys

import torch
from transformers import DeepseekV4ForCausalLM


def load(folder):
    options = {"dtype": torch.float32, "attn_implementation": "eager"}
    if "quantization_config" in json.loads((pathlib.Path(folder) / "config.json").read_text()):
        from transformers import FineGrainedFP8Config
        options["quantization_config"] = FineGrainedFP8Config(dequantize=True)
    model, info = DeepseekV4ForCausalLM.from_pretrained(folder, output_loading_info=True, **options)
    for key in ("missing_keys", "mismatched_keys"):
        if info[key]:
            sys.exit(f"{folder}: {key}: {sorted(info[key])[:20]}")
    unexpected = [k for k in info["unexpected_keys"] if not k.startswith("mtp.")]
    if unexpected:
        sys.exit(f"{folder}: unexpected_keys: {unexpected[:20]}")
    return model.float().eval()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("reference")
    parser.add_argument("exported")
    parser.add_argument("--bound", type=float, default=1e-5)
    args = parser.parse_args()
    reference, exported = load(args.reference), load(args.exported)
    ids = torch.randint(0, reference.config.vocab_size, (2, 150), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        a, b = (m(input_ids=ids, use_cache=False).logits for m in (reference, exported))
    difference = ((a - b).norm() / a.norm()).item()
    print(f"logits {tuple(a.shape)}, relative difference {difference:.2e}, bound {args.bound:.0e}")
    sys.exit(difference > args.bound)


if __name__ == "__main__":
    main()
