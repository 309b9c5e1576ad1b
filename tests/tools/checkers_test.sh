#!/usr/bin/env bash
# A checker that cannot fail checks nothing: each one is run on a tree that is clean and on trees that are not.
# Usage: checkers_test.sh <folder of the checkers>
set -euo pipefail
tools=$(realpath "$1")
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

# A clean tree of two layers.
reset() {
  rm -rf "${tree:?}"/*
  mkdir -p "$tree/tools" "$tree/src/gas/core" "$tree/src/gas/io" "$tree/src/gas/cli"
  printf '# folder: uses\ncore:\nio: core\ncli: core io\n' > "$tree/tools/layers.txt"
  printf '#include "gas/core/error.h"\n#include <vector>\n' > "$tree/src/gas/io/file.cc"
  printf '// no exit(1) here\nvoid f() { at_exit(1); }\n' > "$tree/src/gas/core/error.h"
  printf '#include "gas/io/file.h"\nvoid g() { std::cout << 1; }\n' > "$tree/src/gas/cli/run.cc"
  printf 'check src/gas/io\nallow src/gas/io/loop.cc | loss.item | its loss\n' > "$tree/tools/host_sync.txt"
  printf 'f(loss.item<double>());  // x.cpu()\n' > "$tree/src/gas/io/loop.cc"
  printf 'x.cpu();\n' > "$tree/src/gas/cli/outside.cc"
}

# expect <checker> <status> [text that the output has]
expect() {
  local output status=0
  output=$("$tools/$1" "$tree" 2>&1) || status=$?
  if [[ $status -ne $2 || $output != *"${3:-}"* ]]; then
    echo "$1: status $status, expected $2; output, expected to have '${3:-}':" && echo "$output"
    failures=$((failures + 1))
  fi
}

reset
expect check_layers.sh 0
expect check_banned.sh 0
expect check_host_sync.sh 0

reset && printf '\n#include "gas/cli/run.h"\n' >> "$tree/src/gas/io/file.cc"
expect check_layers.sh 1 'src/gas/io/file.cc:4 -> cli'

reset && mkdir "$tree/src/gas/core/deep" && printf '  #include "gas/io/file.h"\n' > "$tree/src/gas/core/deep/x.h"
expect check_layers.sh 1 'src/gas/core/deep/x.h:1 -> io'

reset && mkdir "$tree/src/gas/new" && printf '#include "gas/core/error.h"\n' > "$tree/src/gas/new/x.cc"
expect check_layers.sh 1 'src/gas/new/x.cc: the folder new is not in tools/layers.txt'

reset && printf 'core: io\nio: core\ncli:\n' > "$tree/tools/layers.txt"
expect check_layers.sh 1 'tools/layers.txt:1: core uses io, which is not above it'

reset && printf 'io: core\ncore:\ncli: core io\n' > "$tree/tools/layers.txt"
expect check_layers.sh 1 'tools/layers.txt:1: io uses core, which is not above it'

reset && printf 'core: \n' >> "$tree/tools/layers.txt"
expect check_layers.sh 1 'tools/layers.txt:5: core is there twice'

reset && printf 'Core = x\n' >> "$tree/tools/layers.txt"
expect check_layers.sh 1 'tools/layers.txt:5: not'

reset && rm "$tree/tools/layers.txt"
expect check_layers.sh 2 'no tools/layers.txt'

for line in 'throw std::runtime_error("x");' 'abort();' 'std::abort();' '  exit(1);' 'std::exit (1);' '_exit(1);' \
            'std::cout << 1;' 'auto x = Json::parse(text);' 'nlohmann::json::parse(text);'; do
  reset && printf '\n%s  // why\n' "$line" >> "$tree/src/gas/io/file.cc"
  expect check_banned.sh 1 'src/gas/io/file.cc:4: '
done

reset && printf 'Json::parse(text);\n' > "$tree/src/gas/io/json.cc"
expect check_banned.sh 0

reset && printf 'exit(1);\n' >> "$tree/src/gas/cli/run.cc"
expect check_banned.sh 1 'src/gas/cli/run.cc:3: exit('

reset && rm -r "$tree/src"
expect check_banned.sh 2 'no src/gas'

for line in 'x.item<double>();' 'x.item();' 'x.cpu();' 'x.to(torch::kCPU);' 'x.equal(y)' 'x.allclose(y)' 'x.nonzero();' \
            'torch::masked_select(x, y)' 'x.data_ptr<float>()' 'x.accessor<float, 1>()'; do
  reset && printf '%s\n' "$line" >> "$tree/src/gas/io/loop.cc"
  expect check_host_sync.sh 1 'src/gas/io/loop.cc:2: '
done

reset && printf 'y.item<double>();\n' > "$tree/src/gas/io/loop.cc"
expect check_host_sync.sh 1 'tools/host_sync.txt:2: nothing matches src/gas/io/loop.cc | loss.item'

reset && printf 'allow src/gas/io/loop.cc | loss.item |\n' >> "$tree/tools/host_sync.txt"
expect check_host_sync.sh 1 'tools/host_sync.txt:3: not '

reset && printf 'allow src/gas/io/file.cc | * | all of it\n' >> "$tree/tools/host_sync.txt"
printf 'x.cpu();\n' >> "$tree/src/gas/io/file.cc"
expect check_host_sync.sh 0

reset && printf 'check src/gas/gone\n' >> "$tree/tools/host_sync.txt"
expect check_host_sync.sh 1 'check src/gas/gone: there is no such file or folder'

reset && rm "$tree/tools/host_sync.txt"
expect check_host_sync.sh 2 'no tools/host_sync.txt'

[[ $failures -eq 0 ]] || { echo "$failures expectations failed"; exit 1; }
