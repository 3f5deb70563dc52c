#!/usr/bin/env bash
# Makes this folder ready to run: .venv with the requirements, folders, .env from .env.example.
#
#   ./setup.sh            what `make pipeline` needs
#   ./setup.sh --dev      what `make test` needs as well
#   ./setup.sh --connectors
#                         what sources that are not files need as well, also whenever it is called later
#   ./setup.sh --page     what the page in the browser needs, --notebook what notebooks beside it need, likewise
#   ./setup.sh --ml       what models of machine learning need, likewise (make train asks for it)
#   ./setup.sh --spark    what a driver of an Apache Spark cluster needs, likewise (ENGINE=spark)
#   ./setup.sh --s3       what a lake in an object store needs, likewise (DATA_DIR=s3://bucket/prefix)
#   ./setup.sh --lineage  what tells a server of OpenLineage what a run did, likewise (OPENLINEAGE_URL)
#   ./setup.sh --quiet    says nothing when there is nothing to do
#
# It checks first and changes nothing when something is missing; it can be repeated, interrupted and run
# twice at once. .venv/.ready is removed before an installation and written after it, so a .venv without it
# is half-made and is rebuilt. Progress goes to stderr: stdout belongs to the command that called.
set -euo pipefail
unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX CDPATH
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly OLDEST=3.11
readonly FOLDERS=(data/landing data logs)
readonly STAMP=.venv/.ready
readonly EXTRAS=(connectors page notebook ml spark s3 lineage)  # .venv/.connectors is there once --connectors was asked for, and so on
readonly IN_DEV=(connectors page ml s3 lineage)  # those that requirements-dev.txt includes
readonly PROBE='import sys; print("%d.%d.%d" % sys.version_info[:3])'

dev=false quiet=false extras=()
red='' green='' plain='' ticking=''
if [[ -t 2 && ${TERM:-dumb} != dumb ]]; then ticking=yes; fi
if [[ $ticking && -z ${NO_COLOR:-} ]]; then red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'; fi

main() {
    read_options "$@"
    check_programs
    if is_ready; then
        $quiet || next_command "nothing to do"
        return
    fi
    take_turn
    is_installed || choose_python
    stop_if_missing
    is_installed || install_requirements
    (umask 027 && mkdir -p "${FOLDERS[@]}")  # for whoever runs it and the group: UMASK says of all that comes later
    [[ -e .env ]] || copy_settings
    $quiet || next_command "ready after $SECONDS s"
}

read_options() {
    local option extra
    for option in "$@"; do
        case $option in
            --dev) dev=true ;;
            --quiet) quiet=true ;;
            -h | --help)
                sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' setup.sh
                exit
                ;;
            *)
                [[ $option == --* ]] && contains "${option#--}" "${EXTRAS[@]}" || fail "unknown option $option" \
                    "write --dev, $(printf -- '--%s, ' "${EXTRAS[@]}")--quiet, --help or nothing" 2
                extras+=("${option#--}")
                ;;
        esac
    done
    for extra in "${EXTRAS[@]}"; do
        [[ ! -e .venv/.$extra ]] || extras+=("$extra")
    done
    choose_requirements
}

contains() { [[ " ${*:2} " == *" $1 "* ]]; }

# Sets which requirements are wanted: `requirements` is the file to name, `files` are all of them, `wanted` is what an
# installer is told of them.
choose_requirements() {
    local extra
    requirements=requirements.txt files=(requirements.txt) wanted=(-r requirements.txt)
    if $dev; then
        requirements=requirements-dev.txt files+=(requirements-dev.txt) wanted=(-r requirements-dev.txt)
        for extra in "${IN_DEV[@]}"; do files+=("requirements-$extra.txt"); done
    fi
    for extra in "${extras[@]}"; do
        contains "requirements-$extra.txt" "${files[@]}" && continue
        $dev || requirements=requirements-$extra.txt
        files+=("requirements-$extra.txt") wanted+=(-r "requirements-$extra.txt")
    done
}

# --- what is there ---------------------------------------------------------------------------------------

missing=() packages=()

check_programs() {
    local program
    for program in make git; do
        command -v "$program" >/dev/null || need "$program" "$program"
    done
}

need() { missing+=("$1") packages+=("${@:2}"); }

