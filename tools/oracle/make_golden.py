#!/usr/bin/env python3
"""Writes tests/golden: small random models as released folders, and what transformers computes with them.

usage: make_golden.py OUT [CASE...]     (float32 and bf16, CPU, eager; see README.md beside this file)

OUT/<case>/config.json, model.safetensors   the model, released names
OUT/<case>/tokens.json                      {"input_ids", "labels"}, as `temper probe --tokens` reads them
OUT/<case>/reference/golden.safetensors     logits, loss, grad.<name>, float32; gradients that are exactly zero are left out
OUT/<case>/expected.json                    their names, the case's margins, and the error of transformers' own bf16 per tensor
OUT/dialects/{released,transformers,save_pretrained}   one model in three spellings of names and config
OUT/SHA256SUMS
"""
import hashlib
import json
import logging
import pathlib
import shutil
import sys
import warnings

import torch
from safetensors.torch import save_file
from transformers import DeepseekV4ForCausalLM
from transformers.utils import logging as transformers_logging

import v4_oracle as oracle

# name: (what it is for, config, batch, sequence length, extras)
CASES = {
    "mixed": ("all layer kinds, a hash layer, YaRN, two rows, ignored labels", dict(
        num_hidden_layers=4, compress_ratios=[0, 4, 128, 4, 0]), 2, 141, {"ignored": 0.3}),
    "short": ("shorter than the window and than one entry of ratio 128, no YaRN, no hash layer", dict(
        num_hidden_layers=3, num_hash_layers=0, rope_scaling=None, compress_ratios=[4, 128, 0, 0], sliding_window=16), 3, 7, {}),
    "selection": ("far more entries than index_topk, two ratio-4 layers, hc_mult 2", dict(
        num_hidden_layers=3, num_hash_layers=0, hc_mult=2, index_topk=4, index_n_heads=20, index_head_dim=12, sliding_window=6,
        compress_ratios=[4, 0, 4, 0]), 1, 107, {}),
    "epsilons": ("hc_eps 1e-2, rms_norm_eps 1e-3 and 3 Sinkhorn iterations show where each epsilon stands", dict(
        num_hidden_layers=3, hc_eps=1e-2, rms_norm_eps=1e-3, hc_sinkhorn_iters=3, compress_ratios=[0, 4, 128, 0]), 1, 131, {}),
    "hashed": ("hash routing in every layer, hc_mult 1, one output group, window 1", dict(
        num_hidden_layers=3, num_hash_layers=3, hc_mult=1, o_groups=1, sliding_window=1, rope_scaling=None,
        compress_ratios=[4, 128, 0, 0]), 1, 133, {}),
    "groups": ("one head per group, the whole head rotated, 7 experts and 3 a token, hc_mult 3", dict(
        num_hidden_layers=2, num_hash_layers=0, hc_mult=3, o_groups=4, qk_rope_head_dim=16, index_head_dim=16,
        n_routed_experts=7, num_experts_per_tok=3, routed_scaling_factor=2.5, compress_ratios=[4, 0, 0]), 2, 46, {"ignored": 0.2}),
    "clamped": ("SwiGLU clamp at about three standard deviations, all experts active", dict(
        num_hidden_layers=2, num_hash_layers=1, swiglu_limit=2.75, n_routed_experts=4, num_experts_per_tok=4,
        rope_scaling=None, compress_ratios=[0, 4, 0]), 2, 39, {}),
    "pro": ("layers ordered as in Pro, with an MTP block in the checkpoint, more than two entries of ratio 128", dict(
        num_hidden_layers=3, compress_ratios=[128, 128, 4, 0], sliding_window=24, index_topk=16), 1, 301, {"mtp": True}),
}
DIALECT = dict(vocab_size=24, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, head_dim=8, qk_rope_head_dim=4,
               index_head_dim=4, index_n_heads=4, q_lora_rank=8, o_lora_rank=4, n_routed_experts=3, moe_intermediate_size=8,
               compress_ratios=[0, 4, 128, 0])


