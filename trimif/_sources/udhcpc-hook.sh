#!/bin/sh
# Lets trimif see the leases of udhcpc, BusyBox's DHCP client, which keeps no record of them.
#
#   udhcpc -s /path/to/udhcpc-hook.sh -O search -O mtu -O staticroutes -O 114 …
#
# udhcpc runs this at every event. It writes what udhcpc tells to /run/trimif/udhcpc/INTERFACE.lease, for everybody to
# read and whole at any time, and then becomes the script that configures the host:
#
#   TRIMIF_UDHCPC_SCRIPT      that script; the default one of the distribution if unset, none if empty
#   TRIMIF_UDHCPC_DIRECTORY   where to write instead
#
# It needs cat, tr, grep, mkdir and mv, BusyBox's or others, and /proc.

directory=${TRIMIF_UDHCPC_DIRECTORY:-/run/trimif/udhcpc}
names='interface|ip|subnet|mask|router|dns|domain|search|staticroutes|msstaticroutes|mtu|ntpsrv|lease|serverid|wpad'

# The environment as udhcpc made it, a variable a line. A server can have put a line feed into a value: that becomes a
# blank, so that nothing it sends looks like another variable. (It is cat's own environment: what the shell opens is
# that of a process which is no more when it is read.)
environment() {
    cat /proc/self/environ | tr '\012\000' '\040\012' | grep -E "^($names|opt[0-9]+)="
}

# Written elsewhere and renamed: a reader sees the old file or the new one. The time is that since the machine was
# started, which nobody sets.
tell() {
    umask 022
    mkdir -p "$directory" || return
    read -r boottime _ </proc/uptime
    new=$directory/.$interface.$$
    {
        printf 'action=%s\nboottime=%s\n' "$1" "$boottime"
        environment
        printf 'end=end\n'
    } >"$new" && mv -f "$new" "$directory/$interface.lease"
}

[ -n "$interface" ] && tell "$1"

if [ -z "${TRIMIF_UDHCPC_SCRIPT+set}" ]; then
    for script in /etc/udhcpc/default.script /usr/share/udhcpc/default.script; do
        [ -x "$script" ] && exec "$script" "$@"
    done
elif [ -n "$TRIMIF_UDHCPC_SCRIPT" ]; then
    exec "$TRIMIF_UDHCPC_SCRIPT" "$@"
fi
