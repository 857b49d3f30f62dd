#!/usr/bin/env python3
"""Checks the form of all sources; changes nothing. The exit status is 1 when there is a finding.

Usage: tools/lint.py

  ClangFormat  every C++ and CUDA source is as clang-format 14 writes it
  BuildFiles   tools/build_files.py has nothing to say: order, deps, who may use whom
  Marks        no reminder of unfinished work, and no check that is switched off
  Lengths      no C++ file is over 450 lines
  Links        every file that a Markdown file links to is there

As a test (//tests/tools:lint_test) it writes a test case for each to $XML_OUTPUT_FILE. What needs a
tool that is not there, or is there in another version, is skipped by name.
"""
import os
import re
import subprocess
import sys
from xml.sax.saxutils import escape, quoteattr

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from source_files import source_files  # After the path is set.

CLANG_VERSION = "14"
MAX_LINES = 450
# One switch over all operations of a format, which reads best in one place.
LONG_FILES = ("storage/pickle/machine.cc",)
CPP = (".h", ".cc", ".cu", ".cuh", ".inc")
# Written so that this file does not find itself.
MARKS = re.compile(r"\b(" + "|".join(["TO" "DO", "FIX" "ME", "X" "XX", "NO" "LINT"]) + r"\w*)\b")


class Skipped(Exception):
    """A check that cannot be done here, and why."""


def run(command, paths=()):
    """Its output, as findings: none where it succeeds."""
    done = subprocess.run(command + list(paths), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    return done.stdout.splitlines() or [f"{command[0]}: exit status {done.returncode}"] \
        if done.returncode else []


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def clang_format(files):
    for tool in ("clang-format-" + CLANG_VERSION, "clang-format"):
        try:
            said = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout
        except FileNotFoundError:
            continue
        if f"version {CLANG_VERSION}." in said:
            return run([tool, "--dry-run", "--Werror"], [f for f in files if f.endswith(CPP)])
    raise Skipped(f"there is no clang-format {CLANG_VERSION} (tools/setup.sh --test, on Debian 12)")


def build_files(_):
    return run([sys.executable, "tools/build_files.py"])


def marks(files):
    return [f"{path}:{number}: {mark.group()}: finish it, or write down in docs/ what is left"
            for path in files if path.endswith(CPP + (".sh", ".py", ".bzl", "BUILD", ".proto"))
            for number, line in enumerate(read(path).splitlines(), 1)
            for mark in MARKS.finditer(line)]


def lengths(files):
    findings = []
    for path in files:
        if not path.endswith(CPP) or path in LONG_FILES:
            continue
        lines = read(path).count("\n")
        if lines > MAX_LINES:
            findings.append(f"{path}: {lines} lines, want at most {MAX_LINES}")
    return findings


def links(files):
    findings = []
    for path in files:
        if not path.endswith(".md"):
            continue
        text = re.sub(r"^```.*?^```", "", read(path), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            name = target.split("#")[0]
            if name and ":" not in name and not os.path.exists(os.path.join(os.path.dirname(path), name)):
                findings.append(f"{path}: links to {target}, which is not there")
    return findings


CHECKS = (("ClangFormat", clang_format), ("BuildFiles", build_files), ("Marks", marks),
          ("Lengths", lengths), ("Links", links))


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))
    files = source_files()
    cases, failed = [], False
    for name, check in CHECKS:
        outcome = ""
        try:
            findings = check(files)
            if findings:
                failed = True
                print(f"{name}:", *findings, sep="\n  ")
                outcome = f"<failure>{escape(chr(10).join(findings))}</failure>"
        except Skipped as why:
            print(f"{name}: skipped: {why}")
            outcome = f"<skipped message={quoteattr(chr(10) + str(why))}/>"
        cases.append(f'<testcase classname="Lint" name="{name}" status="run">{outcome}</testcase>')
    if os.environ.get("XML_OUTPUT_FILE"):
        with open(os.environ["XML_OUTPUT_FILE"], "w", encoding="utf-8") as file:
            file.write('<testsuites><testsuite name="Lint">' + "".join(cases) + "</testsuite></testsuites>\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
