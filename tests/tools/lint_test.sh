#!/bin/bash
# tools/lint.py on the source tree that the links of this test's files lead to.
set -euo pipefail
if ! command -v python3 > /dev/null; then
  echo "skipped: there is no python3 (tools/setup.sh --test)"
  echo '<testsuites><testsuite name="Lint"><testcase classname="Lint" name="All" status="run">
<skipped message="&#10;there is no python3 (tools/setup.sh --test)"/></testcase></testsuite></testsuites>' \
    > "$XML_OUTPUT_FILE"
  exit 0
fi
exec tools/lint.py
