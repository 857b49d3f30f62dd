#!/bin/bash
# Runs extract_test.py, which tests examples/raw/extract.py with encoders of its own.
set -euo pipefail
if ! command -v python3 > /dev/null; then
  echo "skipped: there is no python3 (tools/setup.sh --test)"
  echo '<testsuites><testsuite name="Extract"><testcase classname="Extract" name="All" status="run">
<skipped message="&#10;there is no python3 (tools/setup.sh --test)"/></testcase></testsuite></testsuites>' \
    > "$XML_OUTPUT_FILE"
  exit 0
fi
exec python3 tests/examples/extract_test.py
