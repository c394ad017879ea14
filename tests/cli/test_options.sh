#!/usr/bin/env bash
# The table of options: forms of options, prefixes, values, suggestions for mistyped words, and the man
# page and the completion script that are generated from it.
. "$(dirname "$0")/common.sh"

# refuse PATTERN ARGUMENT...: exit code 2 and one line on standard error that matches.
refuse() {
    local pattern=$1 code=0
    shift
    pneumo "$@" >out 2>log || code=$?
    ((code == 2)) || fail "$*: exit code $code: $(cat log)"
    [[ $(wc -l <log) == 1 && ! -s out ]] || fail "$*: not one line: $(cat log out)"
    grep -qE "^pneumo-dist: error: $pattern \(see 'pneumo-dist [a-z ]*--help'\)$" log ||
        fail "$*: does not match '$pattern': $(cat log)"
}

# --- Forms of options ---

reference() { find "$1" -type f -exec sha256sum {} + | sed "s|$1/||" | sort; }
pneumo synth first --images 8 --seed 5 --threads 1 2>/dev/null >out
for form in "second --images=8 --seed=5 -t 1" "-n 8 second --see 5 -t1" "-n8 --seed 5 --thr=1 -- second" \
    "--ima 8 second --seed 5"; do
    # shellcheck disable=SC2086 # words
    pneumo synth $form 2>log >out || fail "synth $form: $(cat log)"
    [[ $(reference first) == "$(reference second)" ]] || fail "synth $form: another result"
    rm -r second
done
pneumo synth -n 8 --truth --truth -- -dash >out 2>log || fail "an argument after --: $(cat log)"
[[ -d -dash ]] || fail "no folder -dash"
pneumo pack first -h >out || fail "-h"
pneumo pack --nonsense --help 2>log >out && fail "a mistake before --help passes"
pneumo pack --help --nonsense >out 2>log || fail "after --help nothing is parsed: $(cat log)"

# --- Mistakes ---

refuse "option '--s' is ambiguous: it may be '--set' or '--seed'" train --s 3
refuse "option '--target' is ambiguous: it may be '--target-sensitivity' or '--target-specificity'" \
    calibrate x -o y --target 0.9
refuse "option '--threshold' is given twice" predict x y --threshold 0.1 --threshold 0.9
refuse "option '--output' is given twice" predict x y -o a -oa
refuse "option '--seed' is given twice" synth x --seed 3 --seed=3
refuse "option '--size' is given twice" pack a -o x.h5 --siz 8 -s 16
refuse "option '--run' is given twice" train --run a --run b
refuse "unknown option '--sed'; did you mean '--seed'\?" train --sed 3
refuse "unknown option '--sede'; did you mean '--seed'\?" train --sede=3
refuse "unknown option '--ouptut'; did you mean '--output'\?" evaluate x --ouptut y
refuse "unknown option '--hlep'; did you mean '--help'\?" inspect --hlep
refuse "unknown option '--skipbad'; did you mean '--skip-bad'\?" pack --skipbad
refuse "unknown option '--frobnicate'" train --frobnicate
refuse "unknown option '--seed-of-all'" train --seed-of-all
refuse "unknown option '-Z'" synth x -Z
refuse "unknown option '-Z'" inspect -jZ x
refuse "unknown shell 'zsh'; choose bash" --print-completion zsh
refuse "option '--print-completion' requires a shell: bash" --print-completion
refuse "unknown command 'trian'; did you mean 'train'\?" trian
refuse "unknown command 'eval'; did you mean 'evaluate'\?" eval
refuse "unknown command 'Train'; did you mean 'train'\?" Train
refuse "unknown command 'trian'; did you mean 'train'\?" help trian
refuse "unknown command 'frobnicate'" frobnicate
refuse "unknown command ''" ''
refuse "option '--seed' requires a value" train --seed
refuse "option '-t' requires a value" train -t
refuse "option '--resume=yes' takes no value" train --resume=yes
refuse "option '--run' has an empty value" train --run=
refuse "missing argument DIR" pack -o x.h5
refuse "missing argument IMAGE\|DIR" predict model.h5
refuse "missing option '--output FILE'" ensemble a
refuse "unexpected argument 'c'" pack a c -o x.h5
refuse "--size '1e2' is not a whole number from 8 to 2048" pack a -o x.h5 --size 1e2
refuse "--seed '99999999999999999999' is not a whole number from 0 to 9223372036854775807" \
    pack a -o x.h5 --seed 99999999999999999999
