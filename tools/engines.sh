#!/usr/bin/env bash
# Builds the engines that the tests start for real, once, into ${LLMDOCTOR_ENGINES:-~/.cache/llmdoctor-engines}:
#
#   llama.cpp-0.3.36/bin     llama-server, llama-bench, llama-cli, ggml-rpc-server of llama-cpp-python's own llama.cpp
#   llama.cpp-0.3.7/bin      libraries and rpc-server of January 2025: another RPC protocol, older architectures
#   python-0.3.36, python-0.3.7, xllamacpp    folders for PYTHONPATH
#
# All from PyPI's source packages. What is finished is left alone, what was interrupted goes on where it stopped; source
# and build folders have fixed names, so that ccache finds its entries again.
# usage: engines.sh [NAME...]    (new old xllamacpp; all by default). Prints the folder.
set -eu
cd "$(dirname "$0")/.."
. tools/env.sh

root="${LLMDOCTOR_ENGINES:-$HOME/.cache/llmdoctor-engines}"
mkdir -p "$root"
root="$(cd "$root" && pwd)"
jobs="${LLMDOCTOR_ENGINES_JOBS:-$(nproc)}"
say() { printf 'engines: %s\n' "$*" >&2; }

# Two builds in one folder would spoil each other; the lock goes with the process that holds it.
exec 9>"$root/.lock"
flock 9

need_tools() {
  local wanted=()
  command -v cmake >/dev/null || wanted+=(cmake)
  command -v ninja >/dev/null || wanted+=(ninja-build)
  command -v g++ >/dev/null || wanted+=(g++)
  [ ${#wanted[@]} -eq 0 ] && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "missing: ${wanted[*]}: sudo apt-get install ${wanted[*]}, then run this again"
    return 1
  fi
  # ccache comes along: a second build of the same sources takes seconds.
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${wanted[@]}" ccache >/dev/null
}

# fetch VERSION: the source package of llama-cpp-python, unpacked in a folder of its own.
fetch() {
  local version="$1" to="$root/src/llama_cpp_python-$1"
  [ -e "$to/.whole" ] && return
  say "fetching llama-cpp-python $version"
  rm -rf "$root/src/part-$version" "$to"
  mkdir -p "$root/src/part-$version"
  .venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
    --dest "$root/src/part-$version" "llama-cpp-python==$version" >&2 9>&-
  tar -xzf "$root/src/part-$version/"*.tar.gz -C "$root/src"
  rm -rf "$root/src/part-$version"
  touch "$to/.whole"
}

# build VERSION "CMAKE OPTIONS" TARGET...
build() {
  local version="$1" options="$2" source="$root/src/llama_cpp_python-$1/vendor/llama.cpp" to="$root/llama.cpp-$1"
  shift 2
  say "building llama.cpp of llama-cpp-python $version ($jobs jobs)"
  # A configuration that was interrupted can't be gone on with; one that is whole takes a second again.
  [ -e "$to/build.ninja" ] || rm -rf "$to"
  # shellcheck disable=SC2086
  cmake -S "$source" -B "$to" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_RUNTIME_OUTPUT_DIRECTORY="$to/bin" \
    -DCMAKE_LIBRARY_OUTPUT_DIRECTORY="$to/bin" -DBUILD_SHARED_LIBS=ON -DGGML_NATIVE=OFF -DGGML_RPC=ON \
    -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF $options >"$to.log" 2>&1 9>&- || { tail -n 30 "$to.log" >&2; return 1; }
  nice ninja -C "$to" -j "$jobs" "$@" >>"$to.log" 2>&1 9>&- || { tail -n 30 "$to.log" >&2; return 1; }
}

# python_package VERSION: its Python files on the libraries that are built already. The libraries are linked, not
# copied: a second copy would be loaded beside the first, with a registry of devices of its own.
python_package() {
  local version="$1" to="$root/python-$1"
  [ -e "$to/.whole" ] && return
  say "installing llama-cpp-python $version without compiling it again"
  rm -rf "$to"
  CMAKE_ARGS="-DLLAMA_BUILD=OFF -DLLAVA_BUILD=OFF" .venv/bin/python -m pip install --quiet \
    --disable-pip-version-check --target "$to" "$root/src/llama_cpp_python-$version" >&2 9>&-
  rm -rf "$to/llama_cpp/lib"
  ln -s "../../llama.cpp-$version/bin" "$to/llama_cpp/lib"
  touch "$to/.whole"
}

new() {
  local bin="$root/llama.cpp-0.3.36/bin"
  if ! { "$bin/llama-server" --version && [ -x "$bin/llama-bench" ] && [ -x "$bin/llama-cli" ] &&
    [ -x "$bin/ggml-rpc-server" ]; } >/dev/null 2>&1; then
    need_tools
    fetch 0.3.36
    build 0.3.36 "-DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF" \
      llama-server llama-bench llama-cli ggml-rpc-server
    "$bin/llama-server" --version >/dev/null 2>&1 || { say "llama-server was built and does not start"; return 1; }
  fi
  fetch 0.3.36
  python_package 0.3.36
  works 0.3.36
}

old() {
  local bin="$root/llama.cpp-0.3.7/bin"
  if ! [ -x "$bin/rpc-server" ] || ! [ -e "$bin/libllama.so" ]; then
    need_tools
    fetch 0.3.7
    # Its rpc-server is one of the examples; nothing else of them is built.
    build 0.3.7 "-DLLAMA_BUILD_EXAMPLES=ON -DLLAMA_BUILD_SERVER=OFF" llama rpc-server
  fi
  fetch 0.3.7
  python_package 0.3.7
  works 0.3.7
}

works() {
  local told
  told="$(PYTHONPATH="$root/python-$1" .venv/bin/python -c 'import llama_cpp; print(llama_cpp.__version__)' 2>&1)" || true
  [ "$told" = "$1" ] && return
  say "llama-cpp-python $1 can't be imported: $told"
  rm -f "$root/python-$1/.whole"
  return 1
}

xllamacpp() {
  local to="$root/xllamacpp"
  PYTHONPATH="$to" .venv/bin/python -c 'import xllamacpp' 2>/dev/null && return
  say "installing xllamacpp"
  rm -rf "$to"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --target "$to" xllamacpp >&2
  PYTHONPATH="$to" .venv/bin/python -c 'import xllamacpp'
}

[ -x .venv/bin/python ] || prepare dev
[ $# -gt 0 ] || set -- new old xllamacpp
for engine in "$@"; do
  case "$engine" in
    new | old | xllamacpp) "$engine" ;;
    *) say "no such engine: $engine (new old xllamacpp)"; exit 2 ;;
  esac
done
printf '%s\n' "$root"
