#include "report/records.h"

#include <cmath>
#include <limits>

namespace rn::report {
namespace {

Json event(const char* name, const Position& at) {
  Json record;
  record["event"] = name;
  record["step"] = at.step;
  put_number(record, "epoch", at.epoch);
  return record;
}

}  // namespace

void put_number(Json& object, const std::string& key, double value) {
  if (std::isfinite(value)) {
    object[key] = value;
    return;
  }
  object[key] = nullptr;
  object[key + "_text"] = std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

double number_at(const Json& object, const std::string& key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::numeric_limits<double>::quiet_NaN();
  return found->get<double>();
}

std::string dump(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const StepRecord& record, double elapsed_seconds) {
  Json json = event("step", record.at);
  put_number(json, "loss", record.loss);
  put_number(json, "top1", record.top1);
  put_number(json, "lr", record.lr);
  put_number(json, "images_per_second", record.images_per_second);
  put_number(json, "data_wait_ms", record.data_wait_ms);
  put_number(json, "comm_wait_ms", record.comm_wait_ms);
  if (!(record.grad_norm < 0)) put_number(json, "grad_norm", record.grad_norm);
  if (record.loss_scale != 0) put_number(json, "loss_scale", record.loss_scale);
  put_number(json, "elapsed_seconds", elapsed_seconds);
  return json;
}

Json to_json(const EpochRecord& record) {
  Json json = event("epoch", record.at);
  put_number(json, "train_loss", record.train_loss);
  put_number(json, "train_top1", record.train_top1);
  put_number(json, "lr", record.lr);
  put_number(json, "seconds", record.seconds);
  return json;
}

Json to_json(const RoundRecord& record, double elapsed_seconds) {
  Json json = event("round", record.at);
  json["round"] = record.at.step;
  json["clients"] = record.clients;
  put_number(json, "train_loss", record.train_loss);
  if (!(record.top1 < 0)) put_number(json, "top1", record.top1);
  put_number(json, "seconds", record.seconds);
  json["bytes_up"] = record.bytes_up;
  json["bytes_down"] = record.bytes_down;
  json["asked"] = record.asked;
  json["dropped"] = record.dropped;
  json["late"] = record.late;
  json["skipped"] = record.skipped;
  if (!(record.staleness < 0)) put_number(json, "staleness", record.staleness);
  put_number(json, "local_lr", record.local_lr);
  put_number(json, "update_norm", record.update_norm);
  put_number(json, "mean_update_norm", record.mean_update_norm);
  put_number(json, "idle_share", record.idle_share);
  put_number(json, "images_per_second", record.images_per_second);
  put_number(json, "simulated_seconds", record.simulated_seconds);
  if (record.clip > 0) put_number(json, "clip", record.clip);
  if (!(record.epsilon < 0)) put_number(json, "epsilon", record.epsilon);
  put_number(json, "elapsed_seconds", elapsed_seconds);
  return json;
}

Json to_json(const PersonalRecord& record) {
  Json json = event("personal_eval", record.at);
  json["round"] = record.at.step;
  put_number(json, "tuned_epochs", record.tuned_epochs);
  put_number(json, "mean", record.mean);
  put_number(json, "worst_tenth", record.worst_tenth);
  json["histogram"] = record.histogram;
  put_number(json, "seconds", record.seconds);
  return json;
}

Json to_json(const EvalRecord& record) {
  Json json = event("eval", record.at);
  json["split"] = record.split;
  json["weights"] = record.weights;
  put_number(json, "top1", record.top1);
  put_number(json, "top5", record.top5);
  put_number(json, "loss", record.loss);
  json["n"] = record.n;
  put_number(json, "seconds", record.seconds);
  return json;
}

Json to_json(const CheckpointRecord& record) {
  Json json = event("checkpoint", record.at);
  json["written"] = record.written;
  if (!record.written) json["error"] = record.error;
  json["best"] = record.best;
  put_number(json, "stall_ms", record.stall_ms);
  put_number(json, "write_seconds", record.write_seconds);
  json["bytes"] = record.bytes;
  return json;
}

}  // namespace rn::report
