#!/bin/bash
# Writes the files of an earlier version beside this script, all from its config.textproto:
#
#   whole/        metrics.jsonl and selected.pth of a run that was not disturbed
#   interrupted/  the folder of the same run, stopped by SIGTERM within its third epoch or soon after
#   evaluate.txt, predictions.jsonl
#                 what `evaluate` and `predict` print of whole/selected.pth
#
# Made by the program of commit 834a48d, the last one with fields called ..._size and the message
# ExperimentConfig:
#
#   git worktree add /tmp/old 834a48d && (cd /tmp/old && bazel build //bin:cmerc)
#   tests/compatibility/data/generate.sh /tmp/old/bazel-bin/bin/cmerc
#
# Never made again by a later version: these files are what that version reads.
set -eu
program=$(realpath "$1")
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$program" train --config=config.textproto --output="$work/whole" > /dev/null
rm -rf whole interrupted
mkdir whole
cp "$work/whole/metrics.jsonl" "$work/whole/selected.pth" whole/
"$program" evaluate --checkpoint=whole/selected.pth > evaluate.txt
"$program" predict --checkpoint=whole/selected.pth > predictions.jsonl 2> /dev/null

# A step takes less than a millisecond: the signal may come between two epochs, or too late.
until grep -qa '^    steps: [1-9]' "$work/interrupted/resume.pth" 2> /dev/null; do
  rm -rf "$work/interrupted"
  mkfifo "$work/out"
  "$program" train --config=config.textproto --output="$work/interrupted" > "$work/out" 2> /dev/null &
  while read -r line; do
    case "$line" in "epoch   2/"*) kill -TERM $! || true ;; esac
  done < "$work/out"
  wait $! || true
  rm "$work/out"
done
cp -r "$work/interrupted" interrupted
