# Sourced after report.sh by the scripts that take programs from Debian: unpacks its packages under target/tools/.
#
# Unpacking needs no root, and drives out nothing that is installed. Debian keeps no release of a package but the newest,
# so what is pinned is the package, whose download Debian's own signatures guard, and not its version.
#
# The order: read_debian, unpack_debian, wrap_debian for each program, keep_debian. A script has $tools, the folder of all
# tools, before it calls any.

tools=$root/target/tools

# read_debian NAME PACKAGE INSTEAD: reads Debian's lists, and sets `version` to that of PACKAGE. The tool will be at
# $tools/NAME; until keep_debian it is at $tree. INSTEAD is what to do where Debian has nothing to offer.
read_debian() {
    name=$1
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "no apt-get here to fetch $2 with: $3"
    mkdir -p "$tools"
    # Made beside its final place and renamed into it: whoever sees the folder sees it whole, however many run this.
    work=$(mktemp -d "$tools/.$name.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    tree=$work/$name
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$tree"

    # Package lists of its own: the system's may be missing or old, and refreshing them takes root. The download runs as
    # the caller (Sandbox::User), since apt's own user cannot write here.
    apt=(-qq -o Debug::NoLocking=1 -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
        -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=1 -o Acquire::http::Timeout=20
        -o Acquire::https::Timeout=20)
    step "reading Debian's package lists"
    apt-get "${apt[@]}" update >"$work/apt.log" 2>&1 </dev/null || true
    version=$(apt-cache "${apt[@]}" policy "$2" | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}\([0-9.]*\).*/\2/p')
    [ -n "$version" ] ||
        fail "no $2 to be had: $(grep -m 1 '^[EW]:' "$work/apt.log" || echo "this system does not package it"); $3"
}

# unpack_debian TITLE SIZE PACKAGE…: unpacks the packages into $tree, and what apt would install beside them, which is
# what they need and the system lacks.
unpack_debian() {
    local title=$1 size=$2 needed package
    shift 2
    mapfile -t needed < <(apt-get "${apt[@]}" --simulate install --no-install-recommends "$@" |
        sed -n 's/^Inst \([^ ]*\).*/\1/p')
    step "downloading Debian's $title $version ($size)"
    (cd "$work/debs" && printf '%s\n' "$@" "${needed[@]}" | sort -u | xargs apt-get "${apt[@]}" download) \
        >"$work/apt.log" 2>&1 </dev/null || fail "cannot download it: $(grep -m 1 '^E:' "$work/apt.log")"
    for package in "$work"/debs/*.deb; do dpkg-deb --extract "$package" "$tree"; done
}

# wrap_debian NAME PROGRAM [LINES]: puts a wrapper at $tree/NAME, by which the unpacked PROGRAM, a path below $tree, finds
# its unpacked libraries. LINES go before its start; there $here is the folder of the tool and $libraries its libraries'.
wrap_debian() {
    cat >"$tree/$1" <<WRAPPER
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
libraries=\$(echo "\$here"/usr/lib/*-linux-gnu*)
export LD_LIBRARY_PATH="\$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
${3:-}
exec "\$here/$2" "\$@"
WRAPPER
    chmod 755 "$tree/$1"
    "$tree/$1" --version >"$work/run.log" 2>&1 </dev/null ||
        fail "Debian's $1 does not run here: $(head -n 1 "$work/run.log")"
}

# keep_debian TITLE PROGRAM: moves $tree to its final place, where PROGRAM must then be. Another run may have been faster.
keep_debian() {
    chmod 755 "$tree"
    mv -T "$tree" "$tools/$name" 2>/dev/null || [ -x "$tools/$name/$2" ] || fail "cannot write $tools/$name"
    step "unpacked Debian's $1 $version into ${tools#"$root/"}/$name"
}
