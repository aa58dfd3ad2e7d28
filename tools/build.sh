# Sourced by ./tidewheel. Builds with the presets of CMakePresets.json.

# Two compilers at most for each 3 GB of memory, and never more than cores: LibTorch's headers take over a gigabyte each.
build_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable:/ {print int($2 / 1024 / 1500)}' /proc/meminfo)
  if [ "$memory" -lt 1 ]; then memory=1; fi
  echo $((cores < memory ? cores : memory))
}

configure() {
  local preset=$1 log
  shift
  log=$(mktemp)
  # Run each time: it takes seconds, and a changed option or folder is never missed.
  if ! (cd "$root" && cmake --preset "$preset" -DTIDEWHEEL_THIRD_PARTY="$TIDEWHEEL_CACHE/third-party" "$@") >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    die "cmake could not configure preset $preset"
  fi
  rm -f "$log"
}

# build_all PRESET [CMAKE OPTION...]: programs and tests.
build_all() {
  local preset=$1
  configure "$@"
  (cd "$root" && cmake --build --preset "$preset" -j "$(build_jobs)")
}

# build_programs PRESET: what runs, without tests and benchmarks.
build_programs() {
  local folder=$root/build/$1 programs
  configure "$1"
  mapfile -t programs < <(ninja -C "$folder" -t targets all | sed -nE 's/^(bin\/[^:]*): CXX_EXECUTABLE_LINKER.*/\1/p' | grep -v '_bench$')
  [ ${#programs[@]} -gt 0 ] || die "preset $1 defines no program in bin/"
  ninja -C "$folder" -j "$(build_jobs)" "${programs[@]}"
}

# build_targets PRESET [CMAKE OPTION...] -- TARGET...
build_targets() {
  local preset=$1 options=()
  shift
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  configure "$preset" "${options[@]}"
  ninja -C "$root/build/$preset" -j "$(build_jobs)" "$@"
}
