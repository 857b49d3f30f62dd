"""cmerc_command(): a `cmerc` with plugins of one's own choice."""

load("//tools:cc.bzl", "cmerc_cc_binary")

def cmerc_command(name, plugins, visibility = None):
    """The command NAME, and NAME_engine, which it starts and which must stay beside it.

    NAME answers `help` without loading LibTorch. plugins: bundles, of which the engine links all.
    """
    cmerc_cc_binary(
        name = name + "_engine",
        visibility = visibility,
        deps = [Label("//bin:engine_main")] + plugins,
    )
    cmerc_cc_binary(
        name = name,
        data = [":" + name + "_engine"],
        visibility = visibility,
        deps = [Label("//bin:cmerc_main")],
    )
