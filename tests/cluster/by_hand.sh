# Sourced by the tests of this folder. The arguments are packages that the test needs in addition to
# those of the program. If PNEUMO_DIST is not set (a test started by hand), installs missing
# packages and builds the program first.
if [[ -z ${PNEUMO_DIST:-} ]]; then
    export PNEUMO_SOURCE=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
    export PNEUMO_DIST=$PNEUMO_SOURCE/build/pneumo-dist
    env -u CHEST_XRAY bash -euc '. "$PNEUMO_SOURCE/jobs/prepare.sh"' || exit 1
    (($# == 0)) || "$PNEUMO_SOURCE/jobs/install.sh" "$@" || exit 1
fi
