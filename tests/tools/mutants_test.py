#!/usr/bin/env python3
"""tools/mutants.py on a tree of one small file: what it says about each kind of change.

Usage: mutants_test.py MUTANTS_PY
"""

import pathlib
import subprocess
import sys
import tempfile

FILES = {
    'CMakeLists.txt': """cmake_minimum_required(VERSION 3.25)
project(tiny CXX)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
add_executable(sum_tests src/gas/sum/sum.cc)
set_target_properties(sum_tests PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/sum)
""",
    'src/gas/sum/sum.cc': """int Sum(int a, int b) { return a + b; }
int Unused(int a) { return a * 1; }
int Same(int a) { return a + 0; }
int main() { return Sum(2, 3) == 5 ? 0 : 1; }
""",
}

LIST = """# Comments and empty lines are no changes.

src/gas/sum/sum.cc
- return a + b;
+ return a - b;

src/gas/sum/sum.cc
- return a * 1;
+ return a * 2;

src/gas/sum/sum.cc
- return a + 0;
+ return a - 0;
survives Both are a.

src/gas/sum/sum.cc
- return a + b;
+ return a + c;

src/gas/sum/sum.cc
- int a
+ long a
nth 2
"""


def run(tool, root, *arguments):
    done = subprocess.run([sys.executable, tool, '--root', str(root), *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def expect(what, condition, output):
    if not condition:
        sys.exit(f'{what}; the output:\n{output}')


def main():
    tool = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in FILES.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / 'tools').mkdir()
        (root / 'tools' / 'mutants.txt').write_text(LIST)
        (root / '.gitignore').write_text('/build/\n')
        subprocess.run(['git', 'init', '-q', str(root)], check=True)

        status, output = run(tool, root, '--check')
        expect('a list that fits is accepted', status == 0 and '5 changes fit the tree' in output, output)

        status, output = run(tool, root, '1', '2')
        expect('a survivor is the status', status == 1, output)
        expect('what a test notices is killed', '1 killed' in output, output)
        expect('what none notices survives', 'survived: sum/sum.cc:2' in output, output)
        status, output = run(tool, root)
        expect('results are kept', '  1 killed' not in output and '  3 allowed' in output, output)
        expect('what cannot be compiled is told', 'does not compile: sum/sum.cc:1' in output, output)
        expect('the summary counts',
               '5 changes: 1 allowed, 1 does not compile, 1 killed, 2 survived' in output, output)
        source = (root / 'build' / 'mutants' / 'source' / 'src' / 'gas' / 'sum' / 'sum.cc').read_text()
        expect('every change is undone', source == FILES['src/gas/sum/sum.cc'], source)

        for wrong, message in [
                ('src/gas/sum/sum.cc\n- return a\n+ return b\n', '3 places in src/gas/sum/sum.cc have "return a"'),
                ('src/gas/sum/sum.cc\n- return c\n+ return b\n', '0 places'),
                ('src/gas/sum/sum.cc\n- return a * 1\n', 'needs a line - and another line +'),
                ('sum.cc\n', 'must be src/gas/FOLDER/FILE.cc'),
                ('src/gas/sum/sum.cc\n* x\n', 'must begin with')]:
            (root / 'tools' / 'mutants.txt').write_text(wrong)
            status, output = run(tool, root, '--check')
            expect(f'refused with "{message}"', status == 2 and message in output, output)

        (root / 'tools' / 'mutants.txt').write_text(LIST)
        (root / 'src/gas/sum/sum.cc').write_text(FILES['src/gas/sum/sum.cc'].replace('== 5', '== 6'))
        status, output = run(tool, root, '--again', '1')
        expect('tests that fail without a change end it', status == 2 and 'without a change' in output, output)


if __name__ == '__main__':
    main()
