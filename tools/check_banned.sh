#!/usr/bin/env bash
# Checks src/gas for what our habits ban:
#   throw std::, abort(, exit(   errors are gas::Error, thrown by GAS_CHECK, GAS_ASSERT or Fail (core/error.h); main alone
#                                ends the program
#   std::cout                    work returns values; only src/gas/cli and src/gas/report print
#   json::parse(                 JSON from outside is read by ParseJson, which bounds its depth (io/json.h)
# Comments do not count. Usage: check_banned.sh [root of the source tree]. Prints file:line of each offence; exits
# with 1 if there is any.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

[[ -d src/gas ]] || { echo "$PWD: no src/gas" >&2; exit 2; }

mapfile -d '' -t files < <(find src/gas -type f \( -name '*.h' -o -name '*.cc' -o -name '*.cu' \) -print0 | sort -z)
awk '
  function check(pattern, name) {
    if (match(code, pattern)) { print FILENAME ":" FNR ": " name; failed = 1 }
  }
  {
    code = $0
    sub(/\/\/.*/, "", code)
    check("throw[[:space:]]+(::)?std::", "throw std::")
    check("(^|[^A-Za-z0-9_])abort[[:space:]]*\\(", "abort(")
    if (FILENAME != "src/gas/cli/main.cc") check("(^|[^A-Za-z0-9_])(_exit|_Exit|quick_exit|exit)[[:space:]]*\\(", "exit(")
    if (FILENAME !~ /^src\/gas\/(cli|report)\//) check("std::cout", "std::cout")
    if (FILENAME != "src/gas/io/json.cc") check("[Jj]son::parse[[:space:]]*\\(", "json::parse(")
  }
  END { exit failed }
' "${files[@]}" < /dev/null
