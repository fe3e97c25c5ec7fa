#!/usr/bin/env bash
# deps.sh [test] [peers] [ui] [fuzz]: installs what this machine lacks for building Alaz, and for testing
# it, also with many clients, fuzzing it or building its UI. Debian and Ubuntu; elsewhere, and without root, it says what to install.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest_clang=16
oldest_rust=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
oldest_node=20

has() { command -v "$1" >/dev/null 2>&1; }
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# The first clang that the build would take, with the llvm-strip of the same name.
has_clang() {
    local name version
    for name in clang $(seq -f 'clang-%g' "$oldest_clang" 30); do
        has "$name" || continue
        version=$("$name" --version | sed -n 's/.*clang version \([0-9]*\).*/\1/p')
        if [ "${version:-0}" -ge "$oldest_clang" ]; then
            has "${name/clang/llvm-strip}"
            return
        fi
    done
    return 1
}

has_archive() { has cc && [ -e "$(cc -print-file-name="$1")" ]; }
has_rust() { scripts/cargo.sh --version >/dev/null 2>&1; }
has_rust_tool() { scripts/cargo.sh "$1" --version >/dev/null 2>&1; }
has_node() { has node && has npm && at_least "$oldest_node" "$(node --version | tr -d v)"; }
# Debian's own, since that is the one its python3-* packages are for.
has_python_module() { /usr/bin/python3 -c "import $1" >/dev/null 2>&1; }

# The broker that the tests run, as its project file in tests/peers/kafka says. Maven keeps what it
# fetched for the next checkout.
kafka_project=tests/peers/kafka/pom.xml
kafka_jars=${CARGO_TARGET_DIR:-target}/peers/kafka
has_kafka() { cmp -s "$kafka_project" "$kafka_jars/pom.xml"; }

# The server and the driver that the tests of MongoDB run.
ferretdb=v1.24.2
mongodb_driver=(pymongo==4.20.1 python-snappy==0.7.3 backports.zstd==1.8.0)
mongodb_peers=${CARGO_TARGET_DIR:-target}/peers/mongodb
mongodb_versions="$ferretdb ${mongodb_driver[*]}"
has_mongodb() { [ "$(cat "$mongodb_peers/versions" 2>/dev/null)" = "$mongodb_versions" ]; }

# The drivers of `make test-peers`, of Node and Java as tests/peers/clients says.
clients_project=tests/peers/clients
clients=${CARGO_TARGET_DIR:-target}/peers/clients
clients_python=('psycopg[binary]==3.3.9' PyMySQL==1.2.4 redis==8.1.0 pika==1.4.4 dnspython==2.9.2)
clients_versions() { cat "$clients_project"/{package.json,pom.xml} && echo "${clients_python[*]}"; }
has_clients() { cmp -s <(clients_versions) "$clients/versions"; }

# What is missing, by the names that the functions below know.
missing() {
    has_clang || echo clang
    has make || echo make
    has cc || echo gcc
    has pkg-config || echo pkg-config
    has_archive libelf.a || echo libelf-dev
    has_archive libz.a || echo zlib1g-dev
    has_rust || echo rust
    for part in "$@"; do
        case $part in
        fuzz) has c++ || echo g++ ;;
        test)
            has_rust && ! has_rust_tool fmt && echo rustfmt
            has_rust && ! has_rust_tool clippy && echo rust-clippy
            has nginx || echo nginx-light
            has wrk || echo wrk
            has curl || echo curl
            has openssl || echo openssl
            has tcpdump || echo tcpdump
            has tshark || echo tshark
            has_python_module aiohttp || echo python3-aiohttp
            has_python_module requests || echo python3-requests
            has_python_module grpc || echo python3-grpcio
            has nghttpd || echo nghttp2-server
            has nghttpx || echo nghttp2-proxy
            has h2load || echo nghttp2-client
            has redis-server || echo redis-server
            has redis-benchmark || echo redis-tools
            has_python_module redis || echo python3-redis
            has unbound || echo unbound
            has dig || echo bind9-dnsutils
            has dnsperf || echo dnsperf
            [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || echo rabbitmq-server
            has_python_module pika || echo python3-pika
            has java || echo default-jre-headless
            has mvn || echo maven
            has kcat || echo kcat
            has_python_module kafka || echo python3-kafka
            has_python_module confluent_kafka || echo python3-confluent-kafka
            has_kafka || echo kafka
            has node || echo nodejs
            has go || echo golang-go
            has_python_module pip || echo python3-pip
            has_mongodb || echo mongodb
            compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || echo postgresql
            has mariadbd || echo mariadb-server
            has mariadb-slap || echo mariadb-client
            perl -MDBD::MariaDB -e 1 >/dev/null 2>&1 || echo libdbd-mariadb-perl
            ;;
        peers)
            has wget || echo wget
            has javac || echo default-jdk-headless
            has npm || echo npm
            has_clients || echo clients
            ;;
        ui) has_node || echo node ;;
        esac
    done
}

