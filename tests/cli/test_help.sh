#!/usr/bin/env bash
# Help agrees with the program: every command prints its help without doing anything, help lists
# exactly the options that the command takes, and the command lines in the documents use only
# existing commands, options, keys and jobs.
. "$(dirname "$0")/common.sh"
commands=()
for file in "$PNEUMO_SOURCE"/src/cli/*.c; do
    name=$(basename "$file" .c)
    ! grep -q "^const pd_command pd_command_$name = {" "$file" || commands+=("$name")
done
((${#commands[@]} >= 12)) || fail "found only the commands ${commands[*]}"

mkdir help
for command in "${commands[@]}"; do
    for option in --help -h; do
        pneumo "$command" "$option" >help/"$command" 2>log || fail "$command $option: exit code $?"
        [[ ! -s log ]] || fail "$command $option: output on standard error: $(cat log)"
        grep -q "^usage: pneumo-dist $command" help/"$command" || fail "$command $option: no usage"
        grep -qE "^  (mpirun .*)?pneumo-dist $command " help/"$command" ||
            fail "$command $option: no example"
    done
    ranks 2 "$command" --help >twice 2>log || fail "$command --help on 2 ranks: $(cat log)"
    cmp help/"$command" twice || fail "$command --help: different on 2 ranks"
    pneumo help "$command" >twice 2>log || fail "help $command: $(cat log)"
    cmp help/"$command" twice || fail "help $command: differs from $command --help"
done
rm log twice
[[ $(ls) == help ]] || fail "printing help created $(ls)"

for option in --help -h help; do
    pneumo $option >help/main || fail "$option: exit code $?"
    for command in "${commands[@]}"; do
        grep -qE "^  $command +[a-z]" help/main || fail "$option does not list $command"
    done
done
for option in --version version; do
    pneumo $option | grep -xE 'pneumo-dist [0-9]+\.[0-9]+\.[0-9]+' >/dev/null || fail "$option"
done

/usr/bin/python3 - "$PNEUMO_SOURCE" "${commands[@]}" <<'PY'
import pathlib, re, sys

source = pathlib.Path(sys.argv[1])
bad = []


def complain(*words):
    bad.append(" ".join(words))


def rows(text):
    """Long option: (its letter or None, whether it takes a value), of rows of an option table."""
    return {name: (None if letter == "0" else letter[1], kind != "FLAG")
            for name, letter, kind in
            re.findall(r'"([a-z-]+)",[\s\\]*(0|\'[a-z]\'),[\s\\]*PD_OPTION_([A-Z0-9_]+),', text)}


def table(command):
    """The options of a command, from its source: its own rows and those that commands share."""
    text = (source / "src/cli" / f"{command}.c").read_text()
    found = rows(text)
    for group in re.findall(r"^ +PD_OPTION_([A-Z_]+)\(", text, re.M):
        found.update(shared[group])
    found["help"] = ("h", False)
    return found


def check_help(command, options):
    text = pathlib.Path("help", command).read_text()
    listed = {}
    for letter, name, value in re.findall(r"^  (?:-([a-z]), |    )--([a-z-]+)( [A-Z][^ ]*)?", text,
                                          re.M):
        listed.setdefault(name, (letter or None, bool(value)))
    for name, row in options.items():
        if name not in listed:
            complain(command, f"--{name} is missing from the help")
        elif listed[name] != row:
            complain(command, f"help lists --{name} as {listed[name]} but it is {row}")
    for name in set(re.findall(r"--([a-z][a-z-]*)", text)) - set(options):
        complain(command, f"help lists the unknown option --{name}")


header = (source / "src/cli/options.h").read_text()
shared = {name: rows(body) for name, body in
          re.findall(r"#define PD_OPTION_([A-Z_]+)\(.*?\n((?:.*\\\n)+)", header)}
assert len(shared) == 4 and all(shared.values()), shared
tables = {command: table(command) for command in sys.argv[2:]}
for command, options in tables.items():
    check_help(command, options)

# The keys of a job, from the help of train.
keys, section = set(), None
for line in pathlib.Path("help/train").read_text().splitlines():
    if head := re.fullmatch(r"\[([a-z]+)\]", line):
        section = head.group(1)
    elif section and (key := re.match(r"  ([a-z0-9_]+) = ", line)):
        keys.add(f"{section}.{key.group(1)}")
assert len(keys) > 40, keys


def code_of(path):
    """The code in a document: indented and fenced blocks, `spans`, scripts, examples of a help."""
    text = path.read_text().replace("\\\n", " ")
    if path.parent.name == "help":
        return re.findall(r"^ +((?:mpirun .*)?pneumo-dist [a-z].*)", text, re.M)
    if path.suffix != ".md":
        return [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    block = re.compile(r"^```.*?^```|^    [^\n]*", re.M | re.S)
    blocks, prose = block.findall(text), block.sub("", text)
    return "\n".join(blocks).splitlines() + re.findall(r"`([^`]*)`", prose.replace("\n", " "))


def command_lines(path):
    """What follows the program's name in the code of a document."""
    for code in code_of(path):
        for rest in re.findall(r"pneumo-dist\b(?![-./\w])[\"']?((?: +[^ |&;>#]+)*)", code):
            if rest:
                yield code.strip(), rest.split()


def check_words(words):
    if words[0] in ("--help", "-h", "help", "--version", "version", "--print-man",
                    "--print-completion") or words[0].isupper():
        return
    if words[0].startswith("-"):
        command, options = "train", tables["train"]
    elif words[0] in tables:
        command, options = words[0], tables[words[0]]
        words = words[1:]
    else:
        raise ValueError(f"unknown command '{words[0]}'")
    by_letter = {row[0]: name for name, row in options.items()}
    plain, rest = [], iter(words)
    for word in rest:
        if not word.startswith("-"):
            plain.append(word)
            continue
        name, _, value = word.lstrip("-").partition("=")
        if not word.startswith("--"):
            name = by_letter.get(name, name)
        if name not in options:
            raise ValueError(f"{command} has no option {word}")
        if options[name][1]:
            value = value or next(rest, None)
            if value is None:
                raise ValueError(f"{command} {word} requires a value")
            if name == "set" and value[0].islower() and value.split("=")[0] not in keys:
                raise ValueError(f"unknown key {value}")
    for word in plain if command in ("train", "bench") else []:
        if re.fullmatch(r"[a-z0-9-]+", word) and not (source / f"jobs/{word}.ini").exists() or \
                re.fullmatch(r"jobs/.*\.ini", word) and not (source / word).exists():
            raise ValueError(f"unknown job {word}")


patterns = ("*.md", "*/README.md", "jobs/results.md", "tests/bench/README.md", ".github/*.md", "slurm/*.sbatch",
            "jobs/*.sh")
documents = [path for pattern in patterns for path in sorted(source.glob(pattern))]
documents += sorted(pathlib.Path("help").iterdir())
count = 0
for path in documents:
    for line, words in command_lines(path):
        count += 1
        try:
            check_words(words)
        except ValueError as problem:
            complain(f"{path}: {problem}: {line}")
# Both checks must be able to fail.
for wrong in ("fly", "pack x --shiny", "train x", "train cnn --set train.epoch=3", "train cnn --run"):
    try:
        check_words(wrong.split())
        complain(f"'{wrong}' passes")
    except ValueError:
        pass
if bad:
    sys.exit("\n".join(["FAILED:"] + bad))
print(f"{len(tables)} commands; {count} command lines in {len(documents)} documents")
PY
