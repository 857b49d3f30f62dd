"""cmerc_fuzz_target(): one fuzz target, and the ordinary test that replays its inputs."""

load("//tools:cc.bzl", "cmerc_cc_library")

def cmerc_fuzz_target(name, deps, seeds = [], torch = False, size = "small"):
    """NAME_fuzz.cc defines LLVMFuzzerTestOneInput(), or what :zip_repair calls from there.

    :NAME_fuzz         the fuzzer (libFuzzer), for --config=fuzz alone: tests/fuzz/run.sh NAME
    :NAME_replay_test  runs the target over seeds and corpus, with any compiler

    Args:
      seeds: labels of files to begin with: real ones, of other tests. This package's are found by
        themselves: seeds/NAME/ for what no test has, corpus/NAME/ for what was wrong once.
    """
    own = native.glob(["corpus/%s/*" % name, "seeds/%s/*" % name])
    cmerc_cc_library(
        name = name + "_target",
        testonly = True,
        srcs = [name + "_fuzz.cc"],
        torch = torch,
        deps = deps + [":law"],
        alwayslink = True,
    )
    native.cc_binary(
        name = name + "_fuzz",
        testonly = True,
        data = seeds + own,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [":" + name + "_target"],
    )
    native.cc_test(
        name = name + "_replay_test",
        size = size,
        srcs = ["replay.cc"],
        args = ["$(rootpaths %s)" % label for label in seeds + own],
        data = seeds + own,
        # operator new of :law must be the program's.
        linkstatic = True,
        deps = [":" + name + "_target"],
    )
