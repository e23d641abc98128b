# Sourced by the scripts that run servers: jars from Maven Central, processes by pid file.
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=infra/dev/need.sh
. "$here/../need.sh"

# Exit code of every server script when the jars are not there and can't be fetched.
NO_JARS=3

# Sets `java` to a Java 17: Cassandra 5.0 runs on no newer one.
need_java() {
    local found
    for found in /usr/lib/jvm/java-17-*/bin/java "$(command -v java || true)"; do
        if [ -x "$found" ] && "$found" -version 2>&1 | grep -q '"17\.'; then
            java=$found
            return
        fi
    done
    need_packages openjdk-17-jre-headless
    java=$(printf '%s\n' /usr/lib/jvm/java-17-*/bin/java | head -n 1)
    [ -x "$java" ] || die "Java 17 was not found, though openjdk-17-jre-headless is installed"
}

# Sets `java`, and `jars` to the folder with the jars of servers/NAME/pom.xml, fetched once per version: need_jars NAME
need_jars() {
    need_java
    local version part lock
    version=$(sed -n '/<version>/{s/.*<version>\(.*\)<\/version>.*/\1/p;q}' "$here/$1/pom.xml")
    local cache="${XDG_CACHE_HOME:-$HOME/.cache}/trustcard/servers"
    jars="$cache/$1-$version"
    [ -d "$jars" ] && return
    command -v mvn >/dev/null || need_packages maven
    say "Fetching $1 $version"
    mkdir -p "$cache"
    # One fetch at a time, and a folder that is there is whole: it is renamed into place.
    exec {lock}>"$cache/$1.lock"
    flock "$lock"
    if [ ! -d "$jars" ]; then
        part=$(mktemp -d "$cache/$1-part.XXXXXX")
        if ! mvn -q -B -f "$here/$1/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$part" >&2; then
            rm -rf "$part"
            printf '\n\033[1;31merror:\033[0m the jars of %s %s could not be fetched from Maven Central; see above\n' "$1" "$version" >&2
            exit "$NO_JARS"
        fi
        mv -T "$part" "$jars"
    fi
    exec {lock}>&-
}

# The pid of the server of a folder when it runs: our pid file may name a process of someone else by now. pid_of DIR
pid_of() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || return 1
    # -z: the arguments of a process are separated by zero bytes.
    grep -qszxF -- "-Dtrustcard.log.dir=$1" "/proc/$pid/cmdline" || return 1
    printf '%s\n' "$pid"
}

# Runs java in the background for a folder, away from our terminal, pipes and locks: launch DIR ARGS...
launch() {
    local dir=$1
    shift
    (
        for fd in /proc/"$BASHPID"/fd/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || eval "exec $fd>&-"
        done
        exec setsid "$java" -Dtrustcard.log.dir="$dir" "$@" </dev/null >"$dir/java.log" 2>&1
    ) 2>/dev/null &
    echo $! >"$dir/pid"
}

# Seconds that a server may take to be ready.
PATIENCE=300

# Waits until COMMAND succeeds; fails when the server of DIR ends or takes too long: await DIR COMMAND...
await() {
    local dir=$1 deadline=$((SECONDS + PATIENCE)) pid
    shift
    until "$@" 2>/dev/null; do
        pid=$(cat "$dir/pid")
        # The shell that becomes java has another command line for a moment.
        kill -0 "$pid" 2>/dev/null || { local code=0; wait "$pid" || code=$?; blame "$dir" "ended with $code"; }
        [ "$SECONDS" -lt "$deadline" ] || blame "$dir" "is not ready after $PATIENCE s"
        sleep 0.1
    done
}

# Fails with what a server said last, for its folder may be gone when somebody looks: blame DIR WHAT
blame() {
    # Without the frames of stacks.
    grep -vhE '^[[:space:]]' "$1"/*.log | tail -n 20 >&2 || true
    die "the server of $1 $2; above is the end of its logs; the machine has $(free -m | sed -n 's/^Mem: */MiB of memory (total, used, free, shared, cached, available): /p'); $(df -h --output=avail "$1" | tail -n 1 | tr -d ' ') of disk free"
}

# Ends the server of a folder and waits for it: end SIGNAL DIR
end() {
    local pid deadline=$((SECONDS + 30))
    if pid=$(pid_of "$2"); then
        kill "-$1" "$pid"
        while pid_of "$2" >/dev/null; do
            # A signal that is not heard in time is followed by one that is.
            [ "$SECONDS" -lt "$deadline" ] || kill -KILL "$pid" 2>/dev/null || true
            sleep 0.05
        done
    fi
    rm -f "$2/pid"
}