refuse "--target-sensitivity 'nan' is not a number above 0 and at most 1" \
    calibrate a -o x.h5 --target-sensitivity nan
refuse "--ranks '8,' is not a list of up to 32 numbers such as 2,8,64" doctor --ranks 8,
refuse "--fold: unknown fold 'tests'; choices are val, test, both" evaluate a --fold tests

# --- Man page ---

pneumo --print-man >pneumo-dist.1 || fail "--print-man"
commands=$(pneumo --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | grep -vxE 'help|version')
[[ $(wc -w <<<"$commands") -ge 12 ]] || fail "commands: $commands"
if command -v groff >/dev/null; then
    LC_ALL=C.UTF-8 groff -ww -b -man -Tutf8 -z pneumo-dist.1 2>log || fail "groff: $(cat log)"
    [[ ! -s log ]] || fail "groff warns: $(cat log)"
    LC_ALL=C.UTF-8 groff -man -Tutf8 -rLL=300n -P-c -P-b -P-u -P-o pneumo-dist.1 >page
    for command in $commands; do
        grep -qE "^ *pneumo-dist $command " page || fail "the man page lacks $command"
        while read -r option; do
            grep -qF -- "$option" page || fail "the man page lacks $option of $command"
        done < <(pneumo "$command" --help | grep -oE '^  (-[a-z], |    )--[a-z-]+' | sed 's/^ *//')
    done
    for heading in NAME SYNOPSIS DESCRIPTION COMMANDS 'KEYS OF A JOB' 'EXIT STATUS' EXAMPLES; do
        grep -qx "$heading" page || fail "the man page lacks $heading"
    done
    grep -qF "learning_rate = " page || fail "the man page lacks the keys of a job"
else
    echo "(groff is not installed: the man page is not formatted)"
fi

# --- Completion ---

pneumo --print-completion bash >completion.bash || fail "--print-completion"
bash -n completion.bash || fail "the completion script is not valid"
# shellcheck disable=SC1091
. ./completion.bash
complete -p pneumo-dist | grep -- '-F _pneumo_dist' >/dev/null || fail "no completion is registered"

# offer WORD...: what completion offers for the last word, sorted, in one line.
offer() {
    COMP_WORDS=(pneumo-dist "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    _pneumo_dist
    printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' ' | sed 's/^ *//; s/ *$//'
}
# offers EXPECTED WORD...
offers() {
    local expected=$1 found
    shift
    found=$(offer "$@")
    [[ $found == "$expected" ]] || fail "completion of '$*': '$found', not '$expected'"
}
[[ $(offer '') == "$(tr ' ' '\n' <<<"$commands help version" | sort | tr '\n' ' ' | sed 's/ *$//')" ]] ||
    fail "completion of commands: $(offer '')"
offers "predict" pr
offers "train" help tr
offers "--seed --set" train --se
offers "--format" predict --fo
offers "csv jsonl" predict model.h5 images --format ''
offers "jsonl" predict model.h5 images --format = j
offers "test" evaluate model.h5 -f t
offers "--resume --run" --r
offers "" train --seed ''
for command in $commands; do
    expected=$(pneumo "$command" --help | grep -oE '^  (-[a-z], |    )--[a-z-]+' | grep -oE -- '--[a-z-]+' |
        sort | tr '\n' ' ')
    offers "${expected% }" "$command" --
done
mkdir -p jobs folder
touch jobs/mine.ini other.ini data.h5
offers "mine" train mi
offers "other.ini" train oth
offers "data.h5" inspect dat
offers "folder" pack fol
echo "forms, mistakes, man page, completion of $(wc -w <<<"$commands") commands"
