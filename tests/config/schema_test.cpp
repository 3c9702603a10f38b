#include "config/schema.h"

#include "config/option_table.h"
#include "config_test_support.h"
#include "generated_page.h"

namespace rn::config {
namespace {

TEST(SchemaTest, TheFileInTheRepositoryIsUpToDate) {
  testing_support::expect_page("config.schema.json", json_schema().dump(2) + "\n");
}

TEST(SchemaTest, KnowsEveryOptionAndNoOther) {
  const auto schema = json_schema();
  EXPECT_EQ(schema.at("additionalProperties"), false);
  EXPECT_EQ(schema.at("properties").size(), sections().size() + 1);  // and extends
  std::size_t count = 0;
  for (const auto& section : sections()) {
    const auto& inner = schema.at("properties").at(section.name);
    EXPECT_EQ(inner.at("additionalProperties"), false) << section.name;
    count += inner.at("properties").size();
  }
  EXPECT_EQ(count, option_table().size());
  for (const auto& option : option_table()) {
    const auto& property = schema.at("properties").at(option.section).at("properties").at(option.name);
    EXPECT_EQ(property.at("description"), option.help);
    EXPECT_TRUE(property.contains("default")) << option.key();
  }
}

TEST(SchemaTest, CarriesTypesRangesAndChoices) {
  const auto schema = json_schema();
  const auto value = [&](const char* section, const char* name) {
    return schema.at("properties").at(section).at("properties").at(name).at("anyOf").at(0);
  };
  using Json = nlohmann::ordered_json;
  EXPECT_EQ(value("train", "epochs"),
            (Json{{"type", "number"}, {"exclusiveMinimum", 0}, {"maximum", 1000000}}));
  EXPECT_EQ(value("optimizer", "momentum"),
            (Json{{"type", "number"}, {"minimum", 0}, {"exclusiveMaximum", 1}}));
  EXPECT_EQ(value("train", "drop_last"), (Json{{"type", "boolean"}}));
  EXPECT_EQ(value("model", "norm"), (Json{{"enum", {"batch", "sync_batch", "group"}}}));
  EXPECT_EQ(value("run", "deterministic"), (Json{{"enum", Json::array({false, "strict"})}}));
  EXPECT_EQ(value("data", "workers").at("maximum"), 256);
}

}  // namespace
}  // namespace rn::config
