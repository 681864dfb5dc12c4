#!/usr/bin/env bash
# Builds the image without a Docker daemon, on a base made by debootstrap, and uses it as compose.yaml would: read-only
# root, no capability, the image's own user. It trains a small model, asks it for architectures, and stops the service.
#
#   docker/check.sh        needs root, buildah and debootstrap; exits with 77 where they are missing
#
# Packages come from where pip and apt of this machine find them. The base is kept for a week in
# ${XDG_CACHE_HOME:-~/.cache}/crlso-check; all else is removed at the end. CRLSO_CHECK_MIRROR names another Debian mirror.
# shellcheck disable=SC2016 # what stands in single quotes is for the shell of the container, or for apt-get
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "docker/check.sh skipped: $*" >&2; exit 77; }
fail() { echo "docker/check.sh failed: $*" >&2; exit 1; }
say() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }

[ "$(id -u)" -eq 0 ] || skip "it must run as root"
for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || skip "there is no $tool (apt-get install buildah debootstrap)"
done
unshare --mount mount -t tmpfs crlso-check /mnt 2>/dev/null || skip "it may not mount file systems here"
# Wheels are collected by this machine's Python, so the base must have the same.
case "$(python3 -c 'import sys; print(*sys.version_info[:2], sep=".")')" in
    3.11) suite=bookworm ;;
    3.13) suite=trixie ;;
    *) skip "no Debian has the Python of this machine, $(python3 --version)" ;;
esac

work=$(mktemp -d)
if [ "$(awk '$1 == "MemAvailable:" { print int($2 / 1e6) }' /proc/meminfo)" -ge 12 ]; then # it takes 6 GB
    mount -t tmpfs -o size=8g,mode=700 crlso-check "$work"
fi
clean() {
    [ ! -s "$work/data/pid" ] || kill -KILL "$(cat "$work/data/pid")" 2>/dev/null || true
    buildah umount --all >/dev/null 2>&1 || true
    umount "$work/storage/overlay" 2>/dev/null || true
    umount "$work" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM
export CONTAINERS_STORAGE_CONF=$work/storage.conf
for driver in ${STORAGE_DRIVER:-overlay vfs}; do # vfs copies the image for each layer and works everywhere
    printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n' \
        "$driver" "$work/storage" "$work/run" >"$work/storage.conf"
    if buildah info >/dev/null 2>&1; then break; fi
done
mkdir "$work/tmp" # of buildah
run() { # run STEP COMMAND...: its output only if it fails
    local step=$1
    shift
    if ! TMPDIR=$work/tmp "$@" >"$work/log" 2>&1; then
        tail -n 40 "$work/log" >&2
        fail "$step"
    fi
}

# The base: Debian's smallest.
base=${XDG_CACHE_HOME:-$HOME/.cache}/crlso-check/$suite.tar
if [ -z "$(find "$base" -mtime -7 2>/dev/null)" ]; then
    mirror=${CRLSO_CHECK_MIRROR:-$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' |
        awk -v suite="$suite" '$1 == suite && $2 == "main" { print $3; exit }')}
    run debootstrap debootstrap --variant=minbase "$suite" "$work/base" ${mirror:+"$mirror"}
    mkdir -p "$(dirname "$base")"
    chmod 755 "$work/base"
    tar -C "$work/base" --exclude './var/cache/apt/*' --exclude './var/lib/apt/lists/*' -cf "$base.partial" .
    mv "$base.partial" "$base"
    rm -rf --one-file-system "$work/base"
    say "debootstrap of $suite"
fi
run "reading the base" buildah from --name base scratch
run "reading the base" buildah add base "$base" /
run "reading the base" buildah commit --rm base crlso-check-base

# What git knows of the work tree, and a wheelhouse.
mkdir "$work/context"
git ls-files -z --cached --others --exclude-standard --deduplicate | tar -c --null -T - | tar -x -C "$work/context"
run "collecting wheels" python3 -m pip wheel --disable-pip-version-check -c constraints.txt \
    -w "$work/context/docker/wheelhouse" hatchling "$work/context[postgres]"
say "$(find "$work/context/docker/wheelhouse" -name '*.whl' | wc -l) wheels"

run "building the image" buildah bud --isolation chroot --format docker --pull-never -f docker/Dockerfile \
    --build-arg BASE_IMAGE=localhost/crlso-check-base --build-arg REVISION="$(git rev-parse HEAD)" \
    -t crlso-check "$work/context"
say "image built"

# What it says of itself, one value a line: user, stop signal, the service's command, the health check's.
buildah inspect --type image crlso-check >"$work/image.json"
python3 - "$work/image.json" >"$work/image.txt" <<'PYTHON'
import json, shlex, sys

