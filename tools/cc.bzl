"""How this project's own C++ is compiled: one place for flags and for LibTorch."""

CMERC_COPTS = ["-Wall", "-Wextra", "-Werror"]

# at::parallel_for() is an inline function: whoever includes it without this gets one thread.
TORCH_COPTS = CMERC_COPTS + ["-fopenmp"]

_TORCH_COPTS = TORCH_COPTS + ["-include", "torch_pch.h"]
_TORCH_DEPS = [Label("//third_party/libtorch:torch_pch"), Label("@libtorch//:torch")]

def _settings(torch, copts, deps):
    return (
        (_TORCH_COPTS if torch else CMERC_COPTS) + copts,
        deps + (_TORCH_DEPS if torch else []),
    )

# How many sources are compiled as one: more would leave a second processor idle at the end.
_TOGETHER = 5

def _compiled_together(name, srcs):
    """Sources that include those of `srcs`, a few each."""
    sources = [src for src in srcs if src.endswith(".cc")]
    units = []
    for first in range(0, len(sources), _TOGETHER):
        unit = "%s_together_%d.cc" % (name, first // _TOGETHER)
        lines = [
            "#include \"%s/%s\"" % (native.package_name(), src)
            for src in sources[first:first + _TOGETHER]
        ]
        native.genrule(
            name = unit[:-len(".cc")],
            outs = [unit],
            cmd = "printf '%s\\n' " + " ".join(["'%s'" % line for line in lines]) + " > $@",
        )
        units.append(unit)
    return units, sources

def cmerc_cc_library(
        name,
        torch = False,
        together = False,
        srcs = [],
        textual_hdrs = [],
        copts = [],
        deps = [],
        **kwargs):
    """A cc_library of this project; torch = True gives it LibTorch, parsed once for all.

    together = True compiles sources five at a time, so that what LibTorch costs every one of them, 2 s
    and more, is paid once. Names in their unnamed namespaces must differ.
    """
    copts, deps = _settings(torch, copts, deps)
    if together:
        units, sources = _compiled_together(name, srcs)
        srcs = units + [src for src in srcs if src not in sources]
        textual_hdrs = textual_hdrs + sources
    native.cc_library(
        name = name,
        srcs = srcs,
        textual_hdrs = textual_hdrs,
        copts = copts,
        deps = deps,
        **kwargs
    )

def cmerc_cuda_switch(name, cuda_src, other_src, deps = [], **kwargs):
    """A cmerc_cc_library with LibTorch: cuda_src with --config=cuda, other_src without."""
    enabled = str(Label("//third_party/cuda:enabled"))
    cmerc_cc_library(
        name = name,
        srcs = select({
            enabled: [cuda_src],
            "//conditions:default": [other_src],
        }),
        torch = True,
        deps = deps + select({
            enabled: [
                Label("//third_party/cuda:required"),
                "@cuda_toolkit//:cudart",
            ],
            "//conditions:default": [],
        }),
        **kwargs
    )

def cmerc_cc_test(name, torch = False, copts = [], deps = [], size = "small", **kwargs):
    """A GoogleTest of this project; it always has //visibility:private."""
    copts, deps = _settings(torch, copts, deps)
    native.cc_test(
        name = name,
        size = size,
        copts = copts,
        deps = deps + [Label("@com_google_googletest//:gtest_main")],
        **kwargs
    )

def cmerc_cc_binary(name, torch = False, copts = [], deps = [], **kwargs):
    """A cc_binary of this project."""
    copts, deps = _settings(torch, copts, deps)
    native.cc_binary(name = name, copts = copts, deps = deps, **kwargs)

def cmerc_benchmark(name, torch = False, copts = [], deps = [], smoke_args = [], **kwargs):
    """A Google Benchmark binary, and a test that runs it for a moment so that it keeps working.

    smoke_args: more arguments for that test, such as a filter.
    """
    cmerc_cc_binary(
        name = name,
        torch = torch,
        testonly = True,
        copts = copts,
        deps = deps + [
            Label("//benchmarks:waiting"),
            Label("@com_github_google_benchmark//:benchmark_main"),
        ],
        **kwargs
    )
    native.sh_test(
        name = name + "_smoke_test",
        size = "medium",
        srcs = [Label("//benchmarks:run_benchmark.sh")],
        args = ["$(rootpath %s)" % name, "--benchmark_min_time=0.01"] + smoke_args,
        data = [name],
    )
