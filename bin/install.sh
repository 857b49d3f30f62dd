#!/bin/bash
# Makes `cmerc` a command in every folder: a link to this clone's bazel-bin/bin/cmerc, which every
# later build renews.
#
#   bazel run //bin:install [-- FOLDER]     FOLDER: ~/.local/bin by default
set -euo pipefail

if [[ -z ${BUILD_WORKSPACE_DIRECTORY:-} ]]; then
  echo "install: start it with \`bazel run //bin:install\`" >&2
  exit 2
fi
if (($# > 1)) || [[ ${1:-} == -* ]]; then
  echo "install: want one folder or none: bazel run //bin:install -- ~/.local/bin" >&2
  exit 2
fi
program=$BUILD_WORKSPACE_DIRECTORY/bazel-bin/bin/cmerc
folder=${1:-$HOME/.local/bin}
# `bazel run` starts programs elsewhere.
[[ $folder == /* ]] || folder=${BUILD_WORKING_DIRECTORY:-$PWD}/$folder
link=$folder/cmerc
if [[ ! -x $program ]]; then
  echo "install: $program is not there; build it first: bazel build //bin:cmerc" >&2
  exit 2
fi
# Another program of that name, or somebody's file, stays; a link to another clone's is replaced.
if [[ -e $link || -L $link ]] && [[ $(readlink "$link") != */bin/cmerc ]]; then
  echo "install: $link is there already and no link to a cmerc; choose another folder, or move it away" >&2
  exit 2
fi
mkdir -p "$folder"
ln -sfn "$program" "$link"
echo "$link -> $program"
case ":$PATH:" in
  *":$folder:"*) ;;
  *) echo "$folder is not on your PATH; add it: echo 'export PATH=\"$folder:\$PATH\"' >> ~/.bashrc, and open a new shell" ;;
esac
