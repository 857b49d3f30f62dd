#!/bin/bash
# Checks the form of the sources; changes nothing. Needs tools/setup.sh --test.
# Usage: tools/lint.sh                     tools/lint.py, in seconds; `bazel test //tests/tools/...`
#                                          does this, and clang-tidy without its slowest checks
#        tools/lint.sh --tidy [TARGET...]  also all of clang-tidy on these Bazel targets (default:
#                                          //..., tests and benchmarks included)
set -euo pipefail
cd "$(dirname "$0")/.."

tidy=0
targets=()
if (($# > 0)); then
  if [[ "$1" != --tidy ]]; then
    echo "tools/lint.sh: unknown argument '$1'. Usage: tools/lint.sh [--tidy [TARGET...]]" >&2
    exit 2
  fi
  tidy=1
  targets=("${@:2}")
fi
((${#targets[@]} > 0)) || targets=(//...)
failed=0
tools/lint.py || failed=1

if ((tidy)); then
  if ! command -v clang-tidy > /dev/null; then
    echo "tools/lint.sh: clang-tidy is not installed; run tools/setup.sh --test" >&2
    exit 1
  fi
  # For the generated headers.
  bazel build --noshow_progress "${targets[@]}"
  tools/compile_commands.py "${targets[@]}"
  mapfile -t files < <(python3 -c '
import json
for command in json.load(open("compile_commands.json")):
    if command["file"].endswith(".cc"):
        print(command["file"])')
  # Bazel compiles in a folder of links, from which .clang-tidy is not found without its name.
  printf '%s\0' "${files[@]}" |
    xargs --null --max-args=1 --max-procs="$(nproc)" \
      clang-tidy -p . --config-file=.clang-tidy --quiet --warnings-as-errors='*' \
      2> >(grep --invert-match 'warnings generated' >&2) || failed=1
fi
exit "$failed"
