#!/usr/bin/env bash
# Planned and measured peak memory of `temper bench train` at three sizes, with and without recomputation, as rows of docs/performance.md.
# usage: tools/memory_table.sh [PROGRAM]     one timed step each; several minutes on two cores
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
program=${1:-build/temper}
printf '| model, batch | dtype | recomputation | planned GiB | measured GiB | measured / planned |\n|---|---|---|---|---|---|\n'
for size in "v4_12m 512 4" "v4_100m 1024 2" "v4_100m 4096 1"; do
  read -r model seq batch <<<"$size"
  for dtype in bf16 float32; do
    for recompute in "" --recompute; do
      # shellcheck disable=SC2086
      "$program" bench train --model-config "configs/model/$model.json" --seq "$seq" --batch "$batch" --steps 1 --dtype "$dtype" $recompute --json |
        python3 -c 'import json, sys; r = json.load(sys.stdin); p, m = r["planned_rss_gib"], r["rss_gib"]
print("| %s, %s | %s | %s | %.3f | %.3f | %.3f |" % (sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] or "none", p, m, m / p))' \
          "$model" "$seq x $batch" "$dtype" "${recompute:+all}"
    done
  done
done
