#!/usr/bin/env python3
"""Rejects second spellings of the project's terms (docs/naming.md).  usage: check_names.py SRC.

Readers of foreign configs may name foreign keys: their lines are string literals, which are not looked at.
"""
import pathlib
import re
import sys

BANNED = {
    "d_model": "hidden_size", "n_embd": "hidden_size", "model_dim": "hidden_size",
    "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
    "qk_rope_head_dim": "rope_head_dim", "n_rot": "rope_head_dim", "rotary_dim": "rope_head_dim",
    "n_lora_q": "q_lora_rank", "num_experts": "n_routed_experts",
    "num_experts_per_tok": "top_k", "n_activated_experts": "top_k",
    "moe_inter_dim": "moe_intermediate_size", "ffn_hidden": "moe_intermediate_size",
    "unpermute": "combine", "index_topk": "index_top_k", "indexer_topk": "index_top_k",
    "n_hc": "hc_mult", "n_swa": "sliding_window", "norm_eps": "rms_norm_eps",
    "rope_freq_base": "rope_theta", "nextn": "mtp", "mbs": "micro_batch",
    "logps": "logprobs", "dgrad": "grad_input", "wgrad": "grad_weight",
}
root = pathlib.Path(sys.argv[1])
bad = 0
for path in sorted(root.rglob("*")):
    if path.suffix not in {".h", ".cpp"}:
        continue
    for n, line in enumerate(path.read_text().splitlines(), 1):
        code = re.sub(r'"(\\.|[^"\\])*"', '""', line).split("//")[0]
        for word in re.findall(r"[A-Za-z_][A-Za-z_0-9]*", code):
            if word in BANNED:
                print(f"{path}:{n}: {word}: this project says {BANNED[word]} (docs/naming.md)")
                bad += 1
sys.exit(bool(bad))
