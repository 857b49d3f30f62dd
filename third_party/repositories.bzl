"""Every external repository of the build: all of it is on this machine, nothing is downloaded."""

load("//third_party:abseil.bzl", "system_abseil")
load("//third_party/libtorch:libtorch.bzl", "libtorch_configure")

def _bazel_stub(name):
    # Bazel 4 would download these on its own.
    native.local_repository(name = name, path = "third_party/bazel/" + name)

def third_party_repositories():
    _bazel_stub("rules_cc")
    _bazel_stub("rules_java")
    _bazel_stub("remote_coverage_tools")

    system_abseil(name = "com_google_absl")

    native.new_local_repository(
        name = "com_google_protobuf",
        path = "/usr",
        build_file = "//third_party:protobuf.BUILD",
    )
    native.new_local_repository(
        name = "com_google_googletest",
        path = "/usr/include/gtest",
        build_file = "//third_party:googletest.BUILD",
    )
    native.new_local_repository(
        name = "com_github_google_benchmark",
        path = "/usr/include/benchmark",
        build_file = "//third_party:benchmark.BUILD",
    )
    libtorch_configure(name = "libtorch")
