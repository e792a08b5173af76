# The demonstration, sourced by `./dev demo`: post-trains the miniature DeepSeek-V4 of examples/mini-v4 on this machine.
# Every step is a command that can be repeated by hand; finished steps of an interrupted run are done again, but training resumes.

demo=runs/demo
demo_start=$SECONDS
declare -A demo_spent=()   # seconds of each phase

# demo_step NUMBER PHASE TEXT ESTIMATE: the time since the last step goes to the last one's phase.
demo_step() {
  demo_account
  demo_phase=$2
  printf '\n\033[1m[%s/8] %s\033[0m\n      %s; %s since the start\n' "$1" "$3" "$4" "$(demo_clock $((SECONDS - demo_start)))"
}
demo_account() {
  [ -z "${demo_phase:-}" ] || demo_spent[$demo_phase]=$((${demo_spent[$demo_phase]:-0} + SECONDS - demo_since))
  demo_since=$SECONDS
}
demo_clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }
demo_about() {   # SECONDS, a decimal number -> words
  python3 -c 'import sys; s = float(sys.argv[1]); print(f"about {s / 60:.0f} minutes" if s >= 90 else f"about {max(s, 1):.0f} seconds")' "$1"
}
# The field of a JSON object on standard input.
demo_field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
demo_run() { printf '      $ %s\n' "$*"; "$@"; }

demo_step 1 install "Install what is missing" "packages and one download of 560 MB that all clones share, where they are missing"
setup

# Compiles a small file on one core; a file of the program, compiled with five others, takes 3.3 times as long (310 files in 545 s).
demo_probe() {
  printf '#include <functional>\n#include <iostream>\n#include <map>\n#include <string>\n%s\n' \
    'int main(int, char** v) { std::map<std::string, std::function<void()>> m; m[v[0]] = [] { std::cout << 1; }; for (auto& [a, f] : m) f(); }' |
    g++ -std=c++20 -O2 -x c++ -c - -o /dev/null
}
demo_estimate="what changed since the last build"
if [ ! -x build/temper ]; then
  demo_isas=$(grep -qE '^flags.* avx512bw .*avx512vl' /proc/cpuinfo && echo 3 || echo 1)   # how often kernels are compiled again
  demo_files=$(($(find src -name '*.cpp' | wc -l) + demo_isas * $(find src/kernels/cpu/isa -name '*.cpp' | wc -l)))
  demo_probe   # the compiler comes from the disk
  probe_start=$(date +%s.%N)
  demo_probe
  demo_estimate="$(demo_about "$(python3 -c "print(3.3 * $demo_files * ($(date +%s.%N) - $probe_start) / $jobs)")"), less where ccache knows the files"
fi
demo_step 2 build "Build the program" "$demo_estimate"
build release temper
temper=build/temper
# Threads that wait spin shortly, then sleep: other programs on this machine go on.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-20000}

demo_step 3 evaluate "Ask the base model 586 questions in the best plain-text form (it has never seen a chat)" "its time tells how long the next questions will take"
eval_start=$SECONDS
demo_run $temper eval --model examples/mini-v4/base --suite stories --prompts plain --out $demo/eval/base

eval_seconds=$((SECONDS - eval_start))

# What the recipe asks for, times what a step takes here.
demo_steps=$($temper train examples/mini-v4/sft.toml --set run_folder=$demo/sft --dry-run 2>/dev/null | sed -nE 's/^ *([0-9]+) steps of .*/\1/p')
demo_step_seconds=$($temper bench train --model-config examples/mini-v4/base --seq 256 --batch 8 --steps 3 --optimizer muon --json | demo_field step_s)
demo_step 4 train "Post-train it on instructions and safety" \
  "$(demo_about "$(python3 -c "print($demo_steps * $demo_step_seconds)")"): $demo_steps steps, $(printf '%.2f' "$demo_step_seconds") s each in a short measurement"
demo_run $temper train examples/mini-v4/sft.toml --set run_folder=$demo/sft

demo_step 5 evaluate "Export the weights in the official FP8/FP4 layout" "seconds"
last=$(ls -d $demo/sft/checkpoints/step-* | grep -v partial | sort -V | tail -1)
rm -rf $demo/model   # of an earlier run
demo_run $temper export --from "$last" --to $demo/model --format official --dtype fp8-fp4

demo_step 6 evaluate "Ask the exported model the same questions, and XSTest" "$(demo_about $((2 * eval_seconds)))"
demo_run $temper eval --model $demo/model --suite stories,safety --out $demo/eval/tuned

demo_step 7 evaluate "Write the report" "seconds"
demo_run $temper report --run $demo/sft --before $demo/eval/base --after $demo/eval/tuned --margins examples/mini-v4/gates.toml --out $demo/report.html

demo_step 8 evaluate "Before and after, paired over the same questions" "seconds"
demo_run $temper compare $demo/eval/base $demo/eval/tuned --margins examples/mini-v4/gates.toml || true

demo_account
cat <<DONE

Done in $(demo_clock $((SECONDS - demo_start))): install $(demo_clock "${demo_spent[install]}"), build $(demo_clock "${demo_spent[build]}"), train $(demo_clock "${demo_spent[train]}"), evaluate and report $(demo_clock "${demo_spent[evaluate]}").
The report: $demo/report.html
Talk to it (lower case; it tells stories):
  $temper chat --model $demo/model
DONE
