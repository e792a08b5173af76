#!/usr/bin/env python3
"""What transformers makes of rope_parameters and rope_scaling in a DeepSeek-V4 config: writes tests/golden/rope_configs.json.

Each case is a set of keys put into the base config of tests/golden; "main" and "compress" are the frequencies of the two rotary
tables, or there is an "error" where transformers cannot build them.
"""
import json
import pathlib
import sys

import transformers
from transformers import DeepseekV4Config
from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4RotaryEmbedding

YARN = {"factor": 16, "original_max_position_embeddings": 256, "beta_fast": 32, "beta_slow": 1}
TWO_TABLES = {"main": {"rope_type": "default", "rope_theta": 20000, "partial_rotary_factor": 0.25},
              "compress": {"rope_type": "yarn", "rope_theta": 80000, "attention_factor": 1.0, "partial_rotary_factor": 0.25, **YARN}}
CASES = {
    "nothing": {},
    "flat": {"rope_parameters": {"rope_type": "yarn", "rope_theta": 50000, **YARN}},
    "flat, no rope_theta at the top": {"rope_theta": None, "rope_parameters": {"rope_type": "yarn", "rope_theta": 50000, **YARN}},
    "flat, other bases at the top": {"rope_theta": 20000.0, "compress_rope_theta": 40000.0, "rope_parameters": {"rope_type": "yarn", **YARN}},
    "flat, default": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000}},
    "two tables": {"rope_parameters": TWO_TABLES},
    "scaling": {"rope_scaling": {"rope_type": "yarn", **YARN}},
    "scaling, type": {"rope_scaling": {"type": "yarn", **YARN}},
    "scaling, null type and rope_type": {"rope_scaling": {"type": None, "rope_type": "yarn", **YARN}},
    "scaling, two types": {"rope_scaling": {"type": "linear", "rope_type": "yarn", **YARN}},
    "scaling, floats": {"rope_scaling": {"type": "yarn", "factor": 16.0, "original_max_position_embeddings": 256.0}},
    "scaling, no original length": {"rope_scaling": {"type": "yarn", "factor": 16}},
    "scaling, null betas": {"rope_scaling": {"type": "yarn", **YARN, "beta_fast": None}},
    "scaling, other betas": {"rope_scaling": {"type": "yarn", **YARN, "beta_fast": 8, "beta_slow": 2}},
    "scaling over flat": {"rope_scaling": {"type": "yarn", **YARN}, "rope_parameters": {"rope_type": "yarn", **YARN, "factor": 4}},
    "scaling over flat default": {"rope_scaling": {"type": "yarn", **YARN}, "rope_parameters": {"rope_type": "default", "rope_theta": 10000}},
    "scaling over two tables": {"rope_scaling": {"type": "yarn", **YARN}, "rope_parameters": TWO_TABLES},
    "scaling and empty parameters": {"rope_scaling": {"type": "yarn", **YARN}, "rope_parameters": {}},
    "empty scaling and flat": {"rope_scaling": {}, "rope_parameters": {"rope_type": "yarn", **YARN}},
    "null scaling and flat": {"rope_scaling": None, "rope_parameters": {"rope_type": "yarn", **YARN}},
    "mscale": {"rope_scaling": {"type": "yarn", **YARN, "mscale": 1.0, "mscale_all_dim": 0.5}},
    "deepseek_yarn": {"rope_scaling": {"rope_type": "deepseek_yarn", **YARN}},
    "no factor": {"rope_scaling": {"rope_type": "yarn", "original_max_position_embeddings": 256}},
    "a list": {"rope_scaling": [1]},
}


def tables_of(base, keys):
    json_config = {**base, **json.loads(json.dumps(keys))}
    for key in [k for k, v in keys.items() if v is None and k == "rope_theta"]:
        json_config.pop(key)
    try:
        rotary = DeepseekV4RotaryEmbedding(DeepseekV4Config.from_dict(json_config))
    except Exception as error:
        return {"error": type(error).__name__}
    assert rotary.main_attention_scaling == rotary.compress_attention_scaling == 1.0
    return {"main": rotary.main_inv_freq.tolist(), "compress": rotary.compress_inv_freq.tolist()}


def main():
    transformers.logging.set_verbosity_error()
    golden = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden")
    base = {"model_type": "deepseek_v4", "head_dim": 64, "qk_rope_head_dim": 16, "max_position_embeddings": 4096, "rope_theta": 10000.0, "compress_rope_theta": 160000.0}
    cases = [{"name": name, "keys": keys, **tables_of(base, keys)} for name, keys in CASES.items()]
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    (golden / "rope_configs.json").write_text(f'{{"transformers": "{transformers.__version__}", "base": {json.dumps(base)}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
