#include "experiment/claims.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "core/status.h"
#include "experiment/run_files.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

constexpr char kPrefix[] = "claim.";
constexpr char kBeat[] = "beat ";
constexpr char kFailed[] = "failed ";
constexpr char kAlone[] = "alone";
constexpr char kWorker[] = "worker";

std::string PathOf(const std::string& folder, int number) {
  return absl::StrCat(folder, "/", kPrefix, number);
}

// The numbers of the claims in a folder. Reading the folder also makes a network file system look
// again.
std::vector<int> NumbersIn(const std::string& folder) {
  std::vector<int> numbers;
  std::error_code none;
  for (std::filesystem::directory_iterator entry(folder, none), end; !none && entry != end;
       entry.increment(none)) {
    const std::string name = entry->path().filename().string();
    absl::string_view digits = name;
    int number = 0;
    if (absl::ConsumePrefix(&digits, kPrefix) && absl::SimpleAtoi(digits, &number) && number > 0 &&
        absl::StrCat(number) == digits) {
      numbers.push_back(number);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

int LargestIn(const std::string& folder) {
  const std::vector<int> numbers = NumbersIn(folder);
  return numbers.empty() ? 0 : numbers.back();
}

// A claim as it stands in its file: four lines.
struct Parsed {
  std::string name, place, mode, state;
};

// What is not there yet is "".
Parsed Parse(const std::string& contents) {
  std::vector<std::string> lines = absl::StrSplit(contents, '\n');
  lines.resize(std::max<size_t>(lines.size(), 4));
  return {lines[0], lines[1], lines[2], lines[3]};
}

// The start of a process in ticks since the machine's, as /proc says; "" where there is no such
// process.
std::string StartOf(pid_t process) {
  const std::string stat = Contents(absl::StrCat("/proc/", process, "/stat"));
  // The name of the program, in parentheses, may hold anything.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return "";
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 1), ' ');
  constexpr size_t kStart = 20;  // of the fields after the name, the first of which is ""
  return fields.size() > kStart ? fields[kStart] : "";
}

// The boot of this machine and the namespace of process numbers; "" where the system does not say.
std::string Surroundings() {
  std::string boot = Contents("/proc/sys/kernel/random/boot_id");
  absl::StripAsciiWhitespace(&boot);
  std::string space(64, '\0');
  const ssize_t length = readlink("/proc/self/ns/pid", &space[0], space.size());
  if (boot.empty() || length <= 0) return "";
  space.resize(static_cast<size_t>(length));
  return absl::StrCat(boot, " ", space);
}

std::string PlaceOf(pid_t process) {
  const std::string around = Surroundings();
  return around.empty() ? "" : absl::StrCat(around, " ", process, " ", StartOf(process));
}

// Whether the process at `place` ran on this machine, and runs no more.
bool IsGone(const std::string& place) {
  const std::vector<std::string> parts = absl::StrSplit(place, ' ');
  pid_t process = 0;
  if (parts.size() != 4 || !absl::SimpleAtoi(parts[2], &process) || process <= 0) return false;
  const std::string around = Surroundings();
  if (around.empty() || around != absl::StrCat(parts[0], " ", parts[1])) return false;
  if (kill(process, 0) != 0 && errno == ESRCH) return true;
  const std::string start = StartOf(process);
  return !start.empty() && start != parts[3];
}

// Makes the file `path` with `contents`, which nobody but one process can, and opens it for
// writing. Returns the descriptor, or -1 with errno; EEXIST: it is there.
int MakeAlone(const std::string& path, const std::string& contents) {
  static std::atomic<int> counter{0};
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  // No name of an AtomicFile, whose leftovers others remove.
  const std::string temporary =
      absl::StrCat(path, ".", host, ".", getpid(), ".", counter++, ".new");
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) return -1;
  int error = WriteAll(file, contents);
  if (error == 0 && fsync(file) != 0) error = errno;
  if (error == 0 && link(temporary.c_str(), path.c_str()) != 0) error = errno;
  struct stat info {};
  // A network file system may have done what it says has failed: its answer was lost.
  if (error != 0 && fstat(file, &info) == 0 && info.st_nlink == 2) error = 0;
  unlink(temporary.c_str());
  if (error == 0) return file;
  close(file);
  if (error == EPERM || error == ENOTSUP || error == ENOSYS || error == EMLINK) {
    // No hard links here. Others may see the file before its contents, which is as good as a claim.
    const int made = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (made < 0) return -1;
    error = WriteAll(made, contents);
    if (error == 0) return made;
    unlink(path.c_str());
    close(made);
  }
  errno = error;
  return -1;
}

}  // namespace

ClaimHolder ClaimHolder::Self() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return {absl::StrCat(host, ", process ", getpid()), PlaceOf(getpid())};
}

Claims::Claims(Options options) : options_(std::move(options)) {}

Claims::~Claims() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_all();
  if (thread_.joinable()) thread_.join();
  ReleaseAll();
}

void Claims::Begin(const std::vector<std::string>& folders) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const std::string& folder : folders) {
    const int number = LargestIn(folder);
    const bool failed =
        number > 0 && absl::StartsWith(Parse(Contents(PathOf(folder, number))).state, kFailed);
    // One that is held may fail yet.
    of_before_[folder] = failed ? number : number - 1;
  }
}

void Claims::StartBeating() {
  thread_ = std::thread([this] {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stopping_.wait_for(lock, options_.patience / 10, [this] { return stop_; })) {
      lock.unlock();
      Beat();
      lock.lock();
    }
  });
}

