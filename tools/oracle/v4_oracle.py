"""Random DeepSeek-V4 models in transformers, written as released model folders, with logits, loss and all gradients.

Everything here runs on the CPU with eager attention and the plain loop over experts.  Names of tensors and of gradients are
the released ones (`layers.3.attn.wq_a.weight`, experts one by one).
"""
import json
import math
import pathlib
import re

import torch
from safetensors.torch import save_file
from transformers import DeepseekV4Config, DeepseekV4ForCausalLM

# The order matters: longer patterns first.
_TO_RELEASED = [
    (r"^model\.embed_tokens\.", "embed."),
    (r"^lm_head\.", "head."),
    (r"^model\.hc_head\.hc_", "hc_head_"),
    (r"^model\.norm\.", "norm."),
    (r"^model\.", ""),
    (r"\.input_layernorm\.", ".attn_norm."),
    (r"\.post_attention_layernorm\.", ".ffn_norm."),
    (r"\.attn_hc\.", ".hc_attn_"),
    (r"\.ffn_hc\.", ".hc_ffn_"),
    (r"\.self_attn\.compressor\.indexer\.scorer\.weights_proj", ".attn.indexer.weights_proj"),
    (r"\.self_attn\.compressor\.indexer\.q_b_proj", ".attn.indexer.wq_b"),
    (r"\.self_attn\.compressor\.indexer\.", ".attn.indexer.compressor."),
    (r"compressor\.kv_proj", "compressor.wkv"),
    (r"compressor\.gate_proj", "compressor.wgate"),
    (r"compressor\.position_bias", "compressor.ape"),
    (r"compressor\.kv_norm", "compressor.norm"),
    (r"\.self_attn\.sinks", ".attn.attn_sink"),
    (r"\.self_attn\.q_a_proj", ".attn.wq_a"),
    (r"\.self_attn\.q_b_proj", ".attn.wq_b"),
    (r"\.self_attn\.kv_proj", ".attn.wkv"),
    (r"\.self_attn\.o_a_proj", ".attn.wo_a"),
    (r"\.self_attn\.o_b_proj", ".attn.wo_b"),
    (r"\.self_attn\.q_a_norm", ".attn.q_norm"),
    (r"\.self_attn\.", ".attn."),
    (r"\.mlp\.gate\.e_score_correction_bias", ".ffn.gate.bias"),
    (r"\.mlp\.shared_experts\.gate_proj", ".ffn.shared_experts.w1"),
    (r"\.mlp\.shared_experts\.up_proj", ".ffn.shared_experts.w3"),
    (r"\.mlp\.shared_experts\.down_proj", ".ffn.shared_experts.w2"),
    (r"\.mlp\.", ".ffn."),
]


def released_config(**values):
    """A config in the released form; `values` are the keys that differ from a small default."""
    raw = {
        "architectures": ["DeepseekV4ForCausalLM"], "model_type": "deepseek_v4",
        "vocab_size": 40, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 1,
        "head_dim": 16, "qk_rope_head_dim": 8, "q_lora_rank": 12, "o_groups": 2, "o_lora_rank": 8,
        "n_routed_experts": 6, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 12, "num_hash_layers": 1,
        "scoring_func": "sqrtsoftplus", "topk_method": "noaux_tc", "norm_topk_prob": True, "routed_scaling_factor": 1.5,
        "swiglu_limit": 10.0, "sliding_window": 8, "index_n_heads": 16, "index_head_dim": 8, "index_topk": 8,
        "hc_mult": 4, "hc_sinkhorn_iters": 20, "hc_eps": 1e-6, "rms_norm_eps": 1e-6,
        "rope_theta": 10000, "compress_rope_theta": 160000,
        "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 64, "beta_fast": 32, "beta_slow": 1},
        "compress_ratios": [0, 4, 128, 0], "max_position_embeddings": 4096, "num_nextn_predict_layers": 1,
        "tie_word_embeddings": False, "attention_bias": False, "attention_dropout": 0.0, "hidden_act": "silu",
        "initializer_range": 0.02, "bos_token_id": 0, "eos_token_id": 1, "torch_dtype": "bfloat16",
    }
    raw.update(values)
    if raw["rope_scaling"] is None:
        del raw["rope_scaling"]
    assert len(raw["compress_ratios"]) == raw["num_hidden_layers"] + 1, "compress_ratios has one entry more than layers"
    return raw


