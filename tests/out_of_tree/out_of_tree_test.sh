#!/bin/bash
# Does what docs/add_a_plugin.md says: runs its commands in order, in a Bazel of its own, and checks
# that what it shows is what examples/out_of_tree holds and what the commands print.
#
# In the guide a code block that begins with
#   ```sh         is run, from the root of the repository on;
#   ```text       is a part of the standard output of the block before it;
#   ```KIND FILE  is a part of that file of the example. The blocks of a file follow each other in it
#                 and leave nothing out.
set -euo pipefail

fail() {
  echo "out_of_tree_test: $*" >&2
  exit 1
}

# The source tree: runfiles are links into it.
root=$(dirname "$(realpath WORKSPACE)")
guide=$root/docs/add_a_plugin.md
example=$root/examples/out_of_tree
[[ -f $guide && -d $example ]] || fail "$root is not the source tree: run this test locally"

if ! bazel=$(type -P bazel); then
  reason="bazel is not on the PATH"
  echo "SKIPPED: $reason"
  cat > "${XML_OUTPUT_FILE:-/dev/null}" << END
<testsuites><testsuite name="out_of_tree_test" tests="1"><testcase name="out_of_tree_test">
<skipped message="$reason"/></testcase></testsuite></testsuites>
END
  exit 0
fi

# --- What the guide shows ---

kinds=() files=() texts=()
read_guide() {
  local line text kind file inside=0
  while IFS= read -r line || [[ -n $line ]]; do
    if ((inside)) && [[ $line == '```' ]]; then
      kinds+=("$kind") files+=("$file") texts+=("$text")
      inside=0
    elif ((inside)); then
      text+=$line$'\n'
    elif [[ $line == '```'* ]]; then
      read -r kind file <<< "${line#'```'}"
      text=
      inside=1
    fi
  done < "$guide"
  ((!inside)) || fail "$guide: the last code block has no end"
}

# Fails unless the blocks of every file of the example are, put together, that file.
check_files() {
  local -A rest
  local file before i
  for file in "$example"/* "$example"/.[!.]*; do
    [[ -f $file ]] && rest[${file##*/}]=$(< "$file")$'\n'
  done
  for i in "${!kinds[@]}"; do
    file=${files[i]}
    [[ -n $file ]] || continue
    [[ -n ${rest[$file]+set} ]] || fail "$guide shows $file, which is not in $example"
    before=${rest[$file]%%"${texts[i]}"*}
    [[ $before != "${rest[$file]}" && (-z $before || $before == *$'\n') ]] ||
      fail "$guide: this is not in what is left of $file:"$'\n'"${texts[i]}"
    [[ -z ${before//$'\n'/} ]] || fail "$guide leaves this part of $file out:"$'\n'"$before"
    rest[$file]=${rest[$file]#*"${texts[i]}"}
  done
  for file in "${!rest[@]}"; do
    [[ -z ${rest[$file]//$'\n'/} ]] ||
      fail "$guide leaves this part of $file out:"$'\n'"${rest[$file]}"
  done
}

# --- What its commands do ---

scratch=$TEST_TMPDIR/out_of_tree
output=$scratch/stdout
errors=$scratch/stderr

# A Bazel that leaves nothing behind, neither in the source tree nor in the home of the user, but for
# the disk cache that .bazelrc names. It must not take itself for a part of this test.
start_nested_bazel() {
  mkdir -p "$scratch/bin" "$scratch/tmp"
  # The user's own: it is part of the key of every compile in the disk cache, and Bazel puts "." in
  # front of it for a test.
  local path=${PATH#.:}
  printf '%s\n' 'build --experimental_convenience_symlinks=ignore --noshow_progress' \
    > "$scratch/bazelrc"
  cat > "$scratch/bin/bazel" << END
#!/bin/bash
export PATH="$path"
exec "$bazel" --nohome_rc --bazelrc="$scratch/bazelrc" --output_user_root="$scratch/user" \\
  --output_base="$scratch/base" --max_idle_secs=60 "\$@"
END
  chmod +x "$scratch/bin/bazel"
  PATH=$scratch/bin:$PATH
  export TMPDIR=$scratch/tmp HOME=${HOME:-$scratch}
  # What a sanitizer preloads is for this project's programs, not for Bazel and compilers.
  unset "${!TEST_@}" "${!RUNFILES_@}" XML_OUTPUT_FILE LD_PRELOAD
}

stop_nested_bazel() {
  (cd "$example" && bazel shutdown) > /dev/null 2>&1 || echo "bazel shutdown failed" >&2
  # Bazel makes some of its folders read-only.
  chmod -R u+w "$scratch" && rm -rf "$scratch"
}

finish() {
  local status=$?
  if ((status != 0)) && [[ -f $output ]]; then
    tail -n 200 "$output" "$errors" >&2
  fi
  stop_nested_bazel
  exit "$status"
}

# The commands share one shell, so that `cd` and variables last.
run_guide() {
  local i
  cd "$root"
  for i in "${!kinds[@]}"; do
    case ${kinds[i]} in
      sh)
        sed 's/^/$ /' <<< "${texts[i]%$'\n'}"
        eval "${texts[i]}" > "$output" 2> "$errors"
        cat "$output"
        ;;
      text)
        [[ $'\n'$(< "$output")$'\n' == *$'\n'"${texts[i]}"* ]] ||
          fail "$guide: the commands before it do not print"$'\n'"${texts[i]}"
        ;;
      *) [[ -n ${files[i]} ]] || fail "$guide: this code block names no file:"$'\n'"${texts[i]}" ;;
    esac
  done
}

# $run is what the guide calls the folder of its training run.
check_run() {
  local file
  for file in summary.json metrics.jsonl selected.pth uncalibrated/selected.pth; do
    [[ -s $run/$file ]] || fail "training wrote no $file"
  done
  grep --quiet 'example.ContextMeanOptions' "$run/config.textproto" ||
    fail "the run's config does not name the backbone of the example"
  grep --quiet 'example.ConfidencePenaltyOptions' "$run/config.textproto" ||
    fail "the run's config does not name the loss of the example"
  # Calibrated and not: 0.70 on this data, where a guess is right once in six times.
  local accuracies
  accuracies=$(sed --quiet '/"test": {/,/"accuracy"/s/.*"accuracy": \([0-9.]*\).*/\1/p' \
    "$run/summary.json")
  awk '$1 > 0.5 { good++ } END { exit NR == 2 && good == 2 ? 0 : 1 }' <<< "$accuracies" ||
    fail "want two accuracies on the test split above 0.5, found: $accuracies"
}

read_guide
check_files
listing=$(ls -A "$example")
start_nested_bazel
trap finish EXIT
trap 'exit 143' INT TERM
run_guide
check_run
[[ $(ls -A "$example") == "$listing" ]] || fail "something was written into $example"
echo "PASSED"
