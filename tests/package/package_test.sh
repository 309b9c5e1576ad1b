#!/usr/bin/env bash
# Installs into a temporary folder; runs the installed program; configures, builds and runs a project outside of the
# tree against the installed package.
# Usage: package_test.sh CMAKE BUILD_FOLDER SOURCE_FOLDER CXX [PREFIX_PATH of LibTorch]
set -euo pipefail
cmake=$1 build=$2 source=$3 compiler=$4 prefix_path=${5:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/prefix

"$cmake" --install "$build" --prefix "$prefix" > "$folder/install.log"

# Away from the source tree, so that what is found is what was installed.
cd "$folder"
"$prefix/bin/gas" models | tee models.txt
grep -q "^fashion .* $prefix/share/gas/models/fashion.safetensors$" models.txt
test -s "$prefix/share/man/man1/gas.1"
test -s "$prefix/share/gas/hosts/python/worker_diffusers.py"
test -s "$prefix/share/gas/hosts/c/gas_table.h"
# What other programs need is in the program.
"$prefix/bin/gas" import "$source/tests/fixtures/imports/dyweight_flow.pt" --schedule flow --out solver.gas.json
"$prefix/bin/gas" export --solver solver.gas.json --to diffusers --out exported
cmp exported/gas_diffusers.py "$source/hosts/python/gas_diffusers.py"
test -s "$prefix/share/bash-completion/completions/gas"
test -s "$prefix/share/zsh/site-functions/_gas"

mkdir project
cp "$source"/examples/outside/* project/
"$cmake" -S project -B project/build -DCMAKE_PREFIX_PATH="$prefix;$prefix_path" -DCMAKE_CXX_COMPILER="$compiler" \
  > configure.log || { cat configure.log; exit 1; }
grep -q "^gas_DIR:PATH=$prefix/" project/build/CMakeCache.txt
"$cmake" --build project/build
project/build/outside
