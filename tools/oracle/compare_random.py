#!/usr/bin/env python3
"""Compares `temper probe --backward` with transformers on random configs that no one has seen.

usage: compare_random.py [--n 10] [--seed 0] [--dtype float32|bfloat16] [--temper build/temper] [--keep FOLDER] [--all]

Prints the worst tensors of each config by relative Frobenius error, and exits 1 if one is over the bound:
1e-4 in float32 (1e-3 for mHC scales); a tensor over it is computed in float64 as well, and counts only if float32 of ours is
over the bound against that too, or transformers over ten times the bound (so small sums of large terms, where float32 of
transformers itself is off, do not count).  In bfloat16 the bound is twice the error of transformers' own bfloat16 for the logits and
for all gradients together; of single tensors the median of the two errors' ratio is printed (in a small tensor either error is
a few roundings, so their ratio alone says little).
"""
import argparse
import json
import logging
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers.utils import logging as transformers_logging

import v4_oracle as oracle


def released_proportions():
    """Heads, rotary part, experts and indexer as in the releases, few and narrow layers."""
    return oracle.released_config(
        vocab_size=300, hidden_size=256, num_hidden_layers=5, num_attention_heads=8, head_dim=512, qk_rope_head_dim=64, q_lora_rank=128, o_groups=4,
        o_lora_rank=64, n_routed_experts=16, num_experts_per_tok=6, moe_intermediate_size=64, num_hash_layers=3, sliding_window=128, index_n_heads=64,
        index_head_dim=128, index_topk=24, compress_ratios=[0, 0, 4, 128, 4, 0],
        rope_scaling={"type": "yarn", "factor": 16, "original_max_position_embeddings": 65536, "beta_fast": 32, "beta_slow": 1})


def random_config(r):
    if r.random() < 0.05:
        return released_proportions()
    n_layers = r.randint(1, 5)
    groups, per_group = r.choice([1, 2, 3]), r.choice([1, 2, 3])
    head_dim = r.choice([8, 12, 16, 20, 32])
    rope = r.choice([n for n in (2, 4, 6, 8, 10, 12, 16) if n <= head_dim and int(head_dim * (n / head_dim)) == n])
    experts = r.randint(2, 9)
    return oracle.released_config(
        vocab_size=r.randint(20, 90), hidden_size=r.choice([16, 20, 24, 32, 40, 48]), num_hidden_layers=n_layers,
        num_attention_heads=groups * per_group, o_groups=groups, o_lora_rank=r.choice([4, 6, 8, 16]), head_dim=head_dim, qk_rope_head_dim=rope,
        q_lora_rank=r.choice([6, 8, 12, 16, 24]), n_routed_experts=experts, num_experts_per_tok=r.randint(1, min(experts, 4)),
        moe_intermediate_size=r.choice([6, 8, 12, 16, 24]), num_hash_layers=r.randint(0, n_layers), routed_scaling_factor=r.choice([1.0, 1.5, 2.5]),
        swiglu_limit=r.choice([3.0, 7.0, 10.0]), sliding_window=r.choice([1, 2, 3, 5, 8, 16, 33, 128]),
        index_n_heads=r.choice([16, 18, 24, 32]), index_head_dim=rope + r.choice([0, 2, 4, 8]), index_topk=r.choice([1, 2, 4, 8, 16, 64]),
        hc_mult=r.choice([1, 2, 3, 4, 4, 5]), hc_sinkhorn_iters=r.choice([1, 2, 3, 5, 20]), hc_eps=r.choice([1e-6, 1e-4, 1e-2]),
        rms_norm_eps=r.choice([1e-6, 1e-5, 1e-3]), rope_theta=r.choice([10000, 500, 1000000]), compress_rope_theta=r.choice([160000, 40000, 1000]),
        rope_scaling=r.choice([None, {"type": "yarn", "factor": r.choice([4, 16, 40]), "original_max_position_embeddings": r.choice([64, 512, 65536]),
                                      "beta_fast": r.choice([32, 16]), "beta_slow": r.choice([1, 2])}]),
        compress_ratios=[r.choice([0, 4, 128]) for _ in range(n_layers)] + [0])


def safe_case(r):
    """A config, model, ids and labels away from discontinuities."""
    while True:
        raw = random_config(r)
        batch, length = r.choice([1, 1, 2, 3]), r.choice([2, 3, 5, 8, 17, 50, 127, 128, 129, 130, 200, 259, 390])
        model = oracle.randomize(oracle.build(raw), r.randint(0, 10**6), rounded=r.random() < 0.5)
        g = torch.Generator().manual_seed(r.randint(0, 10**6))
        ids = torch.randint(0, raw["vocab_size"], (batch, length), generator=g)
        labels = torch.where(torch.rand(ids.shape, generator=g) < r.choice([0.0, 0.3]), torch.full_like(ids, -100), ids)
        labels[:, 1] = ids[:, 1]
        with oracle.Margins(model) as margins, torch.no_grad():
            model(input_ids=ids, use_cache=False)
        if margins.safe():
            return raw, model, ids, labels, margins


