#!/bin/sh
# Makes a virtual environment with the first interpreter that fits; where none does, says what this system can do.
#
# usage: make-venv.sh FOLDER INTERPRETER...
set -eu
folder=$1; shift
# one whose interpreter went with an update of the system is made anew
if [ -x "$folder/bin/python" ]; then
	"$folder/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && exit 0
	echo "The environment in $folder does not work any more."
fi

found= unable=
for python in "$@"; do
	version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2> /dev/null) || continue
	if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
		found="$found${found:+, }$python is $version"
	elif ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
		unable=${unable:-$python}
	else
		echo "Making a virtual environment in $folder with $python ($version)."
		rm -rf "$folder"
		exec "$python" -m venv "$folder"
	fi
done

has() { command -v "$1" > /dev/null 2>&1; }

# Debian and Ubuntu pack venv apart; other systems do not. `apt-cache` knows which versions this release has.
packages() {
	if has apt-cache; then
		for minor in 14 13 12 11; do
			apt-cache show "python3.$minor-venv" > /dev/null 2>&1 || continue
			echo "sudo apt install python3.$minor python3.$minor-venv"
			return
		done
		echo "sudo apt update, and if there is still no python3.11 or newer, a newer release of this system"
	elif has dnf; then
		echo "sudo dnf install python3.12"
	elif has zypper; then
		echo "sudo zypper install python312"
	elif has apk; then
		echo "apk add python3"
	elif has pacman; then
		echo "sudo pacman -S python"
	elif has brew; then
		echo "brew install python"
	else
		echo "install it from your system's packages"
	fi
}

if [ "$unable" ]; then
	name=$(basename "$unable")
	echo "$unable cannot make virtual environments: its modules venv and ensurepip are missing."
	if has apt-get; then
		echo "Install them:  sudo apt install $name-venv"
	else
		echo "Install your system's package for them, or name another interpreter: make PYTHON=/path/to/python3"
	fi
else
	echo "Python 3.11 or newer is needed; ${found:-none of these is here: $*}."
	echo "Install it:  $(packages)"
	echo "Or name one that is elsewhere:  make PYTHON=/path/to/python3.12"
fi >&2
exit 1
