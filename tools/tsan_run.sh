#!/bin/sh
# Runs a test under --config=tsan: names the suppressions by an absolute path, since tests change
# their folder, and turns address randomisation off, which GCC's ThreadSanitizer of before 14 does
# not survive where the kernel uses more than 28 bits of it. The longest history, so that what another
# thread did has a stack, which the suppressions match.
export TSAN_OPTIONS="suppressions=$PWD/tools/tsan.supp halt_on_error=1 second_deadlock_stack=1 history_size=7"
exec setarch -R "$@"
