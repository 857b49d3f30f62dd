#!/bin/sh
# Runs a test under --config=tsan: names the suppressions by an absolute path, since tests change
# their folder, and turns address randomisation off, which GCC's ThreadSanitizer of before 14 does
# not survive where the kernel uses more than 28 bits of it. Memory that cannot be had is an
# exception, as without the sanitizer.
TSAN_OPTIONS="suppressions=$PWD/tools/tsan.supp halt_on_error=1 second_deadlock_stack=1"
export TSAN_OPTIONS="$TSAN_OPTIONS allocator_may_return_null=1"
exec setarch -R env LD_PRELOAD="$PWD/tools/libtsan_openmp.so" "$@"
