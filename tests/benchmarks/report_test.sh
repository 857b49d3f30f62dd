#!/bin/sh
# The report of two benchmark binaries: $1 is the reporter, $2 and $3 the binaries.
set -eu
fail() {
  echo "$1" >&2
  cat "$TEST_TMPDIR/report.md" >&2
  exit 1
}
unset BUILD_WORKING_DIRECTORY
"./$1" "$2" "$3" --output="$TEST_TMPDIR/report.md" --threads=1 --min_time=0.001 \
  --filter='Score/utterances:1623/classes:6$|Linear.*:120$'
grep -q '; 1 thread; ' "$TEST_TMPDIR/report.md" || fail "the number of threads is missing"
grep -q 'libtorch' "$TEST_TMPDIR/report.md" || fail "the versions are missing"
grep -q '^| metrics | Score/utterances:1623/classes:6 | [0-9]' "$TEST_TMPDIR/report.md" || fail "no metrics"
grep -q '^| schedulers | cmerc.LinearOptions/conversations:120 | [0-9]' "$TEST_TMPDIR/report.md" || fail "no schedulers"
[ "$(grep -c '^| [ms]' "$TEST_TMPDIR/report.md")" = 2 ] || fail "want two rows"
"./$1" "$2" --min_time=0.001 --filter='Score/utterances:1623/classes:6$' | grep -q '^| metrics ' ||
  fail "nothing on standard output"
status=0
"./$1" "$2" --threads=none 2> "$TEST_TMPDIR/error" || status=$?
[ "$status" = 2 ] && grep -q 'want a number' "$TEST_TMPDIR/error" || fail "a bad flag is not refused"
status=0
"./$1" /nowhere 2> "$TEST_TMPDIR/error" || status=$?
[ "$status" = 1 ] && grep -q '/nowhere failed' "$TEST_TMPDIR/error" || fail "a failure is not told"