stop_if_missing() {
    ((${#missing[@]} == 0)) && return
    local list
    printf -v list '%s, ' "${missing[@]}"
    fail "missing: ${list%, }" "sudo apt-get install ${packages[*]}"
}

is_ready() {
    local folder
    ((${#missing[@]} == 0)) || return 1
    for folder in "${FOLDERS[@]}"; do [[ -d $folder ]] || return 1; done
    [[ -e .env ]] && is_installed
}

# What is installed may be more than what is wanted: .venv of requirements-dev.txt answers for all that it includes.
is_installed() {
    local line
    [[ -f $STAMP ]] || return 1
    while read -r line; do grep -qxF "$line" "$STAMP" || return 1; done < <(fingerprints)
}

# What .venv is to be made from, a line each: a requirement file, the version of the venv's own python (which changes
# or stops to answer when the system's python is replaced), and the hash of the file's text.
fingerprints() {
    local version
    version=$(.venv/bin/python -ISc "$PROBE" 2>/dev/null) || version=none
    sha256sum "${files[@]}" | while read -r sum file; do echo "$file $version $sum"; done
}

# Sets `python`, and `uv` where it is there; names what to install where none will do.
choose_python() {
    local candidate version oldest_seen=''
    uv=$(command -v uv || true) python=''
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        version=$("$candidate" -ISc "$PROBE" 2>/dev/null) || continue
        if ! is_new_enough "$version"; then oldest_seen=$version; continue; fi
        python=${python:-$candidate}
        if [[ $uv ]] || "$candidate" -Ic 'import venv, ensurepip' 2>/dev/null; then python=$candidate; return; fi
    done
    if [[ $python ]]; then
        need "$python's venv module" "$([[ $python == python3 ]] && echo python3-venv || echo "$python-venv")"
    elif [[ $oldest_seen ]]; then
        need "python3 $OLDEST or newer (python3 is $oldest_seen)" "python$OLDEST" "python$OLDEST-venv"
    else
        need "python3 $OLDEST or newer" python3 python3-venv
    fi
}

is_new_enough() { [[ $(printf '%s\n' "$OLDEST" "$1" | sort -V | head -n 1) == "$OLDEST" ]]; }

# --- what is done ----------------------------------------------------------------------------------------

# Waits while another set-up works here. The lock is on the folder itself, so it leaves nothing behind.
take_turn() {
    command -v flock >/dev/null || return 0
    exec 9<.
    flock -n 9 || { say "another set-up is at work here: waiting for it"; flock 9; }
}

install_requirements() {
    local upgrade=true extra
    is_usable || { make_venv && upgrade=false; }
    announce $upgrade
    rm -f "$STAMP"
    for extra in "${extras[@]}"; do : >".venv/.$extra"; done
    if [[ $uv ]]; then
        "$uv" pip install --python .venv/bin/python "${wanted[@]}" >&2  # shows its own progress
    else
        PYTHONUNBUFFERED=1 .venv/bin/python -m pip install --no-input --disable-pip-version-check --progress-bar off \
            "${wanted[@]}" | show_progress
    fi || fail "$requirements could not be installed" "see the lines above, then run ./setup.sh again"
    write_stamp
}

# Says how much there is to fetch: the figure at the head of the requirement file, measured when a pin changed.
announce() {
    local all
    all=$(sed -n 's/^# .* fetches \([0-9]* packages, about [0-9]* MB\).*/\1/p' "$requirements")
    if [[ -z $all ]]; then
        say "installing $requirements"
    elif $1; then
        say "installing $requirements: what is new of $all"
    else
        say "installing $requirements: $all to download"
    fi
}

# Reads what pip prints, and shows each package that it fetches: a line each, or one that ticks on a terminal.
show_progress() {
    local line text='asking what is needed' count=0 status
    while true; do
        status=0
        IFS= read -r -t 1 line || status=$?
        if ((status > 128)); then
            tick "$text"
            continue
        fi
        ((status == 0)) || break
        case $line in
            *.metadata\ *) ;;
            *Downloading\ * | *Using\ cached\ *)
                line=${line#*Downloading } line=${line#*Using cached } count=$((count + 1))
                text="$count: ${line%%-[0-9]*} ${line#* }"
                [[ $ticking ]] || say "  $text"
                ;;
            Installing\ collected\ *)
                text='unpacking'
                [[ $ticking ]] || say "  $text"
                ;;
        esac
        tick "$text"
    done
    [[ -z $ticking ]] || printf '\r\e[K' >&2
}

tick() { [[ -z $ticking ]] || printf '\r\e[Ksetup:   %s, %s s' "$1" "$SECONDS" >&2; }

# A .venv that was finished once, whose python still is the one it was made with, and that can install more.
is_usable() {
    local version
    [[ -f $STAMP ]] && version=$(.venv/bin/python -ISc "$PROBE" 2>/dev/null) || return 1
    grep -qF " $version " "$STAMP" && [[ $uv || -x .venv/bin/pip ]]
}

make_venv() {
    say "making .venv with $python"
    rm -f "$STAMP"  # first, so that a removal cut short is not taken for a whole .venv
    rm -rf .venv
    if [[ $uv ]]; then "$uv" venv --quiet --python "$(command -v "$python")" .venv >&2; else "$python" -m venv .venv >&2; fi ||
        fail ".venv could not be made" "see the lines above, then run ./setup.sh again"
}

write_stamp() {
    fingerprints >"$STAMP.new"
    mv "$STAMP.new" "$STAMP"
}

# Readable by its owner alone, since it may come to hold credentials; never over one that is there.
copy_settings() {
    say "copying .env.example to .env"
    install -m 600 .env.example .env.new
    mv -n .env.new .env
}

# --- what is said ----------------------------------------------------------------------------------------

say() { echo "setup: $1" >&2; }

next_command() {
    say "$green✓$plain $1"
    echo "next: make $($dev && echo test || echo pipeline)"
}

fail() {
    printf '%serror:%s %s\n  fix:   %s\n' "$red" "$plain" "$1" "$2" >&2
    exit "${3:-1}"
}

main "$@"
