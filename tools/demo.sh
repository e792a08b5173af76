# The demonstration, sourced by `./dev demo`: post-trains the miniature DeepSeek-V4 of examples/mini-v4 on this machine.
# Every step is a command that can be repeated by hand; finished steps of an interrupted run are done again, but training resumes.

demo=runs/demo
demo_start=$SECONDS

demo_step() {   # demo_step NUMBER TEXT TIME
  printf '\n\033[1m[%s/7] %s\033[0m\n      about %s; %d:%02d since the start\n' "$1" "$2" "$3" $(((SECONDS - demo_start) / 60)) $(((SECONDS - demo_start) % 60))
}
demo_run() { printf '      $ %s\n' "$*"; "$@"; }

demo_step 1 "Set up and build" "8 minutes on a fresh machine, seconds after that"
setup
build release temper
temper=build/temper
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}   # threads that wait sleep: other programs on this machine go on

demo_step 2 "Ask the base model 586 questions in the best plain-text form (it has never seen a chat)" "10 seconds"
demo_run $temper eval --model examples/mini-v4/base --suite stories --prompts plain --out $demo/eval/base

demo_step 3 "Post-train it on instructions and safety" "5 minutes"
demo_run $temper train examples/mini-v4/sft.toml --set run_folder=$demo/sft

demo_step 4 "Export the weights in the official FP8/FP4 layout" "seconds"
last=$(ls -d $demo/sft/checkpoints/step-* | grep -v partial | sort -V | tail -1)
rm -rf $demo/model   # of an earlier run
demo_run $temper export --from "$last" --to $demo/model --format official --dtype fp8-fp4

demo_step 5 "Ask the exported model the same questions, and XSTest" "20 seconds"
demo_run $temper eval --model $demo/model --suite stories,safety --out $demo/eval/tuned

demo_step 6 "Write the report" "seconds"
demo_run $temper report --run $demo/sft --before $demo/eval/base --after $demo/eval/tuned --margins examples/mini-v4/gates.toml --out $demo/report.html

demo_step 7 "Before and after, paired over the same questions" "seconds"
demo_run $temper compare $demo/eval/base $demo/eval/tuned --margins examples/mini-v4/gates.toml || true

cat <<DONE

Done in $(((SECONDS - demo_start) / 60)) minutes.  The report: $demo/report.html
Talk to it (lower case; it tells stories):
  $temper chat --model $demo/model
DONE
