#include "include_graph.h"

#include <regex>
#include <set>
#include <sstream>

#include "core/error.h"

namespace rn::app_testing {
namespace {

using Names = std::set<std::string>;

// What each module may include besides itself.
const std::map<std::string, Names>& graph() {
  static const Names all = {"app", "config",  "core",  "data",   "dist", "federated",
                            "io",  "kernels", "model", "report", "train"};
  static const std::map<std::string, Names> modules = {
      {"core", {}},
      {"io", {"core"}},
      {"kernels", {"core"}},
      {"config", {"core"}},  // and every module's options.h
      {"dist", {"core"}},
      {"data", {"core", "io"}},
      {"model", {"core", "io", "kernels"}},
      {"report", {"core", "io"}},
      {"train", {"core", "io", "dist", "data", "model", "report"}},
      {"federated", {"core", "io", "dist", "data", "model", "report", "train"}},
      {"app", all},
      {"main", all},
  };
  return modules;
}

const Names kTorchModules = {"model", "train", "federated", "app", "main"};

struct Include {
  int line = 0;
  bool ours = false;  // in quotes
  std::string path;
};

std::vector<Include> includes_of(const std::string& text) {
  static const std::regex directive(R"re(^\s*#\s*include\s*(["<])([^">]+)[">])re");
  std::vector<Include> found;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::smatch match;
    if (std::regex_search(line, match, directive)) found.push_back({number, match[1] == "\"", match[2]});
  }
  return found;
}

std::string module_of(const std::string& path) {
  const auto slash = path.find('/');
  return slash == std::string::npos ? "main" : path.substr(0, slash);
}

bool starts_with_any(const std::string& path, std::initializer_list<const char*> prefixes) {
  for (const char* prefix : prefixes) {
    if (path.starts_with(prefix)) return true;
  }
  return false;
}

// Empty: allowed.
std::string objection_to_library(const std::string& file, const std::string& module,
                                 const std::string& path) {
  const bool torch = starts_with_any(path, {"torch/", "ATen/", "c10/", "caffe2/"});
  if (torch && !kTorchModules.contains(module)) return "torch only in model, train, federated, app and main";
  if (torch && file.ends_with("options.h")) return "config includes it and is free of torch";
  if (starts_with_any(path, {"mpi.h", "nccl.h", "cuda", "nvml.h"}) && module != "dist")
    return "MPI, NCCL and CUDA only in dist";
  if (starts_with_any(path, {"spdlog/", "fmt/"}) && file != "core/log.cpp")
    return "spdlog and fmt only in core/log.cpp: torch carries another fmt";
  if (path.starts_with("yaml-cpp/") && module != "config") return "only config knows YAML";
  return {};
}

std::string objection_to_module(const std::string& module, const std::string& path, const Sources& sources) {
  if (!sources.contains(path)) return "no such file in src";
  const std::string included = module_of(path);
  if (included == module || graph().at(module).contains(included)) return {};
  if (module == "config" && path.ends_with("/options.h")) return {};
  return cat(module, " must not include ", included);
}

// The modules that a CMakeLists.txt links. The torch-free parts of train and federated are libraries of their
// own, rn::plan and rn::federated_plan.
Names linked_modules(const std::string& text) {
  static const std::regex alias(R"(rn::([a-z_]+))");
  Names found;
  for (auto i = std::sregex_iterator(text.begin(), text.end(), alias); i != std::sregex_iterator(); ++i) {
    if (graph().contains((*i)[1])) found.insert((*i)[1]);
  }
  return found;
}

void add_reachable(const std::string& module, const std::map<std::string, std::string>& lists,
                   Names& reached) {
  const auto list = lists.find(module);
  if (list == lists.end()) return;
  for (const auto& next : linked_modules(list->second)) {
    if (reached.insert(next).second) add_reachable(next, lists, reached);
  }
}

}  // namespace

std::vector<std::string> include_violations(const Sources& sources) {
  std::vector<std::string> found;
  for (const auto& [file, text] : sources) {
    const std::string module = module_of(file);
    if (!graph().contains(module)) {
      found.push_back(cat(file, ": the module ", module, " is not in the graph"));
      continue;
    }
    for (const auto& include : includes_of(text)) {
      // Quotes around a library's header are no way round its rule.
      std::string objection = objection_to_library(file, module, include.path);
      const bool beside = include.path.find('/') == std::string::npos && module == "main";
      if (objection.empty() && include.ours && !beside)
        objection = objection_to_module(module, include.path, sources);
      if (!objection.empty())
        found.push_back(cat(file, ":", include.line, ": ", include.path, ": ", objection));
    }
  }
  return found;
}

std::vector<std::string> link_violations(const Sources& sources,
                                         const std::map<std::string, std::string>& lists) {
  std::vector<std::string> found;
  for (const auto& [module, list] : lists) {
    if (!graph().contains(module)) {
      found.push_back(cat(module, " is not in the graph"));
      continue;
    }
    for (const auto& linked : linked_modules(list)) {
      if (linked != module && !graph().at(module).contains(linked)) {
        found.push_back(cat(module, "/CMakeLists.txt links rn::", linked, ", which it must not include"));
      }
    }
    Names reached = {module};
    add_reachable(module, lists, reached);
    Names missing;
    for (const auto& [file, text] : sources) {
      if (module_of(file) != module) continue;
      for (const auto& include : includes_of(text)) {
        const bool only_options = module == "config" && include.path.ends_with("/options.h");
        if (include.ours && !only_options && !reached.contains(module_of(include.path))) {
          missing.insert(module_of(include.path));
        }
      }
    }
    for (const auto& name : missing)
      found.push_back(cat(module, " includes ", name, " and does not link rn::", name));
  }
  return found;
}

}  // namespace rn::app_testing
