# Sourced by verbs that run Python: sets `python` to one with transformers, of the versions in tools/oracle/requirements.txt.
# The environment is made once in the cache of this user (about 5 GB: the torch of the package index brings its CUDA libraries) and
# works offline from then on; remove it by removing the folder.  ORACLE_PYTHON names another Python to use instead.
python=${ORACLE_PYTHON:-$cache/oracle/bin/python}
if [ -z "${ORACLE_PYTHON:-}" ] && { [ ! -e "$cache/oracle/ready" ] || ! cmp -s tools/oracle/requirements.txt "$cache/oracle/ready"; }; then
  say "making the Python environment $cache/oracle"
  python3 -m venv "$cache/oracle" || die "python3 cannot make a virtual environment" "sudo apt-get install -y python3-venv"
  "$python" -m pip install -q --disable-pip-version-check -r tools/oracle/requirements.txt ||
    die "installing transformers failed" "check the network, then run the same command again"
  cp tools/oracle/requirements.txt "$cache/oracle/ready"
fi