def safe_model(raw, batch, length, ignored):
    """The first seed whose model keeps away from discontinuities on these ids."""
    for seed in range(1, 2000):
        model = oracle.randomize(oracle.build(raw), seed)
        g = torch.Generator().manual_seed(seed)
        ids = torch.randint(0, raw["vocab_size"], (batch, length), generator=g)
        labels = torch.where(torch.rand(ids.shape, generator=g) < ignored, torch.full_like(ids, -100), ids)
        with oracle.Margins(model) as margins, torch.no_grad():
            model(input_ids=ids, use_cache=False)
        if margins.safe() and not (raw["swiglu_limit"] < 5 and margins.clamped == 0):
            return model, ids, labels, seed, margins
    raise SystemExit("no seed keeps away from discontinuities: make the case smaller")


def make_case(out, name):
    what, changes, batch, length, extras = CASES[name]
    raw = oracle.released_config(**changes)
    model, ids, labels, seed, margins = safe_model(raw, batch, length, extras.get("ignored", 0.0))
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    tensors = oracle.checkpoint_tensors(model)
    if extras.get("mtp"):
        tensors.update(oracle.random_mtp_tensors(raw, seed + 1))
    oracle.write_folder(folder, raw, tensors)

    result = oracle.run(model, ids, labels)
    in_bf16 = oracle.run(oracle.bfloat16_model(folder), ids, labels)
    zeros = [n for n, v in result.items() if not v.any()] + ["grad." + n for n in tensors if n.startswith("mtp.") and "tid2eid" not in n and not n.endswith("gate.bias")]
    tokens = {"input_ids": ids.tolist(), "labels": labels.tolist()}
    (folder / "tokens.json").write_text(json.dumps(tokens) + "\n")
    (folder / "reference").mkdir()   # not beside the model: a model folder's safetensors files are all weights
    save_file({n: v.contiguous() for n, v in result.items() if v.any()}, folder / "reference" / "golden.safetensors")
    expected = {
        "what": what, "seed": seed, "margins": str(margins), "zero": sorted(zeros),
        "transformers_bf16_error": {n: float(f"{oracle.relative_error(in_bf16[n], v):.3e}") for n, v in result.items() if v.any()},
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")
    print(f"{name}: seed {seed}, {margins}, loss {result['loss'].item():.4f}, bf16 logits {expected['transformers_bf16_error']['logits']:.1e}")


def make_dialects(out):
    shutil.rmtree(out / "dialects", ignore_errors=True)
    raw = oracle.released_config(**DIALECT)
    model = oracle.randomize(oracle.build(raw), 7)
    released = out / "dialects" / "released"
    oracle.write_folder(released, raw, oracle.checkpoint_tensors(model))
    model = DeepseekV4ForCausalLM.from_pretrained(released, dtype=torch.bfloat16)
    model.save_pretrained(out / "dialects" / "save_pretrained")
    (out / "dialects" / "save_pretrained" / "generation_config.json").unlink(missing_ok=True)
    in_memory = out / "dialects" / "transformers"
    in_memory.mkdir()
    save_file({n: v.contiguous() for n, v in model.state_dict().items()}, in_memory / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(out / "dialects" / "save_pretrained" / "config.json", in_memory / "config.json")


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(1)
    out = pathlib.Path(sys.argv[1])
    for name in sys.argv[2:] or CASES:
        make_case(out, name)
    if not sys.argv[2:]:
        make_dialects(out)
    sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(out)}" for p in sorted(out.rglob("*")) if p.is_file() and p.suffix in (".json", ".safetensors")]
    (out / "SHA256SUMS").write_text("# Written by tools/oracle/make_golden.py\n" + "\n".join(sums) + "\n")
    for p in out.rglob("*"):
        if p.is_file():
            p.chmod(0o644)


if __name__ == "__main__":
    main()
