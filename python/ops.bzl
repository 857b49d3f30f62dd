"""cmerc_operators(): the operators for PyTorch with plugins of one's own choice."""

load("//tools:cc.bzl", "cmerc_cc_binary")

def cmerc_operators(name, plugins, visibility = None):
    """The library lib<NAME>.so, which torch.ops.load_library() loads.

    plugins: bundles, all of which it holds. Where it is not the one within the package `cmerc`, the
    environment variable CMERC_OPERATORS names its file.
    """
    cmerc_cc_binary(
        name = "lib%s.so" % name,
        linkshared = True,
        visibility = visibility,
        deps = [Label("//python:operators")] + plugins,
    )
