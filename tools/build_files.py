#!/usr/bin/env python3
"""Checks the BUILD files, or mends what can be mended.

Usage: tools/build_files.py [--fix]

  order     the entries of srcs, hdrs, deps and the like are in order: ":here", "//there", "@elsewhere"
  deps      a target of ours names every target whose header one of its own files includes, and no
            target with headers of which it includes none
  rooms     the default visibility of every package is what the table of rooms in
            docs/architecture.md allows, and no target is visible to more (--fix writes the former)

Prints a line for each finding; the exit status is 1 when there is any that stays.
"""

import ast
import glob
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from source_files import source_files  # After the path is set.

LISTS = ("data", "deps", "hdrs", "plugins", "proto_deps", "srcs", "textual_hdrs", "visibility")
# Rules that are compiled from our own C++ and so have includes to compare with.
OURS = ("cmerc_benchmark", "cmerc_cc_binary", "cmerc_cc_library", "cmerc_cc_test", "cmerc_cuda_switch",
        "cmerc_plugin")
# Rooms that projects of others link to.
PUBLIC = ("bin", "core", "python", "registry")
TABLE = "docs/architecture.md"
# What uses every room and belongs to none.
EVERYWHERE = ("benchmarks", "examples", "tests")


class Target:
    """A call in a BUILD file that has a name."""

    def __init__(self, package, node):
        self.package = package
        self.node = node
        self.rule = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        self.arguments = {keyword.arg: keyword.value for keyword in node.keywords}
        name = self.arguments.get("name")
        self.name = name.value if isinstance(name, ast.Constant) else None

    def strings(self, *names):
        """All strings within these arguments, whatever else is there."""
        return [node.value for name in names if name in self.arguments
                for node in ast.walk(self.arguments[name])
                if isinstance(node, ast.Constant) and isinstance(node.value, str)]

    def full(self, label):
        """//package:name of a label as it stands in this BUILD file."""
        if label.startswith(":"):
            return f"//{self.package}{label}"
        if label.startswith("//") and ":" not in label:
            return f"{label}:{label.rsplit('/', 1)[-1]}"
        return label

    def files(self):
        names = []
        for name in ("srcs", "hdrs", "textual_hdrs", "cuda_src", "other_src"):
            value = self.arguments.get(name)
            globs = [node for node in ast.walk(value) if isinstance(node, ast.Call) and
                     getattr(node.func, "id", "") == "glob"] if value is not None else []
            patterns = [node.value for call in globs for node in ast.walk(call)
                        if isinstance(node, ast.Constant)]
            names += [entry for entry in self.strings(name) if entry not in patterns]
            names += [entry for call in globs for entry in self.glob(call)]
        if self.rule == "cmerc_plugin" and self.name:
            names.append(self.name + ".cc")
        paths = [os.path.normpath(os.path.join(self.package, name)) for name in names
                 if not name.startswith((":", "//", "@"))]
        return [path for path in paths if os.path.isfile(path)]

    def glob(self, call):
        """The files of a glob, relative to the package."""
        patterns = ast.literal_eval(call.args[0])
        left_out = [name for keyword in call.keywords if keyword.arg == "exclude"
                    for name in ast.literal_eval(keyword.value)]
        found = [os.path.relpath(path, self.package or ".") for pattern in patterns
                 for path in glob.glob(os.path.join(self.package, pattern))]
        return sorted(name for name in found if name not in left_out)


def packages():
    return sorted({os.path.dirname(path) for path in source_files()
                   if os.path.basename(path) == "BUILD" and
                   not path.startswith(("third_party/", "examples/out_of_tree/"))})


def calls(text):
    """Every call at the top of a BUILD file, also within a list comprehension."""
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.Expr):
            continue
        value = statement.value
        if isinstance(value, ast.ListComp):
            value = value.elt
        if isinstance(value, ast.Call):
            yield value


def sort_key(label):
    return (0 if label.startswith(":") else 1 if label.startswith("//") else 2 if label.startswith("@")
            else -1, label.replace(":", "\0"))


