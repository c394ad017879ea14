#!/usr/bin/env bash
# Help is true: every command explains itself without doing anything, tells of exactly the options
# that it takes, and the command lines in the documents use only commands, options, keys and jobs
# that there are.
. "$(dirname "$0")/common.sh"
commands=()
for file in "$PNEUMO_SOURCE"/src/cli/*.c; do
    name=$(basename "$file" .c)
    ! grep -q "^pd_status pd_command_$name(pd_comm \*comm, int argc" "$file" || commands+=("$name")
done

mkdir help
for command in "${commands[@]}"; do
    for option in --help -h; do
        pneumo "$command" "$option" >help/"$command" 2>log || fail "$command $option: exit code $?"
        [[ ! -s log ]] || fail "$command $option: words on standard error: $(cat log)"
        grep -q "^usage: pneumo-dist $command" help/"$command" || fail "$command $option: no usage"
        grep -qE "^(examples?: |  )(mpirun .*)?pneumo-dist $command " help/"$command" ||
            fail "$command $option: no example"
    done
    ranks 2 "$command" --help >twice 2>log || fail "$command --help on 2 ranks: $(cat log)"
    cmp help/"$command" twice || fail "$command --help: another help on 2 ranks"
done
rm log twice
[[ $(ls) == help ]] || fail "asking for help made $(ls)"

for option in --help -h help; do
    pneumo $option >help/main || fail "$option: exit code $?"
    for command in "${commands[@]}"; do
        grep -qE "^  $command +[a-z]" help/main || fail "$option does not tell of $command"
    done
done
pneumo --version | grep -xE 'pneumo-dist [0-9]+\.[0-9]+\.[0-9]+' >/dev/null || fail "--version"

/usr/bin/python3 - "$PNEUMO_SOURCE" "${commands[@]}" <<'PY'
import pathlib, re, sys

source = pathlib.Path(sys.argv[1])
bad = []


def complain(*words):
    bad.append(" ".join(words))


def table(command):
    """Long option: (its letter or None, whether it takes a value), from the getopt table."""
    text = (source / "src/cli" / f"{command}.c").read_text()
    rows = re.findall(r'\{"([a-z-]+)",\s*(no|required)_argument,\s*NULL,\s*([^}]+?)\s*\}', text)
    letters = re.search(r'getopt_long\(argc, argv, ":([a-z:]+)"', text).group(1)
    found = {}
    for name, kind, value in rows:
        letter = value[1] if value.startswith("'") else None
        takes = kind == "required"
        found[name] = (letter, takes)
        if letter and (letter + ":" in letters) != takes or letter and letter not in letters:
            complain(command, f"-{letter} and --{name} differ")
    for letter in letters.replace(":", ""):
        if letter not in [row[0] for row in found.values()]:
            complain(command, f"-{letter} has no long option")
    return found


def check_help(command, options):
    text = pathlib.Path("help", command).read_text()
    told = {}
    for letter, name, value in re.findall(r"^ +(?:-([a-z]), +)?--([a-z-]+)( [^ ]+)?", text, re.M):
        told.setdefault(name, (letter or None, bool(value.strip())))
    for name, row in options.items():
        if name not in told:
            complain(command, f"--{name} is missing from the help")
        elif told[name] != row:
            complain(command, f"--{name} is told as {told[name]} but is {row}")
    for name in set(re.findall(r"--([a-z][a-z-]*)", text)) - set(options):
        complain(command, f"the help tells of --{name}, which there is not")


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
        return re.findall(r"^(?:examples?:| ) +((?:mpirun .*)?pneumo-dist [a-z].*)", text, re.M)
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
    if words[0] in ("--help", "-h", "help", "--version") or words[0].isupper():
        return
    if words[0].startswith("-"):
        command, options = "train", tables["train"]
    elif words[0] in tables:
        command, options = words[0], tables[words[0]]
        words = words[1:]
    else:
        raise ValueError(f"'{words[0]}' is no command")
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
                raise ValueError(f"{command} {word} lacks its value")
            if name == "set" and value[0].islower() and value.split("=")[0] not in keys:
                raise ValueError(f"there is no key {value}")
    for word in plain if command in ("train", "bench") else []:
        if re.fullmatch(r"[a-z0-9-]+", word) and not (source / f"jobs/{word}.ini").exists() or \
                re.fullmatch(r"jobs/.*\.ini", word) and not (source / word).exists():
            raise ValueError(f"there is no job {word}")


patterns = ("*.md", "*/README.md", "tests/bench/README.md", ".github/*.md", "slurm/*.sbatch",
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
