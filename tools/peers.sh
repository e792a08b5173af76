# ./dev bench peers [options of tools/peers/compare.py]: ours beside transformers on the same models, alternating.
source tools/python_env.sh
build release temper
"$python" tools/peers/compare.py --python "$python" --temper build/temper "$@"
