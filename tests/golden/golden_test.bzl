"""golden_test(): a comparison with numbers of official code, on the processor and on a device."""

load("//tools:cc.bzl", "cmerc_cc_library", "cmerc_cc_test")

def golden_test(name, srcs, data = [], deps = []):
    """A GoogleTest of what runs on golden::Device().

    X_test runs it on the processor, X_device_test on the device of //tests/host_device, which
    computes with the processor's operators but does not mix with its tensors.
    """
    cases = name + "_cases"
    cmerc_cc_library(
        name = cases,
        testonly = True,
        srcs = srcs,
        # Tests are static initialisers.
        alwayslink = True,
        torch = True,
        deps = deps + [
            "//tests/golden",
            "@com_google_googletest//:gtest",
        ],
    )
    cmerc_cc_test(
        name = name,
        data = data,
        deps = [cases],
    )
    cmerc_cc_test(
        name = name[:-len("_test")] + "_device_test",
        data = data,
        deps = [
            cases,
            "//tests/golden:on_host_device",
        ],
    )
