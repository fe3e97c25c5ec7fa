# Sourced. An apt of its own for packages of other suites and architectures than this machine's:
# nothing is installed, and this machine's apt knows nothing of it.
#
# Environment: ALAZ_KERNELS (the cache, default ~/.cache/alaz/kernels), DEBIAN_MIRROR.

cache=${ALAZ_KERNELS:-${XDG_CACHE_HOME:-$HOME/.cache}/alaz/kernels}

# use_suite SUITE ARCHITECTURE FOLDER: makes apt-get and apt-cache speak of that suite from now on,
# keeping what they need in the folder.
use_suite() {
    local suite=$1 architecture=$2 apt=$3/apt archive=${DEBIAN_MIRROR:-http://deb.debian.org}/debian
    mkdir -p "$apt"/{lists,archives}/partial "$apt/empty"
    touch "$apt/status"
    case $suite in
    *-security) archive+=-security ;;
    esac
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >"$apt/sources"
    cat >"$apt/conf" <<END
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
// Old suites are not signed anew, and their kernels are wanted all the same.
Acquire::Check-Valid-Until "false";
Dir::Etc::sourcelist "$apt/sources";
Dir::Etc::sourceparts "$apt/empty";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "$apt/empty";
Dir::State::status "$apt/status";
Dir::State::lists "$apt/lists";
Dir::Cache::archives "$apt/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END
    export APT_CONFIG=$apt/conf
    apt-get update -qq >&2
}

# unpack FOLDER PACKAGE…: their files, below the folder.
unpack() {
    local folder=$1
    shift
    mkdir -p "$folder"
    (cd "$folder" && apt-get download -qq "$@" >&2 &&
        for package in *.deb; do dpkg-deb --extract "$package" . && rm "$package"; done)
}
