#!/bin/sh
# Creates a virtual environment with the first suitable interpreter. If there is none, prints how to install one.
#
# usage: make-venv.sh FOLDER INTERPRETER...
set -eu
folder=$1; shift
# an environment whose interpreter was removed by a system update is created again
if [ -x "$folder/bin/python" ]; then
	"$folder/bin/python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && exit 0
	echo "The environment in $folder does not work any more and is replaced."
fi

found= unable=
for python in "$@"; do
	version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2> /dev/null) || continue
	if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
		found="$found${found:+, }$python is $version"
	elif ! "$python" -c 'import ensurepip, venv' 2> /dev/null; then
		unable=${unable:-$python}
	else
		echo "Creating a virtual environment in $folder with $python ($version)."
		rm -rf "$folder"
		exec "$python" -m venv "$folder"
	fi
done

has() { command -v "$1" > /dev/null 2>&1; }

# Debian and Ubuntu have a separate package for venv. `apt-cache` knows which versions this release has.
packages() {
	if has apt-cache; then
		for minor in 14 13 12 11; do
			apt-cache show "python3.$minor-venv" > /dev/null 2>&1 || continue
			echo "sudo apt install python3.$minor python3.$minor-venv"
			return
		done
		echo "sudo apt update; if there is still no python3.11 or newer, upgrade to a newer release of this system"
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
		echo "use your system's package manager"
	fi
}

if [ "$unable" ]; then
	name=$(basename "$unable")
	echo "$unable cannot create virtual environments: the modules venv and ensurepip are missing."
	if has apt-get; then
		echo "Install them:  sudo apt install $name-venv"
	else
		echo "Install the package that contains them, or choose another interpreter: make PYTHON=/path/to/python3"
	fi
else
	echo "Python 3.11 or newer is required; ${found:-none of these was found: $*}."
	echo "Install it:  $(packages)"
	echo "Or choose another interpreter:  make PYTHON=/path/to/python3.12"
fi >&2
exit 1
