# ./dev oracle [CASE...]: makes tests/golden again with transformers; users never need it.
# The Python environment is made once in the cache of this user (about 5 GB: the torch of the package index brings its CUDA libraries).
venv=$cache/oracle
if [ ! -e "$venv/ready" ] || ! cmp -s tools/oracle/requirements.txt "$venv/ready"; then
  say "making the Python environment $venv"
  python3 -m venv "$venv" || die "python3 cannot make a virtual environment" "sudo apt-get install -y python3-venv"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check -r tools/oracle/requirements.txt ||
    die "installing transformers failed" "check the network, then run ./dev oracle again"
  cp tools/oracle/requirements.txt "$venv/ready"
fi
"$venv/bin/python" tools/oracle/make_golden.py tests/golden "$@"