def is_rounding_only(name, raw):
    """Gradients that are zero but for rounding: the weight of a single expert is normalised to 1, and a single stream's
    factor is taken out by the norm that follows (but for its epsilon)."""
    return (raw["num_experts_per_tok"] == 1 and name.endswith("ffn.gate.weight")) or (raw["hc_mult"] == 1 and "hc_" in name)


def describe(raw, ids):
    return (f"ratios {raw['compress_ratios'][:-1]} hash {raw['num_hash_layers']} hc {raw['hc_mult']}x{raw['hc_sinkhorn_iters']} heads {raw['num_attention_heads']}/{raw['o_groups']} "
            f"head {raw['head_dim']}/{raw['qk_rope_head_dim']} window {raw['sliding_window']} topk {raw['index_topk']} experts {raw['num_experts_per_tok']}/{raw['n_routed_experts']} "
            f"yarn {'rope_scaling' in raw} clamp {raw['swiglu_limit']} ids {list(ids.shape)}")


def probe(temper, folder, dtype):
    """The finished process and what it found."""
    out = folder / "probes" / f"{dtype}.safetensors"   # not beside the model: a model folder's safetensors files are all weights
    done = subprocess.run([temper, "probe", "--model", folder, "--tokens", folder / "tokens.json", "--out", out, "--backward", "--dtype", dtype],
                          capture_output=True, text=True)
    return done, load_file(out) if done.returncode == 0 else None


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--n", type=int, default=10)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    p.add_argument("--temper", default="build/temper")
    p.add_argument("--keep", help="leave the model folders and probe files here")
    p.add_argument("--all", action="store_true", help="print every tensor")
    a = p.parse_args()
    logging.disable(logging.WARNING)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(1)

    failures = 0
    for i in range(a.n):
        r = random.Random(f"{a.seed}/{i}")
        raw, model, ids, labels, margins = safe_case(r)
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(a.keep or scratch) / f"{a.seed}-{i}"
            oracle.write_folder(folder, raw, oracle.checkpoint_tensors(model), torch.float32)
            (folder / "tokens.json").write_text(json.dumps({"input_ids": ids.tolist(), "labels": labels.tolist()}))
            expected = oracle.run(model, ids, labels)
            in_bf16 = oracle.run(oracle.bfloat16_model(folder), ids, labels) if a.dtype == "bfloat16" else None
            done, found = probe(a.temper, folder, a.dtype)
            if done.returncode:
                print(f"{a.seed}/{i} FAILED TO RUN: {describe(raw, ids)}\n{done.stderr}")
                failures += 1
                continue
            in_float64 = probe(a.temper, folder, "float64")[1] if a.dtype == "float32" else None
        rows = []
        for name, want in expected.items():
            if name not in found:
                rows.append((float("inf"), float("inf"), name + " (missing)"))
                continue
            error = oracle.relative_error(found[name].float(), want) if found[name].shape == want.shape else float("inf")
            bound = 1e-3 if name.endswith("_scale") else 1e-4
            if in_bf16 is not None:
                bound = 2 * oracle.relative_error(in_bf16[name], want)
            if is_rounding_only(name, raw) and error < float("inf"):
                continue
            if in_float64 is not None and bound < error < float("inf"):
                error = max(oracle.relative_error(found[name], in_float64[name]), oracle.relative_error(want, in_float64[name]) / 10)
            ratio = error / bound if bound else (0.0 if error == 0 else float("inf"))
            rows.append((ratio, error, name))
        if in_bf16 is not None:
            grads = [n for n in expected if n.startswith("grad.") and not is_rounding_only(n, raw)]
            def all_grads(source):
                return torch.cat([(source[n].float() / (expected[n].norm() or 1)).flatten() for n in grads])
            together = [oracle.relative_error(all_grads(source), all_grads(expected)) for source in (found, in_bf16)]
            median = sorted(2 * row[0] for row in rows)[len(rows) // 2]
            rows = [row for row in rows if row[2] == "logits"] + [(together[0] / (2 * together[1]), together[0], f"all gradients (median tensor {median:.2f} x transformers' error)")]
        rows.sort(reverse=True)
        bad = rows[0][0] > 1
        failures += bad
        print(f"{a.seed}/{i} {'OVER' if bad else 'ok'} worst {rows[0][1]:.1e} {rows[0][2]} logits {oracle.relative_error(found['logits'].float(), expected['logits']):.1e} | {describe(raw, ids)} | {margins}")
        for ratio, error, name in rows if a.all else rows[:5] if bad else []:
            print(f"    {error:.2e}  {ratio:6.2f} x bound  {name}")
    print(f"{a.n - failures} of {a.n} within the bounds")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