def plain_list(value):
    """The strings of a list literal of strings alone; None for anything else."""
    if isinstance(value, ast.List) and all(isinstance(entry, ast.Constant) and
                                           isinstance(entry.value, str) for entry in value.elts):
        return [entry.value for entry in value.elts]
    return None


def short(label, package):
    there, name = label[2:].split(":") if label.startswith("//") else (None, None)
    if there is None:
        return label
    if there == package:
        return ":" + name
    return f"//{there}" if there.rsplit("/", 1)[-1] == name else label


def formatted(entries, indent):
    if not entries:
        return "[]"
    if len(entries) == 1:
        return f'["{entries[0]}"]'
    inner = "".join(f'{" " * (indent + 4)}"{entry}",\n' for entry in entries)
    return f"[\n{inner}{' ' * indent}]"


class BuildFiles:
    def __init__(self):
        self.texts = {}
        self.targets = {}
        for package in packages():
            path = os.path.join(package, "BUILD")
            with open(path, encoding="utf-8") as file:
                self.texts[package] = file.read()
            self.targets[package] = [Target(package, node) for node in calls(self.texts[package])]
        self.owners = self.header_owners()

    def header_owners(self):
        """Header -> the target that offers it."""
        protos, owners = {}, {}
        for target in self.all():
            if target.rule == "proto_library" and target.name:
                protos[f"//{target.package}:{target.name}"] = [
                    os.path.join(target.package, source) for source in target.strings("srcs")]
        for target in self.all():
            label = f"//{target.package}:{target.name}"
            if target.name is None:
                continue
            if target.rule == "cc_proto_library":
                for proto in protos.get(target.full(target.strings("deps")[0]), []):
                    owners[proto[:-len(".proto")] + ".pb.h"] = label
            elif target.rule == "cmerc_plugin":
                owners[os.path.join(target.package, target.name) + ".pb.h"] = label + "_cc_proto"
            elif target.rule in OURS:
                for path in target.files():
                    if path.endswith((".h", ".cu", ".cuh", ".inc")):
                        owners.setdefault(path, label)
        return owners

    def all(self):
        return [target for targets in self.targets.values() for target in targets]

    def wanted_deps(self, target, deps):
        """The list of deps as it should be."""
        own = f"//{target.package}:{target.name}"
        included = set()
        for path in target.files():
            with open(path, encoding="utf-8") as file:
                included |= set(re.findall(r'^#include ["<]([\w/.\-]+)[">]', file.read(), re.MULTILINE))
        needed = {self.owners[header] for header in included if header in self.owners}
        needed -= {own, own + "_cc_proto" if target.rule == "cmerc_plugin" else own}
        with_headers = set(self.owners.values())
        full = [target.full(dep) for dep in deps]
        kept = [dep for dep in full if dep not in with_headers or dep in needed]
        # A header may also be reached through an argument that is no plain list.
        reached = {target.full(dep) for dep in target.strings("deps")}
        wanted = set(kept) | {label for label in needed if label not in reached}
        return sorted({short(label, target.package) for label in wanted}, key=sort_key)

    def changes(self):
        """(package, list node, indent, wanted entries, what is wrong) of every list that is off."""
        for target in self.all():
            where = f"{target.package}/BUILD: {target.name or target.rule}"
            for name in LISTS:
                if name not in target.arguments:
                    if name == "deps" and target.name and target.rule in OURS and self.wanted_deps(
                            target, []):
                        yield target, None, self.wanted_deps(target, []), f"{where}: has no deps"
                    continue
                entries = plain_list(target.arguments[name])
                if entries is None:
                    continue
                wanted = sorted(entries, key=sort_key)
                if name == "deps" and target.rule in OURS and target.name:
                    wanted = self.wanted_deps(target, entries)
                if wanted != entries:
                    missing = [e for e in wanted if e not in entries]
                    unused = [e for e in entries if e not in wanted]
                    what = "; ".join(filter(None, [
                        missing and f"add {', '.join(missing)}",
                        unused and f"remove {', '.join(unused)}"])) or "is not in order"
                    yield target, target.arguments[name], wanted, f"{where}: {name}: {what}"

    def replace(self, target, name, entries):
        """Writes this list into the BUILD file of the target."""
        path = os.path.join(target.package, "BUILD")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        node = target.arguments[name]
        old = ast.get_source_segment(self.texts[target.package], node)
        assert text.count(f"{name} = {old}") == 1, path
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(f"{name} = {old}", f"{name} = {formatted(entries, 0)}"))

    def fix(self):
        edits = {}
        for target, node, wanted, _ in self.changes():
            edits.setdefault(target.package, []).append((target, node, wanted))
        for package, entries in edits.items():
            lines = self.texts[package].split("\n")
            starts = [0]
            for line in lines:
                starts.append(starts[-1] + len(line) + 1)
            text = self.texts[package]
            spans = []
            for target, node, wanted in entries:
                if node is None:
                    end = starts[target.node.end_lineno - 1] + target.node.end_col_offset - 1
                    spans.append((end, end, f"    deps = {formatted(wanted, 4)},\n"))
                else:
                    indent = len(lines[node.lineno - 1]) - len(lines[node.lineno - 1].lstrip())
                    spans.append((starts[node.lineno - 1] + node.col_offset,
                                  starts[node.end_lineno - 1] + node.end_col_offset,
                                  formatted(wanted, indent)))
            for start, end, replacement in sorted(spans, reverse=True):
                text = text[:start] + replacement + text[end:]
            with open(os.path.join(package, "BUILD"), "w", encoding="utf-8") as file:
                file.write(text)


