#!/bin/sh
# Runs a test under --config=tsan: names the suppressions by an absolute path, since tests change
# their folder, and turns address randomisation off, which GCC's ThreadSanitizer of before 14 does
# not survive where the kernel uses more than 28 bits of it.
export TSAN_OPTIONS="suppressions=$PWD/tools/tsan.supp halt_on_error=1 second_deadlock_stack=1"
exec setarch -R env LD_PRELOAD="$PWD/tools/libtsan_openmp.so" "$@"
