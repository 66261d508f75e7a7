#!/usr/bin/env bash
# mujoco 4.0.0, gymnasium 1.4.0: each HalfCheetah-v5 that is made writes a file into the working directory.
#
# Expected: making an environment of the newest gymnasium with the newest mujoco that it accepts is silent.
# Seen: half_cheetah.xml sets `settotalmass`, which mujoco 4.0.0 calls deprecated for each copy, on standard error and
# in MUJOCO_LOG.TXT of the working directory; a vector of 8 copies writes 8 times. mujoco 3.9.0 says nothing.
# Python's own warning filters do not see it. mujoco.set_mju_user_warning, a function in Python, takes the text instead.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 3.9.0 4.0.0; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet "mujoco==$version" "gymnasium[mujoco]==1.4.0" numpy==2.4.6
  mkdir "$folder/cwd-$version"
  (cd "$folder/cwd-$version" && "$folder/$version/bin/python" -c "
import gymnasium
for _ in range(8):
    gymnasium.make('HalfCheetah-v5')
" 2> "$folder/err-$version") || cat "$folder/err-$version"
  said=$(grep -c "settotalmass" "$folder/err-$version" || true)
  written=$(cat "$folder/cwd-$version"/* 2> /dev/null | grep -c "settotalmass" || true)
  echo "mujoco $version: standard error says it $said times, files $(ls "$folder/cwd-$version") $written times"
  echo "$said $written" > "$folder/seen-$version"
done
test "$(cat "$folder/seen-3.9.0")" = "0 0"
test "$(cat "$folder/seen-4.0.0")" = "8 8"
