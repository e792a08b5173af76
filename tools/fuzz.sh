#!/usr/bin/env bash
# Runs the fuzz targets of tests/fuzz under libFuzzer and AddressSanitizer.  usage: tools/fuzz.sh [SECONDS_EACH] [NAME...]
# A target's line "// fuzz sources: ..." lists the sources it needs besides src/base, "// fuzz links: torch" asks for libtorch; seeds are in tests/fuzz/seeds/NAME
# if there are any.
# Exits 1 at the first finding; the input that caused it is in build-fuzz/.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
seconds=${1:-120}
[ $# -eq 0 ] || shift
command -v clang++ >/dev/null || { echo "fuzz: clang++ is missing; fix: apt-get install -y clang" >&2; exit 1; }
out=build-fuzz
mkdir -p "$out"
names=("$@")
[ ${#names[@]} -gt 0 ] || for file in tests/fuzz/*_fuzz.cpp; do names+=("$(basename "$file" _fuzz.cpp)"); done
flags=(-std=c++20 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -DFMT_HEADER_ONLY -DTEMPER_DEBUG -Isrc -include tests/fuzz/source_location.h)
# src/base once for all targets; version.cpp needs the build's commit.h, fmt.cpp is in the headers here.
objects=()
for file in src/base/*.cpp; do
  case $file in */version.cpp | */fmt.cpp) continue ;; esac
  object=$out/$(basename "$file" .cpp).o
  objects+=("$object")
  # shellcheck disable=SC2046
  clang++ "${flags[@]}" -fsanitize=fuzzer-no-link -c "$file" -o "$object" $(pkg-config --cflags libxxhash)
done
for name in "${names[@]}"; do
  target=tests/fuzz/${name}_fuzz.cpp
  sources=$(sed -n 's|^// fuzz sources: ||p' "$target")
  links=()
  if grep -q '^// fuzz links: torch' "$target"; then
    torch=$(sed -n 's/^TORCH_DIR:[A-Z]*=//p' build/CMakeCache.txt)
    links=(-DAT_PER_OPERATOR_HEADERS -isystem "$torch/include" -isystem "$torch/include/torch/csrc/api/include" "-L$torch/lib" -ltorch_cpu -lc10 "-Wl,-rpath,$torch/lib" -Wl,--allow-shlib-undefined)
  fi
  # shellcheck disable=SC2086
  clang++ "${flags[@]}" -fsanitize=fuzzer "$target" $sources "${objects[@]}" -o "$out/$name" "${links[@]}" $(pkg-config --cflags --libs libzstd libxxhash libpcre2-8) -lz -pthread
  mkdir -p "$out/corpus-$name"
  seeds=()
  [ ! -d "tests/fuzz/seeds/$name" ] || seeds=("tests/fuzz/seeds/$name")
  TEMPER_LOG=warn "$out/$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$out/$name-" -print_final_stats=1 \
    "$out/corpus-$name" "${seeds[@]}" >"$out/$name.log" 2>&1 || { tail -40 "$out/$name.log"; echo "fuzz $name: FINDING (log $out/$name.log)"; exit 1; }
  echo "fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log") runs in $seconds s, no finding"
done
