#include "config/dump.h"

#include "config_test_support.h"
#include "table_samples.h"

namespace rn::config {
namespace {

using namespace testing_support;

void expect_equal(const RunConfig& a, const RunConfig& b, const std::string& context) {
  for (const auto& option : option_table())
    EXPECT_EQ(option.get(a), option.get(b)) << context << ": " << option.key();
}

TEST(DumpTest, TheDefaultsReadBack) { expect_equal(load(dump_yaml(RunConfig{})), RunConfig{}, "defaults"); }

TEST(DumpTest, EveryOptionReadsBackFromTheDump) {
  for (const auto& [option, value] : other_values()) {
    const auto config = with(*option, value);
    expect_equal(load(dump_yaml(config)), config, option->key());
  }
}

TEST(DumpTest, EveryOptionReadsBackFromTheCommandLine) {
  for (const auto& [option, value] : other_values()) {
    const auto argument = option->key() + "=" + yaml_value(*option, value);
    expect_equal(load("run: {}", {argument}), with(*option, value), argument);
  }
}

TEST(DumpTest, EveryOptionStandsInTheJson) {
  for (const auto& [option, value] : other_values()) {
    const auto json = to_json(with(*option, value));
    const auto& held = json.at(option->section).at(option->name);
    std::visit([&](const auto& expected) { EXPECT_EQ(held, nlohmann::json(expected)) << option->key(); },
               value);
  }
  EXPECT_EQ(to_json(RunConfig{}).at("run").at("deterministic"), false);
}

TEST(DumpTest, AWholeConfigurationOfOtherValuesReadsBack) {
  // Values that rule one another out are left at their default.
  RunConfig config;
  for (const auto& [option, value] : other_values()) {
    const auto before = option->get(config);
    option->set(config, value);
    if (!find_violations(config).empty()) option->set(config, before);
  }
  expect_equal(load(dump_yaml(config)), config, "all");
}

TEST(DumpTest, TextThatLooksLikeAnotherTypeIsQuoted) {
  const auto& name = *find_option("run.name");
  EXPECT_EQ(yaml_value(name, std::string("resnet-18_a.b")), "resnet-18_a.b");
  for (const char* text :
       {"", "yes", "NULL", "12", "1e3", "a b", "a: b", "- a", "~", "*a", "&a", "!a", "#a", "é"}) {
    EXPECT_EQ(yaml_value(name, std::string(text)), cat('"', text, '"'));
  }
  EXPECT_EQ(yaml_value(name, std::string("a\"b\\c${D}")), "\"a\\\"b\\\\c$${D}\"");
}

TEST(PrintConfigTest, ShowsTheOriginOfEveryValueAndReadsBack) {
  const TempFolder folder;
  const auto base = folder.write("base.yaml", "train: {epochs: 3}\n");
  const auto path = folder.write("a.yaml", "extends: base.yaml\nmodel:\n  name: resnet9\n");
  const auto loaded = load_config(path, {"optimizer.lr=0.3"});
  const auto text = print_config(loaded);
  const auto line = [&](const std::string& start) {
    const auto at = text.find("\n  " + start);
    return at == std::string::npos ? "no such line" : text.substr(at + 3, text.find('\n', at + 1) - at - 3);
  };
  EXPECT_EQ(line("epochs:"), "epochs: 3" + std::string(33, ' ') + "# " + base + ":1:17 (extended)");
  EXPECT_EQ(line("name: resnet9"), "name: resnet9" + std::string(29, ' ') + "# " + path + ":3:9");
  EXPECT_EQ(line("lr: 0.3"), "lr: 0.3" + std::string(35, ' ') + "# command line");
  EXPECT_EQ(line("momentum:"), "momentum: 0.9" + std::string(29, ' ') + "# default");
  expect_equal(load(text), loaded.config, "printed");
}

}  // namespace
}  // namespace rn::config
