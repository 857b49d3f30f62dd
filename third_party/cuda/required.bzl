"""required(): a dependency that ends the build, and says why, where something is missing."""

def _impl(ctx):
    if ctx.attr.missing:
        fail("--config=cuda needs " + "\nand ".join(ctx.attr.missing))
    return [CcInfo()]

required = rule(
    implementation = _impl,
    attrs = {"missing": attr.string_list()},
)
