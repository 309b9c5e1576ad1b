#!/usr/bin/env bash
# Checks that inner loops do not make the host wait for the device. tools/host_sync.txt names the files and folders that are
# inner loops (`check PATH`) and the lines in them that may wait (`allow PATH | TEXT OF THE LINE | REASON`; the text * is every line).
#   .item, .cpu(), .to(torch::kCPU, .equal(, .allclose(, nonzero, masked_select   wait for values
#   data_ptr, accessor<                                                            read memory that the host may not reach
# Comments do not count. Usage: check_host_sync.sh [root of the source tree]. Prints file:line of each offence, and entries of
# the list that have no reason or match nothing; exits with 1 if there is any.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

list=tools/host_sync.txt
[[ -f $list && -d src/gas ]] || { echo "$PWD: no $list or no src/gas" >&2; exit 2; }

failed=0
files=()
while read -r path; do
  if [[ ! -e $path ]]; then
    echo "$list: check $path: there is no such file or folder"
    failed=1
    continue
  fi
  mapfile -t -O "${#files[@]}" files < <(find "$path" -type f \( -name '*.h' -o -name '*.cc' -o -name '*.cu' \) | sort)
done < <(sed -n 's/^check  *//p' "$list")

awk -v list="$list" '
  function trim(text) { gsub(/^[[:space:]]+|[[:space:]]+$/, "", text); return text }

  FILENAME == list {
    if (/^(#|[[:space:]]*$|check )/) next
    parts = split($0, part, "|")
    if (!/^allow / || parts != 3 || trim(part[2]) == "" || trim(part[3]) == "") {
      print list ":" FNR ": not \"check PATH\" or \"allow PATH | TEXT | REASON\": " $0
      failed = 1
      next
    }
    ++count
    path[count] = trim(substr(part[1], 7))
    text[count] = trim(part[2])
    place[count] = FNR
    next
  }

  {
    code = $0
    sub(/\/\/.*/, "", code)
    if (!match(code, /\.item(<|\()|\.cpu\(\)|\.to\(torch::kCPU|\.equal\(|\.allclose\(|nonzero\(|masked_select\(|data_ptr|accessor</)) next
    found = substr(code, RSTART, RLENGTH)
    for (i = 1; i <= count; ++i) {
      if (path[i] == FILENAME && (text[i] == "*" || index(code, text[i]))) { used[i] = 1; next }
    }
    print FILENAME ":" FNR ": " found ": " trim(code)
    failed = 1
  }
  END {
    for (i = 1; i <= count; ++i) {
      if (!(i in used)) { print list ":" place[i] ": nothing matches " path[i] " | " text[i]; failed = 1 }
    }
    exit failed
  }
' "$list" "${files[@]}" < /dev/null || failed=1
exit "$failed"
