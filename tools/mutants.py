#!/usr/bin/env python3
"""Changes one line of the program at a time and looks whether its tests notice.

    tools/mutants.py [OPTION...] [FOLDER or NUMBER...]

tools/mutants.txt lists the changes. Each is made in a copy of the tree, build/mutants/source, the tests of its folder
are built and run, and the change is undone. It ends as one of

    killed            a test failed, or did not end
    survived          all tests passed: a test is missing
    allowed           all tests passed, and the list says why that is right
    does not compile  the change is none that the compiler lets pass: the list is wrong

The folder's tests without a change come first, and must pass. Results are kept in build/mutants/results.tsv, so that
an interrupted run goes on where it was. FOLDERs of src/gas and NUMBERs of the list choose a part. The status is 0 if
all are killed or allowed, 1 if not, 2 if the list does not fit the tree.

tools/mutants.txt: a block for each change, with empty lines between. Lines that begin with # are comments.

    src/gas/FOLDER/FILE.cc
    - text that the file has, on one line
    + what stands there instead
    nth 2                the second of several places; without it there must be one place alone
    tests FOLDER FILTER  whose tests are to fail, and which of them (a filter of GoogleTest); without it all fast tests
                         of the file's own folder
    survives REASON      why no test can fail
"""

import argparse
import hashlib
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KILLED, SURVIVED, ALLOWED, BROKEN = 'killed', 'survived', 'allowed', 'does not compile'
LEAST_TIMEOUT = 60  # seconds for tests; and ten times what they take without a change


class ListError(Exception):
    """The list does not fit the tree."""


class Mutant:
    def __init__(self, number, file, line):
        self.number, self.file, self.line = number, file, line  # line: of the list
        self.old = self.new = self.reason = None
        self.nth = None
        self.tests, self.filter = pathlib.PurePath(file).parts[2], '*'

    @property
    def folder(self):
        return pathlib.PurePath(self.file).parts[2]

    @property
    def key(self):
        """Tells results of this change from those of an earlier list."""
        text = '\0'.join([self.file, self.old, self.new, str(self.nth), self.tests, self.filter])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def applied(self, text):
        """The file's text with the change, and the number of the changed line."""
        places = text.count(self.old)
        wanted = self.nth or 1
        if places < wanted or (self.nth is None and places > 1):
            wish = 'one' if self.nth is None else f'{self.nth} or more'
            raise ListError(f'tools/mutants.txt:{self.line}: {places} places in {self.file} have "{self.old}", '
                            f'must be {wish}')
        at = -1
        for _ in range(wanted):
            at = text.find(self.old, at + 1)
        return text[:at] + self.new + text[at + len(self.old):], text.count('\n', 0, at) + 1


def read_list(path):
    mutants, current = [], None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith('#'):
            continue
        if not line:
            current = None
        elif current is None:
            if not line.startswith('src/gas/') or not line.endswith('.cc') or line.count('/') < 3:
                raise ListError(f'tools/mutants.txt:{number}: "{line}", must be src/gas/FOLDER/FILE.cc')
            current = Mutant(len(mutants) + 1, line, number)
            mutants.append(current)
        else:
            read_entry(current, line, number)
    for mutant in mutants:
        if mutant.old is None or mutant.new is None or mutant.old == mutant.new:
            raise ListError(f'tools/mutants.txt:{mutant.line}: a change needs a line - and another line +')
    return mutants


def check_places(mutants, root):
    """Each change must have its place in the tree."""
    problems = []
    for mutant in mutants:
        try:
            mutant.applied((root / mutant.file).read_text())
        except (ListError, OSError) as error:
            problems.append(str(error))
    if problems:
        raise ListError('\n'.join(problems))


def read_entry(mutant, line, number):
    word, _, rest = line.partition(' ')
    if word == '-':
        mutant.old = rest
    elif word == '+':
        mutant.new = rest
    elif word == 'nth' and rest.isdigit():
        mutant.nth = int(rest)
    elif word == 'tests' and rest:
        mutant.tests, _, chosen = rest.partition(' ')
        mutant.filter = chosen or '*'
    elif word == 'survives' and rest:
        mutant.reason = rest
    else:
        raise ListError(f'tools/mutants.txt:{number}: "{line}", must begin with -, +, nth, tests or survives')