def build(raw):
    """An uninitialised transformers model in float32."""
    config = DeepseekV4Config(**json.loads(json.dumps(raw)))
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    assert config.qk_rope_head_dim == raw["qk_rope_head_dim"], "this pair of head sizes is truncated by transformers"
    return DeepseekV4ForCausalLM(config).float().train()


def randomize(model, seed, rounded=True):
    """Fills every parameter and buffer of a checkpoint with values that make each of them matter.

    rounded: values are representable in bfloat16, so that a bf16 file holds the float32 model exactly.
    """
    g = torch.Generator().manual_seed(seed)

    def normal(shape, std, mean=0.0):
        return torch.randn(shape, generator=g) * std + mean

    with torch.no_grad():
        for name, p in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("inv_freq"):
                continue
            if name.endswith("tid2eid"):
                n_experts = model.config.n_routed_experts
                rows = [torch.randperm(n_experts, generator=g)[: p.shape[1]] for _ in range(p.shape[0])]
                p.copy_(torch.stack(rows))
                continue
            leaf = name.split(".")[-1]
            if "norm" in name:
                value = normal(p.shape, 0.2, 1.0)
            elif leaf == "position_bias":
                value = normal(p.shape, 0.7)
            elif leaf == "sinks":
                value = normal(p.shape, 1.0)
            elif leaf in ("base", "hc_base"):
                value = normal(p.shape, 0.7)
            elif leaf in ("scale", "hc_scale"):
                value = normal(p.shape, 0.3, 0.8)
            elif leaf == "e_score_correction_bias":
                value = normal(p.shape, 0.2)
            elif "embed_tokens" in name:
                value = normal(p.shape, 1.0)
            else:  # a matrix, or experts' matrices [E, out, in]
                gain = 1.5 if "lm_head" in name else 1.0
                value = normal(p.shape, gain / math.sqrt(p.shape[-1]))
            p.copy_(value.bfloat16().float() if rounded else value)
    return model


def released_name(name):
    for pattern, replacement in _TO_RELEASED:
        name = re.sub(pattern, replacement, name)
    return name


def to_released(named, config):
    """{transformers name: tensor} -> {released name: tensor}; stacked experts become one tensor each."""
    out = {}
    for name, value in named.items():
        new = released_name(name)
        if new.endswith("experts.gate_up_proj"):
            stem, f = new[: -len("gate_up_proj")], config.moe_intermediate_size
            for e in range(value.shape[0]):
                out[f"{stem}{e}.w1.weight"], out[f"{stem}{e}.w3.weight"] = value[e, :f], value[e, f:]
        elif new.endswith("experts.down_proj"):
            stem = new[: -len("down_proj")]
            for e in range(value.shape[0]):
                out[f"{stem}{e}.w2.weight"] = value[e]
        else:
            out[new] = value
    return {name: value.detach().contiguous().clone() for name, value in sorted(out.items())}


def checkpoint_tensors(model):
    named = {n: p for n, p in model.named_parameters()}
    named.update({n: b for n, b in model.named_buffers() if not n.endswith("inv_freq")})
    return to_released(named, model.config)


def is_float32_in_releases(name):
    return bool(re.search(r"hc_|attn_sink|gate\.bias|\.ape$", name))


