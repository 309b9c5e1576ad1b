#!/usr/bin/env bash
# Checks that every #include "gas/..." under src/gas stays within tools/layers.txt, and that the list itself is in an
# order in which every folder comes after those it uses, which also makes it acyclic.
# Usage: check_layers.sh [root of the source tree]. Prints one line for each offence; exits with 1 if there is any.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

[[ -f tools/layers.txt && -d src/gas ]] || { echo "$PWD: no tools/layers.txt or no src/gas" >&2; exit 2; }

{ cat tools/layers.txt; echo "--- sources"
  find src/gas -type f \( -name '*.h' -o -name '*.cc' -o -name '*.cu' \) -exec grep -Hn '#include "gas/' {} + | sort
} | awk '
  function offence(text) { print text; failed = 1 }
  /^--- sources$/ { sources = 1; next }

  !sources && !/^(#|[[:space:]]*$)/ {
    if (!match($0, /^[a-z_]+:/)) { offence("tools/layers.txt:" NR ": not \"folder: used folders\": " $0); next }
    folder = substr($0, 1, RLENGTH - 1)
    if (folder in listed) offence("tools/layers.txt:" NR ": " folder " is there twice")
    count = split(substr($0, RLENGTH + 1), used, " ")
    for (i = 1; i <= count; ++i) {
      if (!(used[i] in listed)) offence("tools/layers.txt:" NR ": " folder " uses " used[i] ", which is not above it")
      allowed[folder, used[i]] = 1
    }
    listed[folder] = 1
    allowed[folder, folder] = 1
  }

  # src/gas/<folder>/...:<line>:#include "gas/<target>/..."
  sources {
    split($0, place, ":")
    split(place[1], path, "/")
    match($0, /"gas\/[^"]*/)
    split(substr($0, RSTART + 1, RLENGTH - 1), target, "/")
    if (!(path[3] in listed) && !(path[3] in reported)) {
      offence(place[1] ": the folder " path[3] " is not in tools/layers.txt")
      reported[path[3]] = 1
    }
    if ((path[3] in listed) && !((path[3], target[2]) in allowed)) {
      offence(place[1] ":" place[2] " -> " target[2])
    }
  }
  END { exit failed }
'
