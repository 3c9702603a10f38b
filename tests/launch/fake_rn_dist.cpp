// Stands in for rn_dist in the tests of launch/run: does what its arguments say, with the signals and files
// of the contract, without MPI or LibTorch. Started by mpirun it takes its rank from Open MPI's environment.
//
//   fake.mode=exit:CODE       every rank exits with CODE
//   fake.mode=report:CODE     rank 0 writes failure.json with CODE at step fake.step, then kills itself
//   (SIGKILL) fake.mode=linger:CODE     rank 0 writes it, then all ranks stay and ignore signals
//   fake.mode=kill            rank 0 kills itself without a word
//   fake.mode=wait            waits for a signal: INT 130, TERM 143, USR1 75
//   fake.mode=slow            the same, but needs 4 s to end
//   fake.mode=stuck           waits, and ignores INT and USR1
//   fake.start_seconds=N      so long it has no handlers yet
//   fake.starts=FILE        rank 0 appends a line with its arguments per start
//   fake.succeed_at=N       exits 0 at the Nth start, whatever the mode
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace {

volatile std::sig_atomic_t caught = 0;
void remember(int signal) { caught = signal; }

int environment_number(const char* name, int fallback) {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : std::atoi(value);
}

// Appends this start to the file and returns how many there have been.
int count_start(const std::string& file, const std::string& arguments) {
  std::ofstream(file, std::ios::app) << arguments << '\n';
  std::ifstream lines(file);
  int count = 0;
  for (std::string line; std::getline(lines, line);) ++count;
  return count;
}

int wait_for_signal(bool stuck, unsigned seconds_to_end = 0) {
  std::signal(SIGINT, stuck ? SIG_IGN : remember);
  std::signal(SIGUSR1, stuck ? SIG_IGN : remember);
  if (!stuck) std::signal(SIGTERM, remember);
  std::puts("waiting");
  std::fflush(stdout);
  for (int i = 0; i < 300 && caught == 0; ++i) usleep(100'000);
  sleep(seconds_to_end);
  switch (caught) {
    case SIGINT:
      return 130;
    case SIGTERM:
      return 143;
    case SIGUSR1:
      return 75;
    default:
      return 1;
  }
}

void write_failure(const std::string& folder, const std::string& code, const std::string& step) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/failure.json")
      << "{\n  \"code\": " << code << ",\n  \"rank\": 1,\n  \"phase\": \"step\",\n  \"step\": " << step
      << ",\n  \"collective\": \"all_reduce\",\n  \"message\": \"rank 1 has gone\"\n}\n";
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> values = {
      {"run.dir", "runs/fake"}, {"fake.step", "12"}, {"fake.mode", "exit:0"}};
  std::string arguments;
  bool print_config = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    arguments += word + ' ';
    if (word == "--print-config") print_config = true;
    if (const auto equals = word.find('='); equals != std::string::npos) {
      values[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
  if (values.contains("fake.unknown")) {
    std::fputs("fake.unknown: no such key\n", stderr);
    return 2;
  }
  if (print_config) {
    std::printf("run:\n  name: fake          # default\n  dir: \"%s\"   # command line\nmodel:\n  name: x\n",
                values["run.dir"].c_str());
    return 0;
  }

  if (arguments.find("--dry-run") != std::string::npos) {
    std::printf("arguments %s\n", arguments.c_str());
    return 0;
  }

  const int rank = environment_number("OMPI_COMM_WORLD_RANK", 0);
  const std::string mode = values["fake.mode"];
  std::printf("rank %d of %d\n", rank, environment_number("OMPI_COMM_WORLD_SIZE", 1));
  if (rank == 0 && values.contains("fake.starts")) {
    const int starts = count_start(values["fake.starts"], arguments);
    if (values.contains("fake.succeed_at") && starts >= std::atoi(values["fake.succeed_at"].c_str()))
      return 0;
  }
  if (values.contains("fake.start_seconds")) {
    sleep(static_cast<unsigned>(std::atoi(values["fake.start_seconds"].c_str())));
  }
  if (mode == "wait" || mode == "stuck") return wait_for_signal(mode == "stuck");
  if (mode == "slow") return wait_for_signal(false, 4);
  if (mode.starts_with("exit:")) return std::atoi(mode.c_str() + 5);
  if (mode.starts_with("linger:")) {
    if (rank == 0) write_failure(values["run.dir"], mode.substr(7), values["fake.step"]);
    std::signal(SIGTERM, SIG_IGN);
    return wait_for_signal(true);
  }
  if (rank != 0) return wait_for_signal(false);
  if (mode.starts_with("report:")) write_failure(values["run.dir"], mode.substr(7), values["fake.step"]);
  std::raise(SIGKILL);
}
