#!/bin/bash
# packages/build_deb.sh makes of the same files, at another time, elsewhere, in another order and by
# somebody with other settings, the bytes that Bazel has made.
# Usage: same_bytes_test.sh DEB SERVE_DEB VERSION, or same_bytes_test.sh refused
set -euo pipefail

fail() {
  echo "same_bytes_test: $*" >&2
  exit 1
}

if [[ $1 == refused ]]; then
  why="no package can be made here; bazel build //packages:deb says why"
  echo "skipped: $why"
  echo "<testsuites><testsuite name=\"Deb\"><testcase classname=\"Deb\" name=\"SameBytes\" status=\"run\">
<skipped message=\"&#10;$why\"/></testcase></testsuite></testsuites>" > "$XML_OUTPUT_FILE"
  exit 0
fi

build=$PWD/packages/build_deb.sh
deb=$PWD/$1
serve_deb=$PWD/$2
version=$3
shopt -s nullglob
elsewhere="$TEST_TMPDIR/else where"
mkdir "$elsewhere"
cp --parents --dereference bin/cmerc bin/cmerc_engine config/*/*.textproto docs/*.md \
  examples/own_data/* packages/{cmerc.1,cmerc.bash,control,control-serve,copyright} \
  serving/cmerc_serve "$elsewhere"
for file in README.md CHANGELOG.md; do
  [[ ! -e $file ]] || cp --dereference "$file" "$elsewhere"
done
cd "$elsewhere"
find . -type f -exec touch --date='2001-02-03 04:05:06' {} +
find . -type f -exec chmod 0600 {} +
chmod 0700 bin/* serving/*
mapfile -t files < <(find . -type f ! -name '*serve' | sort --reverse)
mapfile -t serve_files < <(find . -name CHANGELOG.md -o -name copyright -o -name '*serve' -type f | sort --reverse)
(
  umask 077
  export TZ=Asia/Kolkata LC_ALL=C.UTF-8 DPKG_DEB_COMPRESSOR_LEVEL=1 SOURCE_DATE_EPOCH=1000000000
  "$build" cmerc again.deb "$version" "${files[@]}"
  "$build" cmerc-serve serve_again.deb "$version" "${serve_files[@]}"
)
cmp again.deb "$deb" || fail "other bytes than those of $deb"
cmp serve_again.deb "$serve_deb" || fail "other bytes than those of $serve_deb"

# A file of another kind is not left out in silence, and neither is the lack of one.
echo > packages/new.txt
if text=$("$build" cmerc more.deb "$version" "${files[@]}" packages/new.txt 2>&1); then
  fail "a file that belongs nowhere is accepted"
fi
[[ $text == *"packages/new.txt: where it goes is not known"* ]] || fail "$text"
mapfile -t files < <(printf '%s\n' "${files[@]}" | grep --invert-match 'cmerc_engine$')
if text=$("$build" cmerc less.deb "$version" "${files[@]}" 2>&1); then
  fail "a package without the engine is made"
fi
[[ $text == *"cmerc_engine is not among the files"* ]] || fail "$text"
[[ ! -e more.deb && ! -e less.deb ]] || fail "what failed has left a package"
