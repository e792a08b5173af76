# ./dev oracle [CASE...]: makes tests/golden again with transformers; users never need it.
source tools/python_env.sh
"$python" tools/oracle/make_golden.py tests/golden "$@"
