#include "report/summary.h"

#include <cmath>
#include <cstdio>

#include "core/error.h"
#include "report/meters.h"
#include "report/progress.h"

namespace rn::report {
namespace {

std::string text_at(const Json& record, const char* key) {
  const auto found = record.find(key);
  return found != record.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Summary::Part& Summary::current() {
  if (parts_.empty()) parts_.emplace_back();
  return parts_.back();
}

void Summary::add(const Json& record) {
  const std::string event = text_at(record, "event");
  if (event == "run_start") {
    parts_.emplace_back();
    return;
  }
  if (event == "run_end") {
    current().seconds = number_at(record, "seconds");
    end_ = record;
    return;
  }
  if (event == "checkpoint")
    return;  // written while training went on: it says nothing about where the run is
  const auto step = record.find("step");
  if (step != record.end() && step->is_number_integer()) step_ = step->get<std::int64_t>();
  const double epoch = number_at(record, "epoch");
  if (std::isfinite(epoch)) epoch_ = epoch;

  if (event == "round") by_rounds_ = true;
  if (event == "step" || event == "round") {
    Part& part = current();
    const double rate = number_at(record, "images_per_second");
    if (part.first_step_seen && std::isfinite(rate)) rates_.push_back(rate);
    part.first_step_seen = true;
    const double elapsed = number_at(record, "elapsed_seconds");
    if (std::isfinite(elapsed)) part.seconds = elapsed;
  } else if (event == "eval") {
    const std::string split = text_at(record, "split");
    Json eval = record;
    eval.erase("event");
    last_[split][text_at(record, "weights")] = eval;
    const auto best = best_.find(split);
    const double before = best == best_.end() ? -1 : number_at(best->second, "top1");
    // The first of equals: what a checkpoint rule that asks for "better" keeps too.
    if (number_at(eval, "top1") > before) best_[split] = std::move(eval);
  }
}

double Summary::images_per_second() const { return median(rates_); }

double Summary::total_seconds() const {
  double total = 0;
  for (const Part& part : parts_) total += part.seconds;
  return total;
}

Json Summary::headline() const {
  for (const char* split : {"test", "val", "train"}) {
    const auto of_split = last_.find(split);
    if (of_split == last_.end()) continue;
    for (const char* weights : {"swa", "ema", "raw"}) {
      const auto found = of_split->second.find(weights);
      if (found != of_split->second.end()) return found->second;
    }
  }
  return nullptr;
}

Json Summary::to_json(const std::string& run_dir, const nlohmann::json& totals) const {
  Json json;
  for (const char* key : {"status", "exit_code"}) json[key] = end_.contains(key) ? end_.at(key) : Json();
  json["step"] = step_;
  put_number(json, "epoch", epoch_);
  json["seconds"] = end_.contains("seconds") ? end_.at("seconds") : Json();
  put_number(json, "total_seconds", total_seconds());
  json["starts"] = parts_.size();
  // Null without a text beside it where nothing was measured: that is no failure of the numbers.
  json["images_per_second"] = rates_.empty() ? Json() : Json(images_per_second());
  json["peak_memory_bytes"] = end_.contains("peak_memory_bytes") ? end_.at("peak_memory_bytes") : Json();
  json["evals"] = Json::object();
  for (const auto& [split, by_weights] : last_) {
    for (const auto& [weights, eval] : by_weights) json["evals"][split][weights] = eval;
  }
  json["best"] = Json::object();
  for (const auto& [split, eval] : best_) json["best"][split] = eval;
  json["run_dir"] = run_dir;
  for (const auto& [key, value] : totals.items()) json[key] = value;
  return json;
}

std::string format_summary(const Summary& summary, const std::string& status, const std::string& run_dir) {
  const Json json = summary.to_json(run_dir, nlohmann::json::object());
  std::string line =
      cat(status, ": ", json.at("step").get<std::int64_t>(),
          summary.by_rounds() ? " rounds in " : " steps in ", format_duration(summary.total_seconds()));
  char number[64];
  if (const Json eval = summary.headline(); !eval.is_null()) {
    std::snprintf(number, sizeof(number), "%.2f", number_at(eval, "top1"));
    line += cat(", ", eval.at("split").get<std::string>(), " top-1 ", number, " % (",
                eval.at("weights").get<std::string>(), ")");
  }
  if (std::isfinite(summary.images_per_second())) {
    std::snprintf(number, sizeof(number), "%.0f", summary.images_per_second());
    line += cat(", ", number, " images/s");
  }
  return cat(line, ", ", run_dir);
}

}  // namespace rn::report
