# Sourced by tests that compare with other programs: installs these. A test that needs others sets both
# afterwards.
peers=${PNEUMO_BUILD:?the build folder}/peers
list=$PNEUMO_SOURCE/tests/exchange/peers.txt

skip() {
    echo "SKIPPED: $*"
    exit 77
}

# install_peers: a virtual environment with exactly the pinned packages. It is complete when it has a
# copy of their list. One test at a time installs it.
install_peers() {
    exec {lock}>"$peers.lock"
    flock "$lock"
    if ! cmp -s "$list" "$peers/peers.txt"; then
        rm -rf "$peers"
        /usr/bin/python3 -m venv "$peers" >log 2>&1 ||
            skip "no virtual environment: $(tail -n 1 log)"
        "$peers/bin/pip" install --quiet --no-compile --no-deps --retries 1 --timeout 60 \
            -r "$list" >log 2>&1 || skip "cannot install ${list##*/}: $(tail -n 1 log)"
        cp "$list" "$peers/peers.txt"
    fi
    flock -u "$lock"
}
