#!/bin/bash
# Makes a Debian package, `cmerc` or `cmerc-serve`, for the Debian that it runs on. //packages:deb and
# //packages:serve_deb run it.
#
#   packages/build_deb.sh PACKAGE OUT.deb VERSION FILE...
#
# FILE: whatever goes in; the end of its path says where. The same files give the same bytes, whenever,
# wherever and by whomever it is done: no time, name, order or mode of this machine enters. Which packages
# are needed is what dpkg-shlibdeps says of the programs.
set -euo pipefail

fail() {
  echo "build_deb.sh: $*" >&2
  exit 1
}

(($# > 3)) || fail "want PACKAGE OUT.deb VERSION FILE..."
package=$1
out=$(realpath --no-symlinks "$2")
version=$3
shift 3
# The programs that it is about, and a package of ours that it needs of the very same version.
needs=
case $package in
  cmerc) programs=(cmerc cmerc_engine) ;;
  cmerc-serve)
    programs=(cmerc_serve)
    needs="cmerc (= $version), "
    ;;
  *) fail "there is no package $package; there are cmerc and cmerc-serve" ;;
esac

# The time that every file in the package has.
export SOURCE_DATE_EPOCH=1704067200  # 2024-01-01
export LC_ALL=C TZ=UTC
unset "${!DPKG_@}" "${!DEB_@}"
umask 022
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

# The layout that Debian's tools know.
readonly root=$work/debian/$package doc=usr/share/doc/$package
mkdir -p "$root/DEBIAN"

# Makes the file $1 the file $2 of the package.
put() { install -D --mode=644 "$1" "$root/$2"; }

# The same, compressed.
put_compressed() {
  mkdir -p "$root/${2%/*}"
  gzip --best --no-name < "$1" > "$root/$2"
}

# `cmerc` finds its engine beside itself, links followed.
put_program() {
  install -D --mode=755 "$1" "$root/usr/lib/cmerc/${1##*/}"
  strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root/usr/lib/cmerc/${1##*/}"
}

control=
for file in "$@"; do
  name=${file##*/}
  case /$file in
    */bin/cmerc | */bin/cmerc_engine | */serving/cmerc_serve) put_program "$file" ;;
    */config/examples/*.textproto) put "$file" "usr/share/cmerc/examples/$name" ;;
    */config/experiments/*.textproto) put "$file" "usr/share/cmerc/experiments/$name" ;;
    */config/layouts/*.textproto) put "$file" "usr/share/cmerc/layouts/$name" ;;
    */examples/own_data/*) put "$file" "$doc/examples/own_data/$name" ;;
    */docs/*.md) put "$file" "$doc/docs/$name" ;;
    */README.md) put "$file" "$doc/README.md" ;;
    */CHANGELOG.md) put_compressed "$file" "$doc/changelog.gz" ;;
    */packages/cmerc.1) put_compressed "$file" usr/share/man/man1/cmerc.1.gz ;;
    */packages/cmerc.bash) put "$file" usr/share/bash-completion/completions/cmerc ;;
    */packages/copyright) put "$file" "$doc/copyright" ;;
    */packages/control | */packages/control-serve) control=$file ;;
    *) fail "$file: where it goes is not known; add it to the cases above this message" ;;
  esac
done
programs=("${programs[@]/#/$root/usr/lib/cmerc/}")
for program in "${programs[@]}"; do
  [[ -x $program ]] || fail "${program##*/} is not among the files"
done
[[ -n $control ]] || fail "packages/control of $package is not among the files"
if [[ $package == cmerc ]]; then
  mkdir "$root/usr/bin"
  ln -s ../lib/cmerc/cmerc "$root/usr/bin/cmerc"
fi

# A library that a program looks for in a folder of its own choice, as one flavor of OpenBLAS, comes from
# the package of that very file; dpkg-shlibdeps would be content with any flavor.
dynamic_of() { readelf --dynamic "$1" | sed --quiet --regexp-extended "s/.*\(($2)\).*\[(.*)\]$/\2/p"; }
for program in "${programs[@]}"; do
  libraries=$(dynamic_of "$program" NEEDED)
  folders=$(dynamic_of "$program" 'RUNPATH|RPATH' | tr : ' ')
  for library in $libraries; do
    for folder in $folders; do
      [[ -e $folder/$library ]] || continue
      owner=$(dpkg-query --search "$folder/$library") ||
        fail "$folder/$library, which ${program##*/} is linked with, is in no package of Debian"
      echo "${library%%.so.*} ${library##*.so.} ${owner%%[:,]*}"
      break
    done
  done
done > "$work/debian/shlibs.local"

printf 'Source: cmerc\n\nPackage: %s\nArchitecture: any\n' "$package" > "$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O --warnings=0 "${programs[@]/#/-e}" 2> "$work/said") ||
  fail "dpkg-shlibdeps cannot tell the packages of the libraries:"$'\n'"$(< "$work/said")"

# In KiB, as dpkg-gencontrol counts: whole ones for each file, and one for everything else.
size=$(find "$root" -path "$root/DEBIAN" -prune -o -printf '%y %s\n' |
  awk '{ kib += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print kib }')
{
  echo "Package: $package"
  echo "Version: $version"
  echo "Architecture: $(dpkg --print-architecture)"
  echo "Installed-Size: $size"
  echo "Depends: $needs${depends#shlibs:Depends=}"
  cat "$control"
} > "$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | sort --zero-terminated | xargs --null md5sum) \
  > "$root/DEBIAN/md5sums"

# Several threads would divide the data in another way.
dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$root" "$out" > "$work/said" ||
  fail "dpkg-deb: $(< "$work/said")"
