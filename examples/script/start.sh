#!/bin/sh
# Makes a repository with one changeset and a token that may read it, and serves them as wiredaemon.toml says.
set -eu
cd "$(dirname "$0")"

if [ ! -d repository ]; then
    hg init repository
    echo hello > repository/hello
    hg --repository repository commit --quiet --addremove --user ann --message 'Say hello'
    # Nobody else may read the token.
    (umask 077 && wiredaemon token create --file tokens ann > token)
fi
exec wiredaemon serve --config wiredaemon.toml