def write_folder(folder, raw, tensors, dtype=torch.bfloat16):
    """config.json and model.safetensors with the released names; fp32 where the releases are fp32, else `dtype`."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stored = {}
    for name, value in tensors.items():
        keep = not value.is_floating_point()
        stored[name] = value if keep else value.to(torch.float32 if is_float32_in_releases(name) else dtype)
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(raw, indent=1) + "\n")


def random_mtp_tensors(raw, seed):
    """The tensors of an MTP block, which transformers ignores: shapes only matter, values are random."""
    g = torch.Generator().manual_seed(seed)
    one = released_config(**{**raw, "rope_scaling": raw.get("rope_scaling"), "num_hidden_layers": 1, "num_hash_layers": 0,
                             "compress_ratios": [0, 0]})
    block = checkpoint_tensors(randomize(build(one), seed))
    d = raw["hidden_size"]
    out = {"mtp.0." + n[len("layers.0."):]: v for n, v in block.items() if n.startswith("layers.0.")}
    out.update({"mtp.0." + n: v for n, v in block.items() if n.startswith("hc_head_") or n == "norm.weight"})
    for n in ("enorm", "hnorm"):
        out[f"mtp.0.{n}.weight"] = (1 + 0.2 * torch.randn(d, generator=g)).bfloat16().float()
    for n in ("e_proj", "h_proj"):
        out[f"mtp.0.{n}.weight"] = (torch.randn(d, d, generator=g) / math.sqrt(d)).bfloat16().float()
    return out


class Margins:
    """The distance to the nearest discontinuity met while it is open: expert selection, indexer selection, SwiGLU clamp.

    All are relative to the size of the values compared, so "below 1e-5" means: two correct float32 programs may differ.
    """

    def __init__(self, model):
        self.model, self.router, self.indexer, self.clamp, self.clamped = model, math.inf, math.inf, math.inf, 0
        self.hooks = []

    def _router(self, module, args, output):
        logits = output[0]
        scores = module.score_fn(logits) + module.e_score_correction_bias
        if module.top_k < scores.shape[-1]:
            top = scores.topk(module.top_k + 1, dim=-1).values
            self.router = min(self.router, (top[:, -2] - top[:, -1]).min().item())

    def _indexer(self, module, args, output):
        k = self.model.config.index_topk
        scores = output.detach()  # [B, S, n]
        for t in range(scores.shape[1]):
            visible = min((t + 1) // 4, scores.shape[-1])
            if visible > k:
                top = scores[:, t, :visible].topk(k + 1, dim=-1).values
                size = scores[:, t, :visible].abs().amax(-1)
                self.indexer = min(self.indexer, ((top[:, -2] - top[:, -1]) / size).min().item())

    def _clamp(self, values, both):
        limit = self.model.config.swiglu_limit
        values = values.detach()
        self.clamp = min(self.clamp, ((values.abs() if both else values) - limit).abs().min().item())
        self.clamped += int(((values.abs() if both else values) > limit).sum())

    def __enter__(self):
        for name, module in self.model.named_modules():
            kind = type(module).__name__
            if kind == "DeepseekV4TopKRouter":
                self.hooks.append(module.register_forward_hook(self._router))
            elif kind == "DeepseekV4IndexerScorer":
                self.hooks.append(module.register_forward_hook(self._indexer))
            elif name.endswith("shared_experts.gate_proj"):
                self.hooks.append(module.register_forward_hook(lambda m, a, o: self._clamp(o, False)))
            elif name.endswith("shared_experts.up_proj"):
                self.hooks.append(module.register_forward_hook(lambda m, a, o: self._clamp(o, True)))
            elif kind == "DeepseekV4Experts":
                plain = type(module)._apply_gate

                def watched(gate_up, module=module, plain=plain):
                    gate, up = gate_up.chunk(2, dim=-1)
                    self._clamp(gate, False)
                    self._clamp(up, True)
                    return plain(module, gate_up)
                module._apply_gate = watched
        return self

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()
        for module in self.model.modules():
            module.__dict__.pop("_apply_gate", None)

    def safe(self):
        return self.router > 2e-5 and self.indexer > 1e-4 and self.clamp > 2e-5

    def __str__(self):
        return f"router {self.router:.1e} indexer {self.indexer:.1e} clamp {self.clamp:.1e} clamped {self.clamped}"


def run(model, ids, labels):
    """{"logits", "loss", "grad.<released name>"} in float32; parameters that nothing reaches have zero gradients."""
    model.zero_grad(set_to_none=True)
    out = model(input_ids=ids, labels=labels, use_cache=False)
    out.loss.backward()
    grads = {n: (p.grad if p.grad is not None else torch.zeros_like(p)).float() for n, p in model.named_parameters()}
    result = {"logits": out.logits.detach().float().contiguous(), "loss": out.loss.detach().float().reshape(1)}
    result.update({"grad." + n: v for n, v in to_released(grads, model.config).items()})
    return result


def bfloat16_model(folder):
    """What a user of transformers gets for bf16 (norms, mHC, sinks and biases stay float32)."""
    model = DeepseekV4ForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="eager",
                                                  experts_implementation="eager")
    return model.train()


def relative_error(a, b):
    """Frobenius norm of a - b over that of b (of a where b is zero)."""
    a, b = a.double(), b.double()
    size = b.norm().item()
    return (a - b).norm().item() / size if size else a.norm().item()
