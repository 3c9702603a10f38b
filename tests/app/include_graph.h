// The rule which module may include which (style guide, section a), as a function over the sources.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace rn::app_testing {

// Source text by its path inside src/, e.g. "train/trainer.cpp"; files directly in src/ belong to main.
using Sources = std::map<std::string, std::string>;

// One line per include that the graph does not allow: "data/loader.cpp:7: ...". Also includes of our files
// that do not exist, and modules that the graph does not know.
std::vector<std::string> include_violations(const Sources& sources);

// One line per library that a module's CMakeLists.txt links against the graph, or whose headers it includes
// without linking it, directly or through another. `lists`: text by module.
std::vector<std::string> link_violations(const Sources& sources,
                                         const std::map<std::string, std::string>& lists);

}  // namespace rn::app_testing
