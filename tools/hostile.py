#!/usr/bin/env python3
"""Runs the program on hostile and unlucky inputs and looks only at how it ends: with success or one of its own errors, never by a
signal, a sanitizer's finding or an internal error.

usage: tools/hostile.py [PROGRAM] [--threads 1,3] [--isa plain,avx2,avx512]

A tiny model is trained and exported by PROGRAM itself; everything else is made here, the same in every run.  With a program built by
`./dev build asan` this is the round of readers, training, generation, evaluation and report under AddressSanitizer and
UndefinedBehaviorSanitizer.  Prints a line for each finding and one with the counts; exits 1 if there is a finding.
"""
import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENDINGS = {0, 2, 3, 4, 6, 7, 64}   # success and the errors a user can cause
SIGNS = ("AddressSanitizer", "runtime error:", "internal error", "terminate called", "please report")
HUGE = [2**63 - 1, 2**64 - 1, -(2**63), 10**9, -1, 0, 1e308, "x", None, [1], True]

CONFIG = {"model_type": "deepseek_v4", "vocab_size": 2048, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16,
          "qk_rope_head_dim": 8, "q_lora_rank": 16, "o_groups": 2, "o_lora_rank": 16, "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2,
          "moe_intermediate_size": 32, "num_hash_layers": 1, "scoring_func": "sqrtsoftplus", "routed_scaling_factor": 1.5, "swiglu_limit": 10.0, "sliding_window": 16,
          "compress_ratios": [0, 4, 128, 0], "index_n_heads": 2, "index_head_dim": 16, "index_topk": 4, "hc_mult": 2, "hc_sinkhorn_iters": 4, "hc_eps": 1e-6,
          "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "compress_rope_theta": 160000.0, "max_position_embeddings": 4096, "num_nextn_predict_layers": 1,
          "initializer_range": 0.02, "hidden_act": "silu", "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 1}

RECIPE = """stage = "cpt"
run_folder = "{run}"
[model]
config = "config.json"
tokenizer = "{root}/examples/mini-v4/tokenizer"
[data]
sequence_length = 160
micro_batch = 1
epochs = 0
held_out_fraction = 0.1
[[data.sources]]
path = "stories.txt"
[train]
steps = 2
mtp_loss_weight = 0.3
balance_loss_weight = 1e-3
indexer_loss_weight = 1.0
router_bias_speed = 1e-3
[checkpoint]
every_steps = 1
"""

ROWS = ['{"prompt": "once upon"}', '{"prompt": ""}', '{"messages": [{"role": "user", "content": "tell"}]}', "[" * 100000, '{"prompt": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"prompt": "a\\u0000b"}', '{"prompt": "\\ud800"}', '{"prompt": 1e999}', '{"messages": []}', '{"messages": [{"role": "user", "content": {"a": 1}}]}', '{"prompt"', "null",
        '{"prompt": "x", "max_tokens": 9223372036854775807}', '{"prompt": "x", "temperature": -1e308}', '{"prompt": "x", "top_p": "y", "stop": 5, "seed": -1}']

TRAINING_ROWS = ['{"text": "a"}', '{"text": 5}', '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": 1e308}]}',
                 '{"messages": [{"role": "assistant", "content": "a", "weight": -1}]}', '{"conversations": [{"from": "gpt", "value": "a"}]}', '{"instruction": "i", "output": "o", "history": [[1]]}',
                 "[" * 100000, '{"text": "' + "x" * 100000 + '"}', "\x00", "{}"]

TOKENS = [{"input_ids": [[1, 2, 3]]}, {"input_ids": [[2048]]}, {"input_ids": [[-1]]}, {"input_ids": [[2**63 - 1]]}, {"input_ids": [[2**64 - 1]]}, {"input_ids": [[1.5]]}, {"input_ids": []},
          {"input_ids": [[1, 2]], "labels": [[5, 10**9]]}, {"input_ids": [[1, 2]], "labels": [[5, -99]]}, {"input_ids": [[1, 2, 3]], "document_lengths": [[2**63 - 1, 2]]},
          {"input_ids": [[1, 2, 3]], "document_lengths": [[0, 3]]}, {"input_ids": [[1, 2, 3]], "document_lengths": [[-1, 4]]}, {"input_ids": [[7] * 400]}]

METRICS = ['{"step": 1, "train/loss": 1e17}\n{"step": 2, "train/loss": 1.0000000000000002e17}\n', '{"step": 1, "train/loss": 1e308}\n{"step": 2, "train/loss": -1e308}\n', '{"step": "x"}\n', "[1]\n",
           '{"step": 18446744073709551615, "train/loss": 1}\n', '{"step": 9223372036854775807, "train/loss": null}\nbroken\n{"step": -5}\n', '{"step": 1, "train/loss": ' + "[" * 5000 + "]" * 5000 + "}\n"]

SETTINGS = ["schedule.lr=inf", "schedule.lr=nan", "train.mtp_loss_weight=1e308", "train.steps=9223372036854775807", "train.steps=1000000000", "data.sequence_length=16777216", "data.micro_batch=1048576",
            "data.accumulation_steps=1048576", "data.packing_window=16777216", "data.epochs=1048576", "schedule.warmup_steps=9223372036854775807", "memory.budget_gib=1e300", "checkpoint.every_seconds=1e308",
            "checkpoint.keep_last=9223372036854775807", "optim.clip_norm=1e-300", "optim.adamw.epsilon=1e308", "model.init_std=1e308", "data.held_out_fraction=0.9", "data.max_line_bytes=16"]


class Round:
    def __init__(self, program, folder, threads, isas):
        self.program, self.folder, self.threads, self.isas = program, folder, threads, isas
        self.n_runs, self.n_findings, self.next = 0, 0, 0
        self.random = random.Random(7)

    def run(self, *arguments, expect=None, stdin=b"", threads=None, isa=None):
        """One run, on the next number of threads and instruction set in turn; its exit code."""
        self.next += 1
        environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1", UBSAN_OPTIONS="print_stacktrace=1", OMP_WAIT_POLICY="PASSIVE",
                           OMP_NUM_THREADS=str(threads or self.threads[self.next % len(self.threads)]), TEMPER_ISA=isa or self.isas[self.next % len(self.isas)])
        command = [str(self.program), *map(str, arguments)]
        self.n_runs += 1
        try:
            done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=ROOT, timeout=600)
            code, output = done.returncode, done.stdout.decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            code, output = "no end within 600 s", ""
        wrong = code not in ENDINGS or (expect is not None and code not in expect) or any(sign in output for sign in SIGNS)
        if wrong:
            self.n_findings += 1
            where = next((output.find(sign) for sign in SIGNS if sign in output), 0)
            print(f"FINDING: exit {code}: {environment['OMP_NUM_THREADS']} threads, {environment['TEMPER_ISA']}: {' '.join(command)}\n{output[max(0, where - 200):where + 2500]}\n", flush=True)
        return code

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    def make_model(self):
        self.write("config.json", json.dumps(CONFIG))
        self.write("stories.txt", "\n\n".join(f"once upon a time there was a little cat number {i} who liked to play with the red ball in the park" for i in range(60)))
        self.recipe = self.write("run.toml", RECIPE.format(run=self.folder / "run", root=ROOT))
        self.run("train", self.recipe, expect={0})
        self.run("train", self.recipe, "--set", "train.steps=3", "--set", "allow_changes=['train.steps']", expect={0})
        self.checkpoint = self.folder / "run/checkpoints/step-3"
        self.model = self.folder / "model"
        self.run("export", "--from", self.checkpoint, "--to", self.model, "--dtype", "bf16", expect={0})
        self.run("export", "--from", self.checkpoint, "--to", self.folder / "packed", "--dtype", "fp8-fp4", expect={0})
        self.run("import", "--from", self.folder / "packed", "--to", self.folder / "unpacked", expect={0})
        self.prompts = self.write("prompts.jsonl", ROWS[0] + "\n" + ROWS[2] + "\n")
        self.tokens = self.write("tokens.json", json.dumps(TOKENS[0]))

    def readers_of(self, model):
        """Every command that reads weights."""
        out = self.folder / "out"
        return [("generate", "--model", model, "--tokenizer", ROOT / "examples/mini-v4/tokenizer", "--prompts", self.prompts, "--out", f"{out}.jsonl", "--max-new-tokens", "4"),
                ("probe", "--model", model, "--tokens", self.tokens, "--out", f"{out}.safetensors"),
                ("inspect", "--values", model)]

    def whole(self):
        """What everybody does, with every number of threads and instruction set."""
        for threads in self.threads:
            for isa in self.isas:
                for dtype in ("float32", "bfloat16"):
                    self.run("probe", "--model", self.model, "--tokens", self.write("long.json", json.dumps({"input_ids": [[7] * 300, [9] * 300]})), "--out", self.folder / "out.safetensors", "--backward",
                             "--dtype", dtype, expect={0}, threads=threads, isa=isa)
                    self.run("generate", "--model", self.model, "--prompts", self.prompts, "--out", self.folder / "out.jsonl", "--max-new-tokens", "150", "--dtype", dtype, "--temperature", "1", expect={0},
                             threads=threads, isa=isa)
                self.run("train", self.recipe, "--set", f"run_folder={self.folder}/run-{threads}-{isa}", "--set", "train.steps=2", expect={0}, threads=threads, isa=isa)
        self.run("chat", "--model", self.model, "--max-new-tokens", "5", stdin=b"hello\n/system x\nagain\n/quit\n", expect={0})
        self.run("eval", "--model", self.model, "--suite", "heldout", "--data", self.folder / "stories.txt", "--out", self.folder / "eval", expect={0})
        self.run("eval", "--model", self.model, "--suite", "stories", "--max-new-tokens", "2", "--out", self.folder / "eval", expect={0})
        self.run("report", "--run", self.folder / "run", "--out", self.folder / "report.html", expect={0})

    def configs(self):
        for key in CONFIG:
            for value in HUGE:
                self.run("inspect", self.write("hostile/config.json", json.dumps({**CONFIG, key: value})))
        for text in ("[" * 100000, '{"a":' * 50000, "{", "", "null", "[]", "\x00", '{"model_type": "deepseek_v4"}'):
            self.run("inspect", self.write("hostile/config.json", text), expect={2, 3})
        for key in ("sliding_window", "hc_mult", "hc_sinkhorn_iters", "index_topk", "n_routed_experts", "num_nextn_predict_layers", "max_position_embeddings"):
            for value in (2**63 - 1, 10**7, 1):
                self.copy_model("hostile_model", lambda c: {**c, key: value})
                self.run(*self.readers_of(self.folder / "hostile_model")[0])

    def copy_model(self, name, change_config=lambda c: c, change_weights=lambda b: b):
        for file in self.model.iterdir():
            content = file.read_bytes()
            if file.name == "config.json":
                content = json.dumps(change_config(json.loads(content))).encode()
            elif file.suffix == ".safetensors":
                content = change_weights(content)
            self.write(f"{name}/{file.name}", content)
        return self.folder / name

    def weights(self):
        def with_expert(position, value):
            def change(content):
                (length,) = struct.unpack_from("<Q", content)
                header = json.loads(content[8:8 + length])
                begin = header["layers.0.ffn.gate.tid2eid"]["data_offsets"][0] + 8 + length + 8 * position
                return content[:begin] + struct.pack("<q", value) + content[begin + 8:]
            return change
        for position, value in ((0, 8), (3, 9), (5, 99), (7, -5), (4095, 2**40), (1, -(2**63))):
            model = self.copy_model("experts", change_weights=with_expert(position, value))
            for command in self.readers_of(model):
                self.run(*command, expect={4})
        for i in range(60):   # damaged headers and data
            def flip(content):
                changed = bytearray(content)
                (length,) = struct.unpack_from("<Q", content)
                for _ in range(1 + i % 3):
                    changed[self.random.randrange(8 + length if i % 4 else len(changed))] ^= 1 << self.random.randrange(8)
                return bytes(changed)
            self.run(*self.readers_of(self.copy_model("flipped", change_weights=flip))[i % 3])
        for i in range(20):   # a manifest, the digest of which is wrong then
            for file in self.checkpoint.iterdir():
                content = bytearray(file.read_bytes())
                if file.name == "manifest.json":
                    content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(7)
                self.write(f"step-9/{file.name}", bytes(content))
            self.run("inspect", self.folder / "step-9")

    def texts(self):
        for row in ROWS:
            self.run("generate", "--model", self.model, "--prompts", self.write("rows.jsonl", row + "\n"), "--out", self.folder / "out.jsonl", "--max-new-tokens", "2")
        for row in TRAINING_ROWS:
            data = self.write("rows.jsonl", row + "\n")
            for stage in ("cpt", "sft"):
                self.run("train", self.recipe, "--dry-run", "--set", f"stage={stage}", "--set", f"data.sources=[{{path='{data}'}}]")
            self.run("inspect", data)
        for tokens in TOKENS:
            self.run("probe", "--model", self.model, "--tokens", self.write("ids.json", json.dumps(tokens)), "--out", self.folder / "out.safetensors", "--backward")
        for setting in SETTINGS:
            self.run("train", self.recipe, "--dry-run", "--set", setting)
        for text in METRICS:
            self.write("report_run/metrics.jsonl", text)
            self.run("report", "--run", self.folder / "report_run", "--out", self.folder / "report.html")
            self.run("inspect", self.folder / "report_run")
        tokenizer = json.loads((ROOT / "examples/mini-v4/tokenizer/tokenizer.json").read_text())
        for i, value in enumerate(HUGE):
            changed = json.loads(json.dumps(tokenizer))
            changed["added_tokens"][i % len(changed["added_tokens"])]["id"] = value
            self.write("tokenizer/tokenizer.json", json.dumps(changed))
            self.run("tokenizer", "encode", "--tokenizer", self.folder / "tokenizer", "--text", "hello")
        for answers in ('{"prompt": "x"}\n', '{"prompt": 5, "response": 7}\n', "[" * 100000 + "\n", '{"prompt": "x", "response": "' + "a" * 200000 + '"}\n', "\xff\n"):
            self.run("eval", "--suite", "stories", "--responses", self.write("answers.jsonl", answers), "--out", self.folder / "eval_stored")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", default=ROOT / "build/temper", type=lambda p: Path(p).resolve())
    parser.add_argument("--threads", default="1,3")
    parser.add_argument("--isa", default="")
    options = parser.parse_args()
    flags = Path("/proc/cpuinfo").read_text()
    isas = options.isa.split(",") if options.isa else ["plain"] + ["avx2"] * (" avx2" in flags) + ["avx512"] * (" avx512bw" in flags)
    with tempfile.TemporaryDirectory(prefix="temper_hostile_") as folder:
        rounds = Round(options.program, Path(folder), [int(n) for n in options.threads.split(",")], isas)
        rounds.make_model()
        if rounds.n_findings == 0:
            for part in (rounds.whole, rounds.configs, rounds.weights, rounds.texts):
                before = rounds.n_runs
                part()
                print(f"{part.__name__}: {rounds.n_runs - before} runs", flush=True)
        print(f"hostile: {rounds.n_runs} runs, {rounds.n_findings} findings")
    return 1 if rounds.n_findings else 0


if __name__ == "__main__":
    sys.exit(main())
