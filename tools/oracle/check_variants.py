#!/usr/bin/env python3
"""Copies of a released folder as other people publish them: temper reads and exports each, transformers loads every export.

usage: check_variants.py RELEASED TEMPER [--only NAME] [--bound 1e-5]

RELEASED is a folder with FP8 and FP4 (examples/mini-v4/base), TEMPER the program.  Values are decoded here, by the formulas of
docs/checkpoint_format.md, into a float32 folder that transformers loads as the reference; the logits of every export must be
within the bound of it.  Exit 1 if one is not.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
from check_export import load
from safetensors.torch import load_file, save_file

E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def nibbles(codes):
    bytes_ = codes.view(torch.uint8).long()
    return torch.stack([E2M1[bytes_ & 15], E2M1[bytes_ >> 4]], -1).flatten(1)


def spread(scale, shape, height, width):
    return scale.repeat_interleave(height, 0)[: shape[0]].repeat_interleave(width, 1)[:, : shape[1]]


def decode(tensors):
    """Released names -> float32 (int64) values."""
    values = {}
    for name, tensor in tensors.items():
        stem = name.removesuffix(".weight")
        if stem + ".weight_scale_2" in tensors and name.endswith(".weight"):
            value = nibbles(tensor)
            values[name] = value * spread(tensors[stem + ".weight_scale"].float(), value.shape, 1, 16) * tensors[stem + ".weight_scale_2"]
        elif stem + ".scale" in tensors and name.endswith(".weight"):
            packed = tensor.dtype in (torch.int8, torch.uint8)
            value = nibbles(tensor) if packed else tensor.float()
            values[name] = value * spread(tensors[stem + ".scale"].float(), value.shape, *((1, 32) if packed else (128, 128)))
        elif not name.endswith((".scale", "_scale_2", ".weight_scale", ".input_scale")):
            values[name] = tensor if tensor.dtype == torch.int64 else tensor.float()
    return values


def is_expert(name):
    return ".experts." in name


def fp8(values, tensors, float_scales):
    """Experts in FP8, blocks of 128 x 128."""
    result = {k: v for k, v in tensors.items() if not is_expert(k)}
    for name, value in values.items():
        if not is_expert(name):
            continue
        rows, columns = -(-value.shape[0] // 128), -(-value.shape[1] // 128)
        padded = torch.zeros(rows * 128, columns * 128)
        padded[: value.shape[0], : value.shape[1]] = value
        amax = padded.view(rows, 128, columns, 128).abs().amax((1, 3)).clamp(min=1e-20) / 448
        scale = amax if float_scales else torch.exp2(torch.ceil(torch.log2(amax)))
        result[name] = (value / spread(scale, value.shape, 128, 128)).to(torch.float8_e4m3fn)
        result[name.replace(".weight", ".scale")] = scale if float_scales else scale.to(torch.float8_e8m0fnu)
    return result


def base(values, tensors):
    result = {k: v.float() if k.endswith(".scale") else v for k, v in fp8(values, tensors, True).items()}
    return {**result, "mtp.0.emb.tok_emb.weight": tensors["embed.weight"].clone(), "mtp.0.head.weight": tensors["head.weight"].clone()}


def nvfp4(tensors, exact):
    result = {}
    for name, tensor in tensors.items():
        if not is_expert(name) or not name.startswith("layers."):
            result[name] = tensor
        elif name.endswith(".weight"):
            scale = tensors[name.replace(".weight", ".scale")].float()
            shift = 8 - int(torch.log2(scale.max()))
            fine = (scale * 2.0**shift).repeat_interleave(2, 1)
            if not exact:
                fine[0] *= 1.5
            stem = name.removesuffix("weight")
            result.update({name: tensor.view(torch.uint8), stem + "weight_scale": fine.to(torch.float8_e4m3fn), stem + "weight_scale_2": torch.tensor(2.0**-shift), stem + "input_scale": torch.tensor(1.0)})
    return result


def bf16(values, keep_f32):
    return {k: v if v.dtype == torch.int64 or (keep_f32 and ("hc_" in k or k.endswith(("bias", "sink", "ape")))) else v.bfloat16() for k, v in values.items()}


def mixed(name):
    top = {"embed.weight": "model.embed_tokens.weight", "head.weight": "lm_head.weight", "norm.weight": "model.norm.weight"}
    return top.get(name, "model.hc_head.hc_" + name[8:] if name.startswith("hc_head_") else name)


def u8(tensors):
    return {k: v.view(torch.uint8) if v.dtype == torch.float8_e8m0fnu else v for k, v in tensors.items()}


def no_mtp(tensors):
    return {k: v for k, v in tensors.items() if not k.startswith("mtp.")}


def variants(tensors):
    values = decode(tensors)
    plain = {"quantization_config": None, "expert_dtype": None}
    yield "released", tensors, {}
    yield "U8 scales, prefixes", {"module._orig_mod." + k: v for k, v in u8(tensors).items()}, {}
    yield "Base", base(values, tensors), {"expert_dtype": "fp8"}
    yield "Base without MTP", {k: v for k, v in no_mtp(base(values, tensors)).items()}, {"expert_dtype": "fp8"}
    yield "FP8 copy", fp8(values, tensors, False), {"expert_dtype": None}
    yield "bf16, released names", bf16(values, True), plain
    yield "bf16, mixed dialect", {mixed(k): v for k, v in no_mtp(bf16(values, False)).items()}, plain
    yield "NVFP4, exact", nvfp4(tensors, True), {}
    yield "NVFP4, not exact", nvfp4(tensors, False), {}


def write(folder, tensors, config, changes, n_shards=1):
    folder.mkdir(parents=True)
    config = {k: v for k, v in {**config, **changes}.items() if v is not None}
    (folder / "config.json").write_text(json.dumps(config))
    names = list(tensors)
    shards = [names[i::n_shards] for i in range(n_shards)]
    files = [f"model-{i + 1:05}-of-{n_shards:05}.safetensors" if n_shards > 1 else "model.safetensors" for i in range(n_shards)]
    for file, shard in zip(files, shards):
        save_file({k: tensors[k].contiguous() for k in shard}, folder / file, {"format": "pt"})
    if n_shards > 1:
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": {k: "./" + f for f, s in zip(files, shards) for k in s}}))


def released_values(tensors):
    back = {mixed(k): k for k in ["embed.weight", "head.weight", "norm.weight", "hc_head_fn", "hc_head_base", "hc_head_scale"]}
    names = {k: back.get(k, k).removeprefix("module._orig_mod.") for k in tensors}
    values = decode({names[k]: v for k, v in tensors.items()} | {})
    return no_mtp({k: v for k, v in values.items() if not k.startswith("mtp.")})


def logits_of(folder, ids):
    with torch.no_grad():
        return load(folder)(input_ids=ids, use_cache=False).logits


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("released", type=pathlib.Path)
    parser.add_argument("temper")
    parser.add_argument("--only")
    parser.add_argument("--bound", type=float, default=1e-5)
    args = parser.parse_args()
    config = json.loads((args.released / "config.json").read_text())
    tensors = load_file(args.released / "model.safetensors")
    ids = torch.randint(0, config["vocab_size"], (1, 150), generator=torch.Generator().manual_seed(1))
    failed = False
    for name, files, changes in variants(tensors):
        if args.only and args.only != name:
            continue
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            write(work / "copy", files, config, changes, n_shards=3)
            as_e8m0 = {k: v.view(torch.float8_e8m0fnu) if v.dtype == torch.uint8 and k.endswith(".scale") else v for k, v in files.items()}
            write(work / "reference", released_values(as_e8m0), config, {"quantization_config": None, "expert_dtype": None, "torch_dtype": "float32"})
            reference = logits_of(work / "reference", ids)
            for dtype in ("exact", "fp8-fp4"):
                to = work / dtype
                done = subprocess.run([args.temper, "export", "--from", work / "copy", "--to", to, "--dtype", dtype], capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{name}: {done.stderr}")
                said = [line for line in done.stdout.splitlines() if line.startswith(("values", "NVFP4", "transformers", "  "))]
                difference = ((logits_of(to, ids) - reference).norm() / reference.norm()).item()
                bad = difference > args.bound and not any("rounded" in line for line in said)   # E8M0 scales in place of F32 ones round
                failed |= bad
                print(f"{name:24} {dtype:8} relative difference of logits {difference:.1e}{' BAD' if bad else ''}; {'; '.join(said)}", flush=True)
                shutil.rmtree(to)
    sys.exit(failed)


if __name__ == "__main__":
    main()
