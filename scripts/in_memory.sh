#!/usr/bin/env bash
# in_memory.sh COMMAND…: run a command whose temporary files lie in memory, where there is room for them.
#
# The tests start hundreds of servers, all of which make what they write durable. None of them cuts the
# power, so that a disk adds nothing but its own delays. What a failed command left is kept and named.
set -euo pipefail

memory=/dev/shm
needed_mib=10240

free_mib() { # what may be written there, and what of it the machine could hold
    local room available
    room=$(df --output=avail -BM "$memory" 2>/dev/null | tail -1 | tr -dc 0-9)
    available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo 2>/dev/null)
    echo $((${room:-0} < ${available:-0} ? ${room:-0} : ${available:-0}))
}

if [ -n "${TMPDIR:-}" ] || [ ! -w "$memory" ] || [ "$(free_mib)" -lt "$needed_mib" ]; then
    exec "$@"
fi
TMPDIR=$(mktemp -d "$memory/reelay-XXXXXX")
chmod 711 "$TMPDIR" # some tests run programs as other users
export TMPDIR
status=0
"$@" || status=$?
if [ "$status" -eq 0 ]; then
    rm -rf "$TMPDIR"
else
    echo "what the tests left lies in $TMPDIR" >&2
fi
exit "$status"
