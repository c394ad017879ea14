#!/usr/bin/env bash
# Shell scripts run under pipefail: when a command stops reading early (head, grep -q), its writer
# sometimes dies of SIGPIPE, and the script fails. sed -n and grep >/dev/null read to the end.
set -euo pipefail
cd "${PNEUMO_SOURCE:-$(dirname "$0")/../..}"
early='\|[[:space:]]*(head|grep[[:space:]]+-[a-zA-Z]*[qm][a-zA-Z]*)([[:space:]]|$)'

echo 'ls | head -n 1' | grep -E "$early" >/dev/null
echo 'ls | grep -qx a' | grep -E "$early" >/dev/null
if grep -rnE "$early" --include='*.sh' --include='*.sbatch' --include=run .ci jobs slurm tests |
    grep -v '^tests/base/test_scripts.sh:'; then
    echo "these commands stop reading a pipe early: use sed -n or grep >/dev/null" >&2
    exit 1
fi
