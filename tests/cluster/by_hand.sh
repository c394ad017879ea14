# Sourced by the tests of this folder, with the packages that they need beside those of the program.
# By hand, without PNEUMO_DIST in the environment, they first install what is missing and build.
if [[ -z ${PNEUMO_DIST:-} ]]; then
    export PNEUMO_SOURCE=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
    export PNEUMO_DIST=$PNEUMO_SOURCE/build/pneumo-dist
    env -u CHEST_XRAY bash -euc '. "$PNEUMO_SOURCE/jobs/prepare.sh"' || exit 1
    (($# == 0)) || "$PNEUMO_SOURCE/jobs/install.sh" "$@" || exit 1
fi