void Claims::Beat() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto claim = mine_.begin(); claim != mine_.end();) {
    const auto next = std::next(claim);
    if (IsLost(claim->first, claim->second)) {
      lost_.push_back(claim->first);
      Drop(claim);
    } else {
      ++claim->second.beats;
      Write(claim->second, absl::StrFormat("%s%019d\n", kBeat, claim->second.beats));
    }
    claim = next;
  }
}

bool Claims::IsLost(const std::string& folder, const Claim& claim) const {
  return LargestIn(folder) != claim.number;
}

void Claims::Write(const Claim& claim, absl::string_view state) const {
  const std::string text = absl::StrCat(options_.holder.name, "\n", options_.holder.place, "\n",
                                        options_.alone ? kAlone : kWorker, "\n", state);
  // One that cannot be written, on a full disk, looks dead to others, and is then lost.
  if (pwrite(claim.file, text.data(), text.size(), 0) < 0) return;
  fsync(claim.file);
}

absl::StatusOr<Claims::Answer> Claims::Take(const std::string& folder) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (mine_.count(folder) > 0) return Answer{State::kMine, ""};
  const int number = LargestIn(folder);
  if (number == 0) return Make(folder, 1);
  const std::string contents = Contents(PathOf(folder, number));
  const Parsed claim = Parse(contents);
  absl::string_view why = claim.state;
  if (absl::ConsumePrefix(&why, kFailed)) {
    const auto before = of_before_.find(folder);
    const bool is_old = before != of_before_.end() && number <= before->second;
    if (!is_old && !options_.alone) return Answer{State::kFailed, std::string(why)};
    return Make(folder, number + 1);
  }
  if (!IsDead(folder, number, contents)) return Answer{State::kTaken, claim.name};
  return TakeOver(folder, number, contents);
}

bool Claims::IsDead(const std::string& folder, int number, const std::string& contents) {
  const Parsed claim = Parse(contents);
  if (options_.alone && claim.mode == kAlone) return true;
  if (IsGone(claim.place)) return true;
  const Clock::time_point now = options_.now();
  Seen& seen = seen_[folder];
  if (seen.number != number || seen.contents != contents) seen = {number, contents, now};
  return now - seen.since >= options_.patience;
}

absl::StatusOr<Claims::Answer> Claims::TakeOver(const std::string& folder, int number,
                                                const std::string& contents) {
  ASSIGN_OR_RETURN(const Answer answer, Make(folder, number + 1));
  // It may have come to life, or have ended and another begun, since it was read.
  if (answer.state != State::kMine || Contents(PathOf(folder, number)) == contents) return answer;
  const auto claim = mine_.find(folder);
  unlink(PathOf(folder, claim->second.number).c_str());
  Drop(claim);
  return Answer{State::kTaken, ClaimantOf(folder)};
}

absl::StatusOr<Claims::Answer> Claims::Make(const std::string& folder, int number) {
  const std::string path = PathOf(folder, number);
  const std::string first =
      absl::StrCat(options_.holder.name, "\n", options_.holder.place, "\n",
                   options_.alone ? kAlone : kWorker, "\n", absl::StrFormat("%s%019d\n", kBeat, 0));
  const int file = MakeAlone(path, first);
  if (file >= 0) {
    mine_[folder] = {number, file, 0};
    seen_.erase(folder);
    return Answer{State::kMine, ""};
  }
  const int error = errno;
  if (error == EEXIST) return Answer{State::kTaken, ClaimantOf(folder)};
  return absl::UnavailableError(
      absl::StrCat("cannot claim ", folder, ": cannot write ", path, ": ", std::strerror(error)));
}

bool Claims::Holds(const std::string& folder) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto claim = mine_.find(folder);
  return claim != mine_.end() && !IsLost(folder, claim->second);
}

std::vector<std::string> Claims::TakeLost() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(lost_, {});
}

void Claims::Drop(std::map<std::string, Claim>::iterator claim) {
  close(claim->second.file);
  mine_.erase(claim);
}

void Claims::Remove(std::map<std::string, Claim>::iterator claim) {
  const auto& [folder, mine] = *claim;
  if (!IsLost(folder, mine)) {
    // Its own last: until then nobody else can have one.
    for (const int number : NumbersIn(folder)) {
      if (number <= mine.number) unlink(PathOf(folder, number).c_str());
    }
  }
  Drop(claim);
}

void Claims::Release(const std::string& folder) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto claim = mine_.find(folder);
  if (claim != mine_.end()) Remove(claim);
}

void Claims::ReleaseAll() {
  const std::lock_guard<std::mutex> lock(mutex_);
  while (!mine_.empty()) Remove(mine_.begin());
}

void Claims::Fail(const std::string& folder, absl::string_view why) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto claim = mine_.find(folder);
  if (claim == mine_.end()) return;
  if (options_.alone) return Remove(claim);
  Write(claim->second, absl::StrCat(kFailed, absl::StrReplaceAll(why, {{"\n", " "}}), "\n"));
  Drop(claim);
}

std::string ClaimantOf(const std::string& folder) {
  const int number = LargestIn(folder);
  if (number == 0) return "";
  const Parsed claim = Parse(Contents(PathOf(folder, number)));
  if (absl::StartsWith(claim.state, kFailed)) return "";
  return claim.name.empty() ? "a process that has not said its name" : claim.name;
}

void RemoveClaims(const std::string& folder) {
  std::error_code none;
  std::vector<std::string> paths;
  for (std::filesystem::directory_iterator entry(folder, none), end; !none && entry != end;
       entry.increment(none)) {
    if (absl::StartsWith(entry->path().filename().string(), kPrefix)) {
      paths.push_back(entry->path().string());
    }
  }
  for (const std::string& path : paths) unlink(path.c_str());
}

}  // namespace cmerc
