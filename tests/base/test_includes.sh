#!/usr/bin/env bash
# A header beside a .c serves its own room only and a public one another room too, and no two files of
# the source include each other in a circle. A file is x.c, x.h and x_internal.h together.
set -euo pipefail
cd "${PNEUMO_SOURCE:-$(dirname "$0")/../..}"
/usr/bin/python3 - <<'PY'
import pathlib, re, sys

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def read(root):
    """(room, name) of each file and the private or public headers that it includes."""
    found = []
    for path in sorted([*root.glob("src/*/*.[ch]"), *root.glob("src/*/*.cc"),
                        *root.glob("include/pneumo/*/*.h")]):
        found.append((path.parent.name, path, INCLUDE.findall(path.read_text())))
    return found


def noun(name):
    return re.sub(r"(_internal)?\.(cc|[ch])$", "", name)


def target(room, included):
    """The room and noun of an included header."""
    parts = included.removeprefix("pneumo/").split("/")
    return (parts[0] if len(parts) > 1 else room, noun(parts[-1]))


def foreign_private(files):
    """Includes that leave the public folder and the own room."""
    return [f"{path} includes {name}" for room, path, names in files for name in names
            if not name.startswith("pneumo/") and "/" in name]


def private_in_public(files):
    """Public headers that neither another room nor another public header includes."""
    used = {name for room, path, names in files for name in names
            if path.parts[0] == "include" or not name.startswith(f"pneumo/{room}/")}
    return [f"{path} serves its own room only: it belongs beside its .c" for _, path, _ in files
            if path.parts[0] == "include" and str(pathlib.Path(*path.parts[1:])) not in used]


def circle(files):
    """Nouns that include each other in a circle, or None."""
    graph = {}
    for room, path, names in files:
        own = (room, noun(path.name))
        graph.setdefault(own, set()).update({target(room, name) for name in names} - {own})
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done or node not in graph:
            return None
        path.append(node)
        for after in sorted(graph[node]):
            if found := visit(after):
                return found
        done.add(path.pop())
        return None

    for node in sorted(graph):
        if found := visit(node):
            return found
    return None


files = read(pathlib.Path("."))
assert len(files) > 100, files
bad = foreign_private(files) + private_in_public(files)
if found := circle(files):
    bad.append("circle: " + " -> ".join("/".join(node) for node in found))
# The checks must be able to fail.
fake = pathlib.Path("src/data/a.c")
assert foreign_private([("data", fake, ["../nn/arena.h"])])
public = pathlib.Path("include/pneumo/data/a.h")
assert private_in_public([("data", public, []), ("data", fake, ["pneumo/data/a.h"])])
assert not private_in_public([("data", public, []), ("io", fake, ["pneumo/data/a.h"])])
assert circle([("data", fake, ["b.h"]), ("data", pathlib.Path("src/data/b.h"), ["pneumo/data/a.h"])])
if bad:
    sys.exit("\n".join(bad))
PY
