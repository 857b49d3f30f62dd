// Writes what a package holds beside programs and texts: the manual page and bash's completion,
// both from the table of commands.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "bin/command_line.h"
#include "bin/version.h"
#include "packages/completion.h"
#include "packages/man_page.h"
#include "packages/topics.h"

namespace cmerc {
namespace {

// Whether all of `text` is in the file now.
bool Write(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text << std::flush;
  if (!file) std::cerr << "write_pages: cannot write " << path << "\n";
  return static_cast<bool>(file);
}

int Main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "write_pages: want two files to write: write_pages MANUAL_PAGE COMPLETION\n";
    return EXIT_FAILURE;
  }
  const bool written = Write(argv[1], ManPage(CommandSpecs(), kVersion)) &&
                       Write(argv[2], BashCompletion(CommandSpecs(), LinkedTopics()));
  return written ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace cmerc

int main(int argc, char** argv) { return cmerc::Main(argc, argv); }
