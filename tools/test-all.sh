# ./dev test-all [SECONDS]: the long rounds, sourced by ./dev.  Every test, many more kills of a training run, the tests named
# DISABLED_* (large models), kernels, sub-layers and the whole program on hostile inputs (tools/hostile.py) under ASan and UBSan, then
# every fuzz target for SECONDS (default 180) each.
fuzz_seconds=${1:-180}
failed_rounds=""
build release
run_tests build "*" || failed_rounds="tests"

say "kill -9 at random moments of a run, 25 rounds"
TEMPER_KILL_ROUNDS=25 build/tests/test_train --gtest_brief=1 --gtest_filter='Train.Killed*' || failed_rounds="$failed_rounds kills"

for binary in build/tests/test_*; do
  [ -f "$binary" ] && [ -x "$binary" ] || continue
  "$binary" --gtest_list_tests | grep -q '^  DISABLED_' || continue
  say "long tests of $(basename "$binary")"
  "$binary" --gtest_also_run_disabled_tests --gtest_filter='*.DISABLED_*' --gtest_brief=1 || failed_rounds="$failed_rounds $(basename "$binary")"
done

say "kernels and sub-layers under AddressSanitizer and UndefinedBehaviorSanitizer (builds everything once more)"
build asan test_kernels test_ops temper
for name in test_kernels test_ops; do
  # libtorch keeps what it allocates at start; leaks of our own are what the tests of the allocator are for.
  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 "build-asan/tests/$name" --gtest_brief=1 || failed_rounds="$failed_rounds asan-$name"
done

say "the program on hostile inputs under both, with several threads and instruction sets"
python3 tools/hostile.py build-asan/temper || failed_rounds="$failed_rounds hostile"

bash tools/fuzz.sh "$fuzz_seconds" || failed_rounds="$failed_rounds fuzz"
[ -z "$failed_rounds" ] || die "failed: $failed_rounds" "read the lines above"
say "all long rounds passed"
