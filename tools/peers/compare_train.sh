#!/usr/bin/env bash
# tokens/s and memory of `temper bench train` against transformers training the same model, alternating in one go.
# usage: tools/peers/compare_train.sh [ROUNDS]     PYTHON = a Python with torch and transformers 5.23
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
rounds=${1:-2}
python=${PYTHON:-python3}
threads=${THREADS:-$(nproc)}
config=configs/model/v4_12m.json
export OMP_NUM_THREADS=$threads
for round in $(seq "$rounds"); do
  for mode in "bfloat16 grouped_mm" "bfloat16 eager" "autocast grouped_mm" "float32 grouped_mm"; do
    read -r dtype experts <<<"$mode"
    printf 'transformers %s %s: ' "$dtype" "$experts"
    "$python" tools/peers/hf_train.py "$config" --seq 512 --batch 4 --steps 4 --threads "$threads" --dtype "$dtype" --experts "$experts" 2>/dev/null |
      python3 -c 'import json, sys; r = json.loads(sys.stdin.readlines()[-1]); print("%.0f tokens/s, %.2f GiB" % (r["tok_s"], r["rss_gib"]))' || echo "failed"
    for ours in bf16 float32; do
      printf '  temper %s: ' "$ours"
      build/temper bench train --model-config "$config" --seq 512 --batch 4 --steps 4 --dtype "$ours" --json |
        python3 -c 'import json, sys; r = json.load(sys.stdin); print("%.0f tokens/s, %.2f GiB, MFU %.2f" % (r["tok_s"], r["rss_gib"], r["mfu"]))'
    done
  done
done
