#include "config/option_table.h"

#include "config/option_builder.h"

namespace rn::config {
namespace {

std::vector<Option> make_table() {
  std::vector<Option> table;
  detail::add_run_options(table);
  detail::add_model_options(table);
  detail::add_data_options(table);
  detail::add_train_options(table);
  detail::add_averaging_options(table);
  detail::add_observer_options(table);
  detail::add_federated_options(table);
  detail::add_dist_options(table);
  return table;
}

}  // namespace

const std::vector<Option>& option_table() {
  static const std::vector<Option> table = make_table();
  return table;
}

const std::vector<Section>& sections() {
  static const std::vector<Section> all = {
      {"run", "What the run is called, where it lies, and how it starts and ends."},
      {"model", "The network."},
      {"data", "The images, and how they are read."},
      {"augment", "What is done to each training image."},
      {"train", "Length, batch and arithmetic of training."},
      {"optimizer", "How a gradient changes the weights."},
      {"schedule", "The learning rate over the run, given in epochs and computed per step."},
      {"ema", "Exponential moving average of the weights, evaluated and saved beside the raw ones."},
      {"swa",
       "Stochastic weight averaging (Izmailov et al. 2018), evaluated and saved beside the raw weights."},
      {"eval", "When and how the network is evaluated during the run."},
      {"checkpoint", "When the state of the run is saved, and what is kept."},
      {"federated", "Clients, their data, and how a server joins their updates, with run.mode: federated."},
      {"dist", "How ranks exchange gradients, and how long they wait for each other."},
      {"report", "What the run tells."},
  };
  return all;
}

const Option* find_option(std::string_view key) {
  const auto dot = key.find('.');
  if (dot == std::string_view::npos) return nullptr;
  for (const auto& option : option_table()) {
    if (option.section == key.substr(0, dot) && option.name == key.substr(dot + 1)) return &option;
  }
  return nullptr;
}

const Section* find_section(std::string_view name) {
  for (const auto& section : sections()) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

Value default_value(const Option& option) { return option.get(RunConfig{}); }

}  // namespace rn::config
