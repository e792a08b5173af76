"""What the two baselines share: the model of transformers, random, from one of our configs."""
import json
import resource
import time

import torch
from transformers import DeepseekV4Config, DeepseekV4ForCausalLM


def add_arguments(parser):
    parser.add_argument("config", help="config.json")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "autocast"], default="bfloat16")
    parser.add_argument("--experts", choices=["eager", "grouped_mm", "batched_mm"], default="grouped_mm")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())


def make_model(arguments):
    """Weights stay float32 under autocast.  Attention is eager: the only one this model has on a CPU."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    with open(arguments.config, encoding="utf-8") as file:
        config = DeepseekV4Config(**json.load(file))
    config._attn_implementation = "eager"
    config._experts_implementation = arguments.experts
    model = DeepseekV4ForCausalLM(config)
    return model.bfloat16() if arguments.dtype == "bfloat16" else model


def random_ids(model, rows, columns):
    return torch.randint(0, model.config.vocab_size, (rows, columns))


class Clock:
    """Seconds of wall and of processor time (all threads) since it was made."""

    def __init__(self):
        self.wall_start, self.cpu_start = time.perf_counter(), time.process_time()

    def read(self):
        return time.perf_counter() - self.wall_start, time.process_time() - self.cpu_start


def largest_resident_gib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
