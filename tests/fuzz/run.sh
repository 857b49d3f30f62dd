#!/bin/bash
# Builds a fuzz target with clang, libFuzzer, ASan and UBSan, and runs it from the files that its BUILD
# entry names and from what earlier runs have kept in ~/.cache/cmerc-fuzz/TARGET/corpus. An input that
# breaks it is written to ~/.cache/cmerc-fuzz/TARGET/; when it is mended, it goes to
# tests/fuzz/corpus/TARGET/. Needs tools/setup.sh --fuzz.
# Usage: tests/fuzz/run.sh TARGET [libFuzzer options]
#   tests/fuzz/run.sh pickle -max_total_time=300
#   tests/fuzz/run.sh pickle FILE              one input, once
set -euo pipefail
cd "$(dirname "$0")/../.."

targets=$(sed -n 's|^tests/fuzz/\(.*\)_fuzz\.cc$|\1|p' <<< "$(ls tests/fuzz/*_fuzz.cc)")
if (($# == 0)) || ! grep --quiet --line-regexp -- "$1" <<< "$targets"; then
  echo "tests/fuzz/run.sh: want a target: $(tr '\n' ' ' <<< "$targets")" >&2
  exit 2
fi
name=$1
shift
bazel build --config=fuzz --noshow_progress "//tests/fuzz:${name}_fuzz"
# Copied: another build must not change it while it runs.
home=${CMERC_FUZZ_DIR:-$HOME/.cache/cmerc-fuzz}/$name
mkdir -p "$home/corpus"
program=bazel-bin/tests/fuzz/${name}_fuzz
rm -f "$home/fuzz"
cp --dereference "$program" "$home/fuzz"
# Larger seeds are slow, and their parts are in smaller ones.
find -L "$program.runfiles/cmerc" -type f -size -40k ! -name "${name}_fuzz" | paste -sd, > "$home/seeds"

dictionary=tests/fuzz/$name.dict
case $name in
  archive | array_table | conversation_file) dictionary=tests/fuzz/zip.dict ;;
  checkpoint | official_pickles | difficulty) dictionary=tests/fuzz/pickle.dict ;;
esac
options=(-max_len=16384 -timeout=10 -malloc_limit_mb=512 -rss_limit_mb=2048 -print_final_stats=1
  "-artifact_prefix=$home/")
[[ -e "$dictionary" ]] && options+=("-dict=$dictionary")
# A std::vector of a library without the sanitizer has no marks of its unused room.
export ASAN_OPTIONS=detect_container_overflow=0:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1
for argument in "$@"; do
  if [[ "$argument" != -* ]]; then exec "$home/fuzz" "${options[@]}" "$@"; fi
done
exec "$home/fuzz" "${options[@]}" "-seed_inputs=@$home/seeds" "$@" "$home/corpus"