config = json.load(open(sys.argv[1]))["Docker"]["config"]
print(config["User"], config["StopSignal"], sep="\n")
print(shlex.join(config["Cmd"]))
print(shlex.join(config["Healthcheck"]["Test"][1:]))
PYTHON
{ read -r user; read -r signal; read -r command; read -r health; } <"$work/image.txt"
[[ $user =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]] || fail "it runs as user '$user', not as one with a number other than 0"
[ "$signal" = SIGTERM ] || fail "it stops by $signal"

buildah from --pull-never --name crlso crlso-check >/dev/null
mkdir -m 1777 "$work/scratch"
mkdir "$work/data"
chown "$user" "$work/data"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# chroot isolation shares the network and knows no --read-only: the first process in the container makes its root
# read-only, gives up root and all capabilities, and becomes the command.
within() {
    TMPDIR=$work/tmp buildah run --isolation chroot --user 0 --cap-add CAP_SYS_ADMIN --env "CRLSO_PORT=$port" \
        -v "$work/data:/data" -v "$work/scratch:/tmp" crlso -- sh -c 'mount -o remount,ro,bind / &&
        exec setpriv --reuid="${0%:*}" --regid="${0#*:}" --clear-groups --no-new-privs --bounding-set=-all \
            --inh-caps=-all sh -c "$1"' "$user" "$1"
}

within 'set -e
    [ "$(id -u)" -ne 0 ]
    for place in / /etc /opt/crlso /var/tmp /run; do
        if touch "$place/x" 2>/dev/null; then echo "$place can be written to"; exit 1; fi
    done
    for tool in pip pip3 gcc cc make git; do
        if command -v "$tool"; then echo "$tool is in the image"; exit 1; fi
    done
    cd /tmp && python -c "import importlib.util as u, crlso, psycopg, service; assert not u.find_spec(\"tests\")"' ||
    fail "the image is not as closed as it should be"
say "non-root, root file system read-only, no build tools"

within 'mkdir -p /data/models; crlso train --space nasbench201 --dataset cifar10 --labels 200 --set epochs=2 --out /data/models/quick' \
    >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "training"; }
say "model trained"

# Reachable from elsewhere, the service needs keys.
key=$(within 'crlso service keys create --name check --scope admin')

within "echo \$\$ >/data/pid; exec $command" >"$work/service.log" 2>&1 &
service=$!
python3 - "$port" "$key" <<'PYTHON' || { cat "$work/service.log" >&2; fail "the service does not answer as it should"; }
import json, sys, time
from http.client import HTTPConnection

port, key = int(sys.argv[1]), sys.argv[2]


def ask(method, path, body=None, headers={}):
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"} | headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


deadline = time.monotonic() + 120
while True:
    try:
        assert ask("GET", "/health/live")[0] == 200
        break
    except OSError:
        if time.monotonic() > deadline:
            sys.exit("it does not listen")
        time.sleep(0.2)
status, ready = ask("GET", "/health/ready")
assert (status, ready["models"]) == (200, ["quick"]), ready
question = {"space": "nasbench201", "num_architectures": 3, "constraints": [{"metric": "params", "max": 400000}]}
status, problem = ask("POST", "/optimize", question)
assert status == 401, problem
status, answer = ask("POST", "/optimize", question, {"Authorization": f"Bearer {key}"})
assert status == 200, answer
proposals = answer["proposals"]
assert len({proposal["architecture"] for proposal in proposals}) == 3, proposals
assert all(proposal["params"] <= 400000 for proposal in proposals), proposals
for proposal in proposals:
    print("        ", proposal["architecture"], proposal["params"])
PYTHON
say "three architectures"

within "$health" || fail "the health check is not content with a service that answers"
pid=$(cat "$work/data/pid")
kill -TERM "$pid"
stopping=$SECONDS
status=0
wait "$service" || status=$?
rm "$work/data/pid"
[ "$status" -eq 0 ] || { cat "$work/service.log" >&2; fail "it exits with $status after SIGTERM"; }
[ $((SECONDS - stopping)) -le 10 ] || fail "it takes $((SECONDS - stopping)) s to stop"
say "stopped by SIGTERM after $((SECONDS - stopping)) s with exit code 0"
if within "$health" 2>/dev/null; then fail "the health check is content with a service that has stopped"; fi

# Sizes, as laid out on disk.
root=$(buildah mount crlso)
size() { du -smc "$@" 2>/dev/null | tail -n 1 | cut -f 1; }
packages=("$root"/opt/crlso/lib/python3*/site-packages)
all=$(size "$root")
venv=$(size "$root/opt/crlso")
echo "image: $all MB = base $((all - venv)), torch $(size "${packages[0]}/torch" "${packages[0]}"/nvidia* "${packages[0]}/triton")," \
    "other packages of 25 MB and more: $(du -sm "${packages[0]}"/* | awk '$1 >= 25 && $2 !~ /\/(torch|nvidia|triton)[^\/]*$/ {
        sub(/.*\//, "", $2); printf "%s%s %s", comma, $2, $1; comma = ", " }')"
say "passed"
