#!/usr/bin/env bash
# Makes the base model of this folder again: tokenizer, training, export.  usage: examples/mini-v4/make.sh
# Needs ./dev build.  About 16 minutes on two idle cores; interrupted, it goes on where it stopped when it is run again.
# The data in data/ is made by tools/mini (its README names the sources); it is in the repository, so this step is not repeated.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
root=$(cd "$here/../.." && pwd)
temper=$root/build/temper
cd "$root"
[ -x "$temper" ] || ./dev build

if [ ! -e "$here/tokenizer/tokenizer.json" ]; then
  mkdir -p build/mini
  python3 tools/mini/text_of.py "$here/data/stories_train.jsonl.gz" >build/mini/stories.txt
  "$temper" tokenizer train --input build/mini/stories.txt --vocab-size 2048 --out "$here/tokenizer"
fi
"$temper" train "$here/base.toml"
last=$(ls -d runs/mini-base/checkpoints/step-* | grep -v partial | sort -V | tail -1)
rm -rf "$here/base"
"$temper" export --from "$last" --to "$here/base" --format official --dtype fp8-fp4
awk 'NR <= 2 || /held_out/ || NR % 10 == 0' runs/mini-base/metrics.jsonl >"$here/base_metrics.jsonl"
"$temper" inspect "$here/base"