newest_package() { apt-cache search --names-only "$1" | cut -d' ' -f1 | sort -V | tail -n 1; }

install() { DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; }

install_clang() {
    local clang=clang
    if ! at_least "$oldest_clang" "$(apt-cache policy clang | sed -n 's/.*Candidate: \(1:\)\?//p')"; then
        clang=$(newest_package '^clang-[0-9]+$')
    fi
    install "$clang" "${clang/clang/llvm}"
}

install_rust() {
    local versioned number newest suite
    versioned=$(newest_package '^cargo-[0-9.]+$')
    number=${versioned#cargo-}
    if [ -n "$versioned" ] && at_least "$oldest_rust" "$number"; then
        install "$versioned" "rustc-$number" "rustfmt-$number" "rust-$number-clippy"
        return
    fi
    # A suite such as backports may have a newer one than the default.
    newest=$(apt-cache madison cargo | sort -t'|' -k2 -V | tail -n 1)
    if [ -n "$newest" ] && at_least "$oldest_rust" "$(cut -d'|' -f2 <<<"$newest" | tr -d ' ')"; then
        suite=$(awk -F'|' '{ split($3, words, " "); sub("/.*", "", words[2]); print words[2] }' <<<"$newest")
        install -t "$suite" cargo rustc rustfmt rust-clippy
        return
    fi
    echo "this distribution has no Rust $oldest_rust or newer: install it from https://rustup.rs" >&2
    return 1
}

install_rust_tools() {
    if has rustup; then
        rustup component add rustfmt clippy
    else
        install "$@"
    fi
}

install_node() {
    install nodejs npm
    has_node || {
        echo "this distribution has no Node $oldest_node or newer: install it from https://nodejs.org" >&2
        return 1
    }
}

install_kafka() {
    rm -rf "$kafka_jars"
    mvn --batch-mode --quiet --file "$kafka_project" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$(realpath -m "$kafka_jars")"
    cp "$kafka_project" "$kafka_jars/"
}

install_mongodb() {
    local module
    rm -rf "$mongodb_peers"
    mkdir -p "$mongodb_peers"
    /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --target "$mongodb_peers/python" "${mongodb_driver[@]}"
    module=$(go mod download -json "github.com/FerretDB/FerretDB@$ferretdb" |
        sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    # It starts only where its source says which version it is, which the module does not.
    cp -r "$module" "$mongodb_peers/source"
    chmod -R u+w "$mongodb_peers/source"
    echo "$ferretdb" >"$mongodb_peers/source/build/version/version.txt"
    (cd "$mongodb_peers/source" && go build -trimpath -o ../ferretdb ./cmd/ferretdb)
    rm -rf "$mongodb_peers/source"
    echo "$mongodb_versions" >"$mongodb_peers/versions"
}

install_clients() {
    rm -rf "$clients"
    mkdir -p "$clients"
    cp "$clients_project/package.json" "$clients/"
    npm --prefix "$clients" install --no-audit --no-fund --silent
    mvn --batch-mode --quiet --file "$clients_project/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$(realpath -m "$clients/jars")"
    /usr/bin/python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --target "$clients/python" "${clients_python[@]}"
    clients_versions >"$clients/versions"
}

mapfile -t wanted < <(missing "$@")
if [ "${#wanted[@]}" -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
    cat >&2 <<END
missing here: ${wanted[*]}
Run 'make deps' as root on Debian or Ubuntu, or install them: clang and llvm $oldest_clang or newer,
Rust $oldest_rust or newer (https://rustup.rs), the others under these names.
END
    exit 1
fi

echo "installing: ${wanted[*]}"
apt-get update
packages=()
tools=()
for item in "${wanted[@]}"; do
    case $item in
    clang) install_clang ;;
    rust) install_rust ;;
    node) install_node ;;
    kafka | mongodb | clients) ;;
    rustfmt | rust-clippy) tools+=("$item") ;;
    *) packages+=("$item") ;;
    esac
done
[ "${#packages[@]}" -eq 0 ] || install "${packages[@]}"
[ "${#tools[@]}" -eq 0 ] || install_rust_tools "${tools[@]}"
has_kafka || [[ " ${wanted[*]} " != *' kafka '* ]] || install_kafka
has_mongodb || [[ " ${wanted[*]} " != *' mongodb '* ]] || install_mongodb
has_clients || [[ " ${wanted[*]} " != *' clients '* ]] || install_clients

still=$(missing "$@" | tr '\n' ' ')
if [ -n "$still" ]; then
    echo "still missing after installing: $still" >&2
    exit 1
fi
