"""Which files are this project's own."""
import os
import subprocess


def source_files():
    """Paths of all files below the current folder that Git does not ignore, sorted.

    Without Git, or in a copy that is no repository: all but hidden folders and what Bazel links to.
    """
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True) if os.path.exists(".git") else None
    if listed and listed.returncode == 0:
        paths = set(listed.stdout.split("\0"))
    else:
        paths = set()
        for folder, folders, names in os.walk("."):
            folders[:] = [name for name in folders if name in (".ci", ".github") or
                          not name.startswith((".", "bazel-", "runs"))]
            paths |= {os.path.relpath(os.path.join(folder, name)) for name in names}
    return sorted(path for path in paths if os.path.isfile(path))