def rooms():
    """Room -> the rooms that it may use, from the table of docs/architecture.md."""
    allowed = {}
    with open(TABLE, encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if line.startswith("| `") and len(cells) == 3:
                for room in re.findall(r"`([\w/]+)/`", cells[0]):
                    allowed[room] = re.findall(r"`([\w/]+)/`", cells[2])
    return allowed


def room_of(package, allowed):
    while package and package not in allowed:
        package = os.path.dirname(package)
    return package


def visibility_of(room, allowed):
    """The default visibility of a room's packages: itself, who may use it, and what uses all."""
    if room in PUBLIC:
        return ["//visibility:public"]
    users = {user for user, uses in allowed.items() if room in uses} | set(EVERYWHERE)
    return sorted({f"//{user}:__subpackages__" if user in EVERYWHERE else f"//{user}:__pkg__"
                   for user in users | {room}}, key=sort_key)


def circles(allowed):
    """The rooms that use one another, directly or through others, a finding for each."""
    def below(room, seen):
        for used in allowed.get(room, []):
            if used not in seen:
                seen.add(used)
                below(used, seen)
        return seen
    return [f"{TABLE}: {room}/ uses itself through others" for room in allowed
            if room in below(room, set())]


def check_rooms(files, fix):
    allowed = rooms()
    findings = circles(allowed)
    for package in files.texts:
        if package.split("/")[0] in EVERYWHERE + ("tools", "docs"):
            continue
        room = room_of(package, allowed)
        if not room:
            findings.append(f"{package}/BUILD: not in the table of {TABLE}")
            continue
        wanted = visibility_of(room, allowed)
        for target in files.targets[package]:
            if target.rule == "package":
                given = plain_list(target.arguments.get("default_visibility"))
                if given != wanted and fix:
                    files.replace(target, "default_visibility", wanted)
                elif given != wanted:
                    findings.append(f"{package}/BUILD: default_visibility is {given}, want {wanted}")
            elif "visibility" in target.arguments:
                findings.append(f"{package}/BUILD: {target.name}: leave visibility to the package's "
                                "default")
            for dep in target.strings("deps", "proto_deps"):
                there = target.full(dep)
                if not there.startswith("//"):
                    continue
                used = room_of(there[2:].split(":")[0], allowed)
                if used and used != room and used not in allowed[room]:
                    findings.append(f"{package}/BUILD: {target.name}: {dep} is of {used}/, which "
                                    f"{room}/ may not use ({TABLE})")
    return findings


def main(arguments):
    if arguments not in ([], ["--fix"]):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    if arguments:
        BuildFiles().fix()
    files = BuildFiles()
    findings = [what for _, _, _, what in files.changes()] + check_rooms(files, bool(arguments))
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
