#!/bin/sh
# Makes what wiredaemon.toml names: two repositories, and two users. Their passwords are the lines of
# standard input, or are asked for.
set -eu
cd "$(dirname "$0")"

hg init repositories/tools
hg init repositories/plans
# What is in it, is for the crew alone.
printf '[web]\nallow_read = @crew\n' > repositories/plans/.hg/hgrc

for user in ann bob; do
    if [ -t 0 ]; then
        wiredaemon user add --config wiredaemon.toml "$user"
    else
        read -r password
        printf '%s\n' "$password" | wiredaemon user add --config wiredaemon.toml --stdin "$user"
    fi
done
wiredaemon check-config wiredaemon.toml
