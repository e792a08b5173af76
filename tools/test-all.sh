# ./dev test-all: the long rounds.  Every test, many more kills of a training run, then the fuzz targets under ASan.
build release
run_tests build "*"
say "kill -9 at random moments of a run, 25 rounds"
TEMPER_KILL_ROUNDS=25 build/tests/test_train --gtest_brief=1 --gtest_filter='Train.Killed*'
bash tools/fuzz.sh "${1:-120}"
