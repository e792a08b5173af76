#!/usr/bin/env python3
"""Exports a model with a DSpark drafter, and the same without, and compares both in transformers (which drops mtp.* silently).

usage: check_drafter.py [BASE] [--temper build/temper] [--bound 1e-5]

BASE (default: examples/mini-v4/base) gets a random drafter of three stages.  For each --dtype of export, and for three steps of
training and an export: transformers must load the export, must not have seen the drafter, and its logits must be those of the
export without drafter.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

from check_export import load

STAGES, RANK = 3, 8


def drafter_of(config, generator):
    """Random tensors under the names and dtypes of a drafter; shapes from the config."""
    d, vocab, heads, streams = config["hidden_size"], config["vocab_size"], config["num_attention_heads"], config["hc_mult"]
    inner, lora, out = config["moe_intermediate_size"], config["q_lora_rank"], config["o_groups"] * config["o_lora_rank"]
    tensors = {}

    def plain(name, *shape, dtype=torch.bfloat16):
        tensors[name] = torch.randn(*shape, generator=generator).mul(0.1).to(dtype)

    def bytes_of(low, high, *shape):
        return torch.randint(low, high, shape, generator=generator, dtype=torch.uint8)

    def fp8(name, rows, columns):
        tensors[name + ".weight"] = bytes_of(0, 0x7F, rows, columns).view(torch.float8_e4m3fn)
        tensors[name + ".scale"] = bytes_of(110, 122, -(-rows // 128), -(-columns // 128)).view(torch.float8_e8m0fnu)

    def fp4(name, rows, columns):
        tensors[name + ".weight"] = bytes_of(0, 255, rows, columns // 2).view(torch.int8)
        tensors[name + ".scale"] = bytes_of(110, 122, rows, -(-columns // 32)).view(torch.float8_e8m0fnu)

    for stage in range(STAGES):
        p = f"mtp.{stage}."
        fp8(p + "attn.wq_a", lora, d)
        fp8(p + "attn.wq_b", heads * config["head_dim"], lora)
        fp8(p + "attn.wkv", config["head_dim"], d)
        fp8(p + "attn.wo_a", out, heads * config["head_dim"] // config["o_groups"])
        fp8(p + "attn.wo_b", d, out)
        for name, size in (("attn.q_norm", lora), ("attn.kv_norm", config["head_dim"]), ("attn_norm", d), ("ffn_norm", d)):
            plain(p + name + ".weight", size)
        plain(p + "attn.attn_sink", heads, dtype=torch.float32)
        for site in ("attn", "ffn"):
            plain(p + f"hc_{site}_fn", (2 + streams) * streams, streams * d, dtype=torch.float32)
            plain(p + f"hc_{site}_base", (2 + streams) * streams, dtype=torch.float32)
            plain(p + f"hc_{site}_scale", 3, dtype=torch.float32)
        plain(p + "ffn.gate.weight", config["n_routed_experts"], d)
        plain(p + "ffn.gate.bias", config["n_routed_experts"], dtype=torch.float32)
        for expert in range(config["n_routed_experts"]):
            for name, rows, columns in (("w1", inner, d), ("w2", d, inner), ("w3", inner, d)):
                fp4(p + f"ffn.experts.{expert}.{name}", rows, columns)
        for name, rows, columns in (("w1", inner, d), ("w2", d, inner), ("w3", inner, d)):
            fp8(p + f"ffn.shared_experts.{name}", rows, columns)
    fp8("mtp.0.main_proj", d, STAGES * d)
    plain("mtp.0.main_norm.weight", d)
    last = f"mtp.{STAGES - 1}."
    plain(last + "norm.weight", d)
    plain(last + "hc_head_fn", streams, streams * d, dtype=torch.float32)
    plain(last + "hc_head_base", streams, dtype=torch.float32)
    plain(last + "hc_head_scale", 1, dtype=torch.float32)
    plain(last + "markov_head.markov_w1.weight", vocab, RANK)
    plain(last + "markov_head.markov_w2.weight", vocab, RANK)
    plain(last + "confidence_head.proj.weight", 1, d + RANK)
    return tensors


def write_folders(base, folder):
    config = json.loads((base / "config.json").read_text())
    layers = config["num_hidden_layers"]
    main = {}
    for file in base.glob("*.safetensors"):
        main.update({k: v for k, v in load_file(file).items() if not k.startswith("mtp.")})
    plain = {**config, "compress_ratios": config["compress_ratios"][:layers], "num_nextn_predict_layers": 0}
    dspark = {**config, "compress_ratios": config["compress_ratios"][:layers] + [0] * STAGES, "num_nextn_predict_layers": 1, "dspark_block_size": 5,
              "dspark_noise_token_id": config["vocab_size"] - 1, "dspark_target_layer_ids": list(range(layers - STAGES, layers)), "dspark_markov_rank": RANK}
    drafter = drafter_of(config, torch.Generator().manual_seed(7))
    for name, tensors, keys in (("with", {**main, **drafter}, dspark), ("without", main, plain)):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(keys, indent=2))
        save_file(tensors, folder / name / "model.safetensors", {"format": "pt"})
        for extra in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name / extra).write_bytes((base / extra).read_bytes())
    return drafter


def same_bytes(drafter, exported):
    found = {}
    for file in exported.glob("*.safetensors"):
        found.update({k: v for k, v in load_file(file).items() if k.startswith("mtp.")})
    return found.keys() == drafter.keys() and all(
        found[k].dtype == v.dtype and found[k].shape == v.shape and torch.equal(found[k].contiguous().view(torch.uint8), v.contiguous().view(torch.uint8)) for k, v in drafter.items())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("base", nargs="?", default="examples/mini-v4/base")
    parser.add_argument("--temper", default="build/temper")
    parser.add_argument("--bound", type=float, default=1e-5)
    args = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        drafter = write_folders(pathlib.Path(args.base), folder)
        (folder / "text.txt").write_text("once there was a cat who liked to play in the park.\n\n" * 200)
        (folder / "run.toml").write_text('stage = "cpt"\n[data]\nsequence_length = 64\nmicro_batch = 1\nepochs = 0\n[[data.sources]]\npath = "text.txt"\n[train]\nsteps = 3\n[schedule]\nlr = 1e-3\n')

        def temper(*words):
            subprocess.run([args.temper, *map(str, words)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        for name in ("with", "without"):
            temper("train", folder / "run.toml", "--set", f"model.path={name}", "--set", f"run_folder={folder / ('run_' + name)}")
        for source in ("", "run_"):
            for dtype in ("fp8-fp4", "bf16"):
                paths = [folder / f"{source}{name}_{dtype}" for name in ("with", "without")]
                for name, path in zip(("with", "without"), paths):
                    temper("export", "--from", folder / (source + name), "--to", path, "--dtype", dtype)
                a, b = (load(path) for path in paths)
                ids = torch.randint(0, a.config.vocab_size, (2, 150), generator=torch.Generator().manual_seed(1))
                with torch.no_grad():
                    x, y = (m(input_ids=ids, use_cache=False).logits for m in (a, b))
                difference = ((x - y).norm() / y.norm()).item()
                loaded = sum("mtp" in key for key in a.state_dict())
                same = same_bytes(drafter, paths[0])
                print(f"{source or 'folder '}{dtype}: relative difference of logits {difference:.2e}, {loaded} tensors under mtp. loaded, drafter {'the same' if same else 'NOT the same'} bytes")
                bad += difference > args.bound or loaded > 0 or not same
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
