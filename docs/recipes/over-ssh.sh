#!/usr/bin/env bash
# Measures on other machines over OpenSSH and takes the results into the ledger of this one.
#
#   docs/recipes/over-ssh.sh HOST... [-- options of flopwatch job]
#
# Each HOST is a name that ssh knows (keys, users, ports and jump hosts belong into ~/.ssh/config).  It needs Python 3.11
# or later with pip, and nothing else: uv and the light base are put into ~/.flopwatch-over-ssh there.  The job is cut
# loose from the connection.  If that breaks, or this script is ended, call it again: it finds the job at work or done,
# and brings the same run file back.  Hosts are measured one after the other.
#
#   FLOPWATCH          the program here          (default: .venv/bin/flopwatch of this checkout)
#   REMOTE_FLOPWATCH   the program there         (default: installed into the folder above)
#   REMOTE_FOLDER      where all lies there      (default: .flopwatch-over-ssh in the home)
#   SSH_OPTIONS        more options of ssh       (such as "-p 2222")
set -euo pipefail

checkout=$(cd "$(dirname "$0")/../.." && pwd)
flopwatch=${FLOPWATCH:-$checkout/.venv/bin/flopwatch}
folder=${REMOTE_FOLDER:-.flopwatch-over-ssh}
program=${REMOTE_FLOPWATCH:-}
read -r -a more <<< "${SSH_OPTIONS:-}"
options=(-o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ServerAliveCountMax=4 ${more[@]+"${more[@]}"})

hosts=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    hosts+=("$1")
    shift
done
[ $# -eq 0 ] || shift
if [ ${#hosts[@]} -eq 0 ]; then
    grep '^#   ' "$0" >&2
    exit 2
fi

on() { # HOST, and a script on standard input with its words
    local host=$1
    shift
    ssh "${options[@]}" "$host" "bash -s -- $(printf '%q ' "$@")"
}

install() { # HOST: uv and the light base, made of this checkout, unless it is there in this version
    local source version
    source=$(mktemp -d)
    git -C "$checkout" archive HEAD | gzip > "$source/flopwatch.tar.gz"
    version=$(sha256sum < "$source/flopwatch.tar.gz" | cut -c1-16)
    if ! on "$1" "$folder" "$version" <<< '[ "$(cat "$1/version" 2> /dev/null)" = "$2" ]'; then
        echo "$1: installing the light base" >&2
        ssh "${options[@]}" "$1" "mkdir -p $(printf %q "$folder") && cat > $(printf %q "$folder")/flopwatch.tar.gz" \
            < "$source/flopwatch.tar.gz" || return 1
        on "$1" "$folder" "$version" << 'END' || return 1
set -eu
cd "$1"
rm -rf source && mkdir source && tar -xzf flopwatch.tar.gz -C source
command -v uv > /dev/null || python3 -m pip install --quiet --target tools uv
PATH="$PWD/tools/bin:$PATH"
# a network may have an authority of its own: believe those that the system believes
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || export UV_SYSTEM_CERTS=true
uv venv --quiet --clear --python '>=3.11,<3.15' environment
uv pip install --quiet --python environment ./source
echo "$2" > version
END
    fi
    rm -rf "$source"
}

begin() { # HOST and options: start the job unless one is at work, cut loose from this connection
    on "$1" "$folder" "${program:-$folder/environment/bin/flopwatch}" "${@:2}" << 'END'
set -eu
mkdir -p "$1/runs"
cd "$1"
case "$2" in /*) program=$2 ;; *) program=$HOME/$2 ;; esac
shift 2
if [ -e pid ] && kill -0 "$(cat pid)" 2> /dev/null; then
    echo "a job is at work: waiting for it"
elif [ -n "$(ls runs)" ]; then
    echo "a job has ended whose run file was not brought back yet"
else
    rm -f status
    export FLOPWATCH_HOME="$PWD/home"
    # a session of its own: it goes on when the connection is cut
    setsid bash -c 'echo $$ > pid; "$@"; echo $? > status; rm -f pid' - \
        "$program" job --name over-ssh --now --into "$PWD/runs" "$@" < /dev/null > job.out 2>&1 &
    for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e pid ] || [ -e status ] || sleep 0.2; done
    echo "a job has begun"
fi
END
}

follow() { # HOST: wait until the job has ended, also over several connections
    local tries=0
    until on "$1" "$folder" <<< 'cd "$1"; while [ -e pid ] && kill -0 "$(cat pid)" 2> /dev/null; do sleep 2; done'; do
        tries=$((tries + 1))
        [ $tries -lt 30 ] || return 1
        echo "$1: the connection was cut; trying again" >&2
        sleep 10
    done
}

collect() { # HOST: bring the run files back, take them in, and only then remove them there
    local here files=()
    here=$(mktemp -d)
    on "$1" "$folder" <<< 'cd "$1/runs" && tar -cf - .' | tar -xf - -C "$here" || return 1
    shopt -s nullglob
    files=("$here"/*.run.jsonl)
    if [ ${#files[@]} -eq 0 ]; then
        echo "$1: no run file; the end of its log:" >&2
        on "$1" "$folder" <<< 'tail -n 5 "$1/job.out"' >&2
        rm -rf "$here"
        return 1
    fi
    "$flopwatch" import "${files[@]}" || return 1
    on "$1" "$folder" "${files[@]##*/}" <<< 'cd "$1/runs" && shift && rm -f -- "$@"'
    rm -rf "$here"
}

status=0
for host in "${hosts[@]}"; do
    if { [ -n "$program" ] || install "$host"; } && begin "$host" "$@" && follow "$host" && collect "$host"; then
        echo "$host: done"
    else
        echo "$host: not done; call this again" >&2
        status=1
    fi
done
exit "$status"
