#!/bin/bash
# Installs the wheel into a fresh virtual environment and runs the tests of the package there, by pytest.
# Usage: package_test.sh WHEEL; $CMERC_PYTHON is the interpreter, else the first of these that has torch.
set -euo pipefail

skip() {
  echo "skipped: $1"
  cat > "${XML_OUTPUT_FILE:-/dev/null}" << END
<testsuites><testsuite name="PackageTest"><testcase classname="PackageTest" name="All" status="run">
<skipped message="&#10;$1"/></testcase></testsuite></testsuites>
END
  exit 0
}

wheel=$PWD/$1
python=
for candidate in ${CMERC_PYTHON:-/usr/bin/python3 python3}; do
  if "$candidate" -c 'import torch' 2> /dev/null; then
    python=$candidate
    break
  fi
done
[[ -n $python ]] || skip "no python3 has torch (tools/setup.sh --test)"
"$python" -c 'import pytest' 2> /dev/null || skip "$python has no pytest (tools/setup.sh --test)"

# Of another PyTorch than this was built with, importing must say so, and there is no more to test.
environment=$TEST_TMPDIR/environment
"$python" -m venv "$environment" ||
  skip "$python cannot make a virtual environment (tools/setup.sh --test installs python3-venv)"
# What $python has, which may be in a virtual environment itself.
"$python" -c 'import sys; print(*[one for one in sys.path if one.endswith("-packages")], sep="\n")' \
  > "$(echo "$environment"/lib/python*/site-packages)/tested.pth"
"$environment/bin/pip" install --quiet --ignore-installed --no-index --no-deps --disable-pip-version-check "$wheel"
site=$(echo "$environment"/lib/python*/site-packages/cmerc)
if grep --quiet --text '__asan_init\|__tsan_init' "$site/libcmerc_ops.so"; then
  skip "this is built with a sanitizer, which Python is not"
fi
built=$(sed --quiet 's/^TORCH = "\(.*\)"$/\1/p' "$site/_build.py")
found=$("$python" -c 'import re, torch; print(re.match(r"[0-9.]+[0-9]", torch.__version__).group())')
if [[ $found != "$built" ]]; then
  said=$("$environment/bin/python" -c 'import cmerc' 2>&1 || true)
  [[ $said == *"was built for PyTorch $built"* ]] || { echo "$said" >&2; exit 1; }
  skip "$python has torch $found, this is built with $built"
fi

export PYTHONDONTWRITEBYTECODE=1 CMERC_COMMAND=$PWD/bin/cmerc CMERC_ROOT=$PWD
# From another folder, so that `cmerc` is the installed one.
tests=$PWD/tests/python
cd "$TEST_TMPDIR"
"$environment/bin/python" -m pytest -p no:cacheprovider --quiet -rs \
  ${XML_OUTPUT_FILE:+--junitxml="$XML_OUTPUT_FILE"} "$tests"
