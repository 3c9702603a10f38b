// How the option table is written: one call per key, the field given by a pointer to member. Internal to
// config.
#pragma once

#include <algorithm>
#include <concepts>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/option.h"
#include "core/error.h"

namespace rn::config::detail {

// No run comes near these. Beyond them products such as epochs x steps per epoch would leave 64 bits.
inline constexpr double kMostEpochs = 1e6;
inline constexpr double kMostSteps = 1e12;
inline constexpr double kMostImages = 1e9;
inline constexpr double kMostBucketMiB = 65536;
inline constexpr double kMostTracedSteps = 10000;  // some 30 MB per rank

// Above 0, at most `max`.
inline Range positive(double max) { return {.min = 0, .max = max, .min_excluded = true}; }

// Adds the options of one section. The reference that each call returns is for `.identity` in the same
// statement: the next call may move the table.
template <typename S>
class SectionBuilder {
 public:
  SectionBuilder(std::vector<Option>& table, std::string name, S RunConfig::* section, bool identity)
      : table_(table), name_(std::move(name)), section_(section), identity_(identity) {}

  Option& flag(const char* name, bool S::* field, const char* help) {
    return add<bool>(name, field, help, ValueType::kBool);
  }

  template <std::signed_integral I>
  Option& integer(const char* name, I S::* field, const char* help, Range range) {
    // The field's own width is a bound like any other.
    if constexpr (sizeof(I) < sizeof(std::int64_t)) {
      range.max = std::min(range.max, static_cast<double>(std::numeric_limits<I>::max()));
    }
    auto& option = add<std::int64_t>(name, field, help, ValueType::kInteger);
    option.range = range;
    return option;
  }

  // Unsigned 64 bits: the file's range ends at 2^63 - 1, which every reader of JSON and YAML takes.
  Option& integer(const char* name, std::uint64_t S::* field, const char* help) {
    auto& option = add<std::int64_t>(name, field, help, ValueType::kInteger);
    option.range = at_least(0);
    return option;
  }

  Option& number(const char* name, double S::* field, const char* help, Range range) {
    auto& option = add<double>(name, field, help, ValueType::kNumber);
    option.range = range;
    return option;
  }

  Option& duration(const char* name, double S::* field, const char* help) {
    auto& option = add<double>(name, field, help, ValueType::kDuration);
    option.range = at_least(0);
    return option;
  }

  Option& text(const char* name, std::string S::* field, const char* help) {
    return add<std::string>(name, field, help, ValueType::kText);
  }

  // A field of text that holds one of a few names.
  Option& one_of(const char* name, std::string S::* field, const char* help, std::vector<std::string> names) {
    auto& option = add<std::string>(name, field, help, ValueType::kChoice);
    option.choices = std::move(names);
    return option;
  }

  // An enum field, its values by name.
  template <typename E>
    requires std::is_enum_v<E>
  Option& choice(const char* name, E S::* field, const char* help,
                 std::vector<std::pair<std::string, E>> names) {
    auto& option = append(name, help, ValueType::kChoice);
    for (const auto& entry : names) option.choices.push_back(entry.first);
    option.get = [section = section_, field, names](const RunConfig& config) -> Value {
      for (const auto& [text, value] : names) {
        if (value == config.*section.*field) return text;
      }
      throw InternalError("config: an enum value without a name");
    };
    option.set = [section = section_, field, names](RunConfig& config, const Value& value) {
      for (const auto& [text, named] : names) {
        if (text == std::get<std::string>(value)) {
          config.*section.*field = named;
          return;
        }
      }
      throw InternalError("config: a name without an enum value");
    };
    return option;
  }

 private:
  Option& append(const char* name, const char* help, ValueType type) {
    auto& option = table_.emplace_back();
    option.section = name_;
    option.name = name;
    option.help = help;
    option.type = type;
    option.identity = identity_;
    return option;
  }

  template <typename Held, typename Field>
  Option& add(const char* name, Field S::* field, const char* help, ValueType type) {
    auto& option = append(name, help, type);
    option.get = [section = section_, field](const RunConfig& config) -> Value {
      return static_cast<Held>(config.*section.*field);
    };
    option.set = [section = section_, field](RunConfig& config, const Value& value) {
      config.*section.*field = static_cast<Field>(std::get<Held>(value));
    };
    return option;
  }

  std::vector<Option>& table_;
  const std::string name_;
  S RunConfig::* const section_;
  const bool identity_;
};

// The table's parts, in the order of the reference page.
void add_run_options(std::vector<Option>& table);
void add_model_options(std::vector<Option>& table);
void add_data_options(std::vector<Option>& table);
void add_train_options(std::vector<Option>& table);
void add_averaging_options(std::vector<Option>& table);
void add_observer_options(std::vector<Option>& table);
void add_federated_options(std::vector<Option>& table);
void add_dist_options(std::vector<Option>& table);

}  // namespace rn::config::detail
