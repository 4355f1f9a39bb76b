#!/usr/bin/env bash
# Finds a Chromium and its ChromeDriver and prints their paths, a line each: $CHROMIUM and $CHROMEDRIVER, else those on
# the PATH, else Debian's packages, unpacked under target/tools/. Progress goes to stderr.
#
# Unpacking needs no root. Debian keeps no release of Chromium but the newest, so what is pinned is the package, whose
# download Debian's own signatures guard, and not its version.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"

tools=$root/target/tools
unpacked=$tools/chromium

# Prints the first number of the release of the program at $1; fails where it does not run.
major_of() { "$1" --version 2>/dev/null </dev/null | sed -n '1s/^Chrom[A-Za-z]* \([0-9]*\)\..*/\1/p' | grep .; }

# Prints both paths if they run and belong together.
found() {
    local browser driver
    browser=$(command -v "$1") && driver=$(command -v "$2") || return 1
    [ "$(major_of "$browser")" = "$(major_of "$driver" || echo none)" ] || return 1
    printf '%s\n' "$browser" "$driver"
}

if [ -n "${CHROMIUM:-}${CHROMEDRIVER:-}" ]; then
    found "${CHROMIUM:-chromium}" "${CHROMEDRIVER:-chromedriver}" ||
        fail "CHROMIUM=${CHROMIUM:-chromium} and CHROMEDRIVER=${CHROMEDRIVER:-chromedriver} do not run, or not together"
    exit
fi
found chromium chromedriver && exit
found "$unpacked/chromium" "$unpacked/chromedriver" && exit
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    fail "no apt-get here to fetch Chromium with: set CHROMIUM and CHROMEDRIVER to the paths of those you have"

mkdir -p "$tools"
# Made beside its final place and renamed into it: whoever sees the folder sees it whole, however many run this.
work=$(mktemp -d "$tools/.chromium.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/chromium"

# Package lists of its own: the system's may be missing or old, and refreshing them takes root. The download runs as the
# caller (Sandbox::User), since apt's own user cannot write here.
apt=(-qq -o Debug::NoLocking=1 -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
    -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)

step "reading Debian's package lists"
apt-get "${apt[@]}" update >"$work/apt.log" 2>&1 </dev/null || true
version=$(apt-cache "${apt[@]}" policy chromium-driver | sed -n 's/^ *Candidate: \([0-9.]*\).*/\1/p')
[ -n "$version" ] ||
    fail "no chromium-driver to be had: $(grep -m 1 '^[EW]:' "$work/apt.log" || echo "this system does not package it")"

# A font, and what apt would install beside them, which is what they need and the system lacks.
parts=(chromium chromium-common chromium-driver fonts-dejavu-core)
mapfile -t needed < <(apt-get "${apt[@]}" --simulate install --no-install-recommends "${parts[@]}" |
    sed -n 's/^Inst \([^ ]*\).*/\1/p')
step "downloading Debian's Chromium $version (100 MB)"
(cd "$work/debs" && printf '%s\n' "${parts[@]}" "${needed[@]}" | sort -u | xargs apt-get "${apt[@]}" download) \
    >"$work/apt.log" 2>&1 </dev/null || fail "cannot download it: $(grep -m 1 '^E:' "$work/apt.log")"
for package in "$work"/debs/*.deb; do dpkg-deb --extract "$package" "$work/chromium"; done

# Wrappers, by which the unpacked programs find their unpacked libraries and fonts.
wrap() {
    cat >"$work/chromium/$1" <<'WRAPPER' && printf 'exec "$here/%s" "$@"\n' "$2" >>"$work/chromium/$1"
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
libraries=$(echo "$here"/usr/lib/*-linux-gnu*)
# PulseAudio's client library has a part in a folder of its own.
export LD_LIBRARY_PATH="$libraries:$libraries/pulseaudio${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export FONTCONFIG_FILE="$here/fonts.conf"
WRAPPER
    chmod 755 "$work/chromium/$1"
}
cat >"$work/chromium/fonts.conf" <<'FONTS'
<?xml version="1.0"?>
<fontconfig>
  <dir prefix="relative">usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
FONTS
wrap chromium usr/lib/chromium/chromium
wrap chromedriver usr/bin/chromedriver
for program in chromium chromedriver; do
    major_of "$work/chromium/$program" >/dev/null ||
        fail "Debian's $program does not run here: $("$work/chromium/$program" --version 2>&1 | head -n 1)"
done

chmod 755 "$work/chromium"
mv -T "$work/chromium" "$unpacked" 2>/dev/null || [ -x "$unpacked/chromium" ] || fail "cannot write $unpacked"
step "unpacked Debian's Chromium $version into ${unpacked#"$root/"}"
printf '%s\n' "$unpacked/chromium" "$unpacked/chromedriver"
