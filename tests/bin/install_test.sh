#!/bin/bash
# bin/install.sh with a clone and a home folder that are made up.
set -euo pipefail

fail() {
  echo "install_test: $*" >&2
  exit 1
}

install=$PWD/bin/install.sh
clone="$TEST_TMPDIR/a clone"
mkdir -p "$clone/bazel-bin/bin" "$TEST_TMPDIR/home" "$TEST_TMPDIR/here"
printf '#!/bin/sh\necho "cmerc of the clone"\n' > "$clone/bazel-bin/bin/cmerc"
chmod +x "$clone/bazel-bin/bin/cmerc"
export HOME=$TEST_TMPDIR/home BUILD_WORKSPACE_DIRECTORY=$clone BUILD_WORKING_DIRECTORY=$TEST_TMPDIR/here

# Expects the status $1 and a text with $2 of `install` with the other arguments.
expect() {
  local status=0 text
  text=$("$install" "${@:3}" 2>&1) || status=$?
  [[ $status == "$1" ]] || fail "status $status, want $1: $text"
  [[ $text == *"$2"* ]] || fail "want \"$2\" in: $text"
}

expect 0 "is not on your PATH"
link=$HOME/.local/bin/cmerc
[[ $("$link") == "cmerc of the clone" ]] || fail "the link leads elsewhere: $(readlink "$link")"

# Once more, with the folder on the PATH; and from another clone.
PATH=$HOME/.local/bin:$PATH
text=$("$install")
[[ $text == "$link -> $clone/bazel-bin/bin/cmerc" ]] || fail "$text"
ln -sfn /elsewhere/bazel-bin/bin/cmerc "$link"
expect 0 "$link -> "
[[ $(cmerc) == "cmerc of the clone" ]] || fail "cmerc is not found on the PATH"

# A folder of one's own, relative to where the user stands.
expect 0 "/here/bin/cmerc -> " bin
[[ -L $TEST_TMPDIR/here/bin/cmerc ]] || fail "no link in the folder that was named"

# What is somebody else's stays.
rm "$link"
echo "mine" > "$link"
expect 2 "no link to a cmerc"
[[ $(cat "$link") == mine ]] || fail "a file was overwritten"

expect 2 "want one folder or none" a b
rm "$clone/bazel-bin/bin/cmerc"
expect 2 "bazel build //bin:cmerc" bin
unset BUILD_WORKSPACE_DIRECTORY
expect 2 "bazel run //bin:install"
