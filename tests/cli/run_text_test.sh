#!/bin/bash
# run_text_test.sh GAS FILE: runs the commands of a text test in an empty folder and compares.
#
#   $ COMMAND            run by bash; `gas` is the program
#   exit N               its exit status (0 if not said)
#   stdout ~ REGEX       standard output has a line that matches
#   stderr ~ REGEX       standard error likewise
#   file PATH            the file exists afterwards
#   no file PATH         it does not
set -u
gas=$(realpath "$1")
test=$(realpath "$2")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/bin"
ln -s "$gas" "$folder/bin/gas"
export PATH="$folder/bin:$PATH"
mkdir "$folder/work"
cd "$folder/work"
failures=0
command=""
line_number=0
expected=0
status=0

fail() {
  echo "$test:$line_number: $1"
  echo "  command: $command"
  sed 's/^/  stdout: /' ../out | head -20
  sed 's/^/  stderr: /' ../err | head -20
  failures=$((failures + 1))
}
check_status() {
  [ -n "$command" ] && [ "$status" != "$expected" ] && fail "exit $status, expected $expected"
  command=""
}

while IFS= read -r line || [ -n "$line" ]; do
  line_number=$((line_number + 1))
  case "$line" in
    '$ '*)
      check_status
      command="${line#'$ '}"
      expected=0
      bash -c "$command" >../out 2>../err </dev/null
      status=$?
      ;;
    'exit '*) expected="${line#exit }" ;;
    'stdout ~ '*) grep -qE -- "${line#stdout ~ }" ../out || fail "standard output lacks ${line#stdout ~ }" ;;
    'stderr ~ '*) grep -qE -- "${line#stderr ~ }" ../err || fail "standard error lacks ${line#stderr ~ }" ;;
    'no file '*) [ ! -e "${line#no file }" ] || fail "${line#no file } exists" ;;
    'file '*) [ -e "${line#file }" ] || fail "${line#file } does not exist" ;;
    '#'* | '') ;;
    *) fail "cannot read this line: $line" ;;
  esac
done <"$test"
check_status
[ "$failures" = 0 ]
