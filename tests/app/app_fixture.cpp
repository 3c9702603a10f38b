#include "app_fixture.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "core/error.h"

namespace rn::app_testing {

namespace fs = std::filesystem;

namespace {

constexpr char kConfig[] = R"(model: {name: resnet9, width: 4}
train: {epochs: 3, global_batch: 12, precision: fp32, threads: 1}
optimizer: {lr: 0.05}
report: {every_steps: 1, progress: none}
)";

}  // namespace

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Words long_run(int epochs) {
  return {cat("train.epochs=", epochs), "eval.every_epochs=0", "checkpoint.every_epochs=20",
          "report.tensorboard=false"};
}

AppTest::AppTest() { write("c.yaml", cat(kConfig, "data: {root: ", data_root(), "}\n")); }

const std::string& AppTest::data_root() {
  static const testing_support::TemporaryDirectory folder;
  static const std::string root = [] {
    const auto made =
        Process({RN_DIST, "data", "synth", "--root", folder / "data", "--train", "50", "--test", "20"},
                folder.path())
            .wait();
    EXPECT_EQ(made.code, 0) << made.text();
    return folder / "data";
  }();
  return root;
}

Words AppTest::train(const std::string& run, const Words& changes) const {
  return Words{"c.yaml", "run.dir=" + run} + changes;
}

Process AppTest::start(const Words& words, int ranks) const {
  return Process(under_mpirun(ranks, Words{RN_DIST} + words), folder_.path());
}

Result AppTest::call(const Words& words, int ranks) const { return start(words, ranks).wait(); }

Result AppTest::train_well(const std::string& run, const Words& changes, int ranks) const {
  const Result result = call(train(run, changes), ranks);
  EXPECT_EQ(result.code, 0) << run << ": " << result.text();
  return result;
}

std::string AppTest::read(const std::string& name) const {
  std::ifstream in(path(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void AppTest::write(const std::string& name, const std::string& text) const {
  std::ofstream out(path(name), std::ios::binary);
  out << text;
  ASSERT_TRUE(out.good()) << name;
}

std::vector<Json> AppTest::records(const std::string& run) const {
  std::vector<Json> all;
  std::istringstream lines(read(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    all.push_back(Json::parse(line, nullptr, /*allow_exceptions=*/false));
    EXPECT_TRUE(all.back().is_object()) << run << ": " << line;
  }
  return all;
}

std::vector<Json> AppTest::events(const std::string& run, const std::string& event) const {
  std::vector<Json> found;
  for (auto& record : records(run)) {
    if (record.value("event", "") == event) found.push_back(std::move(record));
  }
  return found;
}

std::map<std::int64_t, double> AppTest::losses(const std::string& run) const {
  std::map<std::int64_t, double> by_step;
  for (const auto& record : events(run, "step")) {
    const bool is_new = by_step.emplace(record.at("step"), record.at("loss")).second;
    EXPECT_TRUE(is_new) << run << ": step " << record.at("step") << " stands twice";
  }
  return by_step;
}

std::int64_t AppTest::last_checkpoint(const std::string& run) const {
  std::error_code error;
  const auto target = fs::read_symlink(path(run + "/checkpoints/last"), error);
  return error ? -1 : std::stoll(target.string());
}

Json AppTest::failure(const std::string& run) const {
  const std::string name = run + "/failure.json";
  return fs::exists(path(name)) ? Json::parse(read(name)) : Json();
}

std::map<std::string, std::string> AppTest::tensors(const std::string& run, std::int64_t step) const {
  std::map<std::string, std::string> files;
  const std::string folder = cat(run, "/checkpoints/", step);
  for (const auto& entry : fs::directory_iterator(path(folder))) {
    const std::string name = entry.path().filename();
    if (name.ends_with(".safetensors")) files[name] = read(folder + "/" + name);
  }
  EXPECT_GE(files.size(), 1u) << folder;
  return files;
}

std::map<std::string, std::string> AppTest::listing(const std::string& run) const {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(path(run))) {
    const std::string name = fs::relative(entry.path(), path(run));
    if (name.front() == '.') continue;
    if (entry.is_symlink()) {
      files[name] = "-> " + fs::read_symlink(entry.path()).string();
    } else if (entry.is_regular_file()) {
      files[name] = cat(entry.file_size(), " bytes, ", entry.last_write_time().time_since_epoch().count());
    } else {
      files[name] = "folder";
    }
  }
  return files;
}

bool AppTest::reaches_checkpoint(Process& process, const std::string& run) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < end && process.is_running()) {
    if (read(run + "/metrics.jsonl").find("{\"event\":\"checkpoint\"") != std::string::npos) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

bool AppTest::reaches_step(Process& process, const std::string& run, std::int64_t step) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const std::string wanted = cat("{\"event\":\"step\",\"step\":", step, ",");
  while (std::chrono::steady_clock::now() < end && process.is_running()) {
    if (read(run + "/metrics.jsonl").find(wanted) != std::string::npos) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

}  // namespace rn::app_testing
