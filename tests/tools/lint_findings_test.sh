#!/bin/bash
# tools/lint.py finds what is wrong in a tree of made-up files, and nothing in one without faults.
set -euo pipefail

fail() {
  echo "lint_findings_test: $*" >&2
  exit 1
}

if ! command -v python3 > /dev/null; then
  echo "skipped: there is no python3"
  exit 0
fi
tree=$TEST_TMPDIR/tree
mkdir -p "$tree"/{tools,docs,core,tests}
cp tools/lint.py tools/source_files.py "$tree/tools"
echo 'import sys; sys.exit(0)' > "$tree/tools/build_files.py"
echo 'int a;' > "$tree/core/good.cc"
echo '[there](../core/good.cc#L1) [elsewhere](https://example.com)' > "$tree/docs/good.md"

# said WANTED_STATUS: what lint.py says, in $TEST_TMPDIR/said.
said() {
  local status=0
  XML_OUTPUT_FILE=$TEST_TMPDIR/cases.xml "$tree/tools/lint.py" > "$TEST_TMPDIR/said" 2>&1 || status=$?
  ((status == $1)) || fail "exit status $status, want $1: $(< "$TEST_TMPDIR/said")"
}

said 0
if grep --quiet '<failure>' "$TEST_TMPDIR/cases.xml"; then fail "a failed case where all is well"; fi
[[ $(grep --only-matching '<testcase ' "$TEST_TMPDIR/cases.xml" | wc -l) == 5 ]] ||
  fail "not five cases: $(< "$TEST_TMPDIR/cases.xml")"

todo=TO"DO"
echo "// $todo: more" > "$tree/core/unfinished.cc"
for ((i = 0; i < 451; ++i)); do echo 'int a;'; done > "$tree/core/long.cc"
cp "$tree/core/long.cc" "$tree/tests/long_test.cc"
echo '[gone](../core/gone.cc)' > "$tree/docs/bad.md"
echo 'print("core/BUILD: x: deps: is not in order"); raise SystemExit(1)' > "$tree/tools/build_files.py"
said 1
for finding in "core/unfinished.cc:1: $todo" 'core/long.cc: 451 lines' 'tests/long_test.cc: 451 lines' \
  'docs/bad.md: links to ../core/gone.cc' 'core/BUILD: x: deps: is not in order'; do
  grep --quiet --fixed-strings "$finding" "$TEST_TMPDIR/said" ||
    fail "does not find '$finding': $(< "$TEST_TMPDIR/said")"
done

# Of clang-format only version 14 counts; another is as good as none, and the case says so.
mkdir "$TEST_TMPDIR/bin"
for tool in clang-format clang-format-14; do
  printf '#!/bin/sh\necho "clang-format version 19.1.7"\n' > "$TEST_TMPDIR/bin/$tool"
done
chmod +x "$TEST_TMPDIR"/bin/*
PATH=$TEST_TMPDIR/bin:$PATH said 1
grep --quiet '^ClangFormat: skipped: there is no clang-format 14' "$TEST_TMPDIR/said" ||
  fail "does not skip another clang-format: $(< "$TEST_TMPDIR/said")"
grep --quiet 'name="ClangFormat"[^>]*><skipped message' "$TEST_TMPDIR/cases.xml" ||
  fail "no skipped case: $(< "$TEST_TMPDIR/cases.xml")"
echo "PASSED"
