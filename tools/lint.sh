#!/bin/bash
# Checks the form of the C++ sources; changes nothing. Needs tools/setup.sh --lint.
# Usage: tools/lint.sh                     format and forbidden marks of all files, in seconds
#        tools/lint.sh --tidy [TARGET...]  also clang-tidy on these Bazel targets (default: //...)
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
for tool in clang-format clang-tidy; do
  if ! command -v "$tool" > /dev/null; then
    echo "tools/lint.sh: $tool is not installed; run tools/setup.sh --lint" >&2
    exit 1
  fi
done

failed=0
mapfile -t sources < <(git ls-files --cached --others --exclude-standard -- '*.h' '*.cc' '*.cu')
clang-format --dry-run --Werror "${sources[@]}" || failed=1
if grep --line-number --extended-regexp '\b(TODO|FIXME|XXX|NOLINT)\b' "${sources[@]}"; then
  echo "tools/lint.sh: finish these, or write down in docs/ what is left" >&2
  failed=1
fi

if ((tidy)); then
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
