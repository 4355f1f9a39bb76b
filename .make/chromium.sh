#!/usr/bin/env bash
# Finds a Chromium and its ChromeDriver and prints their paths, a line each: $CHROMIUM and $CHROMEDRIVER, else those on
# the PATH, else Debian's packages, unpacked under target/tools/. Progress goes to stderr.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/.make/report.sh"
source "$root/.make/debian.sh"

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
found "$tools/chromium/chromium" "$tools/chromium/chromedriver" && exit

read_debian chromium chromium-driver "set CHROMIUM and CHROMEDRIVER to the paths of those you have"
unpack_debian Chromium "100 MB" chromium chromium-common chromium-driver fonts-dejavu-core
cat >"$tree/fonts.conf" <<'FONTS'
<?xml version="1.0"?>
<fontconfig>
  <dir prefix="relative">usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
FONTS
# PulseAudio's client library has a part in a folder of its own.
surroundings='export LD_LIBRARY_PATH="$libraries/pulseaudio:$LD_LIBRARY_PATH" FONTCONFIG_FILE="$here/fonts.conf"'
wrap_debian chromium usr/lib/chromium/chromium "$surroundings"
wrap_debian chromedriver usr/bin/chromedriver "$surroundings"
keep_debian Chromium chromium
found "$tools/chromium/chromium" "$tools/chromium/chromedriver"