def chosen_of(mutants, names):
    """Those of the folders and with the numbers that are named; all without names."""
    known = {m.folder for m in mutants} | {str(m.number) for m in mutants}
    for name in names:
        if name not in known:
            raise ListError(f'{name}: neither a folder nor a number of tools/mutants.txt')
    return [m for m in mutants if not names or m.folder in names or str(m.number) in names]


class Results:
    """What became of each change, one to a line of a file: key, outcome, seconds."""

    def __init__(self, path):
        self.path, self.outcomes = path, {}
        if path.exists():
            for line in path.read_text().splitlines():
                key, outcome, _ = line.split('\t')
                self.outcomes[key] = outcome

    def add(self, mutant, outcome, seconds):
        self.outcomes[mutant.key] = outcome
        with self.path.open('a') as file:
            file.write(f'{mutant.key}\t{outcome}\t{seconds:.0f}\n')


class Tree:
    """The copy of the source tree with its own build."""

    def __init__(self, root, jobs):
        self.root, self.jobs = root, jobs
        self.work = root / 'build' / 'mutants'
        self.source, self.build = self.work / 'source', self.work / 'build'

    def update(self):
        """Makes the copy like the tree. Files that are the same keep their time, so that they are not compiled anew."""
        listed = subprocess.run(['git', 'ls-files', '-zco', '--exclude-standard'], cwd=self.root, check=True,
                                stdout=subprocess.PIPE).stdout.decode().split('\0')
        wanted = {name for name in listed if name and (self.root / name).is_file()}
        for name in wanted:
            target = self.source / name
            data = (self.root / name).read_bytes()
            if target.exists() and target.read_bytes() == data:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.root / name, target)
            shutil.copymode(self.root / name, target)
        for path in [p for p in self.source.rglob('*') if p.is_file()]:
            if str(path.relative_to(self.source)) not in wanted:
                path.unlink()

    def configure(self, files):
        """These are compiled alone, so that a change costs one file. Tests and the rest come in units."""
        subprocess.run(['cmake', '-S', str(self.source), '-B', str(self.build), '-G', 'Ninja',
                        '-DCMAKE_BUILD_TYPE=Release', '-DGAS_SLOW_TESTS=OFF', '-DGAS_UNITY_BATCH=16',
                        '-DGAS_ALONE=' + ';'.join(sorted(files))], check=True,
                       stdout=subprocess.DEVNULL)
        commands = json.loads((self.build / 'compile_commands.json').read_text())
        self.objects = {c['file']: self.build / self.output_of(c['command']) for c in commands}

    @staticmethod
    def output_of(command):
        words = shlex.split(command)
        return words[words.index('-o') + 1]

    def object_of(self, file):
        path = self.objects.get(str(self.source / file))
        if path is None:
            raise ListError(f'{file}: is not compiled by itself')
        return path

    def make(self, folder):
        """Builds the tests of a folder; returns whether they could be, and what the compiler said."""
        done = subprocess.run(['cmake', '--build', str(self.build), '-j', str(self.jobs), '--target', folder + '_tests'],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode == 0, done.stdout.decode(errors='replace')

    def passes(self, folder, chosen, timeout):
        """Whether the tests pass within so many seconds."""
        program = self.build / 'tests' / folder / (folder + '_tests')
        # Fixtures are found from the tree itself, beside which there may be more of them.
        environment = dict(os.environ, GAS_SOURCE_DIR=str(self.root), OMP_WAIT_POLICY='passive')
        try:
            done = subprocess.run([str(program), '--gtest_filter=' + chosen, '--gtest_fail_fast'], env=environment,
                                  cwd=self.build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


class Runner:
    def __init__(self, tree, results):
        self.tree, self.results = tree, results
        self.baseline = {}  # seconds of tests without a change, by folder and filter

    def check_baseline(self, mutant):
        place = (mutant.tests, mutant.filter)
        if place in self.baseline:
            return
        built, output = self.tree.make(mutant.tests)
        if not built:
            raise ListError(f'without a change, {mutant.tests}_tests cannot be built:\n{output[-3000:]}')
        begin = time.monotonic()
        if not self.tree.passes(*place, timeout=3600):
            raise ListError(f'without a change, the tests {mutant.filter} of {mutant.tests} fail')
        self.baseline[place] = time.monotonic() - begin

    def run(self, mutant):
        """Makes the change, tests it and undoes it; returns what became of it."""
        path = self.tree.source / mutant.file
        original, times = path.read_text(), path.stat()
        compiled = self.tree.object_of(mutant.file)
        self.check_baseline(mutant)
        kept = compiled.with_suffix('.kept')
        shutil.copyfile(compiled, kept)
        try:
            path.write_text(mutant.applied(original)[0])
            built, _ = self.tree.make(mutant.tests)
            if not built:
                return BROKEN
            timeout = LEAST_TIMEOUT + 10 * self.baseline[mutant.tests, mutant.filter]
            if not self.tree.passes(mutant.tests, mutant.filter, timeout):
                return KILLED
            return ALLOWED if mutant.reason else SURVIVED
        finally:
            # The old object file, newer than its source, spares compiling it again.
            path.write_text(original)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            shutil.copyfile(kept, compiled)
            kept.unlink()


def describe(mutant, root):
    _, line = mutant.applied((root / mutant.file).read_text())
    return f'{mutant.file.removeprefix("src/gas/")}:{line}  {mutant.old}  ->  {mutant.new}'


def report(mutants, results, root):
    """Prints what is not as it should be, and a summary; returns the status."""
    counts, wrong = {}, 0
    for mutant in mutants:
        outcome = results.outcomes.get(mutant.key, 'not run')
        counts[outcome] = counts.get(outcome, 0) + 1
        unneeded = outcome == KILLED and mutant.reason
        if outcome in (SURVIVED, BROKEN) or unneeded:
            wrong += 1
            note = 'killed, so that its reason to survive is wrong' if unneeded else outcome
            print(f'{mutant.number:4} {note}: {describe(mutant, root)}')
    print(f'{len(mutants)} changes: ' + ', '.join(f'{n} {outcome}' for outcome, n in sorted(counts.items())))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', metavar='FOLDER or NUMBER')
    parser.add_argument('--check', action='store_true', help='only look whether the list fits the tree')
    parser.add_argument('--again', action='store_true', help='run what has a result once more')
    parser.add_argument('--jobs', type=int, default=1, help='compilers side by side (default: 1)')
    parser.add_argument('--root', type=pathlib.Path, default=ROOT, help='the source tree')
    options = parser.parse_args()
    root = options.root.resolve()
    try:
        mutants = read_list(root / 'tools' / 'mutants.txt')
        check_places(mutants, root)
        chosen = chosen_of(mutants, options.names)
        if options.check:
            print(f'{len(mutants)} changes fit the tree')
            return 0
        tree = Tree(root, options.jobs)
        tree.work.mkdir(parents=True, exist_ok=True)
        results = Results(tree.work / 'results.tsv')
        tree.update()
        tree.configure({m.file for m in mutants})
        runner = Runner(tree, results)
        # Those with the same tests after one another, so that each folder's are built once.
        waiting = [m for m in chosen if options.again or m.key not in results.outcomes]
        for mutant in sorted(waiting, key=lambda m: (m.tests, m.number)):
            begin = time.monotonic()
            outcome = runner.run(mutant)
            seconds = time.monotonic() - begin
            results.add(mutant, outcome, seconds)
            print(f'{mutant.number:4} {outcome:8} {seconds:4.0f} s  {describe(mutant, root)}', flush=True)
        return report(chosen, results, root)
    except (ListError, OSError) as error:
        print(f'mutants.py: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
